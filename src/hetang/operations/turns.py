"""How many requests a web process works out at a time, and over which connections.

Pages and batches of facts need the interpreter: more of them side by side take longer each, so `HETANG_WEB_THREADS` of
them have a turn and the others wait for one. Calls of machines (`DIRECT_PATHS`) mostly wait for the disk, the more of
them the better for each commit: they need no turn, nor do probes and static files, and the process has further threads
for them.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Turns:
    """A WSGI application that lets `count` requests at a time into another one.

    A turn has a database connection, and the one that came back last is taken first: were each thread to have its own,
    pages would meet four times as many servers of PostgreSQL, few of which had seen a table before. Connections are
    looked after as everywhere in Django, at the beginning of a request.
    """

    def __init__(self, application: Application, count: int) -> None:
        from hetang.operations import probes  # its models want a Django that is set up

        self._application = application
        self._free = (*settings.DIRECT_PATHS, *probes.PROBES, settings.STATIC_URL)
        self._turns: queue.LifoQueue[BaseDatabaseWrapper] = queue.LifoQueue()
        for _ in range(count):
            connection = connections.create_connection("default")
            connection.inc_thread_sharing()  # by one thread at a time
            self._turns.put(connection)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(self._free):
            return self._application(environ, start_response)
        connection, before = self._turns.get(), connections["default"]
        connections["default"] = connection
        try:
            return self._application(environ, start_response)
        finally:
            connections["default"] = before
            self._turns.put(connection)
