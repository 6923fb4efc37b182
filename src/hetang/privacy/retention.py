"""The schedule of keeping times: what is older than its time is removed each night.

A night has one run, whoever notices first that it is due. A run goes through the kinds one by one; the border is
written down before the first row goes, and each chunk is counted in the transaction that removes it. So a run that dies
goes on where it was and its counts are exact.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F, Max
from django.utils.module_loading import import_string

from hetang.platform import audit, clock, jobs
from hetang.platform.access import Actor
from hetang.platform.keeping import Keeping
from hetang.platform.models import JobRun, User
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import KeepingRun, KeepingTime, Removal

log = logging.getLogger(__name__)

JOB = "privacy.keeping"
AT = time(4, 15)  # after the nightly backup of 02:30
Checkpoint = Callable[[], None]


@cache
def all_kinds() -> tuple[Keeping, ...]:
    """What `settings.KEEPING` declares, in the order of the page."""
    found: list[Keeping] = []
    for path in settings.KEEPING:
        found += import_string(path.replace(":", "."))
    return tuple(found)


def kind_of(code: str) -> Keeping | None:
    """The kind of a code, if the schedule removes it."""
    return next((one for one in all_kinds() if one.code == code and one.store is not None), None)


def days_of() -> dict[str, int]:
    """For how many days each kind is kept: as shipped, or as the brand said. One query."""
    own = dict(KeepingTime.objects.values_list("code", "days"))
    return {one.code: own.get(one.code, one.days) for one in all_kinds() if one.store is not None}


@dataclass(frozen=True)
class Last:
    """The newest finished removal of a kind."""

    removed: int
    at: datetime
    problem: str


def last_removals() -> dict[str, Last]:
    """The newest finished removal of each kind. One query."""
    rows = Removal.objects.exclude(finished_at=None).order_by("code", "-id").distinct("code")
    return {row.code: Last(row.removed, row.finished_at, row.problem) for row in rows if row.finished_at}


def older_than(kind: Keeping, days: int) -> int:
    """How many pieces the next run would remove if they were kept for so many days (counted up to a million)."""
    return kind.store.count(clock.now() - timedelta(days=days)) if kind.store else 0


def oldest_of(kind: Keeping) -> datetime | None:
    """The time of the oldest piece of a kind; None when there is none, or nothing removes it."""
    if kind.store is None:
        return None
    through = Removal.objects.filter(code=kind.code, problem="").exclude(finished_at=None)
    return kind.store.oldest(through.aggregate(border=Max("before"))["border"])


def change(actor: Actor, kind: Keeping, days: int) -> None:
    """Set for how many days a kind is kept, with its audit row. Raises Forbidden, PrivacyRefused("out_of_bounds")."""
    actor.require("privacy:manage")
    if not kind.least <= days <= kind.most:
        raise PrivacyRefused("out_of_bounds", low=kind.least, high=kind.most)
    with transaction.atomic():
        before = days_of()[kind.code]
        KeepingTime.objects.update_or_create(code=kind.code, defaults={"days": days, "changed_at": clock.now()})
        if before != days:
            audit.record(actor, "keeping.changed", "retention", kind.code, {"days": [before, days]})


def begin_night() -> bool:
    """Start the run of the night if it is due and nobody has; whether it was."""
    now = clock.now().astimezone(clock.zone())
    if now.time() < AT or KeepingRun.objects.filter(day=now.date()).exists():
        return False
    try:
        _begin(now.date(), None)
    except IntegrityError:
        return False
    return True


def begin_now(actor: Actor) -> KeepingRun:
    """Start a run by hand. Raises Forbidden, PrivacyRefused("keeping_runs") while one is under way."""
    actor.require("privacy:manage")
    if running() is not None:
        raise PrivacyRefused("keeping_runs")
    with transaction.atomic():
        audit.record(actor, "keeping.begun", "retention", "")
        return _begin(None, User.objects.filter(pk=actor.user_id or 0).first())


def running() -> KeepingRun | None:
    """The run that is under way."""
    alive = (JobRun.WAITING, JobRun.RUNNING)
    rows = KeepingRun.objects.filter(finished_at=None, job__state__in=alive)
    return rows.select_related("job").order_by("-id").first()


@transaction.atomic
def _begin(day: date | None, user: User | None) -> KeepingRun:
    run = KeepingRun.objects.create(day=day, started_at=clock.now())
    run.job = jobs.enqueue(JOB, "Keeping times", {"run": run.pk}, user)
    run.save(update_fields=["job"])
    return run


def carry_out(run_id: int, checkpoint: Checkpoint) -> dict[str, int]:
    """Remove what is over; may be repeated. Returns what was removed by kind. One that fails stops no other."""
    run = KeepingRun.objects.get(pk=run_id)
    days = days_of()
    for kind in all_kinds():
        if kind.store is not None:
            border = run.started_at - timedelta(days=days[kind.code])
            _remove(run, kind, border, checkpoint)
    counts = dict(run.removals.filter(removed__gt=0).values_list("code", "removed"))
    with transaction.atomic():
        if KeepingRun.objects.filter(pk=run.pk, finished_at=None).update(finished_at=clock.now()) and counts:
            audit.record("privacy", "keeping.removed", "retention", run.pk, counts)
    return counts


def _remove(run: KeepingRun, kind: Keeping, border: datetime, checkpoint: Checkpoint) -> None:
    removal, _made = Removal.objects.get_or_create(run=run, code=kind.code, defaults={"before": border})
    if removal.finished_at is not None or kind.store is None:
        return

    def note(count: int) -> None:
        Removal.objects.filter(pk=removal.pk).update(removed=F("removed") + count)
        checkpoint()

    problem = ""
    try:
        kind.store.remove(removal.before, note)
    except (jobs.Cancelled, jobs.HandedBack, OperationalError, InterfaceError):
        raise
    except Exception as failure:
        log.exception("the keeping time of %s was not enforced", kind.code)
        problem = f"{type(failure).__name__}: {failure}"[:200]
    Removal.objects.filter(pk=removal.pk).update(finished_at=clock.now(), problem=problem)
