"""The steps between a right password and an open session: one-time code, setting up an app, a password of one's own.

Nobody is logged in before the last step: what is known so far stands in the stranger's session, for ten minutes, and
falls when the password is changed meanwhile.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.translation import get_language

from hetang.console import login_limit
from hetang.platform import audit, clock, two_factor
from hetang.platform.models import User

CODE, ENROL, PASSWORD = "code", "enrol", "password"
PAGES = {CODE: "console:login-code", ENROL: "console:login-enrol", PASSWORD: "console:login-password"}
DEVICE_COOKIE, KNOWN_COOKIE = "hetang_device", "hetang_known"
_PENDING = "pending"
_HOLDS = timedelta(minutes=10)
_YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Pending:
    """Somebody whose password was right. `factor` says how she has shown the second factor ("" not yet)."""

    user: User
    next: str
    factor: str


def begin(request: HttpRequest, user: User, next_address: str) -> HttpResponseRedirect:
    """The password was right: take the first step that is left."""
    request.session.flush()
    known = two_factor.is_remembered(user, request.COOKIES.get(DEVICE_COOKIE, ""))
    _keep(request, user, next_address, "device" if known else "")
    return go_on(request, Pending(user, next_address, "device" if known else ""))


def pending(request: HttpRequest) -> Pending | None:
    """Who is about to log in here, if she is still in time, active, and her password is the same."""
    kept: dict[str, Any] = request.session.get(_PENDING) or {}
    user = User.objects.filter(pk=kept.get("user", 0), is_active=True).first()
    if user is None or datetime.fromisoformat(kept["at"]) < clock.wall() - _HOLDS:
        return None
    if not hmac.compare_digest(kept["hash"], user.get_session_auth_hash()):
        return None
    return Pending(user, kept["next"], kept["factor"])


def step_of(one: Pending) -> str:
    """The step that is left, or nothing."""
    if two_factor.is_on(one.user):
        if not one.factor:
            return CODE
    elif two_factor.is_required(one.user):
        return ENROL
    return PASSWORD if one.user.must_change_password else ""


def passed(request: HttpRequest, one: Pending, factor: str = "") -> HttpResponseRedirect:
    """A step is done (with a second factor shown so, or the password changed): on to the next."""
    one.user.refresh_from_db()
    after = Pending(one.user, one.next, factor or one.factor)
    _keep(request, after.user, after.next, after.factor)
    return go_on(request, after)


def go_on(request: HttpRequest, one: Pending) -> HttpResponseRedirect:
    """To the page of the step that is left; without one, the session opens."""
    step = step_of(one)
    return redirect(PAGES[step]) if step else open_session(request, one)


def open_session(request: HttpRequest, one: Pending) -> HttpResponseRedirect:
    """Log in under a new key, noting from where."""
    request.session.flush()
    note_origin(request)
    login(request, one.user)
    audit.record(one.user.username, "session.opened", "user", one.user.pk, {"second_factor": one.factor})
    response = redirect(one.next)
    remember_language(response, language_of(one.user))
    remember_browser(request, response, one.user)
    return response


def language_of(user: User) -> str:
    """The language that somebody chose; whoever has not yet keeps the one in which she logs in."""
    if not user.language:
        user.language = get_language() or settings.LANGUAGE_CODE
        User.objects.filter(pk=user.pk, language="").update(language=user.language)
    return user.language


def note_origin(request: HttpRequest) -> None:
    """Keep with the session from which address and browser it was opened."""
    request.session["_from"] = {"address": address_of(request) or None, "agent": agent_of(request)}


def remember_device(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Let this browser pass without a code for as long as the rules say."""
    token, seconds = two_factor.remember(user, agent_of(request))
    if seconds:
        response.set_cookie(
            DEVICE_COOKIE, token, max_age=seconds, httponly=True, samesite="Lax", secure=request.is_secure()
        )


def remember_browser(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """From now on wrong passwords typed elsewhere do not make this browser wait."""
    response.set_cookie(
        KNOWN_COOKIE,
        login_limit.token_for(user.username),
        max_age=int(login_limit.KNOWN_FOR.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )


def known_in(request: HttpRequest | None) -> str:
    """What this browser keeps of the last name that logged in with it."""
    return request.COOKIES.get(KNOWN_COOKIE, "") if request else ""


def remember_language(response: HttpResponse, language: str) -> None:
    """The console speaks it next time too."""
    response.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, max_age=_YEAR, samesite="Lax", httponly=True)


def address_of(request: HttpRequest | None) -> str:
    """The caller's address."""
    return request.META.get("REMOTE_ADDR", "") if request else ""


def agent_of(request: HttpRequest) -> str:
    """What the caller's browser calls itself."""
    return request.headers.get("User-Agent", "")[:200]


def _keep(request: HttpRequest, user: User, next_address: str, factor: str) -> None:
    request.session[_PENDING] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "at": clock.wall().isoformat(),
        "next": next_address,
        "factor": factor,
    }
    request.session.cycle_key()
