"""What staff do about one customer's rights: the link to her page, note what she asks for, erase, hand out."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import segno
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from hetang.console.customers.lists import customer_or_404, recognised_by
from hetang.console.privacy.words import KINDS, REASONS, STATES
from hetang.customers import queries
from hetang.customers.models import Customer
from hetang.platform import environment
from hetang.platform.access import Actor, Forbidden, actor_of, needs, own_customers
from hetang.privacy import erasing, own_page
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import PrivacyLink


class NoteForm(forms.Form):
    """What she asked for, by phone or in the shop."""

    kind = forms.ChoiceField(choices=list(KINDS.items()))
    text = forms.CharField(max_length=own_page.TEXT, required=False)
    objects = forms.BooleanField(required=False)


@never_cache
@require_GET
@needs("customers:view")
def person(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """For who keeps her data right: her link and requests; for the privacy officer: erasing and handing out."""
    actor = actor_of(request)
    customer = _customer_or_404(actor, public_id)
    link = own_page.link_of(customer)
    # Who looks through a colleague's eyes changes nothing, so she gets no link by which she could.
    address = address_of(request, link) if link and not actor.seen_as else ""
    values = {
        "customer": customer,
        "title": _title(customer),
        "link": link,
        "address": address,
        "picture": segno.make(address, error="m").svg_data_uri(scale=4, border=2, light="#ffffff") if address else "",
        "requests": [(KINDS[one.kind], one, *STATES[one.state]) for one in own_page.requests_of(customer)],
        "kinds": KINDS.items(),
        "reasons": REASONS.items(),
        "may_erase": _may_erase(actor, customer),
        "may_edit": own_customers(actor, "customers:edit").filter(pk=customer.pk).exists(),
    }
    return render(request, "console/privacy/person.html", values)


@require_POST
@needs("customers:edit")
def make_link(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A new link; an earlier one of hers is over."""
    actor = actor_of(request)
    own_page.make_link(actor, customer_or_404(actor, "customers:edit", public_id))
    messages.success(request, _("The link is ready. Send it to her alone."))
    return redirect("privacy:person", public_id)


@require_POST
@needs("customers:edit")
def end_link(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """End her link at once."""
    actor = actor_of(request)
    own_page.end_links(actor, customer_or_404(actor, "customers:edit", public_id))
    messages.success(request, _("The link is over."))
    return redirect("privacy:person", public_id)


@require_POST
@needs("customers:edit")
def note(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Note what she asked for."""
    actor = actor_of(request)
    customer, form = customer_or_404(actor, "customers:edit", public_id), NoteForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose what she asks for."))
        return redirect("privacy:person", public_id)
    said = form.cleaned_data
    try:
        own_page.ask(customer, said["kind"], said["text"], objects=said["objects"], came_by="staff", actor=actor)
    except PrivacyRefused as refused:
        messages.error(request, refusal_text(refused))
    else:
        messages.success(request, _("Noted. The privacy officer finds it among the requests."))
    return redirect("privacy:person", public_id)


@require_POST
@needs("customers:erase")
def erase(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Erase her without a request of hers."""
    actor = actor_of(request)
    customer = customer_or_404(actor, "customers:erase", public_id)
    try:
        ordered = erasing.order(
            actor, customer, request.POST.get("reason", ""), objects=request.POST.get("objects") == "1"
        )
    except PrivacyRefused as refused:
        messages.error(request, refusal_text(refused))
        return redirect("privacy:person", public_id)
    return redirect("privacy:erasure", ordered.public_id)


def address_of(request: HttpRequest, link: PrivacyLink) -> str:
    """The address that is sent to her: below the public address, if there is one."""
    base = environment.public_url() or f"{request.scheme}://{request.get_host()}"
    return base + reverse("own-page:arrive", args=[own_page.token_of(link)])


def _customer_or_404(actor: Actor, public_id: UUID) -> Customer:
    """Hers whom the actor may edit or erase: neither permission implies the other."""
    allowed = [one for one in ("customers:edit", "customers:erase") if actor.can(one)]
    if not allowed:
        raise Forbidden("customers:edit")
    for one in allowed[:-1]:
        with suppress(Http404):
            return customer_or_404(actor, one, public_id)
    return customer_or_404(actor, allowed[-1], public_id)


def _title(customer: Customer) -> str:
    number = customer.number
    return queries.names_of([number]).get(number) or recognised_by([number]).get(number) or f"#{number}"


def _may_erase(actor: Actor, customer: Customer) -> bool:
    return actor.can("customers:erase") and own_customers(actor, "customers:erase").filter(pk=customer.pk).exists()
