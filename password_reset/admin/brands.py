"""Which brand a row is of: a column and a filter, where the site has several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from password_reset import brands
from password_reset.conf import conf

if TYPE_CHECKING:
    from .lists import ModelAdmin

    Base = ModelAdmin
else:
    Base = object

#: The default brand in a list's address, since no value is no filter.
DEFAULT = "-"


class BrandFilter(admin.SimpleListFilter):
    """Rows of one brand; those of a brand that has left the settings are of the default
    one, as they are everywhere.
    """

    title = gettext_lazy("brand")
    parameter_name = "brand"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        keys = [(DEFAULT, brands.DEFAULT), *((key, key) for key in conf.brands)]
        return [(value, brands.get(key).name) for value, key in keys]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value != DEFAULT and value not in conf.brands:
            return queryset
        key = brands.DEFAULT if value == DEFAULT else str(value)
        return queryset.filter(brands.belongs_to(key))


class BrandColumnMixin(Base):
    """Show the brand of a row in lists and on its page, where there are several."""

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = list(super().get_list_display(request))
        states = [n for n, name in enumerate(shown, 1) if name in {"state", "outcome"}]
        place = states[0] if states else len(shown)
        return [*with_brand(shown[:place], "brand_name"), *shown[place:]]

    def get_list_filter(self, request: HttpRequest) -> Any:
        return with_brand(super().get_list_filter(request), BrandFilter)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return with_brand(super().get_fields(request, obj), "brand_name")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return with_brand(super().get_readonly_fields(request, obj), "brand_name")

    @admin.display(description=gettext_lazy("brand"))
    def brand_name(self, row: Any) -> str:
        if row.brand and row.brand not in conf.brands:
            return _("%(key)s (removed)") % {"key": row.brand}
        return brands.get(row.brand).name


def with_brand(names: Sequence[Any], brand: Any) -> Sequence[Any]:
    """Return names of a list or page with that of the brand, where there are brands."""
    return [*names, brand] if conf.brands else names
