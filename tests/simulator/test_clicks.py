"""Customers open the links of messages: the drawn share, at Hetang's base only, none lost and none new after a kill."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hetang.simulator.admin import SimulatorAdmin
from hetang.simulator.clicks import link_of, path_below
from tests.simulator.process import SimulatorProcess
from tests.simulator.test_population import DAY, grow
from tests.simulator.world import World

BASE = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (f"{BASE}/l/a1B2", "/l/a1B2"),
        (f"{BASE}/l/a1B2?x=1#y", "/l/a1B2"),
        ("https://127.0.0.1:8000/l/a", None),
        ("http://127.0.0.1:8001/l/a", None),
        ("http://127.0.0.1:8000.evil.example/l/a", None),
        ("http://user@127.0.0.1:8000/l/a", None),
        ("http://127.0.0.1:8000/l/../api", None),
        ("file:///etc/passwd", None),
        ("javascript:alert(1)", None),
        ("http://127.0.0.1:port/l/a", None),
        ("http://[::1/l/a", None),
    ],
)
def test_only_addresses_of_hetang_are_links(address: str, path: str | None) -> None:
    assert path_below(address, BASE) == path


def test_the_link_is_found_in_card_or_text() -> None:
    card = {"msgtype": "link", "link": {"title": "T", "url": f"{BASE}/l/card"}}
    assert link_of(f"看这里{BASE}/l/text。", [card], BASE) == "/l/card"
    assert link_of(f"看这里 {BASE}/l/text。明天", [{"msgtype": "image", "image": {}}], BASE) == "/l/text"
    assert link_of("https://elsewhere.example/l/x", [], BASE) is None
    assert link_of("https://shop.example/h/l/x", [], "https://shop.example/h/") == "/l/x"


@dataclass
class Site:
    """Stands where Hetang would: counts who opened what, and redirects elsewhere."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    opened: list[tuple[str, str, str]] = field(default_factory=list)  # (path, key, address)
    told: list[dict[str, Any]] = field(default_factory=list)  # facts
    slow_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, handler: BaseHTTPRequestHandler) -> int:
        time.sleep(self.slow_s)
        with self.lock:
            if self.statuses:
                return self.statuses.pop(0)
            key = handler.headers["Idempotency-Key"]
            self.opened.append((handler.path, key, str(handler.client_address[0])))
            return 302

    @property
    def keys(self) -> Counter[str]:
        with self.lock:
            return Counter(key for _path, key, _address in self.opened)


@pytest.fixture
def site() -> Iterator[Site]:
    own = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(own.take(self))
            self.send_header("Location", "http://127.0.0.1:9/never")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            own.told += json.loads(self.rfile.read(int(self.headers["Content-Length"])))["facts"]
            self.send_response(200)
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


def sent(world: World, site: Site, people: int, **settings: Any) -> list[str]:
    """A message with a link of `site`, confirmed by its sender."""
    admin = world.admin
    admin.settings(**{"click_rate": 0.2, "click_delay_s": 3600.0, **settings})
    external = grow(admin, people, 0.0)
    admin.hetang(site.url, "htk_key")
    world.send("anna", external, f"hello {site.url}/l/abc")
    admin.confirm()
    return external


def test_the_drawn_share_opens_as_time_passes(world: World, site: Site) -> None:
    external = sent(world, site, 1000)
    assert world.admin.clicks() == {"opened": 0, "answered": 0, "statuses": {}}
    assert 40 < world.admin.advance(3600)["clicked"] < 160  # half of those who open do so in the first hour
    world.admin.advance(DAY)
    world.admin.wait_until_posted(30)
    opened = world.admin.clicks("/l/abc")["opened"]
    assert 150 < opened < 250  # 200 expected, standard deviation 13
    assert world.admin.clicks() == {"opened": opened, "answered": opened, "statuses": {"302": opened}}
    assert sorted(site.keys.values()) == [1] * opened
    assert {path for path, _key, _address in site.opened} == {"/l/abc"}
    assert len({address for _path, _key, address in site.opened}) > opened * 0.95
    assert world.admin.tasks()["tasks"][0]["opened"] == opened
    assert (len(external), site.told) == (1000, [])


