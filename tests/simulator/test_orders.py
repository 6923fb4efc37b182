"""Orders and visits reach Hetang's public API: in batches, again until acknowledged, wherever it has moved."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hetang.simulator.admin import SimulatorAdmin
from hetang.simulator.server import follow
from hetang.simulator.state import State
from tests.simulator.test_population import DAY, grow


@dataclass
class Receiver:
    """Stands where Hetang would: answers the given statuses first, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    authorization: str = ""

    def take(self, path: str, authorization: str, body: bytes) -> int:
        assert path == "/api/v1/facts"
        self.authorization = authorization
        batch = json.loads(body)
        self.batches.append(batch)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.keys |= {fact["key"] for fact in batch["facts"]}
        return status


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    own = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(own.take(self.path, self.headers["Authorization"], body))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    own.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield own
    server.shutdown()
    thread.join()
    server.server_close()


def test_batches_until_acknowledged(admin: SimulatorAdmin, receiver: Receiver) -> None:
    receiver.statuses = [503, 401]
    grow(admin, 2000, 0.2)
    admin.hetang(receiver.url, "htk_key")
    bought = admin.advance(2 * DAY)["bought"]
    admin.wait_until_posted(30)
    assert receiver.authorization == "Bearer htk_key"
    assert max(len(batch["facts"]) for batch in receiver.batches) == 1000
    assert {batch["source"] for batch in receiver.batches} == {"simulator"}
    # The refused batch came again, whole and first.
    assert receiver.batches[0] == receiver.batches[1] == receiver.batches[2]
    assert len([key for key in receiver.keys if key.startswith("order-")]) == bought
    assert all(order["posted_at"] for order in admin.orders(10_000))


def test_a_wholly_refused_batch_does_not_block(admin: SimulatorAdmin, receiver: Receiver) -> None:
    receiver.statuses = [422]  # Hetang has kept the facts as held ones
    grow(admin, 50, 0.5)
    admin.hetang(receiver.url, "htk_key")
    admin.advance(DAY)
    admin.wait_until_posted(30)
    assert len(receiver.batches) == 1


def test_unreachable_is_said_and_waited_for(admin: SimulatorAdmin, receiver: Receiver) -> None:
    grow(admin, 50, 0.5)
    admin.hetang("http://127.0.0.1:9", "htk_key")
    admin.advance(DAY)
    deadline = time.monotonic() + 10
    while not (problem := admin.status()["outbox"]["problem"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert problem == "ConnectionRefusedError"
    admin.hetang(receiver.url, "htk_key")
    admin.wait_until_posted(30)
    assert receiver.keys


def test_hetang_at_another_port(tmp_path: Path) -> None:
    state = State(tmp_path)
    follow(state, "http://127.0.0.1:8001")  # nothing is known yet
    assert state.value("hetang") is None
    state.keep("hetang", {"url": "http://127.0.0.1:8000", "api_key": "k", "source": "simulator"})
    with state.transaction() as db:
        db.execute(
            "insert into app (agentid, name, secret, callback_url) values (1, '', 's', 'http://127.0.0.1:8000/wecom/x')"
        )
    follow(state, "http://127.0.0.1:8001")
    assert state.value("hetang")["url"] == "http://127.0.0.1:8001"
    with state.transaction() as db:
        assert db.execute("select callback_url from app").fetchone()[0] == "http://127.0.0.1:8001/wecom/x"
    state.close()
