"""The demo site: a host of `password_reset` that can go to production."""
