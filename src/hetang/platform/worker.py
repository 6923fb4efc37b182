"""The worker process: procrastinate's queue and the loops, side by side."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import threading
import time

from django.db import close_old_connections, connection

from hetang.platform import children, clock, jobs, loops, metric_files, partitions, priority

log = logging.getLogger(__name__)

CONCURRENT_JOBS = 2
_STOP_S = 10.0
_GIVE_UP_S = 20.0  # a job that reports nothing for so long dies with the process and is rescued
_ORPHAN_GIVE_UP_S = 2.0  # the supervisor was killed: its database goes too, and the next start waits for us
_HOUR_S = 3600.0


def run() -> int:
    """Work until SIGTERM or SIGINT. Returns the process's exit code."""
    jobs.register_all()
    runner = loops.Runner([*loops.configured(), jobs.rescue_loop, partitions_loop])
    done = threading.Event()
    metric_files.begin()
    beats = threading.Thread(target=_beat, args=(done,), name="beat", daemon=True)
    beats.start()
    runner.start()
    try:
        asyncio.run(_consume(os.getppid()))
    finally:
        jobs.stopping.set()
        runner.stop(_STOP_S)
        done.set()
        beats.join(_STOP_S)
    return 0


def _ensure_partitions() -> float:
    partitions.ensure(clock.now())
    return _HOUR_S  # hourly rather than daily: the clock may be turned by weeks


partitions_loop = loops.Loop("platform.partitions", _ensure_partitions)


async def _consume(parent: int) -> None:
    """Take jobs from the queue until a signal arrives, from the supervisor or from the kernel because it died."""
    import procrastinate
    from procrastinate.contrib.django import app

    # An app of its own: Django's keeps its connector, so that handlers enqueue in their own transactions.
    queue = procrastinate.App(connector=app.connector.get_worker_connector())  # type: ignore[attr-defined]
    queue.task(name=jobs.TASK)(_start)
    async with queue.open_async():
        worker = asyncio.ensure_future(
            queue.run_worker_async(
                concurrency=CONCURRENT_JOBS,
                delete_jobs="always",
                install_signal_handlers=False,
                shutdown_graceful_timeout=_STOP_S,
            )
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, _stop, worker, parent)
        try:
            await worker
        except asyncio.CancelledError:
            log.info("worker stops")


def _stop(worker: asyncio.Future[None], parent: int) -> None:
    jobs.stopping.set()
    _give_up_in(_GIVE_UP_S if os.getppid() == parent else _ORPHAN_GIVE_UP_S)
    worker.cancel()


def _give_up_in(seconds: float) -> None:
    watchdog = threading.Timer(seconds, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()


def run_job(job_run_id: int, parent: int) -> int:
    """Carry out one run as a process of its own, below the worker `parent`. Returns the process's exit code."""
    children.die_with_parent(signal.SIGTERM, parent)
    priority.step_back()

    def stop(*_: object) -> None:
        jobs.stopping.set()
        if os.getppid() != parent:  # nobody is left who would end us, were we to hang
            _give_up_in(_ORPHAN_GIVE_UP_S)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    jobs.register_all()
    threading.Thread(target=_beat, args=(threading.Event(),), name="beat", daemon=True).start()
    try:
        jobs.execute(job_run_id)
    finally:
        metric_files.write()
    return 0


def _start(job_run: int) -> None:
    close_old_connections()
    try:
        if jobs.wants_own_process(job_run):
            connection.close()
            _run_below(job_run)
        else:
            jobs.execute(job_run)
    finally:
        connection.close()


def _run_below(job_run: int) -> None:
    """Start the run's process and wait. If that dies, the run is rescued like that of any dead process."""
    command = children.python("hetang.cli", "job", str(job_run), "--parent", str(os.getpid()))
    env = {**os.environ, "HETANG_PROCESS": "job"}
    # In a session of its own, so that its lower share is not the worker's, too.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env, start_new_session=True)
    told = False
    while process.poll() is None:
        if jobs.stopping.is_set() and not told:
            process.terminate()
            told = True
        time.sleep(0.1)
    if process.returncode != 0:
        log.error("the process of job %d ended with %d", job_run, process.returncode)


def _beat(done: threading.Event) -> None:
    while not done.wait(jobs.BEAT_S):
        try:
            close_old_connections()
            jobs.beat()
        except Exception:
            log.exception("the beat of running jobs was not written")
    connection.close()
