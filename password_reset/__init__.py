"""The "forgot password" flow for Django sites."""

__version__ = "1.0.0rc1"
