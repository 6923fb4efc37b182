"""The household of a customer on her page: noting, changing and removing a member."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hetang.console.customers import words
from hetang.console.customers.edits import refused, write
from hetang.console.customers.lists import customer_or_404
from hetang.console.forms import DayInput
from hetang.customers import households
from hetang.customers.households import Described
from hetang.platform import clock
from hetang.platform.access import actor_of, needs


class MemberForm(forms.Form):
    """Somebody of the household; empty fields keep what is known."""

    kind = forms.ChoiceField(choices=list(words.MEMBER_KINDS.items()))
    name = forms.CharField(max_length=60, required=False)
    born_on = forms.DateField(required=False, widget=DayInput())
    due_on = forms.DateField(required=False, widget=DayInput())
    sex = forms.ChoiceField(choices=[("", ""), *words.SEXES.items()], required=False)


@require_POST
@needs("customers:edit")
def describe(request: HttpRequest, public_id: UUID, member: int | None = None) -> HttpResponse:
    """Note a member, or change what is known of one. The audit log keeps that it was done, no name and no day."""
    customer = customer_or_404(actor_of(request), "customers:edit", public_id)
    form = MemberForm(request.POST)
    if not form.is_valid():
        return refused(request, customer, _("Say who it is, and write days as year-month-day."))
    said = Described(**form.cleaned_data)
    if said.born_on is not None and said.born_on > clock.today():
        return refused(
            request, customer, _("A birthday cannot lie ahead. Note it as the day on which the birth is due.")
        )
    action = "customer.household_changed" if member else "customer.household_noted"
    changes = {"kind": said.kind, "fields": sorted(name for name, value in form.cleaned_data.items() if value)}
    return write(request, customer, action, changes, partial(households.describe, customer.pk, said, member))


@require_POST
@needs("customers:edit")
def remove(request: HttpRequest, public_id: UUID, member: int) -> HttpResponse:
    """Take a member out of the household."""
    customer = customer_or_404(actor_of(request), "customers:edit", public_id)
    verb = partial(households.remove, customer.pk, member)
    return write(request, customer, "customer.household_removed", {}, verb)
