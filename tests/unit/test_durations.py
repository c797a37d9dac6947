"""Durations in words: exact for a lifetime, never too short for a wait."""

from datetime import timedelta

import pytest
from django.utils import translation

from password_reset.durations import in_words, rounded_up


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=24), "24 hours"),
        (timedelta(days=3), "3 days"),
        (45, "45 seconds"),
    ],
)
def test_a_duration_is_said_in_the_largest_unit_that_is_exact(duration, words):
    assert in_words(duration) == words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, 10),
        (1, 10),
        (41, 50),
        (61, 120),
        (1345, 1380),
        (7201, 10800),
        (86400, 86400),
        (172801, 259200),
    ],
)
def test_a_wait_is_rounded_up_to_what_people_count_in(seconds, said):
    assert rounded_up(seconds) == said


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 godzinę"), (3, "3 godziny"), (5, "5 godzin"), (22, "22 godziny")],
)
def test_plurals_follow_the_language(count, words):
    with translation.override("pl"):
        assert in_words(timedelta(hours=count)) == words
