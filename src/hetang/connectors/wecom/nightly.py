"""The nightly reconciliation: once a night every corp that was synced before is synced again, which finds and repairs
what events did not tell. What it found stands in its `SyncRun`."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from hetang.connectors.wecom.client import app_of
from hetang.connectors.wecom.models import App, Corp, SyncRun
from hetang.platform import clock, jobs
from hetang.platform.loops import Loop
from hetang.platform.models import JobRun

HOUR = 3  # of the brand's day; the platform's limits of the day before are over
KIND = "wecom.sync"
_LOOK_S = 60.0


def run_once() -> float:
    """Begin what is due. Returns seconds until the next look."""
    for app in due(clock.now()):
        begin(app)
    return _LOOK_S


def due(now: datetime) -> list[App]:
    """The first app that may call, of every corp whose last sync began before tonight's hour."""
    local = now.astimezone(clock.zone())
    tonight = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    if local < tonight:
        return []
    found: list[App] = []
    for corp in Corp.objects.filter(runs__isnull=False).distinct():
        newest = SyncRun.objects.filter(corp=corp).order_by("-id").first()
        app = app_of(corp.pk)
        if newest is not None and newest.begun_at < tonight and app is not None:
            found.append(app)
    return found


@transaction.atomic
def begin(app: App) -> bool:
    """Plan the sync, unless one is waiting or running. Returns whether it was planned."""
    Corp.objects.select_for_update().get(pk=app.corp_id)  # two at the same time: one plans, the other finds it
    if JobRun.objects.filter(kind=KIND, state__in=(JobRun.WAITING, JobRun.RUNNING)).exists():
        return False
    jobs.enqueue(KIND, gettext_noop("Nightly reconciliation with WeCom"), {"app": app.pk})
    return True


loop = Loop("wecom.nightly", run_once)
