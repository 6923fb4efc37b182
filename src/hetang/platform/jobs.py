"""Work of seconds and more that one can watch and cancel: imports, exports, plans.

`JobRun` holds the truth; procrastinate's queue only starts it. A worker that dies leaves a run without a beat, which
`rescue` starts again after six seconds (at once if the dead process was on this machine): handlers are idempotent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.db.models.functions import Now

from hetang.platform import clock, loops, signals
from hetang.platform.engine_client import EngineUnavailable
from hetang.platform.loops import Loop
from hetang.platform.metrics import Counter
from hetang.platform.models import JobRun, User
from hetang.platform.origin import Origin, origin

log = logging.getLogger(__name__)

ENDED = Counter("hetang_jobs_ended_total", "Jobs that ended, by kind and how.", ("kind", "state"))

TASK = "hetang.run_job"
STALLED_S = 6.0
BEAT_S = 2.0
MAX_ATTEMPTS = 5
_THROTTLE_S = 0.5
_SERVER_PAUSE_S = 2.0
_SERVER_LOST = (OperationalError, InterfaceError, EngineUnavailable)

Handler = Callable[["Work"], dict[str, Any]]
_handlers: dict[str, Handler] = {}
_own_process: set[str] = set()
_running: dict[int, str] = {}  # runs of this process and their owner tokens, for the beat
stopping = signals.Flag()  # set when the worker is asked to stop: runs hand themselves back at their next report


class Cancelled(Exception):
    """Cancelling was requested. Let it pass through: the run ends as cancelled."""


class HandedBack(Exception):
    """This process stops, or another one has taken the run over. Let it pass through."""


class UnknownKind(Exception):
    """No handler is registered for this kind of job."""


@dataclass
class Work:
    """What a handler gets: its arguments, and ways to report progress and to notice that it should end."""

    job_run_id: int
    arguments: dict[str, Any]
    owner: str
    _reported: float = field(default=float("-inf"))
    reached: tuple[int, int | None, str] = (0, None, "")

    def progress(self, done: int, total: int | None = None, stage: str = "") -> None:
        """Show how far the work is (written at most twice a second). Raises like `checkpoint`."""
        stage_changed = stage != self.reached[2]
        self.reached = (done, total, stage)
        if stage_changed or time.monotonic() - self._reported >= _THROTTLE_S:
            self._report()

    def checkpoint(self) -> None:
        """A place where the work may end early. Raises Cancelled or HandedBack; cheap to call often."""
        if time.monotonic() - self._reported >= _THROTTLE_S:
            self._report()

    def _report(self) -> None:
        self._reported = time.monotonic()
        done, total, stage = self.reached
        mine = JobRun.objects.filter(id=self.job_run_id, owner=self.owner, state=JobRun.RUNNING)
        if not mine.update(done=done, total=total, stage=stage[:80], beat_at=Now()) or stopping.is_set():
            raise HandedBack
        if mine.filter(cancel_requested=True).exists():
            raise Cancelled


def job(kind: str, *, own_process: bool = False) -> Callable[[Handler], Handler]:
    """Register the handler of a kind of job; its module stands in `settings.JOBS`. It returns a JSON-able result.

    `own_process` is for work that takes much memory or much of the interpreter (an import left 500 MB behind in the
    worker): it starts a second later, and gives everything back.
    """

    def register(handler: Handler) -> Handler:
        _handlers[kind] = handler
        if own_process:
            _own_process.add(kind)
        return handler

    return register


def enqueue(kind: str, title: str, arguments: dict[str, Any], created_by: User | None = None) -> JobRun:
    """Plan a run, in the caller's transaction: it starts when that commits, and never if it does not."""
    with transaction.atomic():
        run = JobRun.objects.create(
            kind=kind,
            title=title[:200],
            arguments=arguments,
            created_at=clock.now(),
            beat_at=Now(),
            created_by=created_by,
        )
        _defer(run.id)
    return run


def cancel(run: JobRun) -> None:
    """Ask a run to end: at once if it waits, at its next checkpoint if it runs, and not at all if it is over."""
    same = JobRun.objects.filter(id=run.id)
    if not same.filter(state=JobRun.WAITING).update(state=JobRun.CANCELLED, finished_at=clock.now()):
        same.filter(state=JobRun.RUNNING).update(cancel_requested=True)


def execute(job_run_id: int) -> None:
    """Carry out a waiting run in this process. Does nothing if it is not waiting any more."""
    work = _claim(job_run_id)
    if work is None:
        return
    _running[job_run_id] = work.owner
    token = origin.set(Origin(job_run_id=job_run_id))
    try:
        result = _handler(job_run_id)(work)
    except Cancelled:
        _finish(work, JobRun.CANCELLED)
    except HandedBack:
        _hand_back(work)
    except _SERVER_LOST as problem:
        _try_again(work, problem)
    except Exception as problem:
        log.exception("job %d failed", job_run_id)
        _finish(work, JobRun.FAILED, error=f"{type(problem).__name__}: {problem}"[:4000])
    else:
        _finish(work, JobRun.DONE, result=result or {})
    finally:
        origin.reset(token)
        _running.pop(job_run_id, None)


def wants_own_process(job_run_id: int) -> bool:
    """Whether this run is of a kind that the worker starts as a process of its own."""
    return JobRun.objects.filter(id=job_run_id, kind__in=_own_process).exists()


