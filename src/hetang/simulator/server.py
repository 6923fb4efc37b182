"""The simulator's process: WeCom below `/cgi-bin/`, its own API below `/simulator/`, on loopback.

Standard library only on the way in: a process that idles in about 30 MB. `main` is what `hetang simulate` runs.
"""

from __future__ import annotations

import argparse
import hmac
import logging
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Sequence
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

# The routing tables fill themselves when these are imported.
from hetang.simulator import calls, pages, reports, transfers, uploads  # noqa: F401
from hetang.simulator.acts import (  # noqa: F401
    chats,
    chatting,
    codes,
    growing,
    handing,
    links,
    people,
    seeding,
    service_chats,
    signing,
    staffing,
    tagging,
    tasks,
)
from hetang.simulator.administration import HANDLERS, Running
from hetang.simulator.apis import (  # noqa: F401
    acquisition_links,
    address_tags,
    app_messages,
    behaviour,
    contact_ways,
    contacts,
    corp_tags,
    customer_service,
    directory,
    directory_changes,
    group_statistics,
    group_transfers,
    group_welcome,
    groups,
    identities,
    intercept_rules,
    join_ways,
    media,
    message_results,
    messages,
    moments,
    oauth,
    product_album,
    remarks,
    served,
    staff_chats,
    tickets,
    tokens,
    welcomes,
)
from hetang.simulator.callbacks import Deliverer
from hetang.simulator.clicks import Clicker
from hetang.simulator.errors import AdminError, WeComError
from hetang.simulator.faults import Fault, Faults
from hetang.simulator.limits import Limiter
from hetang.simulator.orders import Poster
from hetang.simulator.state import State
from hetang.simulator.world import World

log = logging.getLogger(__name__)
MAX_BODY = 32 << 20
_TICK_S = 5.0


