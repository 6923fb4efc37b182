"""Seeing the console as somebody else: choose whom, say why and for how long; and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from hetang.console.forms import LongSelect
from hetang.console.settings.users import offer_places, place_name, seen_or_404
from hetang.platform import clock, view_as
from hetang.platform.access import Actor, actor_of, needs, signed_in
from hetang.platform.roles import PERMISSIONS, roles
from hetang.platform.view_as import Look, ViewAsRefused

REFUSALS: dict[str, str | Promise] = {
    "reason_missing": gettext_lazy("Say in a few words what you want to see and why."),
    "itself": gettext_lazy("This is you."),
    "looking_already": gettext_lazy("You are looking as somebody else already. End that first."),
    "nothing_to_see": gettext_lazy("There is nothing that you may see together: they work where you may not look."),
}


class LookForm(forms.Form):
    """Why and for how long; of a role also where."""

    node: Any = forms.ModelChoiceField(
        label=gettext_lazy("Place"), queryset=None, empty_label=None, widget=LongSelect()
    )
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=200,
        help_text=gettext_lazy("It stands in the audit log, and they see it in their account."),
    )
    minutes = forms.TypedChoiceField(label=gettext_lazy("For how long"), coerce=int)

    def __init__(self, *args: Any, actor: Actor, of_role: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        minutes: Any = self.fields["minutes"]
        minutes.choices = [(n, ngettext("%(n)d minute", "%(n)d minutes", n) % {"n": n}) for n in view_as.MINUTES]
        if not of_role:
            del self.fields["node"]
            return
        offer_places(self.fields["node"], actor.scope(view_as.VIEW_AS).org_nodes())


@require_http_methods(["GET", "POST"])
@needs(view_as.VIEW_AS)
def look_as_user(request: HttpRequest, user_id: int) -> HttpResponse:
    """Look as one person."""
    user = seen_or_404(actor_of(request), user_id)
    return _page(request, _look(user.display_name or user.username, user=user.pk))


@require_http_methods(["GET", "POST"])
@needs(view_as.VIEW_AS)
def look_as_role(request: HttpRequest, code: str) -> HttpResponse:
    """Look as a role at a place."""
    role = roles().get(code)
    if role is None:
        raise Http404
    return _page(request, _look(str(role.label), role=role.code))


@require_POST
@signed_in
def end(request: HttpRequest) -> HttpResponse:
    """Be oneself again."""
    with transaction.atomic():
        view_as.end(request.user.get_username(), request.session, "by_hand")
    messages.success(request, _("You are yourself again."))
    return redirect("console:home")


def _look(label: str, **of_whom: Any) -> Look:
    return Look(label=label, reason="", until=clock.wall(), **of_whom)


def _page(request: HttpRequest, look: Look) -> HttpResponse:
    actor = actor_of(request)
    form = LookForm(request.POST or None, actor=actor, of_role=bool(look.role))
    problem = ""
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        look = replace(look, reason=values["reason"], until=view_as.until(values["minutes"]))
        if look.role:
            node = get_object_or_404(form.fields["node"].queryset, pk=values["node"].pk)  # type: ignore[attr-defined]
            look = replace(look, node=node.pk, label=f"{look.label} · {place_name(node)}")
        try:
            with transaction.atomic():
                view_as.begin(actor, request.session, look)
        except ViewAsRefused as refused:
            problem = str(REFUSALS[refused.code])
        else:
            return redirect("console:home")
    left_out = view_as.left_out(actor, look) if look.user else []
    shown = {"look": look, "form": form, "problem": problem, "left_out": [PERMISSIONS[one].label for one in left_out]}
    status = 422 if problem or form.errors else 200
    return render(request, "console/settings/look.html", shown, status=status)
