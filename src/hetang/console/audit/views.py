"""The audit log: who did what, who looked at whom; filter, page, seals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.console.audit.wording import ACTIONS, LOOKS, TARGETS, action_label, field_label, target_label, value_label
from hetang.console.days import iso_day
from hetang.console.lists.tables import Column, Table, read
from hetang.customers import queries as customers
from hetang.customers.models import Customer
from hetang.platform import audit, clock, jobs
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.models import AuditEntry, JobRun
from hetang.privacy import seals
from hetang.privacy.jobs import VERIFY

_SHOWN_CHANGES = 3  # the rest unfolds

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
    filters=("kind", "actor", "action", "target", "number", "from", "to"),
    search="person",
    dense=True,
)


@dataclass(frozen=True)
class Wanted:
    """What the filters ask for; `problem` says why one of them could not be read."""

    rows: QuerySet[AuditEntry]
    problem: str = ""


@require_GET
@needs("audit:view")
def audit_list(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first."""
    wanted = chosen(actor_of(request), request.GET)
    listing = read(TABLE, wanted.rows, request)
    page = listing.page
    for row in page:
        _describe(row)
    kind = request.GET.get("kind", "")
    labels = {"": _("All"), "changes": _("Changes only"), "looks": _("Looks only")}
    values = {
        "listing": listing,
        "page": page,
        "problem": wanted.problem,
        "filters": request.GET,
        "kinds": _choices(labels, kind),
        "actions": _choices(ACTIONS | LOOKS, request.GET.get("action", "")),
        "targets": _choices(TARGETS, request.GET.get("target", "")),
        "query": request.GET.urlencode(),
        "seals": seals.state(),
    }
    return render(request, "console/audit/list.html", values)


@require_GET
@needs("audit:view")
def seal_page(request: HttpRequest) -> HttpResponse:
    """How far the log is sealed, and what the last check said."""
    checks = JobRun.objects.filter(kind=VERIFY).order_by("-id")
    running = checks.filter(state__in=[JobRun.WAITING, JobRun.RUNNING]).first()
    last = checks.filter(state=JobRun.DONE).first()
    values = {"state": seals.state(), "running": running, "last": last, "findings": _findings(last)}
    return render(request, "console/audit/seals.html", values)


@require_POST
@needs("audit:view")
def verify(request: HttpRequest) -> HttpResponse:
    """Start a check of all seals."""
    actor = actor_of(request)
    user = request.user if request.user.is_authenticated else None
    jobs.enqueue(VERIFY, _("Check of the audit log"), {}, user)
    audit.record(actor, "audit.checked", "audit", "")
    return redirect("audit:seals")


def chosen(actor: Actor, given: Mapping[str, str]) -> Wanted:
    """The rows that the filters ask for: by who, action, object, its number, the customer, and days (brand's zone)."""
    columns = {"actor": "actor", "action": "action", "target": "target_type", "number": "target_id"}
    found = {column: given[name].strip() for name, column in columns.items() if given.get(name)}
    rows = AuditEntry.objects.filter(**found)
    kind = given.get("kind", "")
    if kind == "looks":
        rows = rows.filter(action__startswith=audit.LOOK)
    elif kind == "changes":
        rows = rows.exclude(action__startswith=audit.LOOK)
    if person := given.get("person", "").strip():
        rows = rows.filter(target_type="customer", target_id__in=public_ids(actor, person))
    try:
        return Wanted(_between(rows, given.get("from", ""), given.get("to", "")))
    except ValueError:
        return Wanted(rows.none(), _("Write days like 2026-11-26."))


def _between(rows: QuerySet[AuditEntry], first: str, last: str) -> QuerySet[AuditEntry]:
    if first:
        rows = rows.filter(at__gte=_midnight(date.fromisoformat(iso_day(first))))
    if last:
        rows = rows.filter(at__lt=_midnight(date.fromisoformat(iso_day(last)) + timedelta(days=1)))
    return rows


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), clock.zone())


def public_ids(actor: Actor, text: str) -> list[str]:
    """The opaque ids of whom an identifier names, absorbed and erased ones too. The search is a look itself."""
    try:
        return [str(UUID(text))]
    except ValueError:
        found = customers.find(text, Customer.objects.all())
        audit.look(actor, "look.search", "customer", "", {"found": len(found), "of": "audit"})
        return [str(one.public_id) for one in found]


def _choices(labels: dict[str, Any], current: str) -> list[tuple[str, Any, bool]]:
    return [(code, label, code == current) for code, label in labels.items()]


def _describe(row: Any) -> None:
    row.action_label = action_label(row.action)
    row.target_label = target_label(row.target_type)
    row.change_list = [
        (field_label(name), *_before_after(value_label(name, value)))
        for name, value in row.changes.items()
        if value not in ("", None)
    ]
    row.more_changes = len(row.change_list) - _SHOWN_CHANGES
    row.is_look = row.action.startswith(audit.LOOK)


def _before_after(value: Any) -> tuple[Any, Any]:
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    return None, value


def _findings(last: JobRun | None) -> list[str]:
    """What the last check found, as sentences."""
    said = {
        "altered": _("Row %(n)s was altered after it was sealed."),
        "removed": _("Row %(n)s was removed."),
        "added": _("Row %(n)s was slipped in after its range had been sealed."),
        "seal_altered": _("Seal %(n)s was altered: its signature does not fit."),
        "seal_missing": _("Seal %(n)s is missing."),
        "release_altered": _("The note %(n)s on rows that the schedule removed was altered."),
        "head_differs": _("Seal %(n)s differs from the one that the file in the home knows."),
        "heads_ahead": _("Seal %(n)s is known to the file in the home, but not to the database. An older backup?"),
    }
    found = last.result.get("findings", []) if last else []
    return [said[one["what"]] % {"n": one["number"]} for one in found if one["what"] in said]
