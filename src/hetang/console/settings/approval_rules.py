"""From which size on who needs somebody else's approval."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from hetang.console.settings.tabs import tabs
from hetang.platform import approvals
from hetang.platform.access import actor_of, needs
from hetang.platform.approvals import KINDS, Kind
from hetang.platform.roles import roles

_LARGEST = 10**9


@needs("users:view")
def approval_rules(request: HttpRequest) -> HttpResponse:
    """The thresholds by kind and role; a POST (for who manages users) sets them."""
    actor = actor_of(request)
    errors: dict[str, str] = {}
    if request.method == "POST":
        actor.require("users:manage")
        wanted = {kind.code: _read(request, kind, errors) for kind in KINDS.values()}
        if not errors:
            for code, limits in wanted.items():
                approvals.set_limits(actor, code, limits)
            messages.success(request, _("Saved. What is asked for already keeps the rule that demanded it."))
            return redirect("settings:approval-rules")
    values = {
        "kinds": [(kind, _lines(request, kind, errors)) for kind in KINDS.values()],
        "may_change": actor.scope("users:manage").everything,
        "days": approvals.HOLDS.days,
        "tabs": tabs("approval-rules", actor),
    }
    return render(request, "console/settings/approval_rules.html", values, status=422 if errors else 200)


def _concerned(kind: Kind) -> list[tuple[str, Any]]:
    """Roles that may do it, with their labels, and everybody else."""
    able = [(role.code, role.label) for role in roles().values() if kind.does in role.permissions]
    return [*able, ("", _("Everybody else"))]


def _lines(request: HttpRequest, kind: Kind, errors: dict[str, str]) -> list[dict[str, Any]]:
    limits = approvals.limits_of(kind.code)
    found = []
    for role, label in _concerned(kind):
        field = f"{kind.code}-{role or 'others'}"
        over = limits.get(role, limits[""])
        value = request.POST.get(field, "" if over is None else str(over))
        found.append({"field": field, "label": label, "value": value, "over": over, "error": errors.get(field, "")})
    return found


def _read(request: HttpRequest, kind: Kind, errors: dict[str, str]) -> dict[str, int | None]:
    """Numbers by role; empty is never. What is no number is noted in `errors`."""
    found: dict[str, int | None] = {}
    for role, _label in _concerned(kind):
        field = f"{kind.code}-{role or 'others'}"
        text = request.POST.get(field, "").strip().replace(",", "")
        if not text:
            found[role] = None
        elif text.isdecimal() and int(text) <= _LARGEST:
            found[role] = int(text)
        else:
            errors[field] = _("Enter a whole number, or leave it empty for no approval.")
    return found
