"""The engine process: chDB in ClickHouse's HTTP protocol, and the JSON services that keep live sets in memory.

It listens on loopback only. Everybody else presents the home's engine secret, as password of user `default` or as a
bearer token. With an external ClickHouse (`HETANG_CLICKHOUSE_URL`) it runs the services alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
import os
import signal
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from hetang.platform import chdb_front, environment, metric_files, signals
from hetang.platform.clickhouse import DATABASE, USER
from hetang.platform.engine_client import ServiceError

__all__ = ["Service", "ServiceError", "run"]

log = logging.getLogger(__name__)


class Service(Protocol):
    """A named object in the engine process; it may also have `start()` and `stop()`."""

    def handle(self, verb: str, payload: dict[str, Any]) -> dict[str, Any]: ...


class Server(socketserver.ThreadingTCPServer):
    """Loopback HTTP server over one chDB front (None with an external ClickHouse) and the mounted services."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    front: chdb_front.Front | None
    services: dict[str, Service]
    secret: str
    ready: bool

    def __init__(self, port: int, secret: str) -> None:
        self.front, self.services, self.secret, self.ready = None, {}, secret, False
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection; requests follow each other on it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a delayed ACK cost 40 ms per call
    server: Server

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._reply(*((200, b"Ok.\n") if self.server.ready else (503, b"Starting\n")))
        else:
            self.do_POST()

    def do_POST(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        params = dict(parse_qsl(url.query, keep_blank_values=True))
        service, _, verb = url.path.strip("/").partition("/")
        if not self._authenticated(params):
            self._refuse(401, 516, "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
        elif not self.server.ready:
            self._answer(503, {"code": "starting", "detail": "the engine is starting"})
        elif service:
            self._serve(service, verb, body)
        elif self.server.front is None:
            self._refuse(404, 1000, "this engine runs the set services only; ClickHouse is elsewhere")
        else:
            self._query(self.server.front, params, body)

    def _serve(self, name: str, verb: str, body: bytes) -> None:
        service = self.server.services.get(name)
        if service is None:
            self._answer(404, {"code": "unknown_service", "detail": name})
            return
        try:
            self._answer(200, service.handle(verb, json.loads(body or b"{}")))
        except ServiceError as refused:
            self._answer(422, {"code": refused.code, "detail": refused.detail})
        except Exception as problem:
            log.exception("service %s failed at %s", name, verb)
            self._answer(500, {"code": "internal", "detail": str(problem)})
        finally:
            _close_connections()

    def _query(self, front: chdb_front.Front, params: dict[str, str], body: bytes) -> None:
        try:
            body = chdb_front.decoded(body, self.headers.get("Content-Encoding", ""))
            content_type = self.headers.get("Content-Type", "")
            if content_type.startswith("multipart/form-data"):
                params.update(chdb_front.form_fields(content_type, body))
                body = b""
            answer = front.execute(params, body)
        except chdb_front.QueryError as refused:
            self._refuse(500, refused.code, str(refused))
        except ValueError as problem:
            self._refuse(400, 1000, str(problem))
        else:
            self._reply(200, answer.body, {"X-ClickHouse-Summary": json.dumps(answer.summary)})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)

    def _authenticated(self, params: dict[str, str]) -> bool:
        given = params.get("password") or self.headers.get("X-ClickHouse-Key") or ""
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            given = value
        elif scheme == "Basic":
            given = _basic_password(value)
        return hmac.compare_digest(given.encode(), self.server.secret.encode())

    def _answer(self, status: int, payload: dict[str, Any]) -> None:
        self._reply(status, json.dumps(payload, separators=(",", ":")).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: int, text: str) -> None:
        self._reply(status, text.encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """One write for head and body."""
        head = {
            "Content-Type": "text/plain; charset=utf-8",
            "X-ClickHouse-Server-Display-Name": "hetang",
            "X-ClickHouse-Timezone": "UTC",
            **(headers or {}),
            "Content-Length": str(len(body)),
        }
        lines = [
            f"HTTP/1.1 {status} {self.responses[status][0]}",
            *(f"{name}: {value}" for name, value in head.items()),
        ]
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: queries may name people."""


def run(port: int) -> int:
    """Serve until SIGTERM or SIGINT. Returns the process's exit code."""
    os.environ["TZ"] = "UTC"
    metric_files.begin()
    server = Server(port, environment.secrets_of_home().engine)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    external = environment.clickhouse_urls()
    os.environ["HETANG_SETS_URL"] = address
    os.environ["HETANG_CLICKHOUSE_URL"] = os.environ.get("HETANG_CLICKHOUSE_URL") or address  # may be set empty
    stopping = signals.Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 5.0}, daemon=True).start()
    if not external:
        server.front = chdb_front.Front(environment.home() / "clickhouse", DATABASE)
    server.services = _mount()
    server.ready = True  # before start(): services may query the front while they load
    _each(server.services, "start")
    log.info("engine answers at %s%s", address, "" if server.front else " (services only)")
    stopping.wait()
    _each(server.services, "stop")
    if server.front is not None:
        server.front.close()
    return 0


def _mount() -> dict[str, Service]:
    from django.conf import settings

    services = {}
    for name, dotted in settings.ENGINE_SERVICES.items():
        module, _, factory = dotted.partition(":")
        services[name] = getattr(import_module(module), factory)()
    return services


def _each(services: dict[str, Service], hook: str) -> None:
    for service in services.values():
        getattr(service, hook, lambda: None)()


def _basic_password(encoded: str) -> str:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password if user == USER else ""


def _close_connections() -> None:
    """Handler threads live as long as their client's connection; they must not each hold one to PostgreSQL."""
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.close()
