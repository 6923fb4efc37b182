"""The connection to WeCom: which corp, whether it works, its staff and friends; and a simulated one to try it out."""

from __future__ import annotations

import base64
import os
import secrets
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from hetang.connectors.wecom import services
from hetang.connectors.wecom.client import connected_app
from hetang.connectors.wecom.errors import NotSent, Unanswered, WeComError
from hetang.connectors.wecom.models import App, CheckResult, Corp
from hetang.console.figures import gap
from hetang.console.paging import capped_count
from hetang.console.settings.tabs import tabs
from hetang.customers.models import Customer, Relation
from hetang.platform import audit, jobs
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.brand import brand
from hetang.platform.models import JobRun, User
from hetang.platform.sealing import unseal
from hetang.resources.models import Staff

SYNC, TRIAL = "wecom.sync", "demo.trial"
_UNDER_WAY = (JobRun.WAITING, JobRun.RUNNING)

# What somebody can do about the answers of WeCom that a first connection meets.
ADVICE: dict[int, str | Promise] = {
    40013: gettext_lazy("WeCom does not know this corp ID."),
    40001: gettext_lazy("The secret does not belong to this corp ID."),
    40091: gettext_lazy("The secret does not belong to this corp ID."),
    60020: gettext_lazy("WeCom does not take calls from this server yet: add its address to the app's trusted IPs."),
    48002: gettext_lazy("The app may not see customers yet: in WeCom's console let it call the customer contact API."),
    60011: gettext_lazy("The app may not see customers yet: in WeCom's console let it call the customer contact API."),
}


