"""Which errors say that something around us is away, and nothing is wrong with what was asked: trying again helps."""

from __future__ import annotations

import errno

import psycopg
from django.db import InterfaceError, OperationalError

from hetang.platform.engine_client import EngineUnavailable

DATABASE, ENGINE, DISK = "database", "engine", "disk"
_GONE = ("08", "57P")  # classes of SQLSTATE: connection lost, server shuts down or starts
_DISK_FULL, _TOO_MANY = "53100", "53300"
_LOST = ("OperationalError", "StreamFailureError")
_DEPTH = 10


def of(problem: BaseException | None) -> str:
    """`database`, `engine` or `disk`; nothing for an error of our own. Looks through the causes of an exception."""
    for _ in range(_DEPTH):
        if problem is None:
            return ""
        found = _one(problem)
        if found:
            return found
        problem = problem.__cause__ or problem.__context__
    return ""


def _one(problem: BaseException) -> str:
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK
    if isinstance(problem, EngineUnavailable) or _of_clickhouse(problem):
        return ENGINE
    if isinstance(problem, (OperationalError, InterfaceError)):
        return _of_state(getattr(problem.__cause__, "sqlstate", None))
    if isinstance(problem, (psycopg.OperationalError, psycopg.InterfaceError)):  # of a cursor that is not Django's
        return _of_state(problem.sqlstate)
    return ""


def _of_state(state: str | None) -> str:
    """Without a state the server said nothing: it could not be reached, or went away."""
    if state == _DISK_FULL:
        return DISK
    if state is None or state == _TOO_MANY or state.startswith(_GONE):
        return DATABASE
    return ""


def _of_clickhouse(problem: BaseException) -> bool:
    """Errors of the way there, by name: importing the client costs what a process may not have paid yet."""
    kind = type(problem)
    lost = kind.__module__.startswith("clickhouse_connect") and kind.__name__ in _LOST
    return lost or kind.__module__.startswith("urllib3")
