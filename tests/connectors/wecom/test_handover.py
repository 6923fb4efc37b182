"""Customers and groups handed over against the simulator: prepared, asked for once, followed until settled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection

from hetang.communities.models import GroupChat
from hetang.connectors.wecom import callbacks
from hetang.connectors.wecom.handover import following, judging, leavers, preparing, queries
from hetang.connectors.wecom.handover.errors import HandoverRefused
from hetang.connectors.wecom.handover.preparing import Wanted
from hetang.connectors.wecom.handover.rules import shares
from hetang.connectors.wecom.models import App, Corp, Handover, HandoverItem, Pair, Unassigned
from hetang.customers.models import Customer, Identity, Relation
from hetang.facts import intake, subscriptions
from hetang.facts.intake import Draft
from hetang.platform import access, clock, jobs
from hetang.platform.access import Scope
from hetang.platform.models import AuditEntry, JobRun
from hetang.resources.models import Staff, Store
from hetang.resources.rules import StaffRow, StoreRow
from hetang.resources.services import upsert_staff, upsert_stores
from tests.connectors.wecom.conftest import Post
from tests.connectors.wecom.test_sync import run
from tests.simulator.world import SINCE, World

ON_JOB = "externalcontact/transfer_customer"
DAY_S = 86_400
ALL = Scope((), everything=True)


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    leavers._read_at.clear()
    yield
    clock.freeze(None)


@pytest.fixture
def synced(app: App, world: World) -> World:
    upsert_stores([StoreRow(code="S1", name="First store"), StoreRow(code="S2", name="Second store")])
    run()
    return world


def fold() -> None:
    """Streams read what is committed: for tests that are marked so."""
    subscriptions.run_until_idle()


def staff(userid: str) -> Staff:
    return Staff.objects.select_related("org_node", "store").get(userid=userid)


def prepare(giver: str = "anna", *takers: str, **more: object) -> Handover:
    some = [staff(one) for one in takers or ("bo",)]
    rule = Handover.SHARED if len(some) > 1 else Handover.ONE
    wanted = Wanted(staff(giver), some, rule, **more)  # type: ignore[arg-type]
    handover = preparing.ask(access.system("test"), wanted)
    jobs.run_waiting()
    handover.refresh_from_db()
    if handover.state == Handover.REFUSED:
        raise HandoverRefused(handover.problem)
    return handover


def carry_out(handover: Handover) -> None:
    preparing.start(access.system("test"), handover)
    jobs.run_waiting()


def states(handover: Handover, kind: str = "customer") -> dict[str, str]:
    return dict(HandoverItem.objects.filter(handover=handover, kind=kind).values_list("key", "state"))


def a_day_later(world: World, seconds: float = DAY_S + 60) -> None:
    """For both sides."""
    world.admin.advance(seconds)
    clock.freeze(clock.wall() + timedelta(seconds=seconds))


def friends(userid: str) -> set[str]:
    rows = Relation.objects.filter(staff__userid=userid, state=Relation.ACTIVE)
    return set(rows.values_list("external_userid", flat=True))


@pytest.mark.parametrize(
    ("loads", "number", "most", "expected"),
    [
        ({1: 5, 2: 5}, 4, 100, {1: 2, 2: 2}),
        ({1: 10, 2: 0, 3: 3}, 8, 100, {1: 0, 2: 6, 3: 2}),
        ({1: 99, 2: 100}, 5, 100, {1: 1, 2: 0}),
        ({1: 0}, 0, 10, {1: 0}),
        ({}, 7, 10, {}),
    ],
)
def test_who_has_fewest_gets_first(loads: dict[int, int], number: int, most: int, expected: dict[int, int]) -> None:
    assert shares(loads, number, most) == expected


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_of_somebody_in_service(synced: World) -> None:
    fold()
    Customer.objects.update(owner=staff("anna"))
    handover = prepare(message="Bo looks after you now.")
    assert states(handover) == dict.fromkeys(synced.people[:3], "planned")
    assert handover.kind == Handover.ON_JOB
    assert not JobRun.objects.filter(kind="wecom.handover").exists()
    carry_out(handover)
    assert states(handover) == dict.fromkeys(synced.people[:3], "waiting")
    following.look(Handover.objects.get())
    assert set(states(handover).values()) == {"waiting"}  # a customer has a day to refuse
    synced.admin.call("refuse_transfer", {"external_userid": synced.people[0], "takeover": "bo"})
    a_day_later(synced)
    following.look(Handover.objects.get())
    assert states(handover) == {
        **dict.fromkeys(synced.people[1:3], "done"),
        synced.people[0]: "refused",
    }
    fold()
    assert friends("anna") == {synced.people[0]}
    assert friends("bo") == set(synced.people[1:])
    owners = dict(
        Relation.objects.filter(external_userid__in=synced.people[:3]).values_list(
            "external_userid", "customer__owner__userid"
        )
    )
    assert owners == {synced.people[0]: "anna", **dict.fromkeys(synced.people[1:3], "bo")}
    mine = Handover.objects.get()
    assert (mine.state, mine.counts) == (Handover.DONE, {"customer:done": 2, "customer:refused": 1})
    assert list(AuditEntry.objects.filter(target_type="handover").order_by("id").values_list("action", flat=True)) == [
        "handover.prepared",
        "handover.started",
        "handover.finished",
    ]


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_of_somebody_who_left_with_her_groups(synced: World) -> None:
    chat = synced.admin.call(
        "groups", {"groups": [{"owner": "anna", "name": "Bread", "createtime": SINCE, "members": synced.people[:2]}]}
    )
    chat_id = str(chat["chat_ids"][0])
    run()
    synced.admin.call("staff_leaves", {"userid": "anna"})
    Staff.objects.filter(userid="anna").update(active=False)
    assert leavers.refresh(App.objects.select_related("corp").get()) == 3
    (leaver,) = queries.leavers(ALL)
    assert (leaver.name, leaver.customers, leaver.groups, leaver.under_way) == ("Anna", 3, 1, 0)
    assert leaver.left_at is not None
    handover = prepare()
    assert handover.kind == Handover.LEFT
    carry_out(handover)
    assert set(states(handover).values()) == {"waiting"}
    following.look(Handover.objects.get())
    assert states(handover, "group") == {chat_id: "done"}
    assert GroupChat.objects.get().owner == staff("bo")
    a_day_later(synced)
    following.look(Handover.objects.get())
    assert set(states(handover).values()) == {"done"}
    fold()
    assert friends("anna") == set()
    assert friends("bo") == set(synced.people)
    leavers.refresh(App.objects.select_related("corp").get())
    assert not Unassigned.objects.exists()
    assert queries.leavers(ALL) == []


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_events_of_a_hand_over_prompt_the_look_and_add_nothing_twice(synced: World, post_office: Post) -> None:
    handover = prepare()
    carry_out(handover)
    Handover.objects.update(looked_at=clock.now())
    a_day_later(synced)
    Handover.objects.update(looked_at=clock.now())
    synced.call("externalcontact/transfer_result", {"handover_userid": "anna", "takeover_userid": "bo"})
    post_office.deliver(post_office.take(6))
    callbacks.run_once()
    assert Handover.objects.get().looked_at is None
    assert following.run_once() == 0.0
    assert Handover.objects.get().state == Handover.DONE
    fold()
    assert friends("bo") == set(synced.people)
    with_events = intake_keys("handover:")
    assert with_events == []  # the events had said it all


def intake_keys(prefix: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("select key from facts_fact where key like %s", [f"{prefix}%"])
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
def test_a_call_without_an_answer_is_looked_up_and_not_repeated_blindly(synced: World, fault: str) -> None:
    handover = prepare()
    synced.admin.fault(fault, ON_JOB)
    carry_out(handover)
    assert set(states(handover).values()) == {"unknown"}
    following.look(Handover.objects.get())
    expected = "waiting" if fault == "drop_after" else "unknown"
    assert set(states(handover).values()) == {expected}
    clock.freeze(clock.wall() + timedelta(minutes=3))
    following.look(Handover.objects.get())
    jobs.run_waiting()  # what did not take effect is asked for again
    assert set(states(handover).values()) == {"waiting"}
    a_day_later(synced)
    following.look(Handover.objects.get())
    assert set(states(handover).values()) == {"done"}


def test_what_a_dying_worker_asked_for_is_looked_up(synced: World) -> None:
    handover = prepare()
    preparing.start(access.system("test"), handover)
    HandoverItem.objects.update(state=HandoverItem.ASKING, asked_at=clock.now())
    body = {"handover_userid": "anna", "takeover_userid": "bo", "external_userid": synced.people[:2]}
    synced.call(ON_JOB, body)  # two of three went out before it died
    jobs.run_waiting()
    assert set(states(handover).values()) == {"unknown"}
    following.look(Handover.objects.get())
    clock.freeze(clock.wall() + timedelta(minutes=3))
    following.look(Handover.objects.get())
    jobs.run_waiting()
    assert states(handover) == dict.fromkeys(synced.people[:3], "waiting")


def test_nobody_is_under_way_twice(synced: World) -> None:
    first, second = prepare(), prepare()
    carry_out(first)
    carry_out(second)
    assert states(second) == dict.fromkeys(synced.people[:3], "left_out")
    assert {one[2] for one in queries.reasons_of(second)} == {"running"}
    third = prepare()
    assert states(third) == dict.fromkeys(synced.people[:3], "left_out")
    following.look(Handover.objects.get(pk=second.pk))
    assert Handover.objects.get(pk=second.pk).state == Handover.DONE


def test_the_platforms_limits_are_told_before_and_noted_after(synced: World) -> None:
    Pair.objects.filter(external_userid=synced.people[1]).update(standing=Pair.LOST)
    Corp.objects.update(customers_per_member=3)  # bo has two
    handover = prepare()
    assert sorted(states(handover).values()) == ["left_out", "left_out", "planned"]
    assert {(state, reason) for _, state, reason, _ in queries.reasons_of(handover)} == {
        ("left_out", "full"),
        ("left_out", "lost"),
    }
    synced.admin.settings(customers_per_member=2)
    carry_out(handover)
    assert {(state, reason) for _, state, reason, _ in queries.reasons_of(handover)} == {
        ("left_out", "full"),
        ("left_out", "lost"),
        ("full", "full"),
    }


def test_a_limit_of_the_day_goes_on_tomorrow(synced: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = [{"owner": "anna", "name": f"G{n}", "createtime": SINCE, "members": synced.people[:1]} for n in range(3)]
    synced.admin.call("groups", {"groups": chats})
    run()
    monkeypatch.setattr("hetang.connectors.wecom.handover.carrying.GROUPS_A_DAY", 2)
    handover = prepare(customers=False)
    carry_out(handover)
    assert sorted(states(handover, "group").values()) == ["planned", "waiting", "waiting"]
    following.look(Handover.objects.get())
    jobs.run_waiting()
    assert sorted(states(handover, "group").values()) == ["done", "done", "planned"]
    clock.freeze(clock.wall() + timedelta(days=1))
    following.look(Handover.objects.get())
    jobs.run_waiting()
    following.look(Handover.objects.get())
    assert set(states(handover, "group").values()) == {"done"}
    assert Handover.objects.get().state == Handover.DONE


def test_it_is_shared_out_and_stopped(synced: World, monkeypatch: pytest.MonkeyPatch) -> None:
    synced.admin.staff([{"userid": "dora", "name": "Dora", "departments": [2]}])
    upsert_staff([StaffRow(userid="dora", name="Dora", store="S1")])
    handover = prepare("anna", "bo", "dora")
    lines = {one.name: one.customers for one in queries.takers_of(handover)}
    assert lines == {"Dora": 2, "Bo": 1} or lines == {"Dora": 3}  # bo has two already
    preparing.start(access.system("test"), handover)
    with pytest.raises(HandoverRefused, match="running"):
        preparing.give_up(access.system("test"), Handover.objects.get())
    job = JobRun.objects.get(kind="wecom.handover")
    jobs.cancel(job)
    assert set(states(handover).values()) == {"planned"}
    following.look(Handover.objects.get())
    assert JobRun.objects.filter(kind="wecom.handover").count() == 1  # who stopped it goes on
    preparing.give_up(access.system("test"), Handover.objects.get())
    assert set(states(handover).values()) == {"left_out"}
    assert following.run_once() == 0.0
    assert Handover.objects.get().state == Handover.DONE


def test_only_those_at_home_in_a_store_go(synced: World) -> None:
    now = clock.now()
    store = Store.objects.get(code="S1")
    for number, home in ((1, store), (2, Store.objects.get(code="S2"))):
        customer = Customer.objects.create(number=number, created_at=now, home_store=home)
        Identity.objects.create(
            kind="external_userid",
            key=synced.people[number],
            customer=customer,
            evidence_number=number,
            first_seen_at=now,
        )
    assert states(prepare(home_store=store)) == {synced.people[1]: "planned"}


def test_what_cannot_be_prepared(synced: World) -> None:
    with pytest.raises(HandoverRefused, match="same"):
        prepare("anna", "anna")
    with pytest.raises(HandoverRefused, match="no_function"):
        prepare("anna", "carl")
    with pytest.raises(HandoverRefused, match="nothing"):
        prepare("carl", "bo")
    Staff.objects.filter(userid="bo").update(active=False)
    with pytest.raises(HandoverRefused, match="nobody"):
        prepare("anna", "bo")
    Corp.objects.update(base_url="http://127.0.0.1:9")
    Staff.objects.filter(userid="bo").update(active=True)
    with pytest.raises(HandoverRefused, match="unreachable"):
        prepare("anna", "bo")
    assert set(Handover.objects.values_list("state", flat=True)) == {Handover.REFUSED}
    with pytest.raises(HandoverRefused, match="begun"):
        preparing.start(access.system("test"), Handover.objects.first() or Handover())
    assert not HandoverItem.objects.exists()


def test_preparing_goes_on_after_it_was_cancelled_and_says_anew_to_whom(
    synced: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "CHUNK", 2)
    monkeypatch.setattr("hetang.platform.jobs._THROTTLE_S", 0.0)
    handover = preparing.ask(access.system("test"), Wanted(staff("anna"), [staff("bo")]))
    with pytest.raises(HandoverRefused, match="begun"):
        preparing.start(access.system("test"), handover)
    with pytest.raises(HandoverRefused, match="running"):
        preparing.discard(access.system("test"), handover)
    share_out = judging._share_out

    def cancelled(*_arguments: object) -> None:
        raise jobs.Cancelled

    monkeypatch.setattr(judging, "_share_out", cancelled)
    jobs.run_waiting()
    before = list(HandoverItem.objects.order_by("id").values_list("id", "key", "taker"))
    assert before == [(one, key, None) for one, key, _ in before]
    assert len(before) == 3
    monkeypatch.setattr(judging, "_share_out", share_out)
    Corp.objects.update(customers_per_member=4)  # bo has two friends: two more, and one is left over
    preparing.ask_again(access.system("test"), Handover.objects.get())
    jobs.run_waiting()
    assert Handover.objects.get().state == Handover.PREPARED
    bo = staff("bo").pk
    found = list(HandoverItem.objects.order_by("id").values_list("id", "key", "taker", "state", "reason"))
    assert [row[:3] for row in found] == [(*row[:2], bo) for row in before[:2]] + [(*before[2][:2], None)]
    assert found[2][3:] == ("left_out", "full")


def test_who_is_discarded_leaves_nothing(synced: World) -> None:
    handover = prepare()
    preparing.discard(access.system("test"), handover)
    assert (Handover.objects.count(), HandoverItem.objects.count()) == (0, 0)


def test_a_configuration_that_is_wrong_stops_the_job_and_nothing_is_lost(synced: World) -> None:
    handover = prepare()
    synced.admin.fault("error", ON_JOB, code=48002)
    carry_out(handover)
    assert JobRun.objects.get(kind="wecom.handover").state == JobRun.FAILED
    assert set(states(handover).values()) == {"planned"}
    preparing.start(access.system("test"), Handover.objects.get())
    jobs.run_waiting()
    assert set(states(handover).values()) == {"waiting"}


def test_a_taker_who_cannot_is_told_by_item(synced: World) -> None:
    handover = prepare()
    synced.admin.fault("error", ON_JOB, code=40098)
    carry_out(handover)
    assert {(state, reason) for _, state, reason, _ in queries.reasons_of(handover)} == {("rejected", "not_real_named")}


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_who_loses_customers(synced: World) -> None:
    fold()
    now = clock.now()
    words = [("anna", 0, "lost_by_customer", 2), ("anna", 1, "lost_by_staff", 20), ("bo", 3, "lost_by_customer", 40)]
    intake.record(
        "test",
        [
            Draft(
                "relation.changed",
                f"k{person}",
                now - timedelta(days=days),
                [("external_userid", synced.people[person])],
                {"staff": userid, "state": state},
            )
            for userid, person, state, days in words
        ],
    )
    fold()
    (risk,) = queries.risks(ALL)
    assert (risk.name, risk.friends, risk.by_customer_7, risk.by_customer_30, risk.by_her_7, risk.by_her_30) == (
        *("Anna", 1, 1, 1),
        *(0, 1),
    )
    assert risk.share == pytest.approx(2 / 3)
    assert queries.risks(Scope(("nowhere",))) == []
