"""Where the work of this thread came from: a request, a user, a job. The audit and the logs name it.

It imports no Django, because logging is set up before there are models.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Where the current work came from: the request's id and the caller's address, or the number of the job."""

    request_id: str = ""
    address: str | None = None
    job_run_id: int | None = None


origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 - frozen
user_id: ContextVar[int | None] = ContextVar("user_id", default=None)
