"""The limits that the brand set for itself, and who answers for personal data."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from hetang.console.privacy.tabs import tabs
from hetang.platform.access import actor_of, needs
from hetang.privacy import limits
from hetang.privacy.limits import BOUNDS


def _number(name: str, label: Any, text: Any) -> forms.IntegerField:
    low, high = BOUNDS[name]
    return forms.IntegerField(label=label, help_text=text, min_value=low, max_value=high)


class RulesForm(forms.Form):
    """Limits, and the officer whom customers may turn to."""

    reveals_a_day = _number(
        "reveals_a_day",
        gettext_lazy("Masked values that one person may see in full a day"),
        gettext_lazy("0: nobody sees any."),
    )
    export_days = _number(
        "export_days",
        gettext_lazy("Days until an exported file is deleted"),
        gettext_lazy("For files that are written from now on."),
    )
    answer_days = _number(
        "answer_days",
        gettext_lazy("Days within which a customer's request must be answered"),
        gettext_lazy("The law asks for an answer in time; fifteen days are usual."),
    )
    link_hours = _number(
        "link_hours",
        gettext_lazy("Hours for which a customer's link to her privacy page holds"),
        gettext_lazy("Whoever has the link sees the page, so keep it short."),
    )
    officer = forms.CharField(label=gettext_lazy("Privacy officer"), max_length=80, required=False)
    contact = forms.CharField(
        label=gettext_lazy("How customers reach the officer"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Shown to customers: a phone number, an address or an e-mail address."),
    )


@require_http_methods(["GET", "POST"])
@needs("privacy:view")
def rules(request: HttpRequest) -> HttpResponse:
    """The rules; a POST (who manages privacy) sets them."""
    actor, now = actor_of(request), limits.current()
    names = list(RulesForm.base_fields)
    form = RulesForm(request.POST if request.method == "POST" else None, initial={n: getattr(now, n) for n in names})
    if request.method == "POST":
        actor.require("privacy:manage")
        if form.is_valid():
            limits.change(actor, {name: form.cleaned_data[name] for name in names})
            messages.success(request, _("Saved."))
            return redirect("privacy:rules")
    may_change = actor.can("privacy:manage")
    if not may_change:
        for field in form.fields.values():
            field.disabled = True
    values = {"form": form, "may_change": may_change, "tabs": tabs("rules")}
    return render(request, "console/privacy/rules.html", values, status=422 if form.errors else 200)
