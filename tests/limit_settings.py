"""The settings of a test's processes with other limits: off, so high that nobody is
refused, or low for a whole day.
"""

import os

from tests.site_settings import *  # noqa: F403 - the same site but for its limits

LIMITS = os.environ["LIMITS"]
RATELIMIT_ENABLE = LIMITS != "off"
RATE = "1/d" if LIMITS == "low" else "1000000/h 1000000/d"
PASSWORD_RESET_REQUEST_RATE_PER_IP = PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = (
    PASSWORD_RESET_CONFIRM_RATE_PER_IP
) = RATE
