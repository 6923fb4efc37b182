"""The pages of the steps after the password: one-time code, setting up an app, a password of one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.cache import never_cache

from hetang.console import login_limit, sign_in
from hetang.console.entry import wait_sentence
from hetang.console.sign_in import Pending
from hetang.platform import two_factor, users
from hetang.platform.login_rules import rules
from hetang.platform.passwords import Length

Step = Callable[[HttpRequest, Pending], HttpResponse]


class CodeForm(forms.Form):
    """A code of the app, or a recovery code."""

    code = forms.CharField(
        label=pgettext_lazy("one-time code", "Code"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )


class PasswordForm(forms.Form):
    """A new password, typed twice."""

    password = forms.CharField(
        label=gettext_lazy("New password"), widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )
    again = forms.CharField(
        label=gettext_lazy("New password, once more"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["password"].help_text = Length().get_help_text()

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, self.user)
        if self.user.check_password(password):
            raise ValidationError(_("This is the present password. Choose another."))
        return password

    def clean_again(self) -> str:
        again: str = self.cleaned_data["again"]
        if "password" in self.cleaned_data and again != self.cleaned_data["password"]:
            raise ValidationError(_("The two are not the same. Type the new password again."))
        return again


def _step(name: str) -> Callable[[Step], Callable[[HttpRequest], HttpResponse]]:
    """A page for who is about to log in and has come to this step; everybody else is led where she belongs."""

    def decorate(page: Step) -> Callable[[HttpRequest], HttpResponse]:
        @never_cache
        @login_not_required
        @wraps(page)
        def guarded(request: HttpRequest) -> HttpResponse:
            one = sign_in.pending(request)
            if one is None or request.user.is_authenticated:
                return redirect("console:home" if request.user.is_authenticated else "console:login")
            return page(request, one) if sign_in.step_of(one) == name else sign_in.go_on(request, one)

        return guarded

    return decorate


@_step(sign_in.CODE)
def code(request: HttpRequest, one: Pending) -> HttpResponse:
    """Ask for the second factor."""
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        factor, problem = _tried(one, form.cleaned_data["code"])
        if factor:
            response = sign_in.passed(request, one, factor)
            if request.POST.get("remember"):
                sign_in.remember_device(request, response, one.user)
            return response
        form.add_error("code", problem)
    values = {"form": form, "days": rules().trust_days}
    return render(request, "console/login_code.html", values, status=422 if form.errors else 200)


@_step(sign_in.ENROL)
def enrol(request: HttpRequest, one: Pending) -> HttpResponse:
    """Set an app up before going on, since a role needs it. The recovery codes are shown once."""
    setup, form = two_factor.begin(one.user), CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wait = login_limit.begin(code=str(one.user.pk))
        codes = None if wait else two_factor.confirm(one.user, form.cleaned_data["code"])
        if codes:
            login_limit.succeeded(code=str(one.user.pk))
            done = sign_in.passed(request, one, "app")
            shown = render(request, "console/login_codes.html", {"codes": codes, "onward": done["Location"]})
            shown.cookies.update(done.cookies)
            return shown
        form.add_error("code", wait_sentence(wait) if wait else wrong_code())
    values = {"form": form, "setup": setup}
    return render(request, "console/login_enrol.html", values, status=422 if form.errors else 200)


@_step(sign_in.PASSWORD)
def password(request: HttpRequest, one: Pending) -> HttpResponse:
    """Replace a password that somebody else chose."""
    form = PasswordForm(request.POST or None, user=one.user)
    if request.method == "POST" and form.is_valid():
        users.choose_password(one.user, form.cleaned_data["password"])
        return sign_in.passed(request, one)
    return render(request, "console/login_password.html", {"form": form}, status=422 if form.errors else 200)


def wrong_code() -> str:
    """Why a code was not taken, and what helps."""
    return _("This code is wrong or was used already. Wait for the next one; check that the phone's time is right.")


def _tried(one: Pending, given: str) -> tuple[str, str]:
    """How the second factor was shown, or why not."""
    key = str(one.user.pk)
    wait = login_limit.begin(code=key)
    if wait:
        return "", wait_sentence(wait)
    factor = two_factor.check(one.user, given)
    if factor:
        login_limit.succeeded(code=key)
    return factor, wrong_code()
