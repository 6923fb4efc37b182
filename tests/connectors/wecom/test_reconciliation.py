"""A day's events in any order, doubled, some lost for good, and then the nightly sync: what we have is what is so."""

from __future__ import annotations

import random

import pytest

from hetang.connectors.wecom import callbacks
from hetang.connectors.wecom.models import App, CallbackMessage, Pair
from hetang.customers.models import Relation
from hetang.facts import subscriptions
from hetang.platform import clock
from tests.connectors.wecom.conftest import Post
from tests.connectors.wecom.test_sync import run
from tests.simulator.world import World

STAFF = ("anna", "bo")
ACTS = 15
ENDED = {None, "lost_by_staff", "lost_by_customer"}


def _day(world: World, chance: random.Random) -> tuple[dict[tuple[str, str], str], list[str]]:
    """What people did in the last hour, a minute between each. Returns the truth by pair, and the acts in order."""
    truth: dict[tuple[str, str], str] = {
        ("anna" if n < 3 else "bo", person): "active" for n, person in enumerate(world.people)
    }
    acts: list[str] = []
    for number in range(ACTS):
        world.admin.clock(offset_s=-3600 + 60 * number)
        pair = (chance.choice(STAFF), chance.choice(world.people))
        act = "add"
        if truth.get(pair) not in ENDED:
            act = chance.choice(["delete_by_staff", "delete_by_customer"])
        world.admin.relate(act, *pair)
        truth[pair] = {"add": "active"}.get(act, act.replace("delete", "lost"))
        acts.append(act)
    world.admin.clock(offset_s=0)
    return truth, acts


@pytest.mark.django_db(transaction=True)  # streams read what is committed
@pytest.mark.parametrize("seed", range(4))
def test_any_day_ends_in_the_truth(app: App, world: World, post_office: Post, seed: int) -> None:
    chance = random.Random(seed)
    run()
    Pair.objects.update(told_at="2024-01-01T00:00:00Z")  # the night before
    truth, acts = _day(world, chance)
    told = post_office.take(ACTS)
    # A friend who deleted the member stays listed: nothing but that event can ever tell, so it is not among the lost.
    kept = [one for one, act in zip(told, acts, strict=True) if act == "delete_by_customer" or chance.random() > 0.4]
    delivered = kept + [one for one in kept if chance.random() < 0.4]
    chance.shuffle(delivered)
    for one in delivered:
        post_office.deliver([one])
        if chance.random() < 0.3:
            callbacks.run_once()
    while callbacks.run_once() == 0.0:
        pass
    run()
    subscriptions.run_until_idle()
    rows = Relation.objects.values_list("staff__userid", "external_userid", "state")
    found = {(staff, external): state for staff, external, state in rows}
    # Whose every event was lost was never here: gone before anybody looked.
    assert found == {pair: state for pair, state in truth.items() if pair in found}
    assert {pair for pair, state in truth.items() if state == "active"} <= found.keys()
    assert run()["new"] == 0  # and the next night finds nothing


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_who_deleted_a_member_is_no_friend_because_she_is_listed(app: App, world: World, post_office: Post) -> None:
    """Her loss was told before anybody listed her, and long before the page was asked for."""
    world.admin.clock(offset_s=-600)
    world.admin.relate("delete_by_customer", "anna", world.people[1])
    world.admin.clock(offset_s=0)
    post_office.deliver(post_office.take(1))
    callbacks.run_once()
    assert CallbackMessage.objects.get().state == "applied"
    run()
    subscriptions.run_until_idle()
    lost = Relation.objects.get(staff__userid="anna", external_userid=world.people[1])
    assert lost.state == "lost_by_customer"
    assert lost.customer.name is not None  # what the listing told of her is taken over all the same
    world.admin.people([{"key": "c1", "name": "Otherwise"}])
    assert run()["changed"] == 1
    subscriptions.run_until_idle()
    lost.refresh_from_db()
    assert lost.state == "lost_by_customer"


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_our_own_mark_is_no_word_on_a_friendship(app: App, world: World, post_office: Post) -> None:
    """The event of a loss comes after a mark that was made after it: the mirror follows the event."""
    run()
    Pair.objects.update(told_at="2024-01-01T00:00:00Z", marked_at=clock.now())
    world.admin.clock(offset_s=-600)
    world.admin.relate("delete_by_customer", "anna", world.people[1])
    world.admin.clock(offset_s=0)
    post_office.deliver(post_office.take(1))
    callbacks.run_once()
    assert Pair.objects.get(userid="anna", external_userid=world.people[1]).standing == "lost_by_customer"
