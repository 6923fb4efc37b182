"""Welcomes in the console: written, ordered, tried out; and what came in from WeCom."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from hetang.communities.models import GroupChat
from hetang.connectors.wecom import media
from hetang.connectors.wecom.errors import WeComError
from hetang.connectors.wecom.models import App, CallbackMessage, Corp, Skipped, SyncRun, WelcomeRule
from hetang.platform import clock, organisation
from hetang.platform.models import StoredFile
from hetang.platform.sealing import seal


def form(**said: Any) -> dict[str, Any]:
    return {"name": "Everybody", "text": "Welcome!", "enabled": "on", **said}


def test_a_welcome_is_written_ordered_and_tried_out(headquarters: Client) -> None:
    assert "No welcome yet" in headquarters.get("/settings/wecom/welcomes/").content.decode()
    answer = headquarters.post("/settings/wecom/welcomes/new", form(channel_states="door-7\n door-8 \n"))
    assert answer.status_code == 302
    headquarters.post("/settings/wecom/welcomes/new", form(name="Night", starts="22:00", ends="06:00"))
    door, night = WelcomeRule.objects.order_by("position")
    assert (door.channel_states, night.hours) == (["door-7", "door-8"], "22:00–06:00")
    page = headquarters.get("/settings/wecom/welcomes/", {"state": "", "staff": "anna", "at": "23:30"}).content.decode()
    assert "She gets “Night”." in page
    page = headquarters.get(
        "/settings/wecom/welcomes/", {"state": "x", "staff": "anna", "at": "12:00"}
    ).content.decode()
    assert "She gets none" in page
    headquarters.post(f"/settings/wecom/welcomes/{night.public_id}/move", {"to": "up"})
    assert WelcomeRule.objects.order_by("position").first() == night
    headquarters.post(f"/settings/wecom/welcomes/{night.public_id}/remove")
    assert list(WelcomeRule.objects.all()) == [door]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"text": ""}, "Say something"),
        ({"text": "字" * 1334}, "4000 bytes"),
        ({"link_title": "Shop"}, "A link needs a title and an address."),
        ({"starts": "09:00"}, "Say both"),
        ({"mini_title": "Order"}, "A card needs title, AppID, page and picture."),
        ({"mini_title": "字" * 22}, "64 bytes"),
        ({"mini_appid": "1"}, "Enter a valid value"),
        ({"video": SimpleUploadedFile("a.mp4", b"no film at all")}, "This is no MP4 video."),
        ({"file": SimpleUploadedFile("a.pdf", b"tiny")}, "files of up to 20 MB"),
        ({"mini_picture": SimpleUploadedFile("a.png", b"no picture")}, "neither a JPG nor a PNG"),
    ],
)
def test_what_a_welcome_may_not_be(headquarters: Client, said: dict[str, Any], problem: str) -> None:
    answer = headquarters.post("/settings/wecom/welcomes/new", form(**said))
    assert answer.status_code == 422
    assert problem in answer.content.decode()
    assert not WelcomeRule.objects.exists()


def test_what_is_enclosed_is_kept_given_to_wecom_and_taken_out(
    headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    corp = Corp.objects.create(corpid="ww1", is_default=True, created_at=clock.now())
    App.objects.create(corp=corp, agentid=1, secret=seal(b"x"), changed_at=clock.now())
    given: list[tuple[str, str]] = []
    monkeypatch.setattr(media, "current", lambda _app, file, kind: given.append((file.name, kind)))
    card = {"mini_title": "Order", "mini_appid": "wx1234567890abcdef", "mini_page": "pages/order"}
    sent = {
        **{"mini_picture": SimpleUploadedFile("card.png", b"\x89PNG\r\n\x1a\n."), "file": _file("menu.pdf")},
        "video": SimpleUploadedFile("film.mp4", b"\0\0\0\x18ftypmp42"),
    }
    assert headquarters.post("/settings/wecom/welcomes/new", form(**card, **sent)).status_code == 302
    rule = WelcomeRule.objects.get()
    assert rule.mini == {"title": "Order", "appid": "wx1234567890abcdef", "page": "pages/order"}
    assert given == [("card.png", "image"), ("film.mp4", "video"), ("menu.pdf", "file")]
    address = f"/settings/wecom/welcomes/{rule.public_id}/"
    page = headquarters.get(address).text
    assert "Video: film.mp4" in page
    assert 'value="pages/order"' in page
    headquarters.post(address, form(**card))  # nothing new: all stays
    rule.refresh_from_db()
    assert (rule.video, rule.file, rule.mini_picture) != (None, None, None)
    headquarters.post(address, form(**card, without_mini="on", without_video="on"))
    rule.refresh_from_db()
    assert (rule.mini, rule.mini_picture, rule.video) == ({}, None, None)
    assert list(StoredFile.objects.values_list("name", flat=True)) == ["menu.pdf"]

    def refuses(*_arguments: object) -> None:
        raise WeComError("media/upload", 40006, "too large")

    monkeypatch.setattr(media, "current", refuses)
    answer = headquarters.post(address, form(file=_file("other.pdf")))
    assert "WeCom does not take the picture or file now" in answer.text
    assert list(StoredFile.objects.values_list("name", flat=True)) == ["menu.pdf"]


def _file(name: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"%PDF-1.4 menu")


def test_what_was_skipped_is_shown(headquarters: Client) -> None:
    corp = Corp.objects.create(corpid="ww1", is_default=True, created_at=clock.now())
    app = App.objects.create(corp=corp, agentid=1, secret=seal(b"x"), changed_at=clock.now())
    run = SyncRun.objects.create(corp=corp, state=SyncRun.DONE, begun_at=clock.now(), counts={"relations": 7})
    Skipped.objects.create(
        run=run, kind="member", name="=anna", reason="no_customer_contact", code=84074, at=clock.now()
    )
    message = CallbackMessage.objects.create(
        app=app, dedupe_key="k", received_at=clock.now(), body=seal(b"<xml/>"), state=CallbackMessage.FAILED
    )
    page = headquarters.get("/settings/wecom/activity/").content.decode()
    assert "84074" in page
    assert "has not the customer contact function" in page
    assert "=anna" in page
    headquarters.post("/settings/wecom/activity/again")
    message.refresh_from_db()
    assert message.state == CallbackMessage.WAITING


def test_group_chats_are_listed_and_placed(headquarters: Client) -> None:
    assert "No group chats yet" in headquarters.get("/groups/").content.decode()
    group = GroupChat.objects.create(
        chat_id="wr1", name="Bread lovers", org_node=organisation.root(), told_at=clock.now(), size=12, customers=11
    )
    assert "Bread lovers" in headquarters.get("/groups/").content.decode()
    assert "Bread lovers" not in headquarters.get("/groups/", {"q": "cake"}).content.decode()
    assert headquarters.get(f"/groups/{group.public_id}/").status_code == 200
    headquarters.post(f"/groups/{group.public_id}/place", {"kind": "welfare", "store": ""})
    group.refresh_from_db()
    assert (group.kind, group.placed_by_hand) == ("welfare", False)
