"""The settings of `python -m tests.outage`: a thousand requests come from one machine,
so no limit counts them.
"""

from tests.site_settings import *  # noqa: F403

PASSWORD_RESET_REQUEST_RATE_PER_IP = None
