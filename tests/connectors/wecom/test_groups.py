"""Group chats: in with the sync, live with events, the same in any order."""

from __future__ import annotations

import random

import pytest

from hetang.communities.models import GroupChat, GroupMember
from hetang.connectors.wecom import callbacks
from hetang.connectors.wecom.models import App
from tests.connectors.wecom.conftest import Post
from tests.connectors.wecom.test_sync import run
from tests.simulator.world import SINCE, World


@pytest.fixture
def chat(app: App, world: World) -> str:
    groups = [{"owner": "anna", "name": "Bread lovers", "createtime": SINCE, "members": world.people[:3]}]
    return str(world.admin.call("groups", {"groups": groups})["chat_ids"][0])


def inside() -> set[str]:
    return set(GroupMember.objects.filter(left_at=None).values_list("member", flat=True))


def test_groups_come_in_with_their_members(world: World, chat: str) -> None:
    counts = run()
    assert (counts["groups_listed"], counts["groups"], counts["groups_gone"]) == (1, 1, 0)
    group = GroupChat.objects.get()
    assert (group.chat_id, group.name, group.owner.userid, group.size, group.customers) == (  # type: ignore[union-attr]
        *(chat, "Bread lovers", "anna"),
        *(4, 3),
    )
    assert inside() == {"anna", *world.people[:3]}
    run()
    assert GroupMember.objects.count() == 4


def test_a_group_that_is_no_longer_listed_is_dissolved(world: World, chat: str) -> None:
    run()
    GroupChat.objects.update(told_at="2024-01-01T00:00:00Z")
    world.admin.call("chat_dismiss", {"chat_id": chat})
    assert run()["groups_gone"] == 1
    assert GroupChat.objects.get().dissolved_at is not None
    assert inside() == set()


@pytest.mark.parametrize("seed", range(3))
def test_events_in_any_order_and_doubled(world: World, chat: str, post_office: Post, seed: int) -> None:
    run()
    chance = random.Random(seed)
    world.admin.call("chat_join", {"chat_id": chat, "userids": [world.people[3]], "how": "code", "state": "g1"})
    world.admin.call("chat_leave", {"chat_id": chat, "userids": [world.people[0]]})
    world.admin.call("chat_leave", {"chat_id": chat, "userids": [world.people[1]], "removed": True})
    world.admin.call("chat_change", {"chat_id": chat, "name": "Cake lovers"})
    taken = post_office.take(4) * 2
    chance.shuffle(taken)
    for one in taken:
        post_office.deliver([one])
        if chance.random() < 0.5:
            callbacks.run_once()
    callbacks.run_once()
    group = GroupChat.objects.get()
    assert (group.name, group.size, group.customers) == ("Cake lovers", 3, 2)
    assert inside() == {"anna", world.people[2], world.people[3]}
    assert GroupMember.objects.get(member=world.people[3]).join_scene == 3
    scenes = GroupMember.objects.exclude(left_at=None).values_list("member", "quit_scene")
    assert dict(scenes).keys() == {world.people[0], world.people[1]}
