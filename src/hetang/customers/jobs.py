"""Long work of the customers room."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hetang.customers import bulk, suspicions
from hetang.customers.models import Customer
from hetang.platform import clock
from hetang.platform.jobs import Work, enqueue, job
from hetang.platform.loops import Loop
from hetang.platform.models import JobRun, User

LOOK = "customers.look_for_same"
EVERY = timedelta(days=1)
_LOOK_S = 600.0


@job(LOOK)
def look(work: Work) -> dict[str, Any]:
    """Work out who might be one person and bring the queue up to date. Running it twice finds the same."""
    done, keyed, after = 0, 1, 0
    while keyed:
        keyed, after = suspicions.key_names(after)
        done += keyed
        work.progress(done, stage="customers")
    work.checkpoint()
    pairs = suspicions.suspected(suspicions.active_grounds())
    new, gone = suspicions.keep(pairs)
    return {"pairs": len(pairs), "new": new, "gone": gone}


@job(bulk.JOB)
def carry_out(work: Work) -> dict[str, Any]:
    """Write a change to many customers, or undo one; goes on behind what an attempt that died has written."""
    change = bulk.carry_out(work.arguments["change"], work.progress)
    return {"changed": change.changed, "undone": change.undone}


def ask_to_look(user: User | None = None) -> JobRun:
    """The run that is under way, or a new one."""
    running = JobRun.objects.filter(kind=LOOK, state__in=(JobRun.WAITING, JobRun.RUNNING)).first()
    return running or enqueue(LOOK, "Look for customers who may be one person", {}, user)


def _daily() -> float:
    last = JobRun.objects.filter(kind=LOOK).order_by("-id").first()
    if Customer.objects.exists() and (last is None or last.created_at < clock.now() - EVERY):
        ask_to_look()
    return _LOOK_S


daily = Loop("customers.look_for_same", _daily)