class ConnectionForm(forms.Form):
    """The corp and one self-built app of it."""

    name = forms.CharField(label=gettext_lazy("Name of the corp"), max_length=80)
    corpid = forms.RegexField(
        label=gettext_lazy("Corp ID"),
        regex=r"^\s*[A-Za-z0-9_-]{4,64}\s*$",
        help_text=gettext_lazy("WeCom's console → My company, at the bottom; it begins with ww."),
    )
    agentid = forms.IntegerField(
        label=gettext_lazy("AgentId of the app"),
        min_value=1,
        help_text=gettext_lazy("WeCom's console → Apps → your self-built app."),
    )
    secret = forms.CharField(
        label=gettext_lazy("Secret of the app"),
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("It is stored encrypted and never shown again."),
    )

    def __init__(self, *args: Any, app: App | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if app is not None:
            self.fields["secret"].required = False
            self.fields["secret"].help_text = _("Leave it empty to keep the one that is stored.")


@never_cache
@needs("settings:edit")
def connection(request: HttpRequest) -> HttpResponse:
    """The connection as it is, and the form that makes or changes it."""
    app = connected_app()
    initial = {"name": app.corp.name, "corpid": app.corp.corpid, "agentid": app.agentid} if app else {}
    form = ConnectionForm(request.POST or None, app=app, initial=initial)
    if request.method == "POST":
        if app is not None and app.corp.simulated:
            form.add_error(None, _("This installation holds simulated friends. Set up a fresh one for real ones."))
        if form.is_valid():
            return redirect("settings:wecom" if _connect(request, app, form.cleaned_data) else "settings:wecom-setup")
    status = 422 if form.errors else 200
    return render(request, "console/settings/wecom.html", _shown(request, app, form), status=status)


@require_POST
@needs("settings:edit")
def sync_now(request: HttpRequest) -> HttpResponse:
    """Bring in staff and friends again, unless that is under way."""
    app = connected_app()
    if app is None:
        raise Http404
    with transaction.atomic():
        _start_sync(request, app)
    return redirect("settings:wecom")


@require_POST
@needs("settings:edit")
def try_out(request: HttpRequest) -> HttpResponse:
    """People the simulated WeCom with the customers that are here. Only where there is a simulator and no real corp."""
    if not _may_try():
        raise Http404
    actor = actor_of(request)
    with transaction.atomic():
        if not JobRun.objects.filter(kind=TRIAL, state__in=_UNDER_WAY).exists():
            jobs.enqueue(TRIAL, _("Peopling the simulated WeCom"), {}, _user(actor))
            audit.record(actor, "wecom.tried", "wecom", "")
    return redirect("settings:wecom")


def _shown(request: HttpRequest, app: App | None, form: ConnectionForm) -> dict[str, Any]:
    run = JobRun.objects.filter(kind__in=(SYNC, TRIAL)).order_by("-id").first()
    return {
        "form": form,
        "app": app,
        "red": CheckResult.objects.filter(app=app, state="bad").count() if app else 0,
        "staff": capped_count(Staff.objects.filter(active=True)),
        "friends": capped_count(Relation.objects.filter(state=Relation.ACTIVE)),
        "run": run,
        "run_under_way": run is not None and run.state in _UNDER_WAY,
        "may_try": _may_try(),
        "customers": capped_count(Customer.objects.all()),
        "tabs": tabs("wecom", actor_of(request)),
    }


def _may_try() -> bool:
    """A simulator runs, no real corp was ever connected, and the demo has not peopled it already."""
    if brand().demo or not os.environ.get("HETANG_SIMULATOR_URL"):
        return False
    return not Corp.objects.filter(simulated=False).exists()


def _connect(request: HttpRequest, before: App | None, values: dict[str, Any]) -> bool:
    """Store the connection, ask WeCom once whether it works, and bring staff and friends in if it does. Returns whether
    it does; else the set-up's steps say what is missing."""
    app = _store(actor_of(request), before, values)
    try:
        members = services.members_with_customers(app)
    except WeComError as problem:
        advice = ADVICE.get(problem.code) or _("WeCom answered with code %(code)s.") % {"code": problem.code}
        messages.error(request, _("Saved, but it does not work yet.") + gap() + str(advice))
        return False
    except (NotSent, Unanswered):
        messages.error(request, _("Saved, but WeCom does not answer this server. Save again to try once more."))
        return False
    with transaction.atomic():
        _start_sync(request, app)
    text = ngettext(
        "Connected: %(n)s member serves customers, who are coming in now.",
        "Connected: %(n)s members serve customers. They are coming in now.",
        members,
    )
    messages.success(request, text % {"n": members})
    return True


@transaction.atomic
def _store(actor: Actor, before: App | None, values: dict[str, Any]) -> App:
    """Write corp and app. The callback's token and key are drawn once and stay."""
    secret = values["secret"] or (unseal(before.secret).decode() if before else "")
    token, key = _callback_keys(before)
    app = services.connect(
        corpid=values["corpid"].strip(),
        agentid=values["agentid"],
        secret=secret,
        name=values["name"],
        callback_token=token,
        callback_aes_key=key,
    )
    changes = {"name": values["name"], "agentid": values["agentid"], "secret": bool(values["secret"])}
    audit.record(actor, "wecom.connected", "wecom", app.corp.corpid, changes)
    return get_object_or_404(App.objects.select_related("corp"), pk=app.pk)


def _callback_keys(before: App | None) -> tuple[str, str]:
    if before is not None and before.callback_token is not None and before.callback_aes_key is not None:
        return unseal(before.callback_token).decode(), unseal(before.callback_aes_key).decode()
    return secrets.token_hex(12), base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def _start_sync(request: HttpRequest, app: App) -> None:
    if JobRun.objects.filter(kind=SYNC, state__in=_UNDER_WAY).exists():
        return
    actor = actor_of(request)
    jobs.enqueue(SYNC, _("Staff and friends from WeCom"), {}, _user(actor))
    audit.record(actor, "wecom.synced", "wecom", app.corp.corpid)


def _user(actor: Actor) -> User | None:
    return User.objects.filter(pk=actor.user_id or 0).first()
