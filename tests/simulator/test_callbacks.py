"""Delivery of callbacks: three tries, then the event is lost; what a receiver gets can be opened with the app's key."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from hetang.simulator import crypto
from tests.simulator.world import AES_KEY, World


@dataclass
class Receiver:
    """Answers the given statuses first, then 200, and keeps what came."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    came: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def receiver(world: World) -> Iterator[Receiver]:
    own = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            own.came.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(own.statuses.pop(0) if own.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    own.url = f"http://127.0.0.1:{server.server_address[1]}/callback"
    app = {"callback_url": own.url, "callback_token": "token123", "callback_aes_key": AES_KEY}
    world.admin.corp("Lotus", [{"agentid": 1000002, **app}])
    yield own
    server.shutdown()
    thread.join()
    server.server_close()


def wait_for(world: World, state: str, count: int) -> None:
    deadline = time.monotonic() + 20
    while world.admin.status()["callbacks"] != {state: count}:
        assert time.monotonic() < deadline, world.admin.status()["callbacks"]
        time.sleep(0.02)


def test_an_event_is_signed_encrypted_and_complete(world: World, receiver: Receiver) -> None:
    world.admin.relate("add", "bo", world.people[0], state="door-7")
    wait_for(world, "delivered", 1)
    ((path, body),) = receiver.came
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    encrypted = re.findall(r"<Encrypt><!\[CDATA\[(.*?)\]\]>", body)[0]
    assert crypto.sign("token123", query["timestamp"], query["nonce"], encrypted) == query["msg_signature"]
    clear, corpid = crypto.decrypt(AES_KEY, encrypted)
    assert corpid == world.corpid
    fields = dict(re.findall(r"<(\w+)><!\[CDATA\[(.*?)\]\]>", clear))
    assert len(fields.pop("WelcomeCode")) >= 32
    assert fields == {
        **{"ToUserName": world.corpid, "FromUserName": "sys", "MsgType": "event", "Event": "change_external_contact"},
        **{"ChangeType": "add_external_contact", "UserID": "bo", "ExternalUserID": world.people[0], "State": "door-7"},
    }


def test_three_tries(world: World, receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    world.admin.relate("delete_by_customer", "anna", world.people[0])
    wait_for(world, "delivered", 1)
    assert len(receiver.came) == 3


def test_then_it_is_lost(world: World, receiver: Receiver) -> None:
    receiver.statuses = [500] * 3
    world.admin.relate("delete_by_staff", "anna", world.people[0])
    wait_for(world, "lost", 1)
    assert len(receiver.came) == 3


def test_silence_counts_as_failure(world: World, receiver: Receiver) -> None:
    world.admin.settings(callback_timeout_s=0.3)
    app = {"callback_url": "http://127.0.0.1:9/", "callback_token": "t", "callback_aes_key": AES_KEY}
    world.admin.corp("Lotus", [{"agentid": 1000002, **app}])
    world.admin.relate("delete_by_staff", "anna", world.people[0])
    wait_for(world, "lost", 1)
