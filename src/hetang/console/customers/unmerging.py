"""Telling merged people apart again: what would follow, the question, how far it is, and the way back."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.commerce.queries import orders_of_identities
from hetang.console.customers import words
from hetang.console.customers.lists import customer_or_404, titles_of
from hetang.customers import decided, deciding, queries
from hetang.customers.division import foresee
from hetang.customers.errors import AlreadyApart, NoIdentity
from hetang.customers.models import Customer, Decision, Identity, Merge
from hetang.facts.errors import Refusal
from hetang.facts.messages import refusal_text
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of, needs, own_customers
from hetang.touch.timeline import sent_since


class ReasonForm(forms.Form):
    """Why, in the words of whoever decides."""

    reason = forms.CharField(
        label=gettext_lazy("How do you know?"),
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("Others read it, also in the audit log. No names or numbers of the two, please."),
    )


@dataclass(frozen=True)
class Part:
    """One of the people who would be told apart. `number` is None where she gets a fresh one."""

    number: int | None
    identities: list[tuple[Any, queries.IdentityView]]
    orders: int
    net: int


@require_GET
@needs("customers:merge")
def question(request: HttpRequest, public_id: UUID, merge_id: int) -> HttpResponse:
    """The merge, who the two would be without it, and the decision about it as far as it has come."""
    customer, merge = _merge_or_404(actor_of(request), public_id, merge_id)
    return _page(request, customer, merge, ReasonForm())


@require_POST
@needs("customers:merge")
def separate(request: HttpRequest, public_id: UUID, merge_id: int) -> HttpResponse:
    """Decide that the two of a merge are not the same person."""
    actor = actor_of(request)
    customer, merge = _merge_or_404(actor, public_id, merge_id)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _page(request, customer, merge, form, status=422)
    reason = form.cleaned_data["reason"]
    changes = {"merge": merge.pk, "survivor": merge.survivor, "absorbed": merge.absorbed, "reason": reason}
    try:
        with transaction.atomic():
            if deciding.unmerge(merge, actor.name, reason):
                audit.record(actor, "customer.told_apart", "customer", customer.public_id, changes)
    except (AlreadyApart, NoIdentity, Refusal) as refused:
        messages.error(request, refusal(refused))
    return redirect("customers:unmerge", customer.public_id, merge.pk)


@require_POST
@needs("customers:merge")
def take_back(request: HttpRequest, decision_id: int) -> HttpResponse:
    """Lift a decision about who is who; the evidence counts again."""
    actor = actor_of(request)
    decision = get_object_or_404(Decision, pk=decision_id, lifted_at=None)
    everybody = {number for side in decided.people_of([decision])[decision.pk] for number in side}
    if not may_take_back(actor, decision, everybody):
        raise Http404
    try:
        with transaction.atomic():
            if deciding.lift(decision.key, deciding.concerned(decision), actor.name):
                changes = {"decision": decision.pk, "verdict": decision.verdict, "customers": sorted(everybody)}
                audit.record(actor, "customer.decision_lifted", "customer", "", changes)
    except (NoIdentity, Refusal) as refused:
        messages.error(request, refusal(refused))
    else:
        messages.success(request, _("Taken back. The evidence counts again; the pages follow within a second."))
    seen = own_customers(actor, "customers:merge").filter(pk__in=everybody).order_by("pk").first()
    return redirect("customers:portrait", seen.public_id) if seen else redirect("customers:list")


@dataclass(frozen=True)
class Story:
    """A decision in force as the portrait tells it: of the others only those whom the actor may see."""

    decision: Decision
    apart: bool
    others: list[tuple[Customer, str]]
    may_take_back: bool


def stories_of(actor: Actor, customer: Customer) -> list[Story]:
    """What people decided about who she is or is not; one query where there is nothing."""
    found = decided.about(customer.pk)
    numbers = {number for one in found for number in one.others}
    seen = own_customers(actor, "customers:view").in_bulk(numbers) if numbers else {}
    titles = titles_of(list(seen))
    lifts = actor.can("customers:merge")
    return [
        Story(
            one.decision,
            one.decision.verdict == Decision.APART,
            [(seen[number], titles[number]) for number in one.others if number in seen],
            lifts and may_take_back(actor, one.decision, {customer.pk, *one.others}),
        )
        for one in found
    ]


def may_take_back(actor: Actor, decision: Decision, everybody: Collection[int]) -> bool:
    """Whoever decided, or who sees all the people concerned: lifting a decision may show her one more."""
    own = own_customers(actor, "customers:merge").filter(pk__in=everybody).values_list("pk", flat=True)
    return decision.made_by == actor.name or set(own) == set(everybody)


def _merge_or_404(actor: Actor, public_id: UUID, merge_id: int) -> tuple[Customer, Merge]:
    customer = customer_or_404(actor, "customers:merge", public_id)
    merge = get_object_or_404(Merge, pk=merge_id)
    if customer.pk not in _owners(deciding.sides_of(merge)):
        raise Http404
    return customer, merge


def _owners(sides: Iterable[Iterable[int]]) -> set[int]:
    ids = [one for side in sides for one in side]
    return set(Identity.objects.filter(pk__in=ids).values_list("customer", flat=True))


def _page(request: HttpRequest, customer: Customer, merge: Merge, form: ReasonForm, status: int = 200) -> HttpResponse:
    actor, sides = actor_of(request), deciding.sides_of(merge)
    audit.look(actor, "look.portrait", "customer", customer.public_id)
    key = deciding.unmerge_key(merge)
    decision = deciding.decision_of(key)
    values = {
        **{"person": customer, "merge": merge, "form": form, "decision": decision},
        **{"waiting": decision is None and deciding.is_recorded(key), "title": titles_of([customer.pk])[customer.pk]},
        "pair": [words.IDENTITIES.get(kind, kind) for kind, _key in merge.evidence],
    }
    if decision is None and merge.undone_at is None:
        parts = _parts(customer, sides)
        values |= {"parts": parts, "sent": sent_since(customer.pk, merge.at), "whole": len(parts) < 2}
    else:
        everybody = _owners(sides)
        own = own_customers(actor, "customers:merge").filter(pk__in=everybody).order_by("pk")
        titles = titles_of([one.pk for one in own])
        values |= {"people": [(one, titles[one.pk]) for one in own], "hidden": len(everybody) - len(own)}
        values["may_take_back"] = decision is not None and may_take_back(actor, decision, everybody)
    return render(request, "console/customers/unmerge.html", values, status=status)


def _parts(customer: Customer, sides: tuple[list[int], list[int]]) -> list[Part]:
    """Into whom she would be divided."""
    shown = {one.id: one for one in queries.portrait(customer.public_id, clock.now()).identities}
    parts = [(number, [one for one in sorted(ids) if one in shown]) for number, ids in foresee(*sides)]
    orders = orders_of_identities(list(shown))
    found = []
    for number, ids in parts:
        if ids:
            sums = [orders.get(one, (0, 0)) for one in ids]
            identities = [(words.IDENTITIES.get(shown[one].kind, shown[one].kind), shown[one]) for one in ids]
            found.append(Part(number, identities, sum(n for n, _ in sums), sum(net for _, net in sums)))
    return sorted(found, key=lambda part: (part.number is None, part.number))


def refusal(refused: AlreadyApart | NoIdentity | Refusal) -> str:
    """Why nothing was decided, as a sentence."""
    if isinstance(refused, Refusal):
        return refusal_text(refused.code, refused.detail)
    if isinstance(refused, AlreadyApart):
        return _("They are not one person any more.")
    return _("The personal information of one of them was deleted; nothing can be decided any more.")
