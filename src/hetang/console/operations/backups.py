"""Backups: what could be brought back, whether it was tried, and the two buttons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from hetang.operations import configured, schedule
from hetang.platform import audit, environment, jobs
from hetang.platform.access import actor_of, needs
from hetang.platform.backups import archive, commands, drill, folder
from hetang.platform.models import JobRun, User

SHOWN = 40


@dataclass(frozen=True)
class Reach:
    """The moments that the archive can bring back."""

    since: datetime
    until: datetime
    bases: int


@require_GET
@needs("operations:view")
def backup_list(request: HttpRequest) -> HttpResponse:
    """The backups of this installation, the archive's reach, and the drills."""
    place = commands.backups_folder(environment.home())
    found = folder.complete(place)
    reports = drill.reports(place)
    kinds = (schedule.BACKUP, schedule.BASE, schedule.DRILL)
    running = JobRun.objects.filter(kind__in=kinds, state__in=(JobRun.WAITING, JobRun.RUNNING)).order_by("-id").first()
    values = {
        "newest": found[-1].manifest if found else None,
        "backups": [one.manifest for one in reversed(found)][:SHOWN],
        "reports": reports[:SHOWN],
        "folder": place,
        "archive": archive.configured(),
        "reach": _reach(),
        "embedded": commands.is_embedded(environment.home(), environment.database_url()),
        "at": configured.text("backup.at"),
        "same_disk": _same_disk(place, environment.home()),
        "running": running,
    }
    return render(request, "console/operations/backups.html", values)


@require_POST
@needs("settings:edit")
def begin(request: HttpRequest, kind: str) -> HttpResponse:
    """Start a backup or a drill as a job; one at a time."""
    code = {"backup": schedule.BACKUP, "drill": schedule.DRILL}.get(kind, schedule.BACKUP)
    with transaction.atomic():
        if JobRun.objects.filter(kind=code, state__in=(JobRun.WAITING, JobRun.RUNNING)).exists():
            messages.info(request, _("One is already under way."))
            return redirect("operations:backups")
        user = request.user if isinstance(request.user, User) else None
        run = jobs.enqueue(code, schedule.TITLES[code], {}, user)
        audit.record(actor_of(request), f"{kind}.begun", "installation", run.public_id)
    return redirect("operations:job", run.public_id)


def _reach() -> Reach | None:
    """From the oldest base backup of this server to the newest archived log file."""
    place, data = archive.configured(), environment.home() / "postgres"
    if place is None or not (data / "PG_VERSION").exists():
        return None
    root = archive.of_server(place, data)
    bases = folder.complete(root / "base", folder.BASE)
    logs = list(archive.log_files(root / "wal"))
    if not bases or not logs:
        return None
    until = datetime.fromtimestamp(logs[-1].stat().st_mtime, UTC)
    return Reach(bases[0].manifest.at, until, len(bases))


def _same_disk(place: Path, home: Path) -> bool:
    """Whether backups and data would be lost together."""
    existing = next(path for path in (place, *place.parents) if path.exists())
    return existing.stat().st_dev == home.stat().st_dev
