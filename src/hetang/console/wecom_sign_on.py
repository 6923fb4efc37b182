"""Logging in by WeCom: off to WeCom's page and back with a code, bound to the browser in which it was begun.

`state` is drawn here, kept (hashed) in the stranger's session and taken out of it when it comes back: nobody can make
somebody else's browser come in with a code of his own, and no answer works twice. The session gets a new key, as after
a password, and the second factor is asked for where it is.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from hetang.connectors.wecom.accounts import sign_on
from hetang.connectors.wecom.accounts.services import SignOnRefused
from hetang.connectors.wecom.errors import NotConnected, NotSent, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.models import App
from hetang.console import entry, login_limit, sign_in
from hetang.platform import audit, clock, registry_values

log = logging.getLogger(__name__)
_BEGUN = "wecom_sign_on"
_HOLDS = timedelta(minutes=10)
_MOST = 5  # sign-ons of one browser under way, in several windows

REFUSALS: dict[str, str | Promise] = {
    "unknown_member": gettext_lazy(
        "WeCom knows you, but you are not among the staff here yet. Ask headquarters to bring in staff from WeCom"
        " (Settings → WeCom), then try again."
    ),
    "not_active": gettext_lazy(
        "WeCom says that your account there is disabled or not activated. Ask the administrator of your corp's WeCom."
    ),
    "left": gettext_lazy(
        "WeCom says that you have left the corp. If that is wrong, ask the administrator of your corp's WeCom."
    ),
    "switched_off": gettext_lazy(
        "Your account here is switched off. Ask whoever manages users to switch it on (Users and roles)."
    ),
    "no_role": gettext_lazy(
        "No rule gives your department a role here. Ask headquarters to say which store your department is"
        " (Settings → WeCom → Departments and stores)."
    ),
    "second_factor": gettext_lazy(
        "Your account manages users or keys, so WeCom alone does not let you in. Log in with your password, turn on the"
        " second factor (My account), then WeCom works, too."
    ),
    "code_used": gettext_lazy("This sign-on was used already or took longer than five minutes. Start again."),
    "outsider": gettext_lazy("Only members of the corp sign on here. Scan with WeCom, not with WeChat."),
    "not_begun": gettext_lazy("This sign-on was not begun in this browser, or took too long. Start again."),
    "silent": gettext_lazy("WeCom does not answer. Try again in a minute, or log in with a password."),
}


@require_GET
@never_cache
@login_not_required
def start(request: HttpRequest) -> HttpResponse:
    """Off to WeCom: inside its client at once, elsewhere by scanning a code."""
    app = _app()
    if request.user.is_authenticated:
        return redirect(entry.next_of(request))
    elsewhere = _own_host(request)
    if elsewhere:
        return redirect(elsewhere)
    state, back = secrets.token_hex(16), _back(request)
    _remember(request, state, entry.next_of(request))
    inside = sign_on.is_client(sign_in.agent_of(request))
    return redirect((sign_on.client_address if inside else sign_on.scan_address)(app, back, state))


@require_GET
@never_cache
@login_not_required
def back(request: HttpRequest) -> HttpResponse:
    """Back from WeCom: who is it, and may she come in?"""
    app = _app()
    if request.user.is_authenticated:
        return redirect("console:home")
    target = _take(request, request.GET.get("state", ""))
    if target is None:
        return _refused(request, "not_begun")
    wait = login_limit.begin(address=sign_in.address_of(request))
    return _shown(request, entry.wait_sentence(wait)) if wait else _come_in(request, app, target)


def _come_in(request: HttpRequest, app: App, target: str) -> HttpResponse:
    try:
        user = sign_on.signed_on(app, request.GET.get("code", ""))
    except SignOnRefused as refused:
        return _refused(request, refused.code)
    except (NotSent, Unanswered, RateLimited, NotConnected) as problem:
        log.warning("sign-on by WeCom: %s", problem)
        return _refused(request, "silent")
    except WeComError as problem:
        log.warning("sign-on by WeCom: %s", problem)
        audit.record("wecom", "sign_on.refused", "wecom", app.corp.corpid, {"reason": problem.code})
        said = _("WeCom refused with code %(code)s. Tell whoever set up the connection (Settings → WeCom).")
        return _shown(request, said % {"code": problem.code})
    login_limit.succeeded(address=sign_in.address_of(request))
    audit.record(user.username, "sign_on.passed", "user", user.pk, {"corp": app.corp.corpid})
    return sign_in.begin(request, user, target)


def _app() -> App:
    app = sign_on.app()
    if app is None:
        raise Http404
    return app


def _refused(request: HttpRequest, code: str) -> HttpResponse:
    audit.record("wecom", "sign_on.refused", "wecom", "", {"reason": code})
    return _shown(request, str(REFUSALS[code]))


def _shown(request: HttpRequest, sentence: str) -> HttpResponse:
    """The log-in page with the reason, so that the other way in is at hand."""
    values = {"form": entry.LoginForm(request), "next": "", "refusal": sentence, "by_wecom": True}
    return render(request, "console/login.html", values, status=403)


def _console_url() -> str:
    return str(registry_values.from_environment("web.console_url")).rstrip("/")


def _own_host(request: HttpRequest) -> str:
    """Where to begin instead, when this is not the host that WeCom sends browsers back to; the session's cookie would
    be missing there. Tried once: behind a proxy that changes the host's name every host looks like another one."""
    told = _console_url()
    if not told or urlsplit(told).netloc == request.get_host() or request.GET.get("here"):
        return ""
    return f"{told}{request.path}?{urlencode({'next': request.GET.get('next', ''), 'here': '1'})}"


def _back(request: HttpRequest) -> str:
    path = reverse("console:login-wecom-back")
    return f"{_console_url()}{path}" if _console_url() else request.build_absolute_uri(path)


def _remember(request: HttpRequest, state: str, target: str) -> None:
    begun: dict[str, Any] = request.session.get(_BEGUN) or {}
    newest = dict(list(begun.items())[-_MOST + 1 :])
    request.session[_BEGUN] = {**newest, _hash(state): {"at": clock.wall().isoformat(), "next": target}}


def _take(request: HttpRequest, state: str) -> str | None:
    """Where a sign-on that was begun here goes on to; it can be taken once."""
    begun: dict[str, Any] = request.session.get(_BEGUN) or {}
    found = begun.pop(_hash(state), None)
    if found is None:
        return None
    request.session[_BEGUN] = begun
    request.session.save()  # now, so that a second answer that arrives meanwhile finds it taken
    late = datetime.fromisoformat(found["at"]) < clock.wall() - _HOLDS
    return None if late else str(found["next"])


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
