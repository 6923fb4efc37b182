"""Held records: what could not be taken or applied, why, and what to do about it."""

from __future__ import annotations

import json
import time
from typing import Any

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from hetang.console.customers.words import IDENTITIES
from hetang.console.lists.tables import Column, Table, read
from hetang.console.operations import held_words as words
from hetang.facts import services
from hetang.facts.models import HeldFact
from hetang.platform import audit
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.masking import mask
from hetang.platform.sealing import unseal

Text = str | Promise
STATES: dict[str, tuple[str | Promise, str]] = {
    HeldFact.OPEN: (gettext_lazy("Open"), "warn"),
    HeldFact.REPLAYED: (gettext_lazy("Replayed"), "good"),
    HeldFact.DISMISSED: (gettext_lazy("Dismissed"), ""),
}
TABLE = Table(
    code="held",
    label=gettext_lazy("Held records"),
    permission="facts:view",
    url_name="operations:held",
    columns=(
        Column("received", gettext_lazy("Received"), sort="id", fixed=True),
        Column("source", gettext_lazy("Source")),
        Column("record", gettext_lazy("Record")),
        Column("why", gettext_lazy("Why it is held")),
        Column("door", gettext_lazy("Came in by"), hidden=True),
        Column("state", gettext_lazy("State")),
    ),
    order=("-id",),
    key=("-id",),
    filters=("state", "reason"),
)
_BUDGET_S = 3.0  # a page must not hang: the rest of many is replayed by the next click
_REASONS_FROM = 10_000  # reasons are counted among the newest so many


@require_GET
@needs("facts:view")
def held_list(request: HttpRequest) -> HttpResponse:
    """Held records by state and reason, newest first."""
    state = request.GET.get("state", HeldFact.OPEN)
    reason = request.GET.get("reason", "")
    rows = HeldFact.objects.filter(state=state if state in STATES else HeldFact.OPEN).defer("body")
    reasons = _reasons(rows)
    if reason:
        rows = rows.filter(reason=reason)
    listing = read(TABLE, rows, request)
    page = listing.page
    for row in page:
        _explain(row)
    values = {
        "listing": listing,
        "page": page,
        "reasons": [(code, _in_general(code), count, code == reason) for code, count in reasons],
        "with_reason": dict(reasons).get(reason, 0),
        "reason": reason,
        "state": state,
        "choices": [(code, label, code == state) for code, (label, _tone) in STATES.items()],
    }
    return render(request, "console/operations/held.html", values)


@require_GET
@needs("facts:view")
def held_detail(request: HttpRequest, held_id: int) -> HttpResponse:
    """One held record, with its content (direct identifiers masked)."""
    row = get_object_or_404(HeldFact, id=held_id)
    _explain(row)
    audit.look(actor_of(request), "look.held", "held_fact", row.pk)
    values = {"held": row, "advice": words.advice(row.reason), "lines": lines_of(row), "content": readable(row)}
    return render(request, "console/operations/held_detail.html", values)


@require_POST
@needs("facts:replay")
def replay(request: HttpRequest, held_id: int) -> HttpResponse:
    """Try one held record again."""
    get_object_or_404(HeldFact, id=held_id, state=HeldFact.OPEN)
    refusal = _replay(actor_of(request), held_id)
    if refusal:
        messages.error(request, _("Still held: %(why)s") % {"why": refusal})
        return redirect("operations:held-detail", held_id)
    messages.success(request, _("Taken. It will be applied within seconds."))
    return redirect("operations:held")


@require_POST
@needs("facts:replay")
def replay_many(request: HttpRequest) -> HttpResponse:
    """Try the open records of one reason again, oldest first, for at most three seconds a click."""
    reason = request.POST.get("reason", "")
    ids = HeldFact.objects.filter(state=HeldFact.OPEN, reason=reason).order_by("id").values_list("id", flat=True)
    until, taken, kept = time.monotonic() + _BUDGET_S, 0, 0
    for held_id in list(ids[:2000]):
        if time.monotonic() > until:
            break
        if _replay(actor_of(request), held_id):
            kept += 1
        else:
            taken += 1
    text = ngettext("%(n)d record was taken.", "%(n)d records were taken.", taken) % {"n": taken}
    if kept:
        text += " " + ngettext("%(n)d is still held.", "%(n)d are still held.", kept) % {"n": kept}
    (messages.warning if kept else messages.success)(request, text)
    return redirect("operations:held")


