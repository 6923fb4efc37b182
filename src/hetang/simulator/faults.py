"""Faults on request: the next calls of an API fail in a chosen way."""

from __future__ import annotations

import threading
from typing import Literal

import msgspec

Kind = Literal["error", "slow", "drop_before", "drop_after"]


class Fault(msgspec.Struct):
    """`error` answers `code` and does nothing; `slow` waits `seconds` first; `drop_before` closes the connection
    undone; `drop_after` does the work and closes the connection without an answer."""

    kind: Kind
    path: str = "*"
    times: int = 1
    code: int = -1
    seconds: float = 0.0


class Faults:
    """What is still to go wrong, in the order asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Ask for a fault."""
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> list[Fault]:
        """What is still to come."""
        with self._lock:
            return list(self._waiting)

    def take(self, path: str) -> Fault | None:
        """The fault for this call, if one waits for its API."""
        with self._lock:
            for fault in self._waiting:
                if fault.path in {"*", path}:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._waiting.remove(fault)
                    return fault
        return None
