"""Group welcomes against the simulator; statistics by owner and day; groups that share customers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from hetang.communities import queries
from hetang.communities.models import GroupChat, GroupMember
from hetang.connectors.wecom import group_days, group_welcomes, media
from hetang.connectors.wecom.enclosures import Enclosed
from hetang.connectors.wecom.errors import Unanswered, WeComError
from hetang.connectors.wecom.group_welcomes import Said
from hetang.connectors.wecom.models import App, GroupWelcome, GroupWelcomeUse, MediaCopy, OwnerDay
from hetang.platform import access, clock, files
from hetang.platform.access import Scope
from hetang.platform.models import AuditEntry, StoredFile
from tests.connectors.wecom.test_sync import run
from tests.simulator.world import SINCE, World

ADD = "externalcontact/group_welcome_template/add"
PNG, MP4 = b"\x89PNG\r\n\x1a\n card", b"\0\0\0\x18ftypmp42 film"
ACTOR = access.system("test")


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    yield
    clock.freeze(None)


@pytest.fixture
def grouped(app: App, world: World) -> World:
    """Anna owns two groups, which share two customers; Bo owns one that shares one with the first."""
    groups = [
        {"owner": "anna", "name": "Bread", "createtime": SINCE, "members": world.people[:3]},
        {"owner": "anna", "name": "Cake", "createtime": SINCE, "members": world.people[1:4]},
        {"owner": "bo", "name": "Tea", "createtime": SINCE, "members": world.people[2:5]},
    ]
    world.admin.call("groups", {"groups": groups})
    run()
    return world


def told(world: World, welcome: GroupWelcome) -> dict[str, object]:
    answer = world.call("externalcontact/group_welcome_template/get", {"template_id": welcome.template_id})
    return {name: value for name, value in answer.items() if name not in {"errcode", "errmsg"}}


def test_it_is_made_changed_and_removed(grouped: World) -> None:
    welcome = group_welcomes.make(ACTOR, Said("First", "Hello %NICKNAME%"))
    assert told(grouped, welcome) == {"text": {"content": "Hello %NICKNAME%"}}
    group_welcomes.change(ACTOR, welcome, Said("First", "Hi", {"title": "Menu", "url": "https://example.cn"}))
    assert told(grouped, welcome)["link"] == {"title": "Menu", "url": "https://example.cn"}
    group_welcomes.remove(ACTOR, welcome)
    assert not GroupWelcome.objects.exists()
    actions = AuditEntry.objects.filter(target_type="group_welcome").order_by("id").values_list("action", flat=True)
    assert list(actions) == [f"wecom.group_welcome_{verb}" for verb in ("made", "changed", "removed")]


def test_one_that_wecom_does_not_know_any_more_can_be_removed(grouped: World) -> None:
    welcome = group_welcomes.make(ACTOR, Said("First", "Hello"))
    grouped.call("externalcontact/group_welcome_template/del", {"template_id": welcome.template_id})
    group_welcomes.remove(ACTOR, welcome)
    assert not GroupWelcome.objects.exists()


def test_without_an_answer_it_stays_as_unknown_and_a_refusal_leaves_nothing(grouped: World) -> None:
    grouped.admin.fault("drop_after", ADD)
    with pytest.raises(Unanswered):
        group_welcomes.make(ACTOR, Said("First", "Hello"))
    assert GroupWelcome.objects.get().state == GroupWelcome.UNKNOWN
    grouped.admin.fault("error", ADD, code=41055)
    with pytest.raises(WeComError):
        group_welcomes.make(ACTOR, Said("Second", "Hello"))
    assert GroupWelcome.objects.count() == 1


def test_a_file_is_given_anew_when_its_id_has_ended(grouped: World, app: App) -> None:
    stored = files.store("menu.pdf", [b"%PDF-1.4 menu"])
    welcome = group_welcomes.make(ACTOR, Said("First", "Hello", enclosed=Enclosed(file=stored)))
    first = MediaCopy.objects.get().media_id
    assert told(grouped, welcome)["file"] == {"media_id": first}
    assert media.current(app, stored, media.FILE) == first
    clock.freeze(clock.wall() + timedelta(days=3))
    group_welcomes.change(ACTOR, welcome, Said("First", "Hi"))
    again = MediaCopy.objects.get().media_id
    assert again != first
    assert told(grouped, welcome)["file"] == {"media_id": again}
    group_welcomes.change(ACTOR, welcome, Said("First", "Hi", enclosed=Enclosed(without=frozenset({"file"}))))
    assert "file" not in told(grouped, welcome)
    assert not StoredFile.objects.exists()


def test_the_card_goes_before_the_video(grouped: World, app: App) -> None:
    """A template carries the text and one other thing."""
    card, film = files.store("card.png", [PNG]), files.store("film.mp4", [MP4])
    mini = {"title": "Order", "appid": "wx1234567890abcdef", "page": "pages/order"}
    welcome = group_welcomes.make(ACTOR, Said("First", "Hello", enclosed=Enclosed(mini, card, film)))
    picture = MediaCopy.objects.get(kind="image").media_id
    assert told(grouped, welcome)["miniprogram"] == {**mini, "pic_media_id": picture}
    group_welcomes.change(ACTOR, welcome, Said("First", "Hi", enclosed=Enclosed(without=frozenset({"mini"}))))
    assert told(grouped, welcome)["video"] == {"media_id": MediaCopy.objects.get(kind="video").media_id}
    assert not StoredFile.objects.filter(pk=card.pk).exists()


def test_owners_are_asked_once_a_day_and_answer_on_the_page(grouped: World) -> None:
    welcome = group_welcomes.make(ACTOR, Said("First", "Hello"))
    assert group_welcomes.give(ACTOR, welcome, GroupChat.objects.all()) == 3
    assert group_welcomes.give(ACTOR, welcome, GroupChat.objects.all()) == 0
    assert group_welcomes.ask_owners(ACTOR, welcome) == 2
    assert group_welcomes.ask_owners(ACTOR, welcome) == 0
    bread = GroupChat.objects.get(name="Bread")
    group_welcomes.answer(ACTOR, bread, is_set=True)
    group_welcomes.answer(ACTOR, GroupChat.objects.get(name="Tea"), is_set=False)
    assert group_welcomes.counts_of([welcome]) == {welcome.pk: {"groups": 3, "set": 1, "not_set": 1, "asked": 3}}
    clock.freeze(clock.wall() + timedelta(days=2))
    assert group_welcomes.ask_owners(ACTOR, welcome) == 2  # anna has a second group
    other = group_welcomes.make(ACTOR, Said("Second", "Hello"))
    assert group_welcomes.give(ACTOR, other, GroupChat.objects.filter(pk=bread.pk)) == 1
    assert GroupWelcomeUse.objects.get(group=bread).is_set is None


def test_statistics_are_by_owner_and_day(grouped: World, app: App) -> None:
    assert group_days.run_once() == 0.0
    while group_days.run_once() == 0.0:
        pass
    days = set(OwnerDay.objects.filter(owner="").values_list("day", flat=True))
    assert len(days) == group_days.DAYS
    newest = max(days)
    rows = {one.owner: one for one in OwnerDay.objects.filter(day=newest).exclude(owner="")}
    assert {owner: (one.groups, one.members) for owner, one in rows.items()} == {"anna": (2, 8), "bo": (1, 4)}
    assert [one.day for one in group_days.of_owner("bo", newest)] == [newest]
    assert group_days.missing_day(app.corp, clock.now()) is None


def test_groups_that_share_customers(grouped: World) -> None:
    bread, cake, tea = (GroupChat.objects.get(name=name) for name in ("Bread", "Cake", "Tea"))
    pairs = queries.overlaps([bread.pk, cake.pk, tea.pk])
    found = {frozenset((one.one, one.other)): (one.people, one.smaller) for one in pairs}
    assert found == {
        frozenset((bread.pk, cake.pk)): (2, 3),
        frozenset((bread.pk, tea.pk)): (1, 3),
        frozenset((cake.pk, tea.pk)): (2, 3),
    }
    everything = Scope((), everything=True)
    assert [(one.other, one.people, one.share) for one in queries.shared_with(bread, everything)] == [
        (cake.pk, 2, pytest.approx(2 / 3)),
        (tea.pk, 1, pytest.approx(1 / 3)),
    ]
    assert queries.shared_with(bread, Scope(("nowhere",))) == []
    GroupMember.objects.filter(group=tea, member=grouped.people[2]).update(left_at=clock.now())
    assert [one.other for one in queries.shared_with(bread, everything)] == [cake.pk]