def run_waiting() -> int:
    """Carry out all waiting runs here and now, oldest first (tests, `demo --check`). Returns how many."""
    count = 0
    while run := JobRun.objects.filter(state=JobRun.WAITING).order_by("id").first():
        execute(run.id)
        count += 1
    return count


def beat() -> None:
    """Show that the runs of this process are alive."""
    for job_run_id, owner in list(_running.items()):
        JobRun.objects.filter(id=job_run_id, owner=owner, state=JobRun.RUNNING).update(beat_at=Now())


def rescue() -> float:
    """Start again what its worker left behind; give up after five attempts. Returns seconds until the next look."""
    for run_id, owner, attempts, silent_s in _without_end():
        if silent_s < STALLED_S and not loops.is_dead(owner.partition("#")[0]):
            continue
        left = JobRun.objects.filter(id=run_id, owner=owner, state=JobRun.RUNNING)
        if attempts >= MAX_ATTEMPTS:
            text = f"given up: its worker died {attempts} times while it ran"
            left.update(state=JobRun.FAILED, error=text, finished_at=clock.now())
        elif _requeue(run_id, owner):
            log.warning("job %d was left by %s and starts again", run_id, owner)
    for run_id in _waiting_without_queue_entry():
        _defer(run_id)
    _drop_dead_queue_entries()
    return BEAT_S


rescue_loop = Loop("jobs.rescue", rescue)


def register_all() -> None:
    """Import the modules of `settings.JOBS`, so that their handlers are known."""
    for module in settings.JOBS:
        import_module(module)


def _handler(job_run_id: int) -> Handler:
    kind = JobRun.objects.values_list("kind", flat=True).get(id=job_run_id)
    if kind not in _handlers:
        register_all()
    if kind not in _handlers:
        raise UnknownKind(kind)
    return _handlers[kind]


def _claim(job_run_id: int) -> Work | None:
    run = JobRun.objects.filter(id=job_run_id, state=JobRun.WAITING).first()
    if run is None:
        return None
    owner = f"{loops.me()}#{run.attempts + 1}"
    taken = JobRun.objects.filter(id=job_run_id, state=JobRun.WAITING, attempts=run.attempts).update(
        state=JobRun.RUNNING,
        owner=owner,
        attempts=run.attempts + 1,
        started_at=run.started_at or clock.now(),
        beat_at=Now(),
    )
    return Work(job_run_id, run.arguments, owner) if taken else None


def _finish(work: Work, state: str, **changes: Any) -> None:
    done, total, stage = work.reached
    if (done, total, stage) != (0, None, ""):
        changes |= {"done": done, "total": total, "stage": stage[:80]}
    mine = JobRun.objects.filter(id=work.job_run_id, owner=work.owner, state=JobRun.RUNNING)
    if mine.update(state=state, finished_at=clock.now(), **changes):
        ENDED.add(JobRun.objects.values_list("kind", flat=True).get(id=work.job_run_id), state)
    else:
        log.warning("job %d ended as %s here, but another process has taken it over", work.job_run_id, state)


def _hand_back(work: Work) -> None:
    if _requeue(work.job_run_id, work.owner, attempts_off=1):
        log.info("job %d is handed back: this process stops", work.job_run_id)


@transaction.atomic
def _requeue(run_id: int, owner: str, attempts_off: int = 0) -> bool:
    from django.db.models import F

    mine = JobRun.objects.filter(id=run_id, owner=owner, state=JobRun.RUNNING)
    changed = mine.update(state=JobRun.WAITING, owner="", attempts=F("attempts") - attempts_off, beat_at=Now())
    if changed:
        _defer(run_id)
    return bool(changed)


def _try_again(work: Work, problem: Exception) -> None:
    """A server went away under the run, or a deadlock chose it: not the run's fault. Bounded by its attempts."""
    attempts = int(work.owner.rpartition("#")[2])
    if attempts >= MAX_ATTEMPTS:
        _finish(work, JobRun.FAILED, error=f"{type(problem).__name__}: {problem}"[:4000])
        return
    log.warning("job %d lost a server (%s) and starts again", work.job_run_id, problem)
    stopping.wait(_SERVER_PAUSE_S)
    close_old_connections()
    _requeue(work.job_run_id, work.owner)


def _defer(run_id: int) -> None:
    """Put the run into procrastinate's queue, in the current transaction of Django's connection."""
    from procrastinate.contrib.django import app

    app.configure_task(TASK, allow_unknown=True).defer(job_run=run_id)


def _without_end() -> list[tuple[int, str, int, float]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select id, owner, attempts, extract(epoch from clock_timestamp() - beat_at)::float8"
            " from platform_jobrun where state = 'running'"
        )
        return list(cursor.fetchall())


def _waiting_without_queue_entry() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select r.id from platform_jobrun r
            where r.state = 'waiting' and r.beat_at < clock_timestamp() - %s * interval '1 second'
              and not exists (
                select 1 from procrastinate_jobs q
                where q.task_name = %s and q.status = 'todo' and (q.args ->> 'job_run')::bigint = r.id)
            """,
            [STALLED_S, TASK],
        )
        return [row[0] for row in cursor.fetchall()]


def _drop_dead_queue_entries() -> None:
    """procrastinate leaves the entries of a killed worker in `doing` for ever."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            delete from procrastinate_jobs q where q.task_name = %s and q.status = 'doing' and not exists (
              select 1 from procrastinate_workers w
              where w.id = q.worker_id and w.last_heartbeat > clock_timestamp() - interval '1 minute')
            """,
            [TASK],
        )
