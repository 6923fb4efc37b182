"""Asking WeCom for many things side by side, and handing the answers to one writer in order of each part.

Threads ask, the caller's thread writes: what waits in between is bounded, so memory is, whatever the corp's size. With
one call at a time nothing but the caller's thread is used.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import connection

from hetang.connectors.wecom.errors import NotSent, RateLimited, Unanswered

log = logging.getLogger(__name__)

PATIENCE_S = (5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0)  # pauses while WeCom is away
_WAITING_PER_THREAD = 2
_LOOK_S = 0.5

P = TypeVar("P")
F = TypeVar("F")


class Stopped(Exception):
    """The caller wants no more."""


@dataclass(frozen=True)
class _Failed:
    problem: BaseException


@dataclass(frozen=True)
class _Finished:
    pass


class Patience:
    """Repeats what WeCom's limits and outages interrupt: limits until they end, outages for about seven minutes."""

    def __init__(self, stop: threading.Event, checkpoint: Callable[[], None] | None = None) -> None:
        self._stop = stop
        self._checkpoint = checkpoint

    def __call__(self, ask: Callable[[], F]) -> F:
        """What `ask` returns. Raises Stopped, or what it raises in the end."""
        pauses = iter(PATIENCE_S)
        while True:
            try:
                return ask()
            except RateLimited as problem:
                log.warning("%s is at its limit for %.0f s", problem.path, problem.wait_s)
                self._wait(problem.wait_s)
            except (NotSent, Unanswered) as problem:
                pause = next(pauses, None)
                if pause is None:
                    raise
                log.warning("WeCom does not answer (%s); again in %.0f s", problem, pause)
                self._wait(pause)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.wait(min(left, _LOOK_S)):
                raise Stopped
            if self._checkpoint is not None:
                self._checkpoint()


class Feed(Generic[P, F]):
    """Answers to the questions of several kinds of parts, each kind with its own threads.

    Several feeds may be given the same iterators over lists: each part goes to one of them.
    `ask(part, patience)` yields what it finds, in order. Iterating yields what the threads found, and None twice a
    second while there is nothing, so that the caller can look up. Use as a context: leaving it stops the threads.
    """

    def __init__(
        self,
        parts: Mapping[str, Iterable[P]],
        ask: Callable[[P, Patience], Iterator[F]],
        *,
        at_once: int,
        checkpoint: Callable[[], None],
    ) -> None:
        self._parts = {kind: iter(some) for kind, some in parts.items()}
        self._ask = ask
        self._at_once = at_once
        self._checkpoint = checkpoint
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._found: queue.Queue[F | _Failed | _Finished] = queue.Queue(_WAITING_PER_THREAD * at_once)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Feed[P, F]:
        if self._at_once > 1:
            for kind in self._parts:
                for number in range(self._at_once):
                    thread = threading.Thread(target=self._work, args=(kind,), name=f"{kind} {number}", daemon=True)
                    thread.start()
                    self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while any(thread.is_alive() for thread in self._threads):
            self._drain()
            for thread in self._threads:
                thread.join(0.01)

    def __iter__(self) -> Iterator[F | None]:
        if self._at_once <= 1:
            patience = Patience(self._stop, self._checkpoint)
            for part in (part for some in self._parts.values() for part in some):
                yield from self._ask(part, patience)
            return
        running = len(self._threads)
        while running:
            try:
                found = self._found.get(timeout=_LOOK_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(found, _Failed):
                raise found.problem
            if isinstance(found, _Finished):
                running -= 1
            else:
                yield found

    def _work(self, kind: str) -> None:
        patience = Patience(self._stop)
        try:
            while (part := self._next(kind)) is not None:
                for found in self._ask(part, patience):
                    self._put(found)
            self._put(_Finished())
        except Stopped:
            pass
        except BaseException as problem:
            self._put_failure(problem)
        finally:
            connection.close()

    def _next(self, kind: str) -> P | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._parts[kind], None)

    def _put(self, found: F | _Failed | _Finished) -> None:
        while True:
            if self._stop.is_set():
                raise Stopped
            try:
                return self._found.put(found, timeout=_LOOK_S)
            except queue.Full:
                continue

    def _put_failure(self, problem: BaseException) -> None:
        try:
            self._put(_Failed(problem))
        except Stopped:
            log.info("stopped while failing: %s", type(problem).__name__)

    def _drain(self) -> None:
        try:
            while True:
                self._found.get_nowait()
        except queue.Empty:
            return
