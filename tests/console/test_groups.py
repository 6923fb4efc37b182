"""Pages of group chats: welcomes, answers of owners, overlaps."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from hetang.communities.models import GroupChat
from hetang.connectors.wecom import group_welcomes
from hetang.connectors.wecom.errors import Unanswered, WeComError
from hetang.connectors.wecom.models import App, Corp, GroupWelcome, GroupWelcomeUse
from hetang.platform import clock
from hetang.platform.models import StoredFile
from hetang.platform.sealing import seal
from tests.console.cast import Cast


@pytest.fixture
def group(cast: Cast) -> GroupChat:
    return GroupChat.objects.create(
        chat_id="wr1", name="Bread", owner=cast.anna, owner_userid="anna", org_node=cast.store_a.org_node,
        store=cast.store_a, told_at=clock.now(), size=3, customers=2,
    )  # fmt: skip


@pytest.fixture
def welcome(group: GroupChat) -> GroupWelcome:
    corp = Corp.objects.create(corpid="ww1", is_default=True, created_at=clock.now())
    app = App.objects.create(corp=corp, agentid=1, secret=seal(b"x"), changed_at=clock.now())
    return GroupWelcome.objects.create(
        app=app, name="First", text="Hello", template_id="msg1", state="made", changed_at=clock.now()
    )


def test_a_welcome_is_given_to_groups_and_the_owner_says_that_it_is_set(
    headquarters: Client, manager: Client, group: GroupChat, welcome: GroupWelcome
) -> None:
    assert "Hello" in headquarters.get("/groups/welcomes/").text
    address = f"/groups/welcomes/{welcome.public_id}/"
    page = headquarters.post(f"{address}give", {"store": "A"}, follow=True).text
    assert "1 group is to greet with it." in page
    assert "Not asked yet" in page
    page = manager.get(f"/groups/{group.public_id}/").text
    assert "It is set" in page
    page = manager.post(f"/groups/{group.public_id}/welcome", {"set": "yes"}, follow=True).text
    assert "Noted." in page
    use = GroupWelcomeUse.objects.get()
    assert (use.is_set, use.answered_by) == (True, "manager_a")
    assert manager.get(address).status_code == 403


def test_text_and_one_other_thing(headquarters: Client, welcome: GroupWelcome) -> None:
    address = "/groups/welcomes/new"
    assert "Say something" in headquarters.post(address, {"name": "X"}).text
    menu = SimpleUploadedFile("menu.pdf", b"%PDF-1.4 menu")
    body = {"name": "X", "link_title": "a", "link_url": "https://example.cn", "file": menu}
    assert "one other thing" in headquarters.post(address, body).text
    tiny = {"name": "X", "file": SimpleUploadedFile("menu.pdf", b"x")}
    assert "not empty" in headquarters.post(address, tiny).text
    assert "3000 bytes" in headquarters.post(address, {"name": "X", "text": "汉" * 1001}).text


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (WeComError("x", 41055), "Remove one first"),
        (WeComError("x", 40058), "does not take it"),
        (Unanswered("x"), "look in its console"),
    ],
)
def test_what_wecom_refuses_is_said_and_leaves_no_file(
    headquarters: Client, welcome: GroupWelcome, monkeypatch: pytest.MonkeyPatch, problem: Exception, said: str
) -> None:
    def refuse(*_: object) -> None:
        raise problem

    monkeypatch.setattr(group_welcomes, "make", refuse)
    menu = SimpleUploadedFile("menu.pdf", b"%PDF-1.4 menu")
    answer = headquarters.post("/groups/welcomes/new", {"name": "X", "file": menu})
    assert answer.status_code == 422
    assert said in answer.text
    assert not StoredFile.objects.exists()


def test_pairs_that_share_customers(headquarters: Client, manager: Client, group: GroupChat, cast: Cast) -> None:
    assert "No two groups share a customer" in headquarters.get("/groups/overlaps").text
    other = GroupChat.objects.create(
        chat_id="wr2", name="Cake", owner=cast.bela, org_node=cast.store_b.org_node, store=cast.store_b,
        told_at=clock.now(), size=2, customers=1,
    )  # fmt: skip
    for one in (group, other):
        one.members.create(member="wm1", joined_at=clock.now(), joined_on=clock.today())
    page = headquarters.get("/groups/overlaps").text
    assert "Cake" in page
    assert "100" in page
    assert "Cake" in headquarters.get(f"/groups/{group.public_id}/").text
    assert "Cake" not in manager.get("/groups/overlaps").text
    assert "Cake" not in manager.get(f"/groups/{group.public_id}/").text
    assert "No two groups share a customer" in headquarters.get("/groups/overlaps?store=A").text
