"""Clicks of which another system says whose they are: told at the door, counted once, shown in her history."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import translation

from hetang.customers import queries
from hetang.facts import intake, services
from hetang.facts.models import Fact, HeldFact
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import clock
from hetang.touch import clicks
from hetang.touch.links import follow, safe_target
from hetang.touch.models import Programme, SendTask, ShortLink
from tests.customers.drive import number_of

pytestmark = pytest.mark.django_db(transaction=True)

BEA = ("member", "901")


@pytest.fixture
def programme() -> Programme:
    now = clock.now()
    made = Programme.objects.create(
        name="Spring", channel="sms", message_class="service", planned_at=now, slot_at=now, expires_at=now
    )
    link("spring", "https://shop.example/spring?from={link}#top", made)
    return made


def link(code: str, target: str = "https://shop.example/", of: Programme | None = None) -> None:
    ShortLink.objects.create(code=code, target=target, created_at=clock.now(), programme_id=of and of.pk)
    if of is not None:
        SendTask.objects.create(programme=of, channel="sms", variant=1, seq=1, link_id=code, slot_at=clock.now())


def told(key: str = "k1", who: tuple[str, str] | None = BEA, at: str = "2026-03-01T09:00:00+08:00", **body: Any) -> Any:
    """What the API answers to one click."""
    named = [{"kind": who[0], "value": who[1]}] if who else []
    fact = {"kind": "click.identified", "key": key, "occurred_at": at, "who": named, "body": body}
    return intake.receive(json.dumps({"source": "mini", "facts": [fact]}).encode())


def counted(code: str = "spring") -> tuple[int, int]:
    run_until_idle()
    found = ShortLink.objects.get(pk=code)
    return found.clicks, found.identified


def test_a_click_that_the_redirect_has_counted_is_not_counted_again(programme: Programme) -> None:
    assert safe_target(ShortLink.objects.get(pk="spring").target)
    assert follow("spring") == "https://shop.example/spring?from=spring#top"
    assert counted() == (1, 0)
    assert told(link="spring").accepted == 1
    assert told(link="spring").duplicates == 1
    assert counted() == (1, 1)
    assert told("k2", link="spring", direct=True).accepted == 1
    assert counted() == counted() == (2, 2)
    assert clicks.of_programme(programme.pk) == clicks.since(clock.now() - timedelta(days=1)) == clicks.Clicks(2, 2)
    assert clicks.since(clock.now() + timedelta(days=1)) == clicks.Clicks(0, 0)


def test_the_log_says_itself_which_message_it_was(programme: Programme) -> None:
    link("bare")
    told(link="spring")
    told("k2", link="bare")
    task = SendTask.objects.get().pk
    body = {"programme": programme.pk, "task": task, "channel": "sms", "message_class": "service", "title": "Spring"}
    assert [one.body for one in Fact.objects.order_by("id")] == [
        {"link": "spring", **body},
        {"link": "bare", "title": "bare"},
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"link": "gone"}, "unknown_link"),
        ({"link": "sp\0ring"}, "bad_body"),
        ({"link": 7}, "bad_body"),
        ({"link": ["spring"]}, "bad_body"),
        ({}, "bad_body"),
        ({"link": "spring", "programme": 1}, "bad_body"),
        ({"link": "spring", "direct": 1}, "bad_body"),
        ({"link": "spring", "who": None}, "nobody_named"),
    ],
)
def test_refusals(programme: Programme, fields: dict[str, Any], code: str) -> None:
    assert [one.code for one in told(**fields).rejected] == [code]
    assert counted() == (0, 0)


def test_a_click_on_a_link_that_comes_later_is_replayed() -> None:
    assert [one.code for one in told(link="late").rejected] == ["unknown_link"]
    link("late")
    held = HeldFact.objects.get()
    assert (held.stage, held.key) == ("validate", "k1")
    assert services.replay(held.pk).accepted == 1
    assert counted("late") == (0, 1)


def test_a_window_of_clicks_is_counted_on_each_of_its_links(programme: Programme) -> None:
    link("other", of=None)
    for key, code, direct in (("a", "spring", True), ("b", "spring", False), ("c", "other", True)):
        assert told(key, link=code, direct=direct).accepted == 1
    assert (counted(), counted("other")) == ((1, 2), (1, 1))
    told("d", link="other")
    assert (counted(), counted("other")) == ((1, 2), (1, 2))


def test_her_history_shows_what_she_clicked(programme: Programme) -> None:
    told(link="spring")
    run_until_idle()
    with translation.override("en"):
        found = queries.timeline(number_of(*BEA), kinds={"click.identified"}).entries
    assert [entry.text for entry in found] == ["Clicked the link of “Spring”"]
    with translation.override("zh-hans"):
        found = queries.timeline(number_of(*BEA), kinds={"click.identified"}).entries
    assert [entry.text for entry in found] == ["点击“Spring”的链接"]
