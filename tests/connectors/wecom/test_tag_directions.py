"""Groups of tags go the way that was chosen: into WeCom's catalogue, out of it, both or neither."""

from __future__ import annotations

import pytest
from pyroaring import BitMap

from hetang.connectors.wecom import corp_tags, tag_catalogue, tag_directions, tagging
from hetang.connectors.wecom.client import client_of
from hetang.connectors.wecom.models import App, CorpTag, CorpTagGroup, Pair, TagDirection, TagStep
from hetang.connectors.wecom.tag_directions import State
from hetang.customers import kept, services
from hetang.customers.models import Tag, TagGroup
from hetang.facts import subscriptions
from hetang.platform.access import Actor, system
from tests.connectors.wecom.test_sync import run
from tests.connectors.wecom.test_tagging import customer, in_wecom, on, put, send
from tests.simulator.world import World

pytestmark = pytest.mark.django_db(transaction=True)
ADD, LIST = "externalcontact/add_corp_tag", "externalcontact/get_corp_tag_list"


@pytest.fixture
def boss() -> Actor:
    return system("boss")


@pytest.fixture
def synced(app: App, world: World) -> App:
    run()
    subscriptions.run_until_idle()
    return app


def settle() -> None:
    """Until WeCom's catalogue is asked for nothing more."""
    for _ in range(20):
        if tag_catalogue.run_once():
            return
    raise AssertionError("it never comes to rest")


def catalogue(world: World) -> dict[str, list[str]]:
    groups = world.call(LIST, {})["tag_group"]
    return {group["group_name"]: sorted(tag["name"] for tag in group["tag"]) for group in groups}


def calls(world: World, path: str = ADD) -> int:
    return int(world.admin.status()["calls"].get(path, 0))


def look(app: App) -> None:
    corp_tags.bring_in(client_of(app), app.corp)


def group_of(*names: str, name: str = "Mood") -> TagGroup:
    group = services.create_group(name)
    for one in names:
        services.create_tag(group, one)
    return group


def states(group: TagGroup) -> dict[str, State]:
    standing = tag_directions.standings([group])[group.pk]
    return {Tag.objects.get(pk=pk).name: state for pk, state in standing.tags.items()}


def test_ours_are_made_renamed_and_deleted_there(synced: App, world: World, boss: Actor) -> None:
    group = group_of("calm", "merry")
    put(world, 0, "calm")
    settle()
    assert catalogue(world) == {}  # nobody chose
    assert tag_directions.choose(boss, group, TagDirection.OUTWARD)
    assert not tag_directions.choose(boss, group, TagDirection.OUTWARD)
    settle()
    assert catalogue(world) == {"Mood": ["calm", "merry"]}
    assert calls(world) == 1
    assert CorpTag.objects.filter(made_here=True).count() == 2
    send()
    assert in_wecom(world, "anna", 0) == {"calm"}  # whoever wore it before
    services.rename_tag(Tag.objects.get(name="calm"), "quiet")
    services.change_group(group, "Temper", None)
    services.archive_tag(Tag.objects.get(name="merry"))
    settle()
    assert catalogue(world) == {"Temper": ["quiet"]}
    look(synced)  # nothing echoes back
    settle()
    assert TagGroup.objects.count() == 1
    assert states(group) == {"quiet": State("in_step")}
    assert calls(world) == 1


