"""The audit log: filter, page, export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from hetang.console import csv_export
from hetang.console.audit.wording import ACTIONS, TARGETS, action_label, target_label
from hetang.console.lists.tables import Column, Table, read
from hetang.platform import audit
from hetang.platform.access import actor_of, needs
from hetang.platform.models import AuditEntry

_EXPORT_ROWS = 100_000
TABLE = Table(
    code="audit",
    label=gettext_lazy("Audit log"),
    permission="audit:view",
    url_name="audit:list",
    columns=(
        Column("at", gettext_lazy("Time"), sort="at", fixed=True),
        Column("who", gettext_lazy("Who")),
        Column("action", gettext_lazy("Action")),
        Column("object", gettext_lazy("Object")),
        Column("changes", gettext_lazy("Changes")),
        Column("address", gettext_lazy("Address"), hidden=True),
    ),
    order=("-at", "-id"),
    key=("-id",),
    filters=("actor", "action", "target", "number"),
    dense=True,
)


@require_GET
@needs("audit:view")
def audit_list(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first."""
    listing = read(TABLE, _chosen(request), request)
    page = listing.page
    for row in page:
        _describe(row)
    values = {
        "listing": listing,
        "page": page,
        "filters": request.GET,
        "actions": _choices(ACTIONS, request.GET.get("action", "")),
        "targets": _choices(TARGETS, request.GET.get("target", "")),
        "query": request.GET.urlencode(),
    }
    return render(request, "console/audit/list.html", values)


@require_GET
@needs("audit:view")
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The filtered log as CSV, newest first, at most 100,000 rows. The export itself is audited."""
    audit.record(actor_of(request), "audit.exported", "audit", "", {"filter": request.GET.dict()})
    header = [_("Time"), _("Who"), _("Action"), _("Object"), _("Number"), _("Changes"), _("Address")]
    return csv_export.answer("audit.csv", header, _lines(_chosen(request)))


def _lines(rows: QuerySet[AuditEntry]) -> Iterator[list[Any]]:
    for row in rows.order_by("-at", "-id")[:_EXPORT_ROWS].iterator(chunk_size=2000):
        time = timezone.localtime(row.at).isoformat(timespec="seconds")
        yield [time, row.actor, row.action, row.target_type, row.target_id, row.changes, row.address or ""]


def _chosen(request: HttpRequest) -> QuerySet[AuditEntry]:
    columns = {"actor": "actor", "action": "action", "target": "target_type", "number": "target_id"}
    wanted = {column: request.GET[name].strip() for name, column in columns.items() if request.GET.get(name)}
    return AuditEntry.objects.filter(**wanted)


def _choices(labels: dict[str, Any], chosen: str) -> list[tuple[str, Any, bool]]:
    return [(code, label, code == chosen) for code, label in labels.items()]


def _describe(row: Any) -> None:
    row.action_label = action_label(row.action)
    row.target_label = target_label(row.target_type)
    row.change_list = [(name, *_before_after(value)) for name, value in row.changes.items()]


def _before_after(value: Any) -> tuple[Any, Any]:
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    return None, value
