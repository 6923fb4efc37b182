"""Setting the connection up, step by step in the order in which WeCom demands things, each with a check."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from hetang.connectors.wecom import services, verification
from hetang.connectors.wecom.client import connected_app
from hetang.connectors.wecom.doctor import checks, running, words
from hetang.connectors.wecom.models import App, CheckResult, VerificationFile
from hetang.connectors.wecom.verification import FileRefused
from hetang.console.settings.tabs import tabs
from hetang.platform import audit, environment
from hetang.platform.access import actor_of, needs
from hetang.platform.models import JobRun
from hetang.platform.sealing import unseal

REFUSALS: dict[str, str | Promise] = {
    "name": gettext_lazy("WeCom's file is called WW_verify_….txt. Upload it under the name that it has."),
    "content": gettext_lazy("This is not WeCom's file: it holds one short line. Download it again."),
    "too_many": gettext_lazy("There are 20 files already. Remove one that is not needed any more."),
}


@never_cache
@require_GET
@needs("settings:edit")
def setup(request: HttpRequest) -> HttpResponse:
    """All steps, with what each check found last: of the app that sends, or of the one that `app` names."""
    return _page(request, _chosen(request))


@require_POST
@needs("settings:edit")
def check(request: HttpRequest) -> HttpResponse:
    """Plan all checks, or one; they ask WeCom and change nothing there."""
    app = _connected(request)
    name = request.POST.get("name", "")
    if name and name not in checks.CHECKS:
        raise Http404
    running.start(actor_of(request), app, name)
    return _back(app)


@require_POST
@needs("settings:edit")
def upload(request: HttpRequest) -> HttpResponse:
    """Take WeCom's verification file."""
    given = request.FILES.get("file")
    if given is None:
        return _page(request, _chosen(request), refusal=_("Choose the file that you downloaded from WeCom's console."))
    try:
        verification.keep(actor_of(request), given.name or "", given.read(verification.MOST_BYTES + 1))
    except FileRefused as refused:
        return _page(request, _chosen(request), refusal=str(REFUSALS[refused.code]))
    messages.success(request, _("It is served now. Let WeCom verify, then check."))
    return _back(_chosen(request))


@require_POST
@needs("settings:edit")
def remove(request: HttpRequest) -> HttpResponse:
    """Serve a verification file no more."""
    verification.remove(actor_of(request), request.POST.get("name", ""))
    messages.success(request, _("Removed."))
    return _back(_chosen(request))


@never_cache
@require_POST
@needs("settings:edit")
def callback_keys(request: HttpRequest) -> HttpResponse:
    """Token and key that WeCom's console asks for, in this answer only; who saw them is noted. Once WeCom has proved
    them they are never shown again."""
    app = _connected(request)
    if app.callback_token is None or app.callback_aes_key is None:
        raise Http404
    if app.echoed_at is not None:
        messages.error(request, _("WeCom has these keys, so they are not shown any more. Draw new ones instead."))
        return _back(app)
    audit.record(actor_of(request), "wecom.keys_shown", "wecom", app.corp.corpid)
    return _page(request, app, keys=(unseal(app.callback_token).decode(), unseal(app.callback_aes_key).decode()))


@never_cache
@require_POST
@needs("settings:edit")
def new_keys(request: HttpRequest) -> HttpResponse:
    """Draw a new token and key, shown in this answer only."""
    app = _connected(request)
    return _page(request, app, keys=services.draw_callback_keys(actor_of(request), app))


def _page(
    request: HttpRequest, app: App | None, *, keys: tuple[str, str] | None = None, refusal: str = ""
) -> HttpResponse:
    known = checks.last(app) if app else {}
    steps: list[tuple[words.Said, CheckResult | None]] = []
    for name in checks.CHECKS:
        row = known.get(name)
        if row is None:
            steps.append((words.said(name, checks.UNTRIED, "", 0, {}), None))
        else:
            steps.append((words.said(name, row.state, row.reason, row.code, row.detail), row))
    ip = known.get("trusted_ip")
    run = running.newest(app) if app else None
    run_under_way = run is not None and run.state in {JobRun.WAITING, JobRun.RUNNING}
    values: dict[str, Any] = {
        "app": app,
        "apps": App.objects.select_related("corp").order_by("-corp__is_default", "corp", "listen_only", "id"),
        "here": _address(app),
        "query": f"?app={app.public_id}" if app and request.GET.get("app") else "",
        "steps": steps,
        "wrong": sum(one.state == checks.BAD for one, _row in steps),
        "good": sum(one.state == checks.GOOD for one, _row in steps),
        "files": VerificationFile.objects.order_by("name"),
        "run": run if run_under_way or (run and run.state != JobRun.DONE) else None,
        "run_under_way": run_under_way,
        "refusal": refusal,
        "callback_url": environment.public_url() + services.callback_path(app) if app else "",
        "keys": keys,
        "our_address": ip.detail.get("address", "") if ip else "",
        "tabs": tabs("wecom", actor_of(request)),
    }
    return render(request, "console/settings/wecom_setup.html", values, status=422 if refusal else 200)


def _chosen(request: HttpRequest) -> App | None:
    """The app that is named, else the one that sends."""
    named = request.GET.get("app", "")
    if not named:
        return connected_app()
    try:
        return App.objects.select_related("corp").get(public_id=named)
    except (App.DoesNotExist, ValidationError):
        raise Http404 from None


def _connected(request: HttpRequest) -> App:
    app = _chosen(request)
    if app is None:
        raise Http404
    return app


def _address(app: App | None) -> str:
    """The page of an app; that of the one that sends needs no name."""
    sends = connected_app()
    page = reverse("settings:wecom-setup")
    return page if app is None or app == sends else f"{page}?app={app.public_id}"


def _back(app: App | None) -> HttpResponse:
    return redirect(_address(app))