def test_the_page_behind_a_link_tells_whom_it_knows(world: World, site: Site) -> None:
    external = sent(world, site, 200, click_rate=0.5, known_rate=0.3)
    world.admin.advance(DAY)
    world.admin.wait_until_posted(30)
    assert 15 < len(site.told) < 48  # 30 expected of 100 openings, standard deviation 5
    opened = set(site.keys)
    assert {(fact["kind"], fact["body"]["link"]) for fact in site.told} == {("click.identified", "abc")}
    assert {fact["key"].removeprefix("click-") for fact in site.told} <= opened
    people = {(one["kind"], one["value"]) for fact in site.told for one in fact["who"]}
    assert len({fact["key"] for fact in site.told}) == len(site.told) == len(people)
    assert {value for kind, value in people if kind == "external_userid"} <= set(external)


def test_nobody_opens_what_did_not_reach_her_or_leads_elsewhere(world: World, site: Site) -> None:
    admin = world.admin
    admin.settings(click_rate=1.0, monthly_cap=1)
    external = grow(admin, 20, 0.0)
    admin.hetang(site.url, "htk_key")
    world.send("anna", external[:10], "http://127.0.0.1:9/l/elsewhere")
    admin.confirm()
    world.send("anna", external, f"now {site.url}/l/abc")  # the first ten are at their cap
    admin.confirm()
    admin.advance(DAY)
    admin.wait_until_posted(30)
    assert len(site.keys) == 10
    assert admin.received()["received"] == {"1": 20}


def test_public_address_and_trouble(world: World, site: Site) -> None:
    admin = world.admin
    site.statuses = [503, 429]
    admin.settings(click_rate=1.0, click_delay_s=0.0)
    grow(admin, 5, 0.0)
    admin.hetang(site.url, "htk_key", public_url="https://shop.example/h")
    world.send("anna", world.people[:3], "see https://shop.example/h/l/abc")
    admin.confirm()
    admin.advance(60)
    admin.wait_until_posted(30)
    assert [path for path, _key, _address in site.opened] == ["/l/abc"] * 3
    assert admin.status()["clicks"] == {"opened": 3, "waiting": 0, "problem": ""}


def test_killed_at_any_moment_nothing_is_lost_and_nothing_new_is_made(tmp_path: Path, site: Site) -> None:
    process = SimulatorProcess(tmp_path)
    process.start()
    with process.admin() as admin:
        admin.settings(seed=5, click_rate=1.0, click_delay_s=600.0)
        external = grow(admin, 300, 0.0)
        admin.hetang(site.url, "htk_key")
        _send_all(process, admin, external, site)
        admin.advance(7200)
    site.slow_s = 0.002
    for kill in range(4):
        wanted = 40 * (kill + 1)
        deadline = time.monotonic() + 20
        while len(site.keys) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        process.start()
    with process.admin() as admin:
        admin.wait_until_posted(60)
        made = admin.clicks()
    process.stop()
    assert made == {"opened": 300, "answered": 300, "statuses": {"302": 300}}
    assert len(site.keys) == 300
    assert max(site.keys.values()) <= 5  # asked again at most once for each kill, always with the same key


def _send_all(process: SimulatorProcess, admin: SimulatorAdmin, external: list[str], site: Site) -> None:
    import httpx

    corp = admin.corp("Lotus", [], corpid="ww0123456789abcdef")
    with httpx.Client(base_url=f"{process.url}/cgi-bin/", timeout=10) as http:
        world = World(admin, http, corp["corpid"], corp["apps"][0]["secret"], external)
        world.sign_in()
        world.send("anna", external, f"hello {site.url}/l/abc")
        admin.confirm()
