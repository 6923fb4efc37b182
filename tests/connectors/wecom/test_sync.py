"""The sync: staff into resources, friendships into facts, the same the second time."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from hetang.connectors.wecom.models import App
from hetang.platform import jobs
from hetang.platform.models import JobRun
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
    assert run() == {"staff": 3, "members": 2, "relations": 5, "new": 5, "refused": 0}
    assert run() == {"staff": 3, "members": 2, "relations": 5, "new": 0, "refused": 0}
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
