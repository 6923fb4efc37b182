"""The worker process: procrastinate's queue and the loops, side by side."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading

from django.db import close_old_connections, connection

from hetang.platform import clock, jobs, loops, partitions

log = logging.getLogger(__name__)

CONCURRENT_JOBS = 2
_STOP_S = 10.0
_GIVE_UP_S = 20.0  # a job that reports nothing for so long dies with the process and is rescued
_HOUR_S = 3600.0


def run() -> int:
    """Work until SIGTERM or SIGINT. Returns the process's exit code."""
    jobs.register_all()
    runner = loops.Runner([*loops.configured(), jobs.rescue_loop, partitions_loop])
    done = threading.Event()
    beats = threading.Thread(target=_beat, args=(done,), name="beat", daemon=True)
    beats.start()
    runner.start()
    try:
        asyncio.run(_consume())
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


async def _consume() -> None:
    """Take jobs from the queue until a signal arrives."""
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
            asyncio.get_running_loop().add_signal_handler(number, _stop, worker)
        try:
            await worker
        except asyncio.CancelledError:
            log.info("worker stops")


def _stop(worker: asyncio.Future[None]) -> None:
    jobs.stopping.set()
    watchdog = threading.Timer(_GIVE_UP_S, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()
    worker.cancel()


def _start(job_run: int) -> None:
    close_old_connections()
    try:
        jobs.execute(job_run)
    finally:
        connection.close()


def _beat(done: threading.Event) -> None:
    while not done.wait(jobs.BEAT_S):
        try:
            close_old_connections()
            jobs.beat()
        except Exception:
            log.exception("the beat of running jobs was not written")
    connection.close()