def test_an_answer_that_is_lost_is_looked_up(synced: App, world: World, boss: Actor) -> None:
    """A worker dies after the call (the row says `asking`), then one before it: made once, in both cases."""
    group = group_of("calm")
    tag_directions.choose(boss, group, TagDirection.OUTWARD)
    tag_catalogue.compare(synced.corp)
    (step,) = tag_catalogue._claim(synced.corp)
    assert TagStep.objects.get().state == TagStep.ASKING
    settle()  # another process meanwhile: it is under way
    assert catalogue(world) == {}
    made = {"group_name": "Mood", "tag": [{"name": "calm"}], "agentid": synced.agentid}
    world.call(ADD, made)
    TagStep.objects.filter(pk=step.pk).update(asked_at="2024-01-01T00:00:00Z")
    settle()
    assert states(group) == {"calm": State("in_step")}
    assert CorpTag.objects.get().made_here
    services.create_tag(group, "merry")
    tag_catalogue.compare(synced.corp)
    tag_catalogue._claim(synced.corp)
    TagStep.objects.update(state=TagStep.UNKNOWN)
    settle()
    assert catalogue(world) == {"Mood": ["calm", "merry"]}
    assert calls(world) == 2  # the one by hand, and the one after the look
    services.create_tag(group, "wild")
    world.admin.fault("drop_after", ADD)
    settle()
    assert states(group)["wild"] == State("unknown")
    TagStep.objects.update(again_at=None)
    settle()
    assert states(group)["wild"] == State("in_step")
    assert catalogue(world) == {"Mood": ["calm", "merry", "wild"]}
    assert calls(world) <= 3


def test_who_wins_when_both_renamed(synced: App, world: World, boss: Actor) -> None:
    group, other = group_of("calm"), group_of("gold", name="Tier")
    tag_directions.choose(boss, group, TagDirection.BOTH)
    tag_directions.choose(boss, other, TagDirection.OUTWARD)
    settle()
    ids = dict(CorpTag.objects.values_list("name", "tag_id"))
    for name, here, there in (("calm", "quiet", "still"), ("gold", "golden", "aurum")):
        services.rename_tag(Tag.objects.get(name=name), here)
        world.admin.call("edit_tag", {"id": ids[name], "name": there})
    look(synced)
    settle()
    look(synced)
    assert catalogue(world) == {"Mood": ["still"], "Tier": ["golden"]}
    assert set(Tag.objects.values_list("name", flat=True)) == {"still", "golden"}
    world.admin.call("delete_tags", {"ids": list(ids.values())})
    look(synced)
    settle()
    assert catalogue(world) == {"Tier": ["golden"]}  # both ways, the deletion there stands
    assert states(group) == {"still": State("deleted")}
    assert tag_directions.try_again(boss, group) == 1
    settle()
    assert catalogue(world) == {"Mood": ["still"], "Tier": ["golden"]}


def test_what_is_refused_says_why(synced: App, world: World, boss: Actor) -> None:
    """One tag too many stops the rest without asking; another app's group may be filled, but not renamed."""
    world.admin.settings(corp_tags=2)
    group = group_of("a", "b", "c", "d")
    tag_directions.choose(boss, group, TagDirection.OUTWARD)
    settle()
    assert sorted(state.code for state in states(group).values()) == [0, 0, 40126, 40126]
    before = calls(world)
    settle()
    assert calls(world) == before
    world.admin.settings(corp_tags=100)
    assert tag_directions.try_again(boss, group) == 2
    settle()
    assert catalogue(world) == {"Mood": ["a", "b", "c", "d"]}
    world.admin.call("add_tags", {"group": "Console", "tags": ["x"]})
    look(synced)
    foreign = TagGroup.objects.get(name="Console")
    services.create_tag(foreign, "y")
    services.rename_tag(Tag.objects.get(name="x"), "z")
    tag_directions.choose(boss, foreign, TagDirection.BOTH)
    settle()
    assert catalogue(world)["Console"] == ["x", "y"]
    assert states(foreign) == {"z": State("refused", 81011), "y": State("in_step")}
    services.rename_tag(Tag.objects.get(name="z"), "x")  # the reason is gone
    settle()
    assert states(foreign)["x"] == State("in_step")


def test_what_a_setting_forbids_is_tried_again_after_an_hour(synced: App, world: World, boss: Actor) -> None:
    """And not tag by tag meanwhile."""
    group, other = group_of("a", "b"), group_of("c", name="Tier")
    world.admin.fault("error", ADD, code=48002)
    for one in (group, other):
        tag_directions.choose(boss, one, TagDirection.OUTWARD)
    settle()
    assert {**states(group), **states(other)} == dict.fromkeys("abc", State("refused", 48002))
    assert catalogue(world) == {}  # one fault was enough: nothing else was asked
    TagStep.objects.update(again_at="2024-01-01T00:00:00Z")
    settle()
    assert catalogue(world) == {"Mood": ["a", "b"], "Tier": ["c"]}


