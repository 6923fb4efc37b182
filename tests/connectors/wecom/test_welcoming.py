"""Welcomes: which rule wins, that they are sent in time and once, and what becomes of codes that do not work."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from hetang.connectors.wecom import enclosures, welcome_rules, welcoming
from hetang.connectors.wecom.enclosures import Enclosed
from hetang.connectors.wecom.models import App, MediaCopy, Welcome, WelcomeRule
from hetang.connectors.wecom.protocol.messages import MiniProgram
from hetang.connectors.wecom.rules import Condition, Friend, in_time, shadowed, winner
from hetang.platform import clock, files
from hetang.platform.access import Actor
from hetang.platform.models import StoredFile
from tests.connectors.wecom.conftest import Post
from tests.connectors.wecom.test_client import calls
from tests.simulator.world import World

PNG, PDF = b"\x89PNG\r\n\x1a\n card", b"%PDF-1.4 menu"
MP4 = b"\0\0\0\x18ftypmp42 film"
SOMEBODY = Actor("lin", None, ())


@pytest.fixture(autouse=True)
def _fresh() -> None:
    welcoming.forget()


def rule(name: str, **said: Any) -> WelcomeRule:
    return welcome_rules.save(SOMEBODY, None, welcome_rules.Said(name=name, text=f"hello from {name}", **said))


def hold_time(world: World, added: float) -> None:
    """However slow this machine is, it is a second after the events on both sides."""
    world.admin.clock(offset_s=added + 1 - time.time())
    Welcome.objects.filter(state=Welcome.WAITING).update(happened_at=clock.now())


def test_the_first_rule_that_fits_wins() -> None:
    rules = [
        Condition(1, channel_states=frozenset({"door-7"})),
        Condition(2, staff=frozenset({"anna"}), from_minute=22 * 60, until_minute=6 * 60),
        Condition(3, node_path="1.4."),
        Condition(4, audience_id=9),
        Condition(5),
    ]
    assert winner(rules, Friend("door-7", "anna", "1.4.7.", 12 * 60)) == 1
    assert winner(rules, Friend("", "anna", "1.4.7.", 23 * 60)) == 2
    assert winner(rules, Friend("", "anna", "1.4.7.", 6 * 60)) == 3
    assert winner(rules, Friend("", "bo", "1.5.", 0, frozenset({9}))) == 4
    assert winner(rules, Friend("", "bo", "1.5.", 0)) == 5
    assert winner(rules[:4], Friend("", "bo", "1.5.", 0)) is None


@pytest.mark.parametrize(
    ("start", "end", "minute", "inside"),
    [(540, 1080, 540, True), (540, 1080, 1080, False), (1320, 360, 0, True), (1320, 360, 360, False), (5, 5, 9, True)],
)
def test_times_of_the_day(start: int, end: int, minute: int, inside: bool) -> None:
    assert in_time(start, end, minute) is inside


def test_rules_that_never_win() -> None:
    rules = [
        Condition(1, node_path="1.4."),
        Condition(2, node_path="1.4.7.", staff=frozenset({"anna"})),
        Condition(3, from_minute=0, until_minute=720),
        Condition(4, from_minute=60, until_minute=120, channel_states=frozenset({"x"})),
        Condition(5),
        Condition(6, audience_id=1),
    ]
    assert shadowed(rules) == {2, 4, 6}


def test_a_new_friend_is_welcomed_once(app: App, world: World, post_office: Post) -> None:
    rule("door", channel_states=["door-7"])
    rule("all", link={"title": "Our shop", "url": "https://example.cn/", "desc": "open daily"})
    world.admin.relate("add", "bo", world.people[0], state="door-7")
    world.admin.relate("add", "bo", world.people[1])
    added = time.time()
    taken = post_office.take(2)
    post_office.deliver(taken)
    post_office.deliver(taken)  # the platform repeats itself
    hold_time(world, added)
    assert welcoming.run_once() == 0.0
    assert welcoming.run_once() > 0
    found = Welcome.objects.order_by("id").values_list("external_userid", "state", "rule__name", "code")
    assert set(found) == {
        (world.people[0], "sent", "door", None),
        (world.people[1], "sent", "all", None),
    }


def test_card_file_and_video_are_ready_before_the_friend_comes(app: App, world: World, post_office: Post) -> None:
    mini = {"title": "Order", "appid": "wx1234567890abcdef", "page": "pages/order"}
    kept = {name: files.store(name, [content]) for name, content in (("c.png", PNG), ("m.pdf", PDF), ("f.mp4", MP4))}
    said = Enclosed(mini, kept["c.png"], kept["f.mp4"], kept["m.pdf"])
    rule("door", enclosed=said)
    assert enclosures.run_once() == enclosures.EVERY_S  # gives all three
    ids = dict(MediaCopy.objects.values_list("kind", "media_id"))
    world.admin.relate("add", "bo", world.people[0])
    added = time.time()
    post_office.deliver(post_office.take(1))
    hold_time(world, added)
    before = calls(world, "media/upload")
    welcoming.run_once()
    assert Welcome.objects.get().state == Welcome.SENT
    assert calls(world, "media/upload") == before
    row = WelcomeRule.objects.get()
    body = welcoming.body_of(row, "code", app)
    assert [one.msgtype for one in body.attachments] == ["miniprogram", "file", "video"]
    assert body.attachments[0].miniprogram == MiniProgram(**mini, pic_media_id=ids["image"])
    clock.freeze(clock.wall() + timedelta(days=2, hours=1))
    enclosures.run_once()  # ends within a day: given anew
    assert not set(MediaCopy.objects.values_list("media_id", flat=True)) & set(ids.values())
    clock.freeze(None)
    welcome_rules.remove(SOMEBODY, row)
    assert not StoredFile.objects.exists()


def test_no_rule_too_late_and_already_sent(app: App, world: World, post_office: Post) -> None:
    world.admin.relate("add", "bo", world.people[0])
    post_office.deliver(post_office.take(1))
    welcoming.run_once()
    assert Welcome.objects.get().state == "none"
    rule("all")
    world.admin.relate("add", "bo", world.people[1])
    post_office.deliver(post_office.take(1))
    Welcome.objects.filter(state="waiting").update(happened_at=clock.now() - timedelta(seconds=21))
    welcoming.run_once()
    assert Welcome.objects.latest("id").state == "late"
    world.admin.relate("add", "bo", world.people[2])
    post_office.deliver(post_office.take(1))
    world.admin.fault("drop_after", "externalcontact/send_welcome_msg")  # sent, and the answer is lost
    welcoming.run_once()
    last = Welcome.objects.latest("id")
    assert (last.state, last.code_of_refusal) in {("sent", 0), ("refused", 41051)}


def test_wecom_away_then_back_within_the_time(app: App, world: World, post_office: Post) -> None:
    rule("all")
    world.admin.relate("add", "bo", world.people[0])
    post_office.deliver(post_office.take(1))
    world.admin.fault("drop_before", "externalcontact/send_welcome_msg", times=3)
    welcoming.run_once()
    assert Welcome.objects.get().state == "waiting"
    welcoming.run_once()
    assert Welcome.objects.get().state in {"sent", "late"}  # late only where this machine was slow


def test_order_and_removal(db: None) -> None:
    one, two = rule("one"), rule("two")
    welcome_rules.move(SOMEBODY, two, up=True)
    assert list(WelcomeRule.objects.order_by("position").values_list("name", flat=True)) == ["two", "one"]
    welcome_rules.remove(SOMEBODY, one)
    assert list(WelcomeRule.objects.values_list("name", flat=True)) == ["two"]
