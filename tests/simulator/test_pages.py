"""Pages for a browser: signing on, playing, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hetang.platform import trust
from tests.simulator.local import SECRET, Corp

TARGET = "http://127.0.0.1:8000/sign-on/back?next=/home"


@pytest.fixture
def browser(corp: Corp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=corp.local.url, timeout=10, verify=trust.context()) as client:
        yield client


def test_signing_on_as_a_member(corp: Corp, browser: httpx.Client) -> None:
    asked = {"appid": corp.corpid, "redirect_uri": TARGET, "state": "s1", "agentid": "1000002"}
    for path in ("/connect/oauth2/authorize", "/wwlogin/sso/login", "/wwopen/sso/qrConnect"):
        page = browser.get(path, params=asked)
        assert (page.status_code, "Anna (anna)" in page.text) == (200, True)
    back = browser.get("/wwlogin/sso/login", params={**asked, "pick": "anna"})
    place = urlsplit(back.headers["Location"])
    query = {name: values[0] for name, values in parse_qs(place.query).items()}
    assert (back.status_code, place.path, query["next"], query["state"]) == (302, "/sign-on/back", "/home", "s1")
    assert corp.call("auth/getuserinfo", code=query["code"])["userid"] == "anna"
    private = browser.get("/connect/oauth2/authorize", params={**asked, "scope": "snsapi_privateinfo", "pick": "bo"})
    code = parse_qs(urlsplit(private.headers["Location"]).query)["code"][0]
    assert "user_ticket" in corp.call("auth/getuserinfo", code=code)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"appid": "wwother"}, "40013"),
        ({"agentid": "7"}, "40056"),
        ({"redirect_uri": "http://evil.example/"}, "50001"),
        ({"redirect_uri": "javascript:alert(1)"}, "50001"),
    ],
)
def test_who_may_send_people_to_sign_on(corp: Corp, browser: httpx.Client, change: dict[str, str], code: str) -> None:
    corp.admin.corp("Lotus", [{"agentid": 1000002, "redirect_domain": "127.0.0.1:8000"}])
    asked = {"appid": corp.corpid, "redirect_uri": TARGET, "agentid": "1000002", "pick": "anna", **change}
    page = browser.get("/wwlogin/sso/login", params=asked)
    assert (page.status_code, code in page.text) == (400, True)


def test_playing_needs_the_secret(corp: Corp, browser: httpx.Client) -> None:
    assert browser.get("/play").status_code == 401
    assert browser.post("/play/scan").status_code == 401
    assert browser.get("/play", params={"key": "wrong"}).status_code == 401


def test_playing(corp: Corp, browser: httpx.Client) -> None:
    way = corp.call("externalcontact/add_contact_way", {"type": 1, "scene": 2, "user": ["bo"], "skip_verify": False})
    msgid = corp.send("anna", corp.people[:1], "<b>tea</b>")
    chat = corp.act("chat_create", owner="anna", name="Tea & co")["chat_id"]
    opened = browser.get("/play", params={"key": SECRET})
    assert (opened.status_code, "HttpOnly; SameSite=Strict" in opened.headers["Set-Cookie"]) == (302, True)
    page = browser.get("/play")
    assert (page.status_code, "&lt;b&gt;tea" in page.text, "Tea &amp; co (1)" in page.text) == (200, True, True)
    assert "script" not in page.headers["Content-Security-Policy"]
    person = corp.people[0]
    scanned = browser.post("/play/scan", data={"config_id": way["config_id"], "external_userid": person})
    assert "done" in scanned.headers["Location"]
    assert "Person 0 → Bo" in browser.get("/play").text
    browser.post("/play/accept", data={"userid": "bo", "external_userid": person})
    browser.post("/play/confirm", data={"msgid": msgid, "userid": "anna"})
    assert corp.statuses(msgid, "anna") == {person: 1}
    browser.post("/play/chat_join", data={"chat_id": chat, "external_userid": person})
    found = corp.call("externalcontact/groupchat/get", {"chat_id": chat})["group_chat"]
    assert [one["userid"] for one in found["member_list"]] == ["anna", person]
    browser.post("/play/relate", data={"action": "delete_by_customer", "userid": "bo", "external_userid": person})
    assert [one["ChangeType"] for one in corp.events() if one["Event"] == "change_external_contact"] == [
        *("add_external_contact", "del_follow_user")
    ]
    before = corp.admin.clock()["offset_s"]
    browser.post("/play/advance", data={"hours": "2"})
    assert corp.admin.clock()["offset_s"] == pytest.approx(before + 7200)


def test_somebody_new_scans(corp: Corp, browser: httpx.Client) -> None:
    way = corp.call("externalcontact/add_contact_way", {"type": 1, "scene": 2, "user": ["bo"]})["config_id"]
    browser.get("/play", params={"key": SECRET})
    for _ in range(2):
        browser.post("/play/scan", data={"config_id": way, "external_userid": "new"})
    added = corp.events()
    assert [one["ChangeType"] for one in added] == ["add_external_contact"] * 2
    names = [
        corp.call("externalcontact/get", external_userid=one["ExternalUserID"])["external_contact"]["name"]
        for one in added
    ]
    assert names == ["新客 1", "新客 2"]


def test_what_cannot_be_done_is_said(corp: Corp, browser: httpx.Client) -> None:
    browser.get("/play", params={"key": SECRET})
    for name, data in (
        ("scan", {"config_id": "none", "external_userid": "x"}),
        ("reset", {}),
        ("advance", {"hours": "x"}),
    ):
        refused = browser.post(f"/play/{name}", data=data)
        assert urlsplit(refused.headers["Location"]).query.startswith("bad=")
    assert corp.admin.status()["counts"]["person"] == 5


def test_pictures(corp: Corp, browser: httpx.Client) -> None:
    for address in (
        corp.call("externalcontact/get", external_userid=corp.people[0])["external_contact"]["avatar"],
        corp.call("externalcontact/add_contact_way", {"type": 1, "scene": 2, "user": ["bo"]})["qr_code"],
    ):
        picture = browser.get(address)
        assert (picture.headers["Content-Type"], picture.content[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    assert browser.get("/pictures/other/x.png").status_code == 404