@require_POST
@needs("facts:replay")
def dismiss(request: HttpRequest, held_id: int) -> HttpResponse:
    """Set a held record aside."""
    row = get_object_or_404(HeldFact, id=held_id, state=HeldFact.OPEN)
    services.dismiss(row.pk)
    audit.record(actor_of(request), "held.dismissed", "held_fact", row.pk, {"reason": row.reason, "source": row.source})
    messages.success(request, _("Dismissed. It stays readable under “Dismissed”."))
    return redirect("operations:held")


def readable(row: HeldFact) -> str:
    """The record as indented JSON with phone, email and name masked; as it came if it is no JSON."""
    content = _content(row)
    if content is None:
        size = len(unseal(row.body))
        return ngettext("(not readable as JSON, %(n)d byte)", "(not readable as JSON, %(n)d bytes)", size) % {"n": size}
    return json.dumps(content, indent=2, ensure_ascii=False)


def lines_of(row: HeldFact) -> list[tuple[Text, Text]]:
    """What the record says, line by line: (what an operator calls the field, its value), masked like `readable`."""
    content = _content(row)
    if not isinstance(content, dict):
        return []
    who = content.get("who")
    people = who if isinstance(who, list) else []
    named = [(one.get("kind"), one.get("value")) for one in people if isinstance(one, dict)]
    lines: list[tuple[Text, Text]] = [(IDENTITIES.get(str(kind), str(kind)), str(value)) for kind, value in named]
    lines += [
        (words.field(name), words.value(name, content[name])) for name in ("name", "occurred_at") if name in content
    ]
    body = content.get("body")
    if isinstance(body, dict):
        lines += [(words.field(name), words.value(name, value)) for name, value in body.items()]
    return lines


def _content(row: HeldFact) -> Any:
    try:
        return _masked(json.loads(unseal(row.body)))
    except ValueError:
        return None


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        kind = value.get("kind")
        if isinstance(kind, str) and isinstance(value.get("value"), str):
            return value | {"value": mask(kind, value["value"])}
        return {name: _masked(part, name) for name, part in value.items()}
    if isinstance(value, list):
        if len(value) == 2 and all(isinstance(part, str) for part in value):
            return [value[0], mask(value[0], value[1])]
        return [_masked(part) for part in value]
    return mask(key, value) if isinstance(value, str) else value


def _replay(actor: Actor, held_id: int) -> str:
    """Replay and audit; returns why it is still held, or nothing when it was taken (or taken by somebody else)."""
    try:
        outcome = services.replay(held_id)
    except HeldFact.DoesNotExist:
        return ""
    audit.record(actor, "held.replayed", "held_fact", held_id, {"taken": not outcome.rejected})
    first = outcome.rejected[0] if outcome.rejected else None
    return words.why(first.code, first.detail) if first else ""


def _reasons(rows: QuerySet[HeldFact]) -> list[tuple[str, int]]:
    newest = HeldFact.objects.filter(pk__in=rows.order_by("-id").values("pk")[:_REASONS_FROM])
    counted = newest.order_by().values_list("reason").annotate(n=Count("id")).order_by("-n")
    return list(counted)


class _Anything(dict[str, object]):
    """Details of a reason that sums up many records: each of them had its own."""

    def __missing__(self, _key: str) -> str:
        return "…"


def _in_general(code: str) -> str:
    return words.in_general(code) or words.why(code, _Anything())


def _explain(row: Any) -> None:
    row.why = words.why(row.reason, row.detail)
    row.kind_label, row.door_label = words.kind_label(row.kind), words.DOORS.get(row.door, row.door)
    row.stage_label = words.stage_label(row.stage)
    row.state_label, row.state_tone = STATES[row.state]
