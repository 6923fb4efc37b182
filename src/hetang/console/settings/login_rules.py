"""The rules of logging in: how long a session lasts, how long a password is, who needs a second factor."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hetang.console.settings.tabs import tabs
from hetang.platform import login_rules as rules_of_login
from hetang.platform import sessions
from hetang.platform.access import actor_of, needs
from hetang.platform.login_rules import RANGES
from hetang.platform.models import Grant, User
from hetang.platform.roles import roles


def _number(name: str, label: Any, help_text: Any) -> forms.IntegerField:
    low, high = RANGES[name]
    return forms.IntegerField(label=label, min_value=low, max_value=high, help_text=help_text)


class RulesForm(forms.Form):
    """All rules."""

    idle_minutes = _number(
        "idle_minutes",
        gettext_lazy("A session ends after so many minutes without use"),
        gettext_lazy("5 to 1,440. A page that only refreshes itself does not count as use."),
    )
    absolute_hours = _number(
        "absolute_hours",
        gettext_lazy("A session ends in any case after so many hours"),
        gettext_lazy("1 to 168."),
    )
    password_length = _number(
        "password_length",
        gettext_lazy("Characters that a password needs"),
        gettext_lazy("8 to 64. Common passwords and one's own name are refused anyway."),
    )
    two_factor_roles = forms.MultipleChoiceField(
        label=gettext_lazy("Roles that need the second factor"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Whoever holds one sets up an authenticator app at her next log-in."),
    )
    trust_days = _number(
        "trust_days",
        gettext_lazy("A browser may be remembered for so many days"),
        gettext_lazy("0 to 90. At 0 every log-in asks for a code."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["two_factor_roles"]
        choice.choices = [(role.code, role.label) for role in roles().values()]


@needs("users:view")
def login_rules(request: HttpRequest) -> HttpResponse:
    """Show the rules; a POST (for who manages users for the whole brand) changes them."""
    actor, known = actor_of(request), rules_of_login.rules()
    may_change = actor.scope("users:manage").everything
    initial = {name: getattr(known, name) for name in (*RANGES, "two_factor_roles")}
    form = RulesForm(request.POST or None, initial=initial)
    if not may_change:
        for field in form.fields.values():
            field.disabled = True
    if request.method == "POST":
        actor.require("users:manage")
        if form.is_valid():
            _change(request, form.cleaned_data)
            messages.success(request, _("Saved."))
            return redirect("settings:login-rules")
    values = {"form": form, "may_change": may_change, "tabs": tabs("login-rules", actor)}
    return render(request, "console/settings/login_rules.html", values, status=422 if form.errors else 200)


def _change(request: HttpRequest, values: dict[str, Any]) -> None:
    """Change the rules; who needs a second factor from now on and has none is asked at once, not tomorrow."""
    numbers = {name: values[name] for name in RANGES}
    changes = rules_of_login.change(actor_of(request), numbers, values["two_factor_roles"])
    if "two_factor_roles" in changes:
        without = User.objects.filter(
            pk__in=Grant.objects.filter(role__in=values["two_factor_roles"]).values("user"),
            two_factor__confirmed_at=None,
        ).exclude(pk=request.user.pk or 0)
        for user in without:
            sessions.end_all(user)
