"""The connector against a simulator in its own process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test import Client

from hetang.connectors.wecom.models import App
from hetang.connectors.wecom.services import callback_path, connect
from hetang.platform import trust
from hetang.simulator.admin import SimulatorAdmin
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import AES_KEY, World, found
from tests.touch import world as brand_world

PEOPLE = 400
TOKEN = "token123"


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(Path(tmp_path_factory.mktemp("simulator")))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def admin(simulator: SimulatorProcess) -> Iterator[SimulatorAdmin]:
    with simulator.admin() as client:
        client.reset()
        yield client


@pytest.fixture
def world(simulator: SimulatorProcess, admin: SimulatorAdmin) -> Iterator[World]:
    with httpx.Client(base_url=f"{simulator.url}/cgi-bin/", timeout=10, verify=trust.context()) as http:
        yield found(admin, http)


@pytest.fixture
def app(db: None, simulator: SimulatorProcess, world: World) -> App:
    """Hetang connected to the simulated corp."""
    return connect(
        corpid=world.corpid,
        agentid=1000002,
        secret=world.secret,
        name="Lotus",
        base_url=simulator.url,
        callback_token="token123",
        callback_aes_key="abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        simulated=True,
        calls_per_minute=60_000,
        concurrency=1,  # side by side needs committed rows: see the tests marked as transactional
    )


@pytest.fixture
def members(db: None, simulator: SimulatorProcess, admin: SimulatorAdmin) -> list[str]:
    """The same 400 people and 10 advisers on both sides. Returns the external_userids by customer number."""
    staff = brand_world.organisation(5, 2)
    brand_world.people(PEOPLE, staff)
    corp = admin.corp("Lotus", [{"agentid": 1000002}])
    admin.staff({"userid": one.userid, "name": one.name} for one in staff)
    external = admin.people({"key": str(number), "name": f"P{number}"} for number in range(1, PEOPLE + 1))
    admin.relations(
        {
            "userid": staff[number % len(staff)].userid,
            "external_userid": external[number - 1],
            "createtime": 1_700_000_000,
        }
        for number in range(1, PEOPLE + 1)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "update customers_relation r set external_userid = e.value"
            " from unnest(%s::text[]) with ordinality as e(value, number) where r.customer_id = e.number",
            [external],
        )
    connect(
        corpid=corp["corpid"],
        agentid=1000002,
        secret=corp["apps"][0]["secret"],
        base_url=simulator.url,
        simulated=True,
        calls_per_minute=60_000,
    )
    assert App.objects.count() == 1
    return external


@pytest.fixture
def web(app: App) -> Client:
    return Client()


@pytest.fixture
def receiver(web: Client, app: App) -> Iterator[tuple[str, list[Any]]]:
    """Listens where the simulator posts. Requests wait here for the test's own thread, which owns the database."""
    waiting: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            waiting.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}{callback_path(app)}", waiting
    server.shutdown()
    thread.join()
    server.server_close()


class Post:
    """What the simulated WeCom has posted and nobody has taken yet."""

    def __init__(self, web: Client, waiting: list[tuple[str, bytes]]) -> None:
        self._web, self._waiting = web, waiting

    def take(self, count: int) -> list[tuple[str, bytes]]:
        """Wait for so many events, and take all that came."""
        deadline = time.monotonic() + 60
        while len(self._waiting) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self._waiting) >= count
        taken, self._waiting[:] = list(self._waiting), []
        return taken

    def deliver(self, taken: list[tuple[str, bytes]]) -> None:
        """Hand events to Hetang."""
        for path, body in taken:
            assert self._web.post(path, body, content_type="text/xml").status_code == 200


@pytest.fixture
def post_office(web: Client, world: World, receiver: tuple[str, list[Any]]) -> Post:
    """The simulated corp posts its events here."""
    url, waiting = receiver
    callback = {"callback_url": url, "callback_token": TOKEN, "callback_aes_key": AES_KEY}
    world.admin.corp("Lotus", [{"agentid": 1000002, **callback}])
    return Post(web, waiting)
