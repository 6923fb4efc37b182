"""The sync: staff into resources, friendships into facts, the same the second time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from hetang.connectors.wecom import nightly, pairs, sync
from hetang.connectors.wecom.client import calling_app, client_of
from hetang.connectors.wecom.errors import NotConnected
from hetang.connectors.wecom.models import App, Corp, Pair, Skipped, SyncPart, SyncRun
from hetang.connectors.wecom.protocol.contacts import ContactOfMember, ExternalContact, Follow
from hetang.customers.models import Customer, Relation
from hetang.facts import subscriptions
from hetang.platform import clock, jobs
from hetang.platform.jobs import Cancelled, HandedBack
from hetang.platform.models import JobRun
from hetang.platform.sealing import unseal
from hetang.resources.models import Staff
from hetang.resources.rules import StoreRow
from hetang.resources.services import upsert_stores
from tests.simulator.world import World


def run() -> dict[str, Any]:
    job = jobs.enqueue("wecom.sync", "sync", {})
    jobs.run_waiting()
    job.refresh_from_db()
    assert job.state == JobRun.DONE, job.error
    return dict(job.result)


def test_everybody_comes_in_once(app: App, world: World) -> None:
    upsert_stores([StoreRow(code="S1", name="First store")])
    counts = {
        **{"staff": 3, "members": 2, "tags": 0, "groups_listed": 0, "groups": 0, "groups_gone": 0, "skipped": 0},
        **{"relations": 5, "new": 5, "back": 0, "changed": 0, "refused": 0, "gone": 0},
    }
    assert run() == counts
    assert run() == {**counts, "new": 0}
    staff = Staff.objects.values_list("userid", "name", "store__code", "active", "simulated").order_by("userid")
    assert list(staff) == [
        ("anna", "Anna", "S1", True, True),
        ("bo", "Bo", None, True, True),
        ("carl", "Carl", None, True, True),
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "select subject_kind, subject_key, body->>'staff', body->>'state', body->>'simulated',"
            " extract(epoch from occurred_at)::bigint, sealed is not null, jsonb_array_length(who)"
            " from facts_fact where kind = 'relation.changed'"
        )
        facts = {row[1]: row for row in cursor.fetchall()}
    person = world.people[4]
    assert facts.keys() == set(world.people)
    assert facts[person] == ("external_userid", person, "bo", "active", "true", 1_700_000_004, True, 2)


def test_many_relations(app: App, world: World) -> None:
    people = world.admin.people({"key": f"x{n}", "name": f"X{n}"} for n in range(2350))
    world.admin.relations({"userid": "anna", "external_userid": one, "createtime": 1_700_000_000} for one in people)
    assert run()["new"] == 2355


def test_odd_ids_are_mirrored_as_they_are(app: App) -> None:
    """They are written as COPY's text: what means something there stands for itself."""
    corp, odd = Corp.objects.get(), 'a\\b\t"c"\n{d},\\N'
    one = ContactOfMember(ExternalContact(odd, name="X"), Follow("\\N", createtime=1_700_000_000, tag_id=[odd, "t"]))
    assert pairs.keep_listed(corp, 1, [one], clock.now(), {}).new == 1
    assert Pair.objects.values_list("userid", "external_userid", "tags").get() == ("\\N", odd, sorted([odd, "t"]))
    again = pairs.keep_listed(corp, 2, [one], clock.now(), {})
    assert (again.listed, again.new, again.back, again.changed) == (1, 0, 0, 0)
    assert Pair.objects.get().run == 2


