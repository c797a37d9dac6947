"""Brands by ``django.contrib.sites``:
``PASSWORD_RESET_BRAND_OF = "password_reset.sites.brand_of"``.

The domains are in the table of sites, and each brand names its site by ``SITE_ID``.
"""

from __future__ import annotations

from django.contrib.sites.models import Site

from .conf import conf

__all__ = ["brand_of"]


def brand_of(host: str) -> str | None:
    """Return the key of the brand whose site has a host name as its domain, with or
    without a port.
    """
    rows = Site.objects.filter(domain__iexact=host)
    rows |= Site.objects.filter(domain__istartswith=f"{host}:")
    found = set(rows.values_list("pk", flat=True))
    numbers = {key: options.get("SITE_ID") for key, options in conf.brands.items()}
    return next((key for key, number in numbers.items() if number in found), None)