def test_marks_go_the_way_that_was_chosen(synced: App, world: World, boss: Actor) -> None:
    made = world.admin.call("add_tags", {"group": "Taste", "tags": ["coffee", "tea"]})["tag_ids"]
    look(synced)
    group = TagGroup.objects.get(name="Taste")
    tag_directions.choose(boss, group, TagDirection.NEITHER)
    world.admin.call("tag", {"userid": "anna", "external_userid": world.people[0], "add": [made[0]]})
    put(world, 0, "tea")
    run()
    subscriptions.run_until_idle()
    send()
    assert (on(world, 0), in_wecom(world, "anna", 0)) == ({"tea"}, {"coffee"})
    tag_directions.choose(boss, group, TagDirection.INWARD)
    settle()
    run()
    subscriptions.run_until_idle()
    send()
    assert (on(world, 0), in_wecom(world, "anna", 0)) == ({"coffee", "tea"}, {"coffee"})
    tag_directions.choose(boss, group, TagDirection.BOTH)
    settle()
    send()
    assert in_wecom(world, "anna", 0) == {"coffee", "tea"}
    assert CorpTagGroup.objects.get().ours == group


def test_tags_kept_by_rules_go_out(synced: App, world: World, boss: Actor) -> None:
    group = group_of("regular")
    tag = Tag.objects.get(name="regular")
    kept.begin(tag)
    kept.keep(tag.pk, BitMap([customer(world, 0)]), {"audience": 1})
    tag_directions.choose(boss, group, TagDirection.BOTH)
    settle()
    send()
    assert in_wecom(world, "anna", 0) == {"regular"}
    row = CorpTag.objects.get()
    assert (row.incoming, row.outgoing) == (False, True)
    kept.keep(tag.pk, BitMap([customer(world, 1)]), {"audience": 1})
    subscriptions.run_until_idle()
    send()
    assert in_wecom(world, "anna", 0) == set()
    assert sum(in_wecom(world, userid, 1) == {"regular"} for userid in ("anna", "bo") if _knows(world, userid, 1)) == 1
    world.admin.call("tag", {"userid": "anna", "external_userid": world.people[0], "add": [row.tag_id]})
    Pair.objects.update(told_at="2024-01-01T00:00:00Z", marked_at=None)  # we did so long ago
    run()
    subscriptions.run_until_idle()
    assert tagging.waiting() == 1
    send()
    assert in_wecom(world, "anna", 0) == set()  # the rule alone says who wears it
    assert on(world, 0) == set()


def _knows(world: World, userid: str, place: int) -> bool:
    answer = world.call("externalcontact/get", external_userid=world.people[place])
    return any(one["userid"] == userid for one in answer["follow_user"])


def test_who_asks_for_a_look_while_one_is_under_way_gets_another(
    synced: App, world: World, boss: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = group_of("calm")
    tag_directions.choose(boss, group, TagDirection.OUTWARD)
    settle()
    row = CorpTag.objects.get(ours__group=group)
    CorpTag.objects.filter(pk=row.pk).update(queue_anew=True)
    looks: list[int] = []

    def queue_tags(*_: object) -> None:
        looks.append(1)
        if len(looks) == 1:  # such as a rule that put the tag on many, who were passed already
            CorpTag.objects.filter(pk=row.pk).update(queue_anew=True)

    monkeypatch.setattr(tagging, "queue_tags", queue_tags)
    tag_catalogue._look_through()
    row.refresh_from_db()
    assert row.queue_anew
    tag_catalogue._look_through()
    row.refresh_from_db()
    assert (row.queue_anew, len(looks)) == (False, 2)
