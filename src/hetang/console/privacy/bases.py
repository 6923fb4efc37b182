"""Stating the legal basis of a source's consents that came without one."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from hetang.console.customers import words
from hetang.customers.bases import Lot
from hetang.customers.models import NEEDS_BASIS
from hetang.customers.wording import channel_word, purpose_word
from hetang.platform.access import actor_of, needs
from hetang.privacy import bases
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import BasisStatement

_SAID = ("basis", "text_version", "reason")


class BasisForm(forms.Form):
    """On which basis they agreed, and where that can be looked up."""

    basis = forms.ChoiceField(label=gettext_lazy("Legal basis"), choices=list(words.STATED.items()))
    text_version = forms.CharField(
        label=gettext_lazy("Version of the text they agreed to"),
        max_length=60,
        required=False,
        help_text=gettext_lazy(
            "Needed where the basis is consent. A consent that came with a version of its own keeps it."
        ),
    )
    reason = forms.CharField(
        label=gettext_lazy("Where it is written down"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("For example: signed forms of 2024, kept in the stores."),
    )
    sure = forms.BooleanField(
        label=gettext_lazy("I have looked it up, and answer for it"),
        error_messages={"required": gettext_lazy("Tick this once you have looked it up.")},
    )


@require_http_methods(["GET", "POST"])
@needs("privacy:manage")
def state(request: HttpRequest) -> HttpResponse:
    """How many consents of a source wait for their basis, and the form to state it."""
    lot = Lot(*(request.GET.get(name, "")[:60] for name in ("source", "purpose", "channel")))
    if not lot.source or lot.purpose not in NEEDS_BASIS or not lot.channel:
        raise Http404
    form, problem = BasisForm(request.POST if request.method == "POST" else None), ""
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        title = _("Legal basis of consents: %(source)s") % {"source": lot.source}
        try:
            bases.begin(actor_of(request), lot, **{name: said[name] for name in _SAID}, title=title)
        except PrivacyRefused as refused:
            problem = refusal_text(refused)
        else:
            messages.success(request, _("Being written down. From then on these consents count."))
            return redirect("privacy:consents")
    values = {
        "form": form,
        "problem": problem,
        "lot": lot,
        "people": bases.waiting(lot),
        "purpose": purpose_word(lot.purpose),
        "channel": channel_word(lot.channel),
    }
    return render(request, "console/privacy/basis.html", values, status=422 if problem or form.errors else 200)


@require_POST
@needs("privacy:manage")
def go_on(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Go on with a statement whose job ended before it was done."""
    statement = get_object_or_404(BasisStatement, public_id=public_id)
    title = _("Legal basis of consents: %(source)s") % {"source": statement.source}
    try:
        bases.go_on(actor_of(request), statement, title)
    except PrivacyRefused as refused:
        messages.error(request, refusal_text(refused))
    return redirect("privacy:consents")
