"""Welcomes: which rule wins, that they are sent in time and once, and what becomes of codes that do not work."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from hetang.connectors.wecom import welcome_rules, welcoming
from hetang.connectors.wecom.models import App, Welcome, WelcomeRule
from hetang.connectors.wecom.rules import Condition, Friend, in_time, shadowed, winner
from hetang.platform import clock
from hetang.platform.access import Actor
from tests.connectors.wecom.conftest import Post
from tests.simulator.world import World

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
