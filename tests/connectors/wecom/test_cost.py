"""What WeCom charges for: everybody counted once, the quota as WeCom tells it, the rest as configured."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from hetang.connectors.wecom import cost
from hetang.connectors.wecom.models import App, Corp, CorpCost, Pair
from hetang.platform import access, jobs
from hetang.platform.models import AuditEntry, JobRun
from tests.connectors.wecom.test_sync import run
from tests.simulator.world import SINCE, World

QUOTA = "externalcontact/customer_acquisition_quota"
FIGURES = {
    **{"free_people": 2000, "fee_per_thousand": 10_000, "bought_people": None, "bought_until": None},
    **{"link_price": None, "licence_price": None, "licences": None},
}


def count(corp: Corp) -> CorpCost:
    assert cost.begin(corp)
    assert not cost.begin(corp)  # one at a time
    jobs.run_waiting()
    assert JobRun.objects.latest("id").state == JobRun.DONE
    return CorpCost.objects.get(corp=corp)


def test_friends_and_members_of_groups_are_counted_once_each(app: App, world: World) -> None:
    stranger = world.admin.people([{"key": "x", "name": "Stranger", "identities": []}])
    world.admin.relations([{"userid": "bo", "external_userid": world.people[0], "createtime": SINCE}])
    members = [world.people[0], *stranger]
    groups = [{"owner": "anna", "name": name, "createtime": SINCE, "members": members} for name in ("A", "B")]
    world.admin.call("groups", {"groups": groups})
    run()
    found = count(app.corp)
    assert (found.friends, found.group_only, found.new_in_30_days) == (5, 1, 0)
    assert found.quota_at is not None
    Pair.objects.filter(external_userid=world.people[4]).update(standing=Pair.GONE)
    assert count(app.corp).friends == 4


def test_an_app_that_may_not_see_the_quota_is_told_so_and_an_outage_keeps_what_was_known(
    app: App, world: World
) -> None:
    first = count(app.corp)
    assert first.quota_code == 0
    world.admin.fault("drop_before", QUOTA, times=3)
    assert count(app.corp).quota_at == first.quota_at
    world.admin.fault("error", QUOTA, code=48002)
    assert count(app.corp).quota_code == 48002


@pytest.mark.parametrize(
    ("people", "bought", "fresh", "paid", "fen", "room", "days"),
    [
        (1_500, None, 10, 0, 0, None, None),
        (2_001, None, 10, 1, 10_000, None, None),
        (9_000_000, 9_000_000, 300_000, 8_998_000, 89_980_000, 2_000, 0),
        (5_000, 8_000, 1_000, 3_000, 30_000, 5_000, 150),
        (5_000, 1_000, 1_000, 3_000, 30_000, -2_000, 0),
        (5_000, 8_000, 0, 3_000, 30_000, 5_000, None),
    ],
)
def test_the_fee_is_stepped_by_the_thousand(
    people: int, bought: int | None, fresh: int, paid: int, fen: int, room: int | None, days: int | None
) -> None:
    found = cost.fee(CorpCost(friends=people, bought_people=bought, new_in_30_days=fresh))
    assert (found.paid, found.fen_a_year, found.room, found.full_in_days) == (paid, fen, room, days)


def test_what_was_bought_ends_soon() -> None:
    today = date(2026, 6, 1)
    assert not cost.ends_soon(CorpCost(), today)
    assert cost.ends_soon(CorpCost(bought_until=today + timedelta(days=60)), today)
    assert not cost.ends_soon(CorpCost(bought_until=today + timedelta(days=61)), today)


def test_figures_are_written_down_with_what_they_were(app: App) -> None:
    actor = access.system("test")
    cost.write_down(actor, app.corp, {**FIGURES, "bought_people": 10_000}, 5_000)
    app.corp.refresh_from_db()
    assert app.corp.customers_per_member == 5_000
    assert CorpCost.objects.get().bought_people == 10_000
    cost.write_down(actor, app.corp, {**FIGURES, "bought_people": 10_000}, 5_000)
    (entry,) = AuditEntry.objects.filter(action="wecom.cost_figures")
    assert entry.changes == {"bought_people": [None, 10_000], "customers_per_member": [20_000, 5_000]}
