"""The job that carries the checks out, so that no page waits for a WeCom that is silent."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext_noop

from hetang.connectors.wecom.doctor import checks
from hetang.connectors.wecom.models import App
from hetang.platform import audit, jobs
from hetang.platform.access import Actor
from hetang.platform.jobs import Work, job
from hetang.platform.models import JobRun, User

KIND = "wecom.check"
STAGE = gettext_noop("checking")
_UNDER_WAY = (JobRun.WAITING, JobRun.RUNNING)


@transaction.atomic
def start(actor: Actor, app: App, name: str = "") -> JobRun:
    """Plan all checks of an app, or one; one run at a time: the one under way is returned instead."""
    App.objects.select_for_update().get(pk=app.pk)
    under_way = newest(app)
    if under_way is not None and under_way.state in _UNDER_WAY:
        return under_way
    user = User.objects.filter(pk=actor.user_id or 0).first()
    audit.record(actor, "wecom.checked", "wecom", app.corp.corpid, {"check": name or "all"})
    return jobs.enqueue(KIND, gettext_noop("Checking the set-up of WeCom"), {"app": app.pk, "name": name}, user)


def newest(app: App) -> JobRun | None:
    """The app's last run of checks, in whatever state."""
    return JobRun.objects.filter(kind=KIND, arguments__app=app.pk).order_by("-id").first()


@job(KIND)
def run(work: Work) -> dict[str, Any]:
    """Carry them out one after the other; what was found before a cancel stays."""
    app = App.objects.select_related("corp").filter(pk=work.arguments["app"]).first()
    if app is None:
        return {}
    names = [work.arguments["name"]] if work.arguments["name"] else list(checks.CHECKS)
    probe, wrong = checks.Probe(app), 0
    for done, name in enumerate(names):
        work.progress(done, len(names), STAGE)
        wrong += checks.carry_out(probe, name).state == checks.BAD
    return {"wrong": wrong}
