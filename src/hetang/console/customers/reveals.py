"""Seeing one masked value of a customer in full: a question in a dialog, an answer that goes away by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from hetang.console.customers import words
from hetang.console.customers.lists import customer_or_404
from hetang.customers import households, queries
from hetang.customers.households import MemberView
from hetang.customers.queries import Portrait
from hetang.platform import clock
from hetang.platform.access import actor_of, needs
from hetang.privacy import limits, reveals
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text

REASONS: dict[str, str | Promise] = {
    "call": gettext_lazy("She asked to be called back"),
    "verify": gettext_lazy("Checking that it is her"),
    "order": gettext_lazy("Clearing up an order or a delivery"),
    "complaint": gettext_lazy("Handling a complaint"),
    "authority": gettext_lazy("A court or an authority asks"),
    "other": gettext_lazy("Something else (say what)"),
}


class RevealForm(forms.Form):
    """Which value, and why."""

    which = forms.CharField(max_length=80)
    reason = forms.ChoiceField(choices=list(REASONS.items()))
    text = forms.CharField(max_length=200, required=False)


@never_cache
@require_POST
@needs("customers:reveal")
def reveal(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The value in full, once; a refusal shows the question again."""
    actor = actor_of(request)
    customer = customer_or_404(actor, "customers:reveal", public_id)
    form = RevealForm(request.POST)
    whole = "" if request.headers.get("HX-Request") == "true" else "_page"
    values: dict[str, Any] = {"person": customer}
    try:
        if not form.is_valid():
            raise PrivacyRefused("bad_reason")
        shown = reveals.reveal(actor, customer, **form.cleaned_data)
    except PrivacyRefused as refused:
        known = queries.portrait(customer.public_id, clock.now())
        household = households.members_of(customer.number, clock.today())
        values |= question(known, household)
        values |= {"problem": refusal_text(refused), "given": request.POST, "left": _left(request)}
        return render(request, f"console/customers/reveal{whole}.html", values, status=422)
    values |= {"shown": shown, "label": _label(shown.what), "seconds": reveals.SHOWN_S}
    return render(request, f"console/customers/revealed{whole}.html", values)


def question(known: Portrait, household: Sequence[MemberView]) -> dict[str, Any]:
    """What the dialog offers: everything that the portrait masks, and the reasons."""
    choices: list[tuple[str, str]] = [(reveals.NAME, str(_("Name")))] if known.name else []
    choices += [
        (f"{reveals.IDENTITY}{one.id}", f"{words.IDENTITIES.get(one.kind, one.kind)} {one.shown}")
        for one in known.identities
        if one.masked
    ]
    choices += [
        (f"{reveals.ATTRIBUTE}{one.code}", one.label_en if get_language() == "en" else one.label_zh)
        for one in known.attributes
        if one.hidden
    ]
    choices += [
        (f"{reveals.MEMBER}{one.id}", f"{words.MEMBER_KINDS.get(one.kind, one.kind)} {one.name}")
        for one in household
        if one.name or one.hidden
    ]
    return {"masked": choices, "reveal_reasons": list(REASONS.items())}


def _left(request: HttpRequest) -> int:
    return max(0, limits.current().reveals_a_day - reveals.used_today(actor_of(request)))


def _label(what: str) -> str:
    if what == reveals.NAME:
        return _("Name")
    if what.startswith(reveals.MEMBER):
        return _("Household")
    return str(words.IDENTITIES.get(what, what.removeprefix(reveals.ATTRIBUTE)))
