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
    echo_tail: bytes = b""


@pytest.fixture
def receiver(world: World) -> Iterator[Receiver]:
    own = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            answer = crypto.decrypt(AES_KEY, query["echostr"])[0].encode() + own.echo_tail
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

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


def test_several_senders_deliver_each_event_once(world: World, receiver: Receiver) -> None:
    world.admin.settings(callback_senders=4)
    people = world.admin.people({"key": f"n{n}", "name": "N"} for n in range(40))
    for person in people:
        world.admin.relate("add", "bo", person)
    wait_for(world, "delivered", 40)
    told = [
        crypto.decrypt(AES_KEY, re.findall(r"<Encrypt><!\[CDATA\[(.*?)\]\]>", body)[0])[0] for _, body in receiver.came
    ]
    assert sorted(re.findall(r"<ExternalUserID><!\[CDATA\[(.*?)\]\]>", one)[0] for one in told) == sorted(people)


def test_the_address_is_checked_as_when_it_is_saved(world: World, receiver: Receiver) -> None:
    assert world.admin.call("check_callback", {})["problem"] == ""
    receiver.echo_tail = b"\n"
    assert world.admin.call("check_callback", {})["problem"] == "the answer is not the decrypted text alone"
