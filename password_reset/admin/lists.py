"""Read-only lists that stay fast at a million rows: no table is counted whole, and
every search has an index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import translation
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from password_reset.visitors import parse_address

from .accounts import known_as, link

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    RowPaginator = Paginator[Any]
else:
    ModelAdmin = admin.ModelAdmin
    RowPaginator = Paginator

COUNTED = 2000
CHUNK = 1000


class CappedPaginator(RowPaginator):
    """Count no further than people turn pages: a count of the whole table reads all of
    it.
    """

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        # In the order of the page, and so along the same index.
        return int(rows[:COUNTED].count())

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than the pages show."""
        return self.count >= COUNTED


class ReadOnlyAdmin(ModelAdmin):
    """Rows to look at: nothing is added, changed or deleted here but by the actions."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("email",)
    search_help_text = _(
        "A mail address or its beginning, an IP address, or a user's name or number."
    )
    #: What a list may be filtered by. Django would allow any column, and then
    #: `?session_key__startswith=a` tells a reader of the list, letter by letter, what
    #: no page shows.
    linkable = frozenset(
        {
            "brand",
            "created_at__gte",
            "created_at__lt",
            "delivery",
            "state",
            "user__exact",
        }
    )
    by_date: tuple[Any, ...] = (("created_at", admin.DateFieldListFilter),)

    class Media:
        css: ClassVar = {"all": ["password_reset/admin.css"]}

    def lookup_allowed(
        self, lookup: str, value: Any, request: HttpRequest | None = None
    ) -> bool:
        return lookup in self.linkable

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse on our pages; where a user is deleted on the host's, that user's rows
        go along as foreign keys ask.
        """
        match = request.resolver_match
        elsewhere = match is not None and not (match.url_name or "").startswith(
            f"{self.opts.app_label}_{self.opts.model_name}_"
        )
        return obj is not None and elsewhere

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self.matching(term)) if term else queryset), False

    def matching(self, term: str) -> Q:
        """Return the condition that finds a term. Every part of it has an index, or
        PostgreSQL reads the table.
        """
        address = parse_address(term)
        if address is not None:
            return Q(ip_address=str(address))
        return begins_with(term) | self.of_users(known_as(term))

    def of_users(self, users: QuerySet[Any]) -> Q:
        """Return the condition that finds the rows of users."""
        return Q(user__in=pks(users))


def crumbs(model_admin: ModelAdmin, request: HttpRequest) -> dict[str, Any]:
    """Return what each of our pages below a list needs, with the way back to it."""
    site, opts = model_admin.admin_site, model_admin.opts
    way = [
        (translation.gettext("Home"), link(site, "index")),  # in Django's catalogue
        (opts.app_config.verbose_name, link(site, "app_list", opts.app_label)),
    ]
    if model_admin.has_view_permission(request):
        name = f"{opts.app_label}_{opts.model_name}_changelist"
        way.append((capfirst(str(opts.verbose_name_plural)), link(site, name)))
    return {"opts": opts, "media": model_admin.media, "way": way}


def begins_with(term: str) -> Q:
    """Return the condition for an address or its beginning, as it is written and in
    small letters.
    """
    small = term.lower()
    condition = Q(email__startswith=term)
    # Not the same condition twice: of one PostgreSQL reads as many entries as the page
    # needs, of two it reads all.
    return condition if small == term else condition | Q(email__startswith=small)


def pks(rows: QuerySet[Any]) -> list[Any]:
    """Return the keys of some rows: a sub-query beside other conditions would keep
    PostgreSQL from their indexes.
    """
    return list(rows.values_list("pk", flat=True)[:CHUNK])


def in_chunks(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """Yield rows a thousand at a time; staff may select a whole table."""
    rows = rows.order_by("pk")
    chunk = list(rows[:CHUNK])
    while chunk:
        yield chunk
        chunk = list(rows.filter(pk__gt=chunk[-1].pk)[:CHUNK])


def log(request: HttpRequest, rows: Iterable[Model], message: str) -> None:
    """Enter what a member of staff did into the admin's own log, row by row."""
    LogEntry.objects.log_actions(
        user_id=request.user.pk,  # type: ignore[arg-type]  # the admin lets nobody else in
        queryset=rows,
        action_flag=CHANGE,
        change_message=str(message),
    )
