"""One's own account: password, second factor, sessions. Nobody sees or changes another person's here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from hetang.console import login_limit
from hetang.console.entry import wait_sentence
from hetang.console.login_steps import CodeForm, PasswordForm, wrong_code
from hetang.console.me.agents import shown_agent
from hetang.platform import audit, sessions, two_factor, users
from hetang.platform.access import actor_of, signed_in
from hetang.platform.login_rules import rules
from hetang.platform.models import AuditEntry, Session, TrustedDevice, User


def _present() -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("Present password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class PresentPassword(forms.Form):
    """The present password, asked for before something that a stranger at an open screen must not do."""

    present = _present()

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_present(self) -> str:
        return _checked(self.user, self.cleaned_data["present"])


class ChangePassword(PasswordForm):
    """A new password, with the present one."""

    present = _present()
    field_order = ("present", "password", "again")

    def clean_present(self) -> str:
        return _checked(self.user, self.cleaned_data["present"])


def _checked(user: User, given: str) -> str:
    """The present password if it is right; a ValidationError says why not. Guessing waits as at the log-in."""
    key = f"present:{user.pk}"
    wait = login_limit.begin(code=key)
    if wait:
        raise ValidationError(wait_sentence(wait))
    if not user.check_password(given):
        raise ValidationError(_("This is not your password."))
    login_limit.succeeded(code=key)
    return given


@require_GET
@signed_in
def account(request: HttpRequest) -> HttpResponse:
    """Everything about one's own access on a page."""
    user, current = _user(request), _session(request)
    open_sessions = [(one, shown_agent(one.agent), one.pk == current) for one in sessions.of_user(user)[:100]]
    values = {
        "person": user,
        "sessions": open_sessions,
        "others": len(open_sessions) - 1,
        "two_factor": two_factor.is_on(user),
        "required": two_factor.is_required(user),
        "codes_left": two_factor.left(user),
        "devices": TrustedDevice.objects.filter(user=user).count(),
        "rules": rules(),
        "looks": _looks_at(user),
        "form": ChangePassword(user=user),
        "present": PresentPassword(user=user, auto_id="id_%s_off"),
        "codes_form": PresentPassword(user=user, auto_id="id_%s_codes"),
    }
    return render(request, "console/me/account.html", values)


def _looks_at(user: User) -> list[AuditEntry]:
    """The newest times when somebody looked at the console as this user."""
    begun = AuditEntry.objects.filter(action="view_as.begun", target_type="user", target_id=str(user.pk))
    return list(begun.order_by("-at", "-id")[:5])


@require_POST
@signed_in
def change_password(request: HttpRequest) -> HttpResponse:
    """Choose a new password; every other session ends."""
    user = _user(request)
    form = ChangePassword(request.POST, user=user)
    if not form.is_valid():
        return render(request, "console/me/password.html", {"form": form}, status=422)
    users.choose_password(user, form.cleaned_data["password"], _session(request))
    update_session_auth_hash(request, user)  # also gives the session a new key
    messages.success(request, _("Your password is changed. Your other sessions are ended."))
    return redirect("me:account")


@never_cache
@signed_in
def two_factor_on(request: HttpRequest) -> HttpResponse:
    """Set an app up; the recovery codes are shown once."""
    user = _user(request)
    if two_factor.is_on(user):
        return redirect("me:account")
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wait = login_limit.begin(code=str(user.pk))
        codes = None if wait else two_factor.confirm(user, form.cleaned_data["code"])
        if codes:
            login_limit.succeeded(code=str(user.pk))
            sessions.end_all(user, but=_session(request))
            request.session.cycle_key()
            return render(request, "console/me/codes.html", {"codes": codes})
        form.add_error("code", wait_sentence(wait) if wait else wrong_code())
    values = {"form": form, "setup": two_factor.begin(user)}
    return render(request, "console/me/two_factor.html", values, status=422 if form.errors else 200)


@require_POST
@signed_in
def two_factor_off(request: HttpRequest) -> HttpResponse:
    """Take the second factor away, with the password; not where a role needs it."""
    user = _user(request)
    if two_factor.is_required(user):
        messages.error(request, _("One of your roles needs the second factor."))
        return redirect("me:account")
    return _with_password(request, user, lambda: _turned_off(request, user))


def _turned_off(request: HttpRequest, user: User) -> HttpResponse:
    two_factor.turn_off(actor_of(request), user)
    request.session.cycle_key()
    messages.success(request, _("The second factor is off."))
    return redirect("me:account")


@never_cache
@require_POST
@signed_in
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """New recovery codes instead of the old ones, with the password."""
    user = _user(request)
    if not two_factor.is_on(user):
        return redirect("me:account")
    return _with_password(
        request, user, lambda: render(request, "console/me/codes.html", {"codes": two_factor.new_codes(user)})
    )


@require_POST
@signed_in
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of one's own sessions."""
    user = _user(request)
    with transaction.atomic():
        if sessions.end(user, session_id):
            audit.record(actor_of(request), "session.ended", "user", user.pk, {"sessions": 1})
    messages.success(request, _("That session is ended."))
    return redirect("me:account")


@require_POST
@signed_in
def end_others(request: HttpRequest) -> HttpResponse:
    """End all of one's sessions but this one."""
    user = _user(request)
    with transaction.atomic():
        ended = sessions.end_all(user, but=_session(request))
        if ended:
            audit.record(actor_of(request), "session.ended", "user", user.pk, {"sessions": ended})
    text = ngettext("%(n)d other session is ended.", "%(n)d other sessions are ended.", ended) % {"n": ended}
    messages.success(request, text)
    return redirect("me:account")


@require_POST
@signed_in
def forget_devices(request: HttpRequest) -> HttpResponse:
    """Let every browser show the second factor again."""
    two_factor.forget_devices(_user(request))
    messages.success(request, _("Every browser asks for a code again."))
    return redirect("me:account")


def _with_password(request: HttpRequest, user: User, go_on: Callable[[], HttpResponse]) -> HttpResponse:
    form = PresentPassword(request.POST, user=user)
    if form.is_valid():
        return go_on()
    messages.error(request, " ".join(str(error) for error in form.errors["present"]))
    return redirect("me:account")


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the view is for who is signed in
    return request.user


def _session(request: HttpRequest) -> int | None:
    row: Session | None = getattr(request.session, "row", None)
    return row.pk if row else None
