"""When backups, base backups and drills are due; and the loop of the worker that plans them.

Everything here runs on the wall clock: the demo may turn the brand's clock by weeks, and a backup is no younger for it.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_noop

from hetang.operations import configured
from hetang.platform import clock, environment, jobs
from hetang.platform.backups import archive, commands, drill, folder
from hetang.platform.brand import brand
from hetang.platform.loops import Loop
from hetang.platform.models import JobRun

log = logging.getLogger(__name__)

LOOK_S = 60.0
RETRY = timedelta(hours=1)  # after one that failed
BACKUP, BASE, DRILL = "operations.backup", "operations.base_backup", "operations.drill"
TITLES = {
    BACKUP: gettext_noop("Backup"),
    BASE: gettext_noop("Base backup"),
    DRILL: gettext_noop("Restore drill"),
}


def run_once() -> float:
    """Plan what is due, and bring new files into the archive. Returns seconds until the next look."""
    if brand().demo:
        return LOOK_S
    now = datetime.now(UTC)
    for kind in due(now):
        if not _lately(kind, now):
            jobs.enqueue(kind, TITLES[kind], {})
    place = archive.configured()
    if place is not None and _embedded():
        archive.mirror_files(environment.home(), place)
    return LOOK_S


loop = Loop("operations.backups", run_once)


def due(now: datetime) -> list[str]:
    """The kinds of jobs whose time has come."""
    home = environment.home()
    backups = commands.backups_folder(home)
    newest = folder.newest(backups)
    found = []
    slot = last_slot(configured.text("backup.at"), now, clock.zone())
    if slot is not None and (newest is None or newest.manifest.at < slot):
        found.append(BACKUP)
    place = archive.configured()
    if place is not None and _embedded() and _base_is_due(place, now):
        found.append(BASE)
    every = configured.number("backup.drill_every")
    if every and newest is not None and _drill_is_due(backups, newest.manifest.at, timedelta(days=every), now):
        found.append(DRILL)
    return found


def last_slot(at: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """The newest moment at or before `now` at which a daily backup was to begin; None without a time. A clock change
    neither leaves a day out nor doubles one."""
    if not at:
        return None
    today = now.astimezone(zone).date()
    hour, minute = map(int, at.split(":"))
    for day in (today, today - timedelta(days=1)):
        slot = datetime.combine(day, time(hour, minute), zone).astimezone(UTC)
        if slot <= now:
            return slot
    return None


def _base_is_due(place: Path, now: datetime) -> bool:
    newest = folder.newest(archive.of_server(place, environment.home() / "postgres") / "base", folder.BASE)
    return newest is None or now - newest.manifest.at >= timedelta(days=configured.number("backup.base_every"))


def _drill_is_due(backups: Path, newest_at: datetime, every: timedelta, now: datetime) -> bool:
    reports = drill.reports(backups)
    return now - reports[0].time >= every if reports else _settled(backups, newest_at, now)


def _settled(backups: Path, newest_at: datetime, now: datetime) -> bool:
    """Whether a first drill may begin: after a backup of the night, or with one a day old. The backup that the first
    start makes holds nothing yet, and whoever sets the house up then has other things to look at."""
    slot = last_slot(configured.text("backup.at"), newest_at, clock.zone())
    if slot is None or newest_at - slot < timedelta(hours=1):
        return True
    return any(now - one.manifest.at >= timedelta(days=1) for one in folder.complete(backups))


def _embedded() -> bool:
    return commands.is_embedded(environment.home(), environment.database_url())


def _lately(kind: str, now: datetime) -> bool:
    """Whether such a job waits, runs, or failed within the last hour (by the wall clock, as its beat tells)."""
    runs = JobRun.objects.filter(kind=kind)
    if runs.filter(state__in=(JobRun.WAITING, JobRun.RUNNING)).exists():
        return True
    last = runs.order_by("-id").values_list("state", "beat_at").first()
    return last is not None and last[0] != JobRun.DONE and last[1] is not None and now - last[1] < RETRY
