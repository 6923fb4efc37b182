"""Loops of the worker process, each under a lease, so that exactly one process of an installation runs each.

Leases live in real time, read from the database's clock: `platform.clock` may be turned, a lease must not notice.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections, connection

from hetang.platform import children, outages
from hetang.platform.metrics import Counter, Gauge

log = logging.getLogger(__name__)

FAILURES = Counter("hetang_loop_failures_total", "Turns of a loop that failed.", ("loop",))
FAILING = Gauge("hetang_loop_failing", "How often in a row a loop has failed until now.", ("loop",))

LEASE_S = 8.0
_RENEW_S = 2.0
_RETRY_S = 1.0  # how often a loop without the lease asks again
_KEEP_CONNECTION_S = 5.0  # a loop that sleeps longer gives its database connection back
_LONGEST_BACKOFF_S = 60.0
_LONGEST_WHILE_AWAY_S = 5.0  # a server that is back shall be noticed soon


@dataclass(frozen=True)
class Loop:
    """`run_once` does a bounded piece of work and returns after how many seconds it wants to run again (0 = at once).

    It must be safe to run twice at the same time: a process that was frozen longer than its lease may wake up late.
    """

    name: str
    run_once: Callable[[], float]


class Runner:
    """Runs loops in threads until `stop()`; a loop that raises backs off alone and the others go on."""

    def __init__(self, loops: Iterable[Loop]) -> None:
        self._loops = list(loops)
        self._stopping = threading.Event()
        self._held: set[str] = set()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start one thread for each loop and one that renews the leases."""
        for loop in self._loops:
            self._spawn(f"loop {loop.name}", partial(self._run, loop))
        self._spawn("leases", self._renew)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Let each loop finish its piece of work, then give the leases back."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout_s)
        with connection.cursor() as cursor:
            cursor.execute("delete from platform_lease where holder = %s", [me()])

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self, loop: Loop) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                pause = self._turn(loop)
                failures = _note_success(loop.name, failures)
            except Exception as problem:
                failures = _note_failure(loop.name, failures)
                longest = _LONGEST_WHILE_AWAY_S if outages.of(problem) else _LONGEST_BACKOFF_S
                pause = min(2.0 ** (failures - 1), longest)
                log.exception("loop %s failed (%d in a row); trying again in %.0f s", loop.name, failures, pause)
            if pause > _KEEP_CONNECTION_S:
                connection.close()
            if pause > 0:
                self._stopping.wait(pause)
        connection.close()

    def _turn(self, loop: Loop) -> float:
        close_old_connections()
        if loop.name not in self._held:
            if not acquire(loop.name):
                return _RETRY_S
            self._held.add(loop.name)
        return loop.run_once()

    def _renew(self) -> None:
        while not self._stopping.wait(_RENEW_S):
            try:
                close_old_connections()
                lost = self._held - renew()
            except Exception:
                log.exception("leases were not renewed")
                continue
            for name in lost:
                log.warning("the lease of loop %s went to another process", name)
            self._held -= lost
        connection.close()


def _note_success(name: str, failures: int) -> int:
    if failures:
        FAILING.set(0, name)
    return 0


def _note_failure(name: str, failures: int) -> int:
    FAILURES.add(name)
    FAILING.set(failures + 1, name)
    return failures + 1


def configured() -> list[Loop]:
    """The loops that `settings.LOOPS` names."""
    found = []
    for dotted in settings.LOOPS:
        module, _, name = dotted.partition(":")
        found.append(getattr(import_module(module), name))
    return found


def acquire(name: str) -> bool:
    """Take the lease `name` if it is free, expired, ours, or held by a process of this machine that has died."""
    with connection.cursor() as cursor:
        cursor.execute("select holder from platform_lease where name = %s", [name])
        row = cursor.fetchone()
        dead = row[0] if row is not None and is_dead(row[0]) else ""
        cursor.execute(
            """
            insert into platform_lease (name, holder, expires_at)
            values (%(name)s, %(me)s, clock_timestamp() + %(lease)s * interval '1 second')
            on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
            where platform_lease.expires_at < clock_timestamp() or platform_lease.holder in (%(me)s, %(dead)s)
               or platform_lease.expires_at > clock_timestamp() + interval '10 minutes' -- the clock went back
            returning name
            """,
            {"name": name, "me": me(), "dead": dead, "lease": LEASE_S},
        )
        return cursor.fetchone() is not None


def renew() -> set[str]:
    """Prolong every lease of this process; returns the names it still holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update platform_lease set expires_at = clock_timestamp() + %s * interval '1 second'"
            " where holder = %s returning name",
            [LEASE_S, me()],
        )
        return {row[0] for row in cursor.fetchall()}


def me() -> str:
    """This process, as leases and jobs name their holder: `machine/boot/pid/start`."""
    return _identity(os.getpid())


def is_dead(holder: str) -> bool:
    """Whether `holder` is a process of this machine that no longer runs (False where one cannot tell)."""
    machine, _, rest = holder.partition("/")
    pid, _, started = rest.partition("/")
    if machine != _machine() or not pid.isdigit():
        return False
    return children.started(int(pid)) != started


@cache
def _identity(pid: int) -> str:
    return f"{_machine()}/{pid}/{children.started(pid)}"


@cache
def _machine() -> str:
    """Host name and the kernel's pid namespace: two containers of one image must not judge each other's pids."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        namespace = "0"
    return f"{socket.gethostname()[:40]}-{namespace}"
