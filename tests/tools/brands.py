"""Browsers in front of the brands of tests.brands, in this process."""

import copy
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests import brands
from tests.brands import FIG, GARDEN, PLUM


@pytest.fixture
def three_brands(settings: Settings) -> Settings:
    """The settings of a site of three brands."""
    for name, value in brands.SETTINGS.items():
        setattr(settings, name, value)
    templates = copy.deepcopy(settings.TEMPLATES)
    templates[0]["DIRS"] = [brands.TEMPLATES, *templates[0]["DIRS"]]
    settings.TEMPLATES = templates
    return settings


@pytest.fixture
def browser_at(three_brands: Settings) -> Callable[[str], Client]:
    """Return a function that opens a browser on a host, each on a network of its own."""
    numbers: Iterator[int] = count(1)

    def browser(host: str) -> Client:
        address = f"198.51.100.{next(numbers)}"
        return Client(HTTP_HOST=host, REMOTE_ADDR=address)

    return browser


@pytest.fixture
def garden(browser_at: Callable[[str], Client]) -> Client:
    return browser_at(GARDEN)


@pytest.fixture
def plum(browser_at: Callable[[str], Client]) -> Client:
    return browser_at(PLUM)


@pytest.fixture
def fig(browser_at: Callable[[str], Client]) -> Client:
    return browser_at(FIG)
