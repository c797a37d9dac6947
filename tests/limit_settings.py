"""The settings of a test's processes with other limits: `LIMITS=off` asks no counter, `LIMITS=high` refuses nobody."""

import os

from tests.site_settings import *  # noqa: F403 - the same site but for its limits

if os.environ["LIMITS"] == "off":
    RATELIMIT_ENABLE = False
else:
    PASSWORD_RESET_REQUEST_RATE_PER_IP = "1000000/h 1000000/d"
    PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "1000000/h 1000000/d"
    PASSWORD_RESET_CONFIRM_RATE_PER_IP = "1000000/m"
