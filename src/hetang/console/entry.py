"""Coming in and going out: log-in, log-out, language, appearance, the brand's colours."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from hetang.connectors.wecom.accounts import sign_on
from hetang.console import login_limit, sign_in
from hetang.console.context import THEME_COOKIE, THEMES
from hetang.console.theme import stylesheet
from hetang.platform import audit
from hetang.platform.access import signed_in
from hetang.platform.brand import brand
from hetang.platform.models import User

_YEAR = 365 * 24 * 3600


class LoginForm(AuthenticationForm):
    """Name and password; too many failures in a row make the next try wait."""

    error_messages = {  # noqa: RUF012 - an instance variable by Django's types
        "invalid_login": _("Name and password do not match an active user. Both are case-sensitive."),
        "inactive": _("This user is switched off. Ask headquarters."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("User name")
        self.fields["password"].label = _("Password")

    def clean(self) -> dict[str, Any]:
        name, known = self.cleaned_data.get("username", ""), sign_in.known_in(self.request)
        keys = login_limit.keys_of(name, sign_in.address_of(self.request), known)
        wait = login_limit.begin(**keys)
        if wait:
            raise ValidationError(wait_sentence(wait), code="wait")
        cleaned = super().clean()
        login_limit.succeeded(**keys)
        return cleaned


def wait_sentence(wait: timedelta) -> str:
    """How long to wait after too many failures."""
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    text = ngettext(
        "Too many failed attempts. Try again in %(n)d minute.",
        "Too many failed attempts. Try again in %(n)d minutes.",
        minutes,
    )
    return text % {"n": minutes}


@never_cache
@login_not_required
def log_in(request: HttpRequest) -> HttpResponse:
    """The log-in page; afterwards the language follows the user's own setting."""
    if not User.objects.exists():
        return redirect("console:setup")
    if request.user.is_authenticated:
        return redirect(next_of(request))
    form = LoginForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = form.get_user()
        assert isinstance(user, User)  # noqa: S101 - the only backend gives ours
        return sign_in.begin(request, user, next_of(request))
    status = 422 if request.method == "POST" else 200
    values = {"form": form, "next": request.GET.get("next", ""), "by_wecom": sign_on.app() is not None}
    return render(request, "console/login.html", values, status=status)


@require_POST
@signed_in
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    audit.record(request.user.get_username(), "session.closed", "user", request.user.pk)
    logout(request)
    return redirect("console:login")


@require_POST
@login_not_required
def choose_language(request: HttpRequest) -> HttpResponse:
    """Switch the console's language, for good when somebody is signed in."""
    response = redirect(next_of(request))
    language = request.POST.get("language", "")
    if language in dict(settings.LANGUAGES):
        sign_in.remember_language(response, language)
        if request.user.is_authenticated:
            User.objects.filter(pk=request.user.pk).update(language=language)
    return response


@require_POST
@login_not_required
def choose_appearance(request: HttpRequest) -> HttpResponse:
    """Light, dark, or as the system has it."""
    response = redirect(next_of(request))
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=_YEAR, samesite="Lax", httponly=True)
    else:
        response.delete_cookie(THEME_COOKIE)
    return response


@require_GET
@login_not_required
def theme(_request: HttpRequest) -> HttpResponse:
    """The brand's six colours; the address carries the accent, so a change is seen at once."""
    css = stylesheet(brand().accent)
    return HttpResponse(css, content_type="text/css; charset=utf-8", headers={"Cache-Control": "max-age=3600"})


def next_of(request: HttpRequest) -> str:
    """Where to go on to: an address of this console, or home."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure())
    return target if ours else reverse("console:home")
