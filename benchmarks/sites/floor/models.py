"""The one row that the floor writes."""

from django.db import models


class Wish(models.Model):
    """An address that somebody typed."""

    email = models.CharField(max_length=254)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.email