class Server(ThreadingHTTPServer):
    """One thread per connection; connections are kept alive."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], running: Running, secret: str) -> None:
        self.running = running
        self.secret = secret
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
        log.debug("connection of %s broke", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """Reads a request, finds its handler, writes one JSON answer in one packet."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 75
    server: Server

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *arguments: object) -> None:
        """Addresses carry tokens: nothing is logged."""

    def _answer(self, method: str) -> None:
        place = urlsplit(self.path)
        body = self._body()
        if body is None:
            return
        path = place.path.rstrip("/")
        if path == "/healthz":
            self._write(200, {"ok": True})
        elif path.startswith("/cgi-bin/"):
            self._wecom(method, path.removeprefix("/cgi-bin/"), dict(parse_qsl(place.query)), body)
        elif path.startswith("/simulator/"):
            self._admin(path.removeprefix("/simulator/"), body)
        else:
            self._page(pages.Visit(method, path, dict(parse_qsl(place.query)), body, *self._headers()))

    def _headers(self) -> tuple[str, str]:
        return self.headers.get("Host", ""), self.headers.get("Cookie", "")

    def _page(self, visit: pages.Visit) -> None:
        page = pages.answer(self.server.running, self.server.secret, visit)
        if page is None:
            self._write(404, {"error": "no such path"})
            return
        self.send_response(page.status)
        for name, value in {"Content-Type": page.kind, "Content-Length": str(len(page.body)), **page.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page.body)
        self.wfile.flush()

    def _body(self) -> bytes | None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            self._write(413, {"error": "body is missing its length or too large"})
            return None
        return self.rfile.read(length)

    def _wecom(self, method: str, path: str, query: dict[str, str], body: bytes) -> None:
        route = calls.ROUTES.get(path)
        if route is None:
            self._write(404, {"error": "the simulator does not speak this API yet"})
            return
        fault = self.server.running.faults.take(path)
        if fault is not None and self._fails_before(fault):
            return
        try:
            with self.server.running.limiter.admitted(path, self.client_address[0]):
                if fault is not None and fault.kind == "slow":
                    time.sleep(fault.seconds)
                upload = self._upload(body) if path.startswith("media/") else None
                found = calls.run(
                    route,
                    self.server.running.state,
                    method,
                    query=query,
                    body=body,
                    address=self.client_address[0],
                    host=self.headers.get("Host", ""),
                    upload=upload,
                )
            if calls.FILE in found and (fault is None or fault.kind == "slow"):
                self._file(found[calls.FILE])
                return
            answer = {"errcode": 0, "errmsg": "ok", **found}
        except WeComError as problem:
            answer = self._refusal(problem)
        if fault is not None and fault.kind == "drop_after":
            self._drop()
            return
        self._write(200, answer)

    def _fails_before(self, fault: Fault) -> bool:
        """Carry out a fault that comes before the work. Returns whether the call is over."""
        if fault.kind == "drop_before":
            self._drop()
            return True
        if fault.kind == "error":
            self._write(200, self._refusal(WeComError(fault.code)))
            return True
        return False

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _refusal(self, problem: WeComError) -> dict[str, Any]:
        hint = f"[{int(time.time())}_1_{secrets.token_hex(16)}]"
        more = f"more info at https://open.work.weixin.qq.com/devtool/query?e={problem.code}"
        text = f"{problem.text}, hint: {hint}, from ip: {self.client_address[0]}, {more}"
        return {"errcode": problem.code, "errmsg": text}

    def _upload(self, body: bytes) -> calls.Upload | None:
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/"):
            return None
        message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        for part in message.iter_parts():
            if part.get_param("name", header="content-disposition") == "media":
                content = part.get_payload(decode=True)
                return calls.Upload(part.get_filename() or "", content if isinstance(content, bytes) else b"")
        return None

    def _file(self, found: calls.Download) -> None:
        """The whole file, or the part of it that `Range` asks for (206)."""
        content, status = found.content, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and int(asked[1]) < len(content):
            first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
            status, whole = 206, len(content)
            content = content[first : last + 1]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{whole}")
        self.send_header("Content-Type", found.kind)
        self.send_header("Content-Disposition", f'attachment; filename="{quote(found.name)}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _admin(self, name: str, body: bytes) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.server.secret.encode()):
            self._write(401, {"error": "the bearer secret is wrong"})
            return
        handler = HANDLERS.get(name)
        if handler is None:
            self._write(404, {"error": f"there is no /simulator/{name}"})
            return
        try:
            payload = msgspec.json.decode(body) if body.strip() else {}
            if not isinstance(payload, dict):
                raise AdminError(400, "the body must be a JSON object")
            self._write(200, handler(self.server.running, payload))
        except (msgspec.DecodeError, ValueError, TypeError) as problem:
            self._write(400, {"error": str(problem)})
        except WeComError as problem:
            self._write(400, {"error": str(problem)})
        except AdminError as problem:
            self._write(problem.status, {"error": str(problem)})

    def _write(self, status: int, answer: dict[str, Any]) -> None:
        content = msgspec.json.encode(answer)
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        if "errcode" in answer:
            self.send_header("error-code", str(answer["errcode"]))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT. The secret comes from the home, never from the command line."""
    parser = argparse.ArgumentParser(prog="hetang simulate", description="A simulated WeCom.")
    parser.add_argument("--home", type=Path, help="data directory (default: HETANG_HOME)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8791, help="0 takes a free one and prints it")
    parser.add_argument("--play", action="store_true", help="print the address of the page to play on")
    parser.add_argument("--grow", choices=list(growing.SIZES), help="found a corp of that size, if there is none yet")
    options = parser.parse_args(argv)
    if options.home is not None:
        os.environ["HETANG_HOME"] = str(options.home)
    from hetang.platform import environment

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    state = State(environment.ensure_home() / "simulator")
    follow(state, os.environ.get("HETANG_WEB_URL", ""), os.environ.get("HETANG_PUBLIC_URL", ""))
    running = Running(state, World(state), Faults(), Limiter(state), Poster(state), Clicker(state))
    server = Server((options.host, options.port), running, environment.secrets_of_home().simulator)
    address = f"http://{options.host}:{server.server_address[1]}"
    print(f"simulated WeCom on {address}", flush=True)
    if options.grow:
        _found(running, options.grow)
    if options.play:
        print(_told(running, address, server.secret), flush=True)
    _serve(server, running)
    state.close()
    return 0


def _found(running: Running, size: str) -> None:
    if running.state.value("corpid"):
        return
    HANDLERS["corp"](running, {"name": "荷塘模拟企业", "apps": [{"agentid": 1000002, "name": "Simulated app"}]})
    HANDLERS["grow"](running, {"size": size})


def _told(running: Running, address: str, secret: str) -> str:
    """What a developer needs to point a client here."""
    with running.state.transaction() as db:
        apps = db.execute("select agentid, secret from app order by agentid").fetchall()
    lines = [f"  play on      {address}/play?key={secret}", f"  base URL     {address}/cgi-bin/"]
    lines += [f"  corpid       {running.state.value('corpid', '(none yet: POST /simulator/corp, or --grow small)')}"]
    lines += [f"  app {row['agentid']}  secret {row['secret']}" for row in apps]
    return "\n".join(lines)


def follow(state: State, web_url: str, public_url: str = "") -> None:
    """Hetang may listen on another port than when the world was seeded: the supervisor says where it is now."""
    target = state.value("hetang")
    if not web_url or not target:
        return
    state.keep("hetang", {**target, "url": web_url, "public_url": public_url})
    with state.transaction() as db:
        for app in db.execute("select agentid, callback_url from app where callback_url != ''").fetchall():
            address = web_url.rstrip("/") + urlsplit(app["callback_url"]).path
            db.execute("update app set callback_url = ? where agentid = ?", [address, app["agentid"]])


def _serve(server: Server, running: Running) -> None:
    stopped = threading.Event()
    threads = [
        threading.Thread(target=Deliverer(running.state).run, args=[stopped], name="callbacks", daemon=True),
        threading.Thread(target=running.poster.run, args=[stopped], name="orders", daemon=True),
        threading.Thread(target=running.clicker.run, args=[stopped], name="clicks", daemon=True),
        threading.Thread(target=_tick, args=[running, stopped], name="time", daemon=True),
    ]
    for thread in threads:
        thread.start()

    def stop(_signal: int, _frame: object) -> None:
        stopped.set()
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.5)
    running.state.notify()
    for thread in threads:
        thread.join(timeout=5)
    server.server_close()


def _tick(running: Running, stopped: threading.Event) -> None:
    """What the platform does by itself when its time has come; people act where the world is set to run."""
    while not stopped.wait(_TICK_S):
        uploads.work(running.state)
        if running.state.settings.running:
            running.world.catch_up()
            continue
        with running.state.transaction() as db:
            done = transfers.settle(running.state, db, running.state.now())
        if done:
            running.state.notify()
