"""The share of the machine that work gets for which nobody waits: less than pages, callbacks and welcomes.

Where Linux groups processes by session (`autogroup`), it shares the cores among sessions first, and PostgreSQL makes
each connection's process a session of its own: a job with ten connections gets eleven shares and the web process one.
So a job lowers its own session, and those of its connections where PostgreSQL runs beside us under our own user.
Another server's processes are left alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from django.db.backends.signals import connection_created

BEHIND = 10  # nice: about a tenth of what somebody at 0 gets while both want to run
_PROC = Path("/proc")


def step_back() -> None:
    """Lower this process, and every database connection that it opens from now on. Call it before threads are started:
    they take after the one that starts them."""
    lower(os.getpid(), BEHIND)
    connection_created.connect(lower_backend, dispatch_uid="hetang.priority")


def lower_backend(connection: Any, **_: object) -> None:
    """Lower the server's process of a connection by socket, whose server is on this machine."""
    info = connection.connection.info
    if info.host.startswith("/"):
        lower(info.backend_pid, BEHIND, called="postgres")


def lower(pid: int, nice: int, called: str = "") -> None:
    """Give a process no more than the share of `nice`, and its session too if it leads one.

    `called`: how its command must begin, since a process id that somebody else tells may be one of another namespace.
    What the system does not allow stays as it is: this is a courtesy, no rule.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        if called and not (_PROC / str(pid) / "cmdline").read_bytes().startswith(called.encode()):
            return
        nice = max(nice, os.getpriority(os.PRIO_PROCESS, pid))
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        if os.getsid(pid) == pid:
            (_PROC / str(pid) / "autogroup").write_text(str(nice))
