"""Tags both ways: the corp's come in, ours go out once per pair, and both sides agree in the end."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.connectors.wecom import callbacks, tagging
from hetang.connectors.wecom.models import App, CorpTag, Pair
from hetang.customers import services
from hetang.customers.models import CustomerTag, Identity, Tag
from hetang.facts import subscriptions
from hetang.platform import clock
from tests.connectors.wecom.conftest import Post
from tests.connectors.wecom.test_sync import run
from tests.simulator.world import World

pytestmark = pytest.mark.django_db(transaction=True)  # streams read what is committed


@pytest.fixture
def tags(app: App, world: World) -> dict[str, str]:
    """Two tags of the corp by name, brought in with everybody."""
    made = world.admin.call("add_tags", {"group": "Taste", "tags": ["coffee", "tea"]})["tag_ids"]
    world.admin.call("tag", {"userid": "anna", "external_userid": world.people[0], "add": [made[0]]})
    run()
    subscriptions.run_until_idle()
    return dict(zip(["coffee", "tea"], made, strict=True))


def customer(world: World, place: int) -> int:
    return Identity.objects.get(kind="external_userid", key=world.people[place]).customer_id


def on(world: World, place: int) -> set[str]:
    found = CustomerTag.objects.filter(customer=customer(world, place), on=True)
    return set(found.values_list("tag__name", flat=True))


def in_wecom(world: World, userid: str, place: int) -> set[str]:
    answer = world.call("externalcontact/get", external_userid=world.people[place])
    follow: dict[str, Any] = next(one for one in answer["follow_user"] if one["userid"] == userid)
    return {tag["tag_name"] for tag in follow["tags"]}


def put(world: World, place: int, name: str, value: bool = True) -> None:
    services.change_tag(customer(world, place), Tag.objects.get(name=name).code, value)
    subscriptions.run_until_idle()


def send() -> None:
    while tagging.run_once() == 0.0:
        pass


def test_the_corps_tags_come_in(world: World, tags: dict[str, str]) -> None:
    assert {(t.group.name, t.name) for t in Tag.objects.select_related("group")} >= {
        ("Taste", "coffee"),
        ("Taste", "tea"),
    }
    assert on(world, 0) == {"coffee"}
    assert tagging.waiting() == 0  # what WeCom told goes nowhere


def test_ours_go_out_to_every_adviser_in_one_call(world: World, tags: dict[str, str]) -> None:
    world.admin.relations([{"userid": "bo", "external_userid": world.people[0], "createtime": 1_700_000_009}])
    run()
    subscriptions.run_until_idle()
    before = int(world.admin.status()["calls"].get("externalcontact/mark_tag", 0))
    put(world, 0, "tea")
    put(world, 0, "tea", False)
    put(world, 0, "tea")
    assert tagging.waiting() == 2
    send()
    assert in_wecom(world, "anna", 0) == {"coffee", "tea"}
    assert in_wecom(world, "bo", 0) == {"tea"}  # what anna put on herself stays hers
    assert int(world.admin.status()["calls"]["externalcontact/mark_tag"]) - before == 2
    put(world, 0, "coffee", False)
    send()
    assert in_wecom(world, "anna", 0) == {"tea"}


def test_a_new_adviser_takes_over_what_her_customer_has(world: World, tags: dict[str, str]) -> None:
    put(world, 0, "tea")
    send()
    world.admin.relations([{"userid": "bo", "external_userid": world.people[0], "createtime": 1_700_000_009}])
    run()
    subscriptions.run_until_idle()
    assert tagging.waiting() == 1
    send()
    assert in_wecom(world, "bo", 0) == {"tea"}  # coffee is anna's own
    assert tagging.waiting() == 0


def test_whoever_becomes_one_with_a_tagged_customer_is_found_by_the_night(world: World, tags: dict[str, str]) -> None:
    now, place = clock.now(), customer(world, 1)
    tea = Tag.objects.get(name="tea")
    CustomerTag.objects.create(
        customer_id=place, tag=tea, on=True, source="api", occurred_at=now, fact_key="merge"
    )  # as a merge leaves it
    assert tagging.waiting() == 0
    run()
    subscriptions.run_until_idle()
    assert tagging.waiting() == 1
    send()
    userid = Pair.objects.get(external_userid=world.people[1]).userid
    assert in_wecom(world, userid, 1) == {"tea"}
    run()
    assert tagging.waiting() == 0


def test_a_colleague_takes_one_off(world: World, tags: dict[str, str], post_office: Post) -> None:
    put(world, 0, "tea")
    send()
    world.admin.call("tag", {"userid": "anna", "external_userid": world.people[0], "remove": [tags["tea"]]})
    post_office.deliver(post_office.take(1))
    callbacks.run_once()
    subscriptions.run_until_idle()
    assert on(world, 0) == {"coffee"}
    send()
    assert in_wecom(world, "anna", 0) == {"coffee"}
    assert Pair.objects.get(external_userid=world.people[0]).tags == [tags["coffee"]]


def test_both_change_and_agree_in_the_end(world: World, tags: dict[str, str]) -> None:
    """Here tea is put on while a colleague takes coffee off, and no event comes: the sync settles it."""
    put(world, 0, "tea")
    world.admin.call("tag", {"userid": "anna", "external_userid": world.people[0], "remove": [tags["coffee"]]})
    Pair.objects.update(told_at="2024-01-01T00:00:00Z")
    run()
    subscriptions.run_until_idle()
    send()
    assert on(world, 0) == in_wecom(world, "anna", 0) == {"tea"}
    assert tagging.waiting() == 0


def test_a_friendship_that_is_over_and_a_tag_that_is_gone(world: World, tags: dict[str, str]) -> None:
    world.admin.relate("delete_by_staff", "anna", world.people[0])
    put(world, 0, "tea")
    send()
    assert Pair.objects.get(external_userid=world.people[0]).standing == Pair.GONE
    assert tagging.waiting() == 0
    world.admin.call("delete_tags", {"ids": [tags["tea"]]})
    run()
    assert CorpTag.objects.get(tag_id=tags["tea"]).deleted_at is not None
    put(world, 1, "tea")
    assert tagging.waiting() == 0
