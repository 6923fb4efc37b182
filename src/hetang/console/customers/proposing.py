"""A colleague believes that this customer is somebody else, too: find the other one by an identifier, say why."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hetang.console.customers.lists import customer_or_404, titles_of
from hetang.customers import queries, reviewing
from hetang.customers.errors import KeptApart
from hetang.customers.models import Customer, Proposal
from hetang.platform import audit
from hetang.platform.access import Actor, actor_of, needs, own_customers

_FOUND = 5


class ProposalForm(forms.Form):
    """Whom else she is, and how one knows."""

    other = forms.UUIDField()
    reason = forms.CharField(max_length=300)


@require_http_methods(["GET", "POST"])
@needs("customers:edit")
def same_as(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Search by an exact identifier, and propose one of those found."""
    actor = actor_of(request)
    customer = customer_or_404(actor, "customers:edit", public_id)
    if request.method == "POST":
        return _propose(request, actor, customer)
    return _page(request, actor, customer)


def _page(request: HttpRequest, actor: Actor, customer: Customer, status: int = 200) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    own = own_customers(actor, "customers:edit").exclude(pk=customer.pk)
    found = list(queries.find(text, own).order_by("-pk")[:_FOUND]) if text else []
    if text:
        audit.look(
            actor, "look.search", "customer", found[0].public_id if len(found) == 1 else "", {"found": len(found)}
        )
    titles = titles_of([customer.pk, *(one.pk for one in found)])
    values = {
        **{"person": customer, "title": titles[customer.pk], "q": text},
        "found": [(one, titles[one.pk]) for one in found],
    }
    return render(request, "console/customers/same_as.html", values, status=status)


def _propose(request: HttpRequest, actor: Actor, customer: Customer) -> HttpResponse:
    form = ProposalForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Say how you know that they are one person."))
        return _page(request, actor, customer, status=422)
    other = customer_or_404(actor, "customers:edit", form.cleaned_data["other"])
    try:
        with transaction.atomic():
            proposal, new = reviewing.propose(customer, other, actor.name, form.cleaned_data["reason"])
            if new:
                changes = {"other": str(other.public_id), "reason": form.cleaned_data["reason"]}
                audit.record(actor, "review.proposed", "customer", customer.public_id, changes)
    except ValueError:
        messages.error(request, _("These are one customer already."))
        return redirect("customers:portrait", customer.public_id)
    except KeptApart:
        messages.error(request, _("A colleague decided that they are not the same person. Take that back first."))
        return redirect("customers:portrait", customer.public_id)
    return _answer(request, actor, customer, proposal)


def _answer(request: HttpRequest, actor: Actor, customer: Customer, proposal: Proposal) -> HttpResponse:
    if actor.can("customers:merge"):
        return redirect("customers:review-pair", proposal.pk)
    messages.success(request, _("Proposed. Somebody who may decide it sees both side by side."))
    return redirect("customers:portrait", customer.public_id)
