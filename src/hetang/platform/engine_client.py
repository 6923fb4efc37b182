"""Calls to the JSON services of the engine process (sets, previews): one kept connection per thread."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any
from urllib.parse import urlsplit

from hetang.platform import environment


class EngineUnavailable(Exception):
    """The engine process does not answer (starting, restarting, or stopped). Trying again later may help."""


class ServiceError(Exception):
    """A service refused a call: `code` is for programs, `detail` for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


_thread = threading.local()


class _Connection(http.client.HTTPConnection):
    """Ends with its thread: the socket alone would be left to the collector, which complains."""

    def __del__(self) -> None:
        self.close()


def call(service: str, verb: str, payload: dict[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    """Ask `service` to do `verb`; about 0.5 ms on top of its own work.

    A call over a kept connection that the engine closed meanwhile (it restarted) is repeated once, so verbs must be
    idempotent. Raises EngineUnavailable, or ServiceError as the service raised it.
    """
    body = json.dumps(payload, separators=(",", ":")).encode()
    kept = _kept_connection()
    if kept is not None:
        try:
            return _exchange(kept, service, verb, body, timeout_s)
        except (http.client.HTTPException, ConnectionError):
            forget()
        except OSError as problem:  # a timeout: the engine is there, so repeating would only add to its work
            forget()
            raise EngineUnavailable(str(problem)) from problem
    try:
        return _exchange(_new_connection(), service, verb, body, timeout_s)
    except (http.client.HTTPException, OSError) as problem:
        forget()
        raise EngineUnavailable(str(problem)) from problem


def forget() -> None:
    """Close this thread's connection (after an error, or when the engine's address changed)."""
    connection = _kept_connection()
    if connection is not None:
        connection.close()
    _thread.connection = None


def _kept_connection() -> http.client.HTTPConnection | None:
    connection: http.client.HTTPConnection | None = getattr(_thread, "connection", None)
    if connection is not None and _thread.address != environment.sets_url():
        connection.close()
        return None
    return connection


def _new_connection() -> http.client.HTTPConnection:
    address = environment.sets_url()
    if not address:
        raise EngineUnavailable("HETANG_SETS_URL is not set: this process was not started by `hetang up`")
    parts = urlsplit(address)
    _thread.connection = _Connection(parts.hostname or "127.0.0.1", parts.port)
    _thread.address = address
    connection: http.client.HTTPConnection = _thread.connection
    return connection


def _exchange(
    connection: http.client.HTTPConnection, service: str, verb: str, body: bytes, timeout_s: float
) -> dict[str, Any]:
    connection.timeout = timeout_s
    if connection.sock is not None:
        connection.sock.settimeout(timeout_s)
    headers = {
        "Authorization": f"Bearer {environment.secrets_of_home().engine}",
        "Content-Type": "application/json",
    }
    connection.request("POST", f"/{service}/{verb}", body=body, headers=headers)
    response = connection.getresponse()
    answer = json.loads(response.read() or b"{}")
    if response.status == http.client.SERVICE_UNAVAILABLE:
        raise EngineUnavailable(answer.get("detail", "the engine is starting"))
    if response.status != http.client.OK:
        raise ServiceError(answer.get("code", str(response.status)), answer.get("detail", ""))
    return dict(answer)
