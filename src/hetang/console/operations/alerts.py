"""Alerts: what is wrong with the installation now, who is on it, what was; and a test of the ways by which they
are told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib import messages
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import resolve, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from hetang.console.lists.tables import Column, Table, read
from hetang.operations import alerting, notices
from hetang.operations.alert_kinds import KINDS, TEST, Said, said, severity_label
from hetang.operations.messages import trouble
from hetang.operations.models import Alert, Notice
from hetang.platform.access import actor_of, needs
from hetang.platform.models import User

TABLE = Table(
    code="alerts",
    label=gettext_lazy("Alerts that are over"),
    permission="operations:view",
    url_name="operations:alert-history",
    columns=(
        Column("alert", gettext_lazy("Alert"), fixed=True),
        Column("severity", gettext_lazy("Severity")),
        Column("began", gettext_lazy("Began")),
        Column("ended", gettext_lazy("Ended")),
        Column("lasted", gettext_lazy("Lasted")),
        Column("by", gettext_lazy("Acknowledged by")),
        Column("told", gettext_lazy("Told by")),
    ),
    order=("-closed_at", "-id"),
    key=("-id",),
    filters=("kind",),
)
_MOST = 200
_TONES = {Notice.WAITING: "info", Notice.SENT: "good", Notice.FAILED: "bad"}


@dataclass(frozen=True)
class Told:
    """One message about an alert: by which road, what became of it."""

    text: str
    tone: str
    why: str


@dataclass(frozen=True)
class Shown:
    """An alert as the page shows it."""

    alert: Alert
    words: Said
    severity: str
    tone: str
    url: str
    told: list[Told]
    lasted: str


@require_GET
@needs("operations:view")
def alert_list(request: HttpRequest) -> HttpResponse:
    """What is wrong now. As an htmx fragment only the part that changes."""
    may = actor_of(request).permissions
    firing = [_shown(one, may) for one in _with_notices(firing_alerts()).order_by("severity", "opened_at")[:_MOST]]
    tested = _with_notices(Alert.objects.filter(kind=TEST)).order_by("-id").first()
    values = {
        "open": [one for one in firing if one.alert.acknowledged_at is None],
        "acknowledged": [one for one in firing if one.alert.acknowledged_at is not None],
        "roads": notices.roads(),
        "tested": _shown(tested, may) if tested else None,
        "last": Alert.objects.exclude(closed_at=None).exclude(kind=TEST).order_by("-closed_at", "-id").first(),
        "tabs": _tabs("now"),
    }
    name = "alerts_body" if request.headers.get("HX-Request") == "true" else "alerts"
    return render(request, f"console/operations/{name}.html", values)


@require_GET
@needs("operations:view")
def history(request: HttpRequest) -> HttpResponse:
    """What is over, the newest first."""
    kind = request.GET.get("kind", "")
    rows = Alert.objects.exclude(closed_at=None).exclude(opened_at=None)
    if kind in KINDS:
        rows = rows.filter(kind=kind)
    may = actor_of(request).permissions
    listing = read(TABLE, _with_notices(rows).select_related("acknowledged_by"), request)
    values = {
        "listing": listing,
        "rows": [_shown(one, may) for one in listing.page],
        "kinds": [(code, one.label, code == kind) for code, one in KINDS.items()],
        "tabs": _tabs("history"),
    }
    return render(request, "console/operations/alert_history.html", values)


@require_POST
@needs("alerts:handle")
def acknowledge(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Say that somebody is on it."""
    if not Alert.objects.filter(pk=alert_id).exclude(opened_at=None).exists():
        raise Http404
    user = User.objects.get(username=actor_of(request).name)
    if alerting.acknowledge(actor_of(request), user, alert_id):
        messages.success(request, _("Noted: you are on it. The alert stays here until it is over."))
    else:
        messages.info(request, _("It is over, or somebody is on it already."))
    return redirect("operations:alerts")


@require_POST
@needs("alerts:handle")
def test(request: HttpRequest) -> HttpResponse:
    """Send a test by every way that is set up."""
    if not notices.roads():
        messages.error(request, _("Nothing is set up yet: name a mail server or a webhook in the settings first."))
    else:
        alerting.test(actor_of(request))
        messages.success(request, _("The test is on its way; this page shows within seconds what became of it."))
    return redirect("operations:alerts")


def firing_alerts() -> QuerySet[Alert]:
    """Alerts that have begun and are not over."""
    return Alert.objects.filter(closed_at=None).exclude(opened_at=None)


def unattended() -> QuerySet[Alert]:
    """Alerts that nobody is on yet."""
    return firing_alerts().filter(acknowledged_at=None)


def _with_notices(rows: QuerySet[Alert]) -> QuerySet[Alert]:
    ordered = Notice.objects.order_by("id")
    return rows.select_related("acknowledged_by").prefetch_related(Prefetch("notices", ordered, to_attr="messages"))


def _tabs(current: str) -> list[dict[str, Any]]:
    pages = [("now", _("Now"), "operations:alerts"), ("history", _("History"), "operations:alert-history")]
    return [{"label": label, "url": reverse(name), "current": code == current} for code, label, name in pages]


def _shown(alert: Alert, may: Collection[str]) -> Shown:
    """With the page to look at, unless it is closed to the reader."""
    known = KINDS.get(alert.kind)
    url = reverse(known.url_name) if known and known.url_name and _permission_of(known.url_name) in may else ""
    tone = "bad" if alert.severity == Alert.BAD else "warn"
    words = said(alert.kind, alert.subject, alert.detail)
    told = [_told(one) for one in getattr(alert, "messages", [])]
    return Shown(alert, words, severity_label(alert.severity), tone, url, told, _lasted(alert))


@cache
def _permission_of(url_name: str) -> str:
    return str(getattr(resolve(reverse(url_name)).func, "permission", ""))


def _told(notice: Notice) -> Told:
    roads = {Notice.MAIL: _("Mail"), Notice.WEBHOOK: _("Webhook")}
    states = {
        Notice.WAITING: _("%(road)s waits") if not notice.attempts else _("%(road)s is tried again"),
        Notice.SENT: _("%(road)s sent"),
        Notice.FAILED: _("%(road)s failed"),
    }
    text = states[notice.state] % {"road": roads.get(notice.road, notice.road)}
    return Told(text, _TONES[notice.state], trouble(notice.error) if notice.error else "")


def _lasted(alert: Alert) -> str:
    if alert.closed_at is None or alert.opened_at is None:
        return ""
    minutes = max(round((alert.closed_at - alert.first_seen_at).total_seconds() / 60), 1)
    if minutes < 120:
        return ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes}
    hours = round(minutes / 60)
    return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