def test_a_page_never_reads_the_whole_mirror(app: App) -> None:
    """Each pair is looked up by itself: a join would cost a large corp its whole mirror for every page."""
    corp = Corp.objects.get()
    Pair.objects.bulk_create(
        Pair(corp=corp, userid="m", external_userid=f"x{n}", friends_since=clock.now(), told_at=clock.now())
        for n in range(3000)
    )
    with connection.cursor() as cursor:
        pairs._stage(cursor, [ContactOfMember(ExternalContact("x1"), Follow("m"))])
        params = {"corp": corp.pk, "run": 1, "at": clock.now()}
        cursor.execute(f"explain (analyze, costs off, timing off, summary off) {pairs._MIRROR}", params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan on wecom_pair" not in plan
    assert "Index Scan using wecom_pair_once on wecom_pair" in plan
    assert "Hash" not in plan


def test_faults_on_the_way(app: App, world: World) -> None:
    world.admin.fault("error", "externalcontact/batch/get_by_user", code=-1)
    world.admin.fault("drop_after", "externalcontact/get_follow_user_list")
    world.admin.call("tokens", {"dead": "expired"})
    assert run()["new"] == 5


def test_not_connected_fails_with_its_reason(db: None) -> None:
    job = jobs.enqueue("wecom.sync", "sync", {})
    jobs.run_waiting()
    job.refresh_from_db()
    assert (job.state, job.error) == (JobRun.FAILED, "NotConnected: no WeCom corp is set up")


@pytest.mark.parametrize("department", ["First store", "S1"])
def test_department_named_like_a_store(app: App, world: World, department: str) -> None:
    upsert_stores([StoreRow(code="S1", name="First store")])
    world.admin.departments([{"id": 2, "name": department}])
    run()
    assert Staff.objects.get(userid="anna").store.code == "S1"  # type: ignore[union-attr]


def calls(world: World, path: str) -> int:
    return int(world.admin.status()["calls"].get(path, 0))


PAGES = "externalcontact/batch/get_by_user"


@pytest.mark.django_db(transaction=True)
def test_side_by_side_brings_the_same(app: App, world: World) -> None:
    Corp.objects.update(concurrency=4)
    world.admin.staff({"userid": f"m{n}", "name": f"M{n}"} for n in range(20))
    people = world.admin.people({"key": f"x{n}", "name": f"X{n}"} for n in range(1000))
    world.admin.relations(
        {"userid": f"m{n % 20}", "external_userid": one, "createtime": 1_700_000_000} for n, one in enumerate(people)
    )
    counts = run()
    assert (counts["members"], counts["relations"], counts["new"]) == (22, 1005, 1005)
    assert Pair.objects.count() == 1005
    assert set(Pair.objects.values_list("run", flat=True)) == {SyncRun.objects.get().pk}


def test_goes_on_where_a_worker_left_it(app: App, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is handed back (as one is whose worker died) asks for no page twice and counts nothing twice."""
    people = world.admin.people({"key": f"x{n}", "name": f"X{n}"} for n in range(300))
    world.admin.relations({"userid": "bo", "external_userid": one, "createtime": 1_700_000_000} for one in people)
    monkeypatch.setattr("hetang.connectors.wecom.sync.ROWS_AT_ONCE", 1)
    kept = 0
    whole = sync._keep

    def dies(*arguments: Any) -> None:
        nonlocal kept
        kept += 1
        if kept == 3:
            raise HandedBack
        whole(*arguments)

    monkeypatch.setattr("hetang.connectors.wecom.sync._keep", dies)
    before = calls(world, PAGES)
    job = jobs.enqueue("wecom.sync", "sync", {})
    jobs.execute(job.id)
    assert SyncRun.objects.get().state == SyncRun.RUNNING
    jobs.run_waiting()
    job.refresh_from_db()
    assert (job.state, job.result["relations"], job.result["new"]) == (JobRun.DONE, 305, 305)
    assert calls(world, PAGES) - before == 6  # anna 1, bo 4, and the one that was under way
    assert SyncRun.objects.get().state == SyncRun.DONE
    assert SyncPart.objects.count() == 0


def test_cancelled(app: App, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetang.connectors.wecom.sync._keep", raise_cancelled)
    job = jobs.enqueue("wecom.sync", "sync", {})
    jobs.run_waiting()
    job.refresh_from_db()
    assert job.state == JobRun.CANCELLED
    assert SyncRun.objects.get().state == SyncRun.CANCELLED
    monkeypatch.undo()
    assert run()["new"] == 5  # the next one begins anew


def raise_cancelled(*_: Any) -> None:
    raise Cancelled


def test_what_wecom_does_not_tell_is_kept_with_its_reason(app: App, world: World) -> None:
    run()
    world.admin.fault("error", PAGES, code=84074, times=2)  # anna lost the function: together, and by herself
    counts = run()
    assert (counts["relations"], counts["skipped"], counts["gone"]) == (2, 1, 0)
    newest = SyncRun.objects.order_by("-id").first()
    assert list(Skipped.objects.values_list("run", "kind", "name", "reason", "code")) == [
        (newest.pk, "member", "anna", "no_customer_contact", 84074)  # type: ignore[union-attr]
    ]


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_friendships_that_ended_or_began_unnoticed(app: App, world: World) -> None:
    run()
    world.admin.relate("delete_by_staff", "anna", world.people[0])
    world.admin.relate("delete_by_customer", "anna", world.people[1])  # stays listed: only her event would tell
    world.admin.relate("add", "bo", world.people[0], state="door-7")
    counts = run()
    assert (counts["new"], counts["gone"], counts["back"]) == (1, 1, 0)
    subscriptions.run_until_idle()
    states = Relation.objects.values_list("staff__userid", "external_userid", "state")
    assert set(states) == {
        ("anna", world.people[0], "lost_by_staff"),
        ("anna", world.people[1], "active"),
        ("anna", world.people[2], "active"),
        ("bo", world.people[0], "active"),
        ("bo", world.people[3], "active"),
        ("bo", world.people[4], "active"),
    }
    world.admin.relate("add", "anna", world.people[0])
    assert run()["back"] == 1
    subscriptions.run_until_idle()
    assert Relation.objects.get(staff__userid="anna", external_userid=world.people[0]).state == "active"


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_a_new_nickname_is_told(app: App, world: World) -> None:
    run()
    world.admin.people([{"key": "c4", "name": "Otherwise"}])
    assert run()["changed"] == 1
    subscriptions.run_until_idle()
    name = Customer.objects.get(relations__external_userid=world.people[4]).name
    assert name is not None
    assert unseal(name).decode() == "Otherwise"


def test_limits_are_waited_for(app: App, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute's limit in the middle: the sync waits, and goes on with the same page."""
    waited: list[float] = []

    def wait(patience: Any, seconds: float) -> None:
        waited.append(seconds)
        with connection.cursor() as cursor:
            cursor.execute("update wecom_pace set held_until = clock_timestamp() - interval '1 second'")

    monkeypatch.setattr("hetang.connectors.wecom.feed.Patience._wait", wait)
    world.admin.fault("error", PAGES, code=45009)
    assert run()["new"] == 5
    assert len(waited) == 1
    assert 55 < waited[0] <= 60


def test_every_night_once(app: App, world: World) -> None:
    morning = datetime(2026, 11, 28, 3, 30, tzinfo=clock.zone())
    assert nightly.due(morning) == []  # never synced: the first time is somebody's decision
    run()
    SyncRun.objects.update(begun_at=datetime(2026, 11, 27, 12, 0, tzinfo=clock.zone()))
    assert nightly.due(morning) == [app]
    assert nightly.due(morning.replace(hour=2)) == []
    assert nightly.begin(app)
    assert not nightly.begin(app)
    assert jobs.run_waiting() == 1
    assert JobRun.objects.latest("id").state == JobRun.DONE
    assert nightly.due(SyncRun.objects.latest("id").begun_at) == []


def test_what_a_listening_app_hears_is_asked_by_another(app: App, world: World) -> None:
    second = App.objects.create(
        corp=app.corp, agentid=1000003, secret=app.secret, listen_only=True, changed_at=app.changed_at
    )
    with pytest.raises(NotConnected):
        client_of(second)
    assert calling_app(second).pk == app.pk
    App.objects.filter(pk=app.pk).update(listen_only=True)
    with pytest.raises(NotConnected):
        calling_app(second)
