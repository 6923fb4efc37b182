"""Avatars: wished for by a page, fetched from known hosts only, kept small and sealed, gone with the person."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from hetang.connectors.wecom import avatars
from hetang.connectors.wecom.models import App, Avatar, Corp
from hetang.customers.models import Customer, Identity
from hetang.platform import clock
from hetang.platform.sealing import unseal
from tests.simulator.world import World

CORP = Corp(base_url="https://qyapi.weixin.qq.com")


@pytest.fixture
def known(app: App, world: World) -> list[int]:
    """Two customers of the simulated corp, and one that it does not know."""
    now = clock.now()
    for number, key in enumerate([*world.people[:2], "wmnobody"], 1):
        customer = Customer.objects.create(number=number, created_at=now)
        Identity.objects.create(
            kind="external_userid", key=key, customer=customer, evidence_number=number, first_seen_at=now
        )
    return [1, 2, 3]


def test_who_is_looked_at_has_one_at_the_next_look(known: list[int], world: World) -> None:
    assert avatars.kept_of(known, wish=False) == set()
    assert not Avatar.objects.exists()
    assert avatars.kept_of(known, wish=True) == set()
    avatars.kept_of(known, wish=True)  # wishing twice is wishing once
    assert Avatar.objects.count() == 3
    avatars.run_once()
    assert avatars.kept_of(known, wish=True) == {1, 2}
    kept = Avatar.objects.get(external_userid=world.people[0])
    assert b"JFIF" not in bytes(kept.picture or b"")
    picture = Image.open(io.BytesIO(unseal(kept.picture or b"")))
    assert (picture.format, picture.size) == ("JPEG", (96, 96))
    assert avatars.picture_of(1) == unseal(kept.picture or b"")
    assert Avatar.objects.get(external_userid="wmnobody").state == Avatar.NONE
    assert avatars.picture_of(3) is None


def test_an_outage_is_tried_again_later(known: list[int], world: World) -> None:
    avatars.kept_of(known[:1], wish=True)
    world.admin.fault("drop_before", "externalcontact/get", times=3)
    assert avatars.run_once() > 0
    one = Avatar.objects.get()
    assert (one.state, one.tries) == (Avatar.WANTED, 1)
    assert one.again_at is not None
    assert one.again_at > clock.now()
    assert avatars.run_once() > 0
    Avatar.objects.update(again_at=None)
    avatars.run_once()
    assert Avatar.objects.get().state == Avatar.KEPT


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("http://wx.qlogo.cn/mmhead/a/0", "https://wx.qlogo.cn/mmhead/a/0"),
        ("https://wework.qpic.cn/b?x=1", "https://wework.qpic.cn/b?x=1"),
        ("https://evilqlogo.cn/a", None),
        ("https://qlogo.cn.evil.example/a", None),
        ("https://wx.qlogo.cn:8443/a", None),
        ("https://127.0.0.1/a", None),
        ("file:///etc/passwd", None),
        ("https://user@169.254.169.254/a", None),
        ("http://[::1", None),
        ("", None),
    ],
)
def test_only_the_hosts_of_wecoms_pictures_are_asked(told: str, asked: str | None) -> None:
    found = avatars.address_of(CORP, told)
    assert (found[0] if found else None) == asked
    assert found is None or not found[1]  # nothing inside our own network


def test_the_simulator_is_asked_for_a_simulated_corp_only() -> None:
    told = "http://127.0.0.1:9/pictures/avatar/x.png"
    assert avatars.address_of(Corp(base_url="http://127.0.0.1:9", simulated=True), told) is not None
    assert avatars.address_of(Corp(base_url="http://127.0.0.1:9", simulated=False), told) is None
    assert avatars.address_of(Corp(base_url="http://127.0.0.1:8", simulated=True), told) is None


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {
            "/html": (200, b"<html><script>alert(1)</script>"),
            "/large": (200, b"\x89PNG" + b"0" * (avatars.MOST_BYTES + 9)),
            "/moved": (302, b""),
            "/away": (503, b""),
            "/gone": (404, b""),
        }[self.path]
        self.send_response(status)
        self.send_header("Location", "/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.mark.parametrize(
    ("path", "outcome"),
    [("html", "none"), ("large", "none"), ("moved", "none"), ("gone", "none"), ("away", "again")],
)
def test_what_is_no_picture_is_not_kept(server: str, path: str, outcome: str) -> None:
    corp = Corp(base_url=server, simulated=True)
    assert avatars._fetch(corp, Avatar(), f"{server}/{path}").outcome == outcome


def test_who_is_erased_while_it_is_fetched_has_none(known: list[int]) -> None:
    avatars.kept_of(known[:1], wish=True)
    row = Avatar.objects.get()
    Avatar.objects.all().delete()
    avatars._note([avatars._Found(row, "kept", b"x")])
    assert not Avatar.objects.exists()
