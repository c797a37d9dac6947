"""A million rows at once, by SQL."""

from typing import Literal

from benchmarks.doors import OURS, Site
from benchmarks.machine import USERS, Machine

REQUESTS = """
    INSERT INTO password_reset_requests (email, source, ip_address, user_agent, language, created_at,
        attempts, next_attempt_at, processed_at, mails_sent, last_error)
    SELECT 'user' || lpad((n %% %s)::text, 6, '0') || '@example.com', 'web', '192.0.2.1', 'benchmark',
        'en', now() - n * interval '1 second', 1, now(), now(), 1, ''
    FROM generate_series(1, %s) AS n
"""
PENDING = """
    INSERT INTO password_reset_requests (email, source, ip_address, user_agent, language, created_at,
        attempts, mails_sent, last_error)
    SELECT %s || lpad(n::text, 6, '0') || '@example.com', 'web', '192.0.2.0'::inet + n %% 256, 'benchmark',
        'en', now(), 0, 0, ''
    FROM generate_series(0, %s - 1) AS n
"""
NOTICE = """
    INSERT INTO password_reset_notices (user_id, email, user_agent, language, created_at, attempts,
        mails_sent, last_error)
    SELECT id, email, '', 'en', now(), 0, 0, '' FROM users WHERE email = %s
"""
TOKENS = """
    INSERT INTO password_reset_tokens (user_id, email, token_hash, fingerprint, created_at, expires_at,
        sent_at, message_id, ip_address, user_agent)
    SELECT first + n %% %s, 'user' || lpad((n %% %s)::text, 6, '0') || '@example.com',
        encode(sha256(random()::text::bytea), 'hex'), md5(n::text), now() - age, now() - age + life,
        now() - age, '', '192.0.2.1', 'benchmark'
    FROM generate_series(1, %s) AS n, (SELECT min(id) AS first FROM users),
        LATERAL (SELECT n * interval '0.003 second' + %s::interval AS age, interval '1 hour' AS life)
"""
REST_TOKENS = """
    INSERT INTO django_rest_passwordreset_resetpasswordtoken
        (user_id, key, created_at, ip_address, user_agent)
    SELECT first + n %% %s, md5(n::text), now() - interval '2 days', '192.0.2.1', 'benchmark'
    FROM generate_series(1, %s) AS n, (SELECT min(id) AS first FROM users)
"""


def write_requests(machine: Machine, count: int) -> None:
    """Write settled requests."""
    machine.sql(OURS, REQUESTS, USERS, count)


def write_pending(
    machine: Machine, site: Site, whose: Literal["user", "none"], count: int
) -> None:
    """Write requests that nobody has worked on, of accounts or of nobody; each has an
    address of its own.
    """
    machine.sql(site, PENDING, whose, count)


def write_notice(machine: Machine, site: Site, address: str) -> None:
    """Write a notice that has not been sent, as a reset leaves it."""
    machine.sql(site, NOTICE, address)


def write_tokens(machine: Machine, count: int, age: str) -> None:
    """Write tokens issued that long ago, such as '2 hours'; they live for one."""
    machine.sql(OURS, TOKENS, USERS, USERS, count, age)


def write_rest_tokens(machine: Machine, site: Site, count: int) -> None:
    """Write expired tokens of django-rest-passwordreset."""
    machine.sql(site, REST_TOKENS, USERS, count)
