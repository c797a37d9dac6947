"""Limits that count on Redis as they would in production, but are never reached."""

PASSWORD_RESET_REQUEST_RATE_PER_IP = "1000000/h"
PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "1000000/h 1000000/d"
PASSWORD_RESET_CONFIRM_RATE_PER_IP = "1000000/m"

# The load comes through a proxy that names each visitor.
PASSWORD_RESET_TRUSTED_PROXIES = ["127.0.0.1"]
