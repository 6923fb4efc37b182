"""Changes to one customer. Each writes a fact and an audit row in one transaction; the page follows within a second."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hetang.console.customers import words
from hetang.console.customers.lists import customer_or_404
from hetang.console.forms import DayInput
from hetang.customers import bases, minors, services
from hetang.customers.errors import BasisMissing, MemberGone, NoIdentity, NothingToState
from hetang.customers.kept import NOT_KEPT
from hetang.customers.models import Customer, Tag
from hetang.facts.errors import Refusal
from hetang.facts.messages import refusal_text
from hetang.platform import audit, clock
from hetang.platform.access import actor_of, needs


class TagForm(forms.Form):
    """A tag of the catalogue, on or off."""

    tag = forms.ModelChoiceField(queryset=Tag.objects.filter(NOT_KEPT, archived_at=None), to_field_name="code")
    on = forms.BooleanField(required=False)


class ConsentForm(forms.Form):
    """One purpose on one channel: given or withdrawn, on which basis."""

    purpose = forms.ChoiceField(choices=[*words.PURPOSES.items(), (minors.GUARDIAN, words.GUARDIAN)])
    channel = forms.ChoiceField(choices=list(words.CHANNELS.items()))
    given = forms.ChoiceField(choices=[("1", ""), ("0", "")])
    basis = forms.ChoiceField(choices=list(words.BASES.items()))
    text_version = forms.CharField(max_length=60, required=False)


class BasisForm(forms.Form):
    """The legal basis of a consent that came without one."""

    purpose = forms.CharField(max_length=20)
    channel = forms.CharField(max_length=40)
    basis = forms.ChoiceField(choices=[(code, words.BASES[code]) for code in bases.STATED])
    text_version = forms.CharField(max_length=60, required=False)
    reason = forms.CharField(max_length=500)


class DisturbForm(forms.Form):
    """Leave alone (for ever or until the end of a day), or lift it."""

    on = forms.BooleanField(required=False)
    until = forms.DateField(required=False, widget=DayInput())


@require_POST
@needs("customers:edit")
def change_tag(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Put a tag on, or take it off."""
    customer = customer_or_404(actor_of(request), "customers:edit", public_id)
    form = TagForm(request.POST)
    if not form.is_valid():
        return refused(request, customer, _("Choose a tag."))
    tag, on = form.cleaned_data["tag"], form.cleaned_data["on"]
    action = "customer.tagged" if on else "customer.untagged"
    return write(request, customer, action, {"tag": tag.code}, lambda: services.change_tag(customer.pk, tag.code, on))


@require_POST
@needs("customers:edit")
def change_consent(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Note a consent or its withdrawal."""
    customer = customer_or_404(actor_of(request), "customers:edit", public_id)
    form = ConsentForm(request.POST)
    if not form.is_valid():
        return refused(request, customer, _("Choose a purpose, a channel and a legal basis."))
    values = {**form.cleaned_data, "given": form.cleaned_data["given"] == "1"}
    if values["purpose"] == minors.GUARDIAN:
        values["channel"] = minors.ANY_CHANNEL
    return write(request, customer, "customer.consent", values, lambda: services.change_consent(customer.pk, **values))


@require_POST
@needs("customers:edit")
def state_basis(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """State on which legal basis a consent rests that came without one."""
    customer = customer_or_404(actor_of(request), "customers:edit", public_id)
    form = BasisForm(request.POST)
    if not form.is_valid():
        return refused(request, customer, _("Choose a legal basis, and say where it is written down."))
    said = form.cleaned_data
    if said["basis"] == "consent" and not said["text_version"]:
        return refused(request, customer, _("Say which version of the text she agreed to."))
    statement = bases.now_said(uuid4().hex, said["basis"], said["text_version"], actor_of(request).name, said["reason"])
    verb = partial(bases.state, customer.pk, said["purpose"], said["channel"], statement)
    return write(request, customer, "customer.consent_basis", said, verb)


@require_POST
@needs("customers:edit")
def change_personalisation(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Note that she objects to being chosen by what is known of her, or does so no longer."""
    customer = customer_or_404(actor_of(request), "customers:edit", public_id)
    allowed = request.POST.get("allowed") == "1"
    verb = partial(services.set_personalisation, customer.pk, allowed)
    return write(request, customer, "customer.personalisation", {"allowed": allowed}, verb)


@require_POST
@needs("customers:edit")
def change_do_not_disturb(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Leave her alone, or lift it."""
    customer = customer_or_404(actor_of(request), "customers:edit", public_id)
    form = DisturbForm(request.POST)
    if not form.is_valid():
        return refused(request, customer, _("Choose a day, or leave it empty."))
    on, day = form.cleaned_data["on"], form.cleaned_data["until"]
    until = datetime.combine(day, time(), clock.zone()) + timedelta(days=1) if on and day else None
    if until is not None and until <= clock.now():
        return refused(request, customer, _("This day has passed. Choose a later one."))
    changes = {"on": on, "until": until.isoformat() if until else None}
    return write(
        request,
        customer,
        "customer.do_not_disturb",
        changes,
        lambda: services.set_do_not_disturb(customer.pk, on, until),
    )


def write(
    request: HttpRequest, customer: Customer, action: str, changes: dict[str, Any], verb: Any
) -> HttpResponseRedirect:
    """Carry out a verb with its audit row; a refusal becomes a sentence."""
    try:
        with transaction.atomic():
            verb()
            audit.record(actor_of(request), action, "customer", customer.public_id, changes, _node_of(customer))
    except BasisMissing:
        return refused(
            request,
            customer,
            _("A consent to marketing counts only with its legal basis. Choose it; without one nothing was noted."),
        )
    except NothingToState:
        return refused(request, customer, _("Her word has changed meanwhile. Look at it again."))
    except MemberGone:
        return refused(request, customer, _("The household has no such member any more."))
    except NoIdentity:
        return refused(request, customer, _("Her personal information was deleted; nothing can be changed any more."))
    except Refusal as refusal:
        return refused(request, customer, refusal_text(refusal.code, refusal.detail))
    messages.success(request, _("Noted. The page shows it within a second."))
    return redirect(reverse("customers:portrait", args=[customer.public_id]) + "?fresh=1")


def _node_of(customer: Customer) -> int | None:
    return customer.home_store.org_node_id if customer.home_store else None


def refused(request: HttpRequest, customer: Customer, why: str) -> HttpResponseRedirect:
    """Back to the portrait, with a sentence that says why nothing was noted."""
    messages.error(request, why)
    return redirect("customers:portrait", customer.public_id)
