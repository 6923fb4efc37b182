"""Several corps and apps: list, add, let one only listen, choose the corp that sends, remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from hetang.connectors.wecom import services, several
from hetang.connectors.wecom.client import connected_app
from hetang.connectors.wecom.models import App, Corp
from hetang.connectors.wecom.several import Refused
from hetang.console.settings.tabs import tabs
from hetang.platform import environment
from hetang.platform.access import actor_of, needs

REFUSALS: dict[str, str | Promise] = {
    "known": gettext_lazy("This app is here already."),
    "simulated": gettext_lazy("This installation is connected to a simulated WeCom. Set up a fresh one for real apps."),
    "secret": gettext_lazy("An app that calls needs its secret. One that only listens needs none."),
    "last": gettext_lazy("No app of this corp would be left that calls WeCom."),
    "sends": gettext_lazy("This app sends everything. Let another corp or app send first."),
    "in_use": gettext_lazy("Group welcomes were made by this app, and only it can change them. Remove them first."),
}


class AppForm(forms.Form):
    """One more app, of a corp that is here or of another one."""

    corpid = forms.RegexField(
        label=gettext_lazy("Corp ID"),
        regex=r"^\s*[A-Za-z0-9_-]{4,64}\s*$",
        help_text=gettext_lazy("WeCom's console → My company, at the bottom; it begins with ww."),
    )
    agentid = forms.IntegerField(label=gettext_lazy("AgentId of the app"), min_value=1)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=80, required=False)
    secret = forms.CharField(
        label=gettext_lazy("Secret of the app"),
        max_length=200,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("It is stored encrypted and never shown again."),
    )
    listen_only = forms.BooleanField(
        label=gettext_lazy("Only listens"),
        required=False,
        help_text=gettext_lazy("It gets events and calls nothing; another app of its corp asks WeCom."),
    )


@never_cache
@require_http_methods(["GET", "POST"])
@needs("settings:edit")
def app_list(request: HttpRequest) -> HttpResponse:
    """All corps with their apps; a POST adds one."""
    form = AppForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            several.add(actor_of(request), several.Said(**{**said, "corpid": said["corpid"].strip()}))
        except Refused as refused:
            form.add_error(None, str(REFUSALS[refused.code]))
        else:
            messages.success(request, _("Added. Draw its callback keys, and enter them in WeCom's console."))
            return redirect("settings:wecom-apps")
    return _page(request, form)


@require_POST
@needs("settings:edit")
def app_listen(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Only listen, or call again."""
    app = _app(public_id)
    return _step(request, lambda: several.listen(actor_of(request), app, request.POST.get("on") == "1"), _("Saved."))


@require_POST
@needs("settings:edit")
def app_default(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Let this app's corp send."""
    app = _app(public_id)
    return _step(request, lambda: several.make_default(actor_of(request), app.corp), _("Saved."))


@require_POST
@needs("settings:edit")
def app_remove(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take an app away."""
    app = _app(public_id)
    return _step(request, lambda: several.remove(actor_of(request), app), _("Removed."))


@never_cache
@require_POST
@needs("settings:edit")
def app_keys(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Draw a new token and key for an app's callback, shown in this answer only."""
    app = _app(public_id)
    keys = services.draw_callback_keys(actor_of(request), app)
    return _page(request, AppForm(), keys=(app.pk, *keys))


def _page(request: HttpRequest, form: AppForm, keys: tuple[int, str, str] | None = None) -> HttpResponse:
    sends = connected_app()
    rows = Corp.objects.prefetch_related("apps").order_by("-is_default", "name", "id")
    values: dict[str, Any] = {
        "form": form,
        "corps": [(corp, [_row(one, keys) for one in corp.apps.order_by("agentid")]) for corp in rows],
        "sends": sends.pk if sends else 0,
        "simulated": any(corp.simulated for corp in rows),
        "tabs": tabs("wecom", actor_of(request)),
    }
    return render(request, "console/settings/wecom_apps.html", values, status=422 if form.errors else 200)


def _row(app: App, keys: tuple[int, str, str] | None) -> dict[str, Any]:
    shown = keys[1:] if keys and keys[0] == app.pk else None
    url = environment.public_url() + services.callback_path(app)
    return {"app": app, "url": url, "keys": shown, "has_keys": app.callback_token is not None}


def _app(public_id: UUID) -> App:
    return get_object_or_404(App.objects.select_related("corp"), public_id=public_id)


def _step(request: HttpRequest, step: Callable[[], None], done: str) -> HttpResponse:
    try:
        step()
    except Refused as refused:
        messages.error(request, str(REFUSALS[refused.code]))
    else:
        messages.success(request, done)
    return redirect("settings:wecom-apps")
