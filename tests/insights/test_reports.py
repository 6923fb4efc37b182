"""The report of a broadcast against the ledger and against a truth that is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection

from hetang.customers.models import Customer
from hetang.experiments.estimates import Estimate, NotMeasurable, Reason
from hetang.experiments.estimators import mean_difference, per_person_reached
from hetang.experiments.samples import Sample
from hetang.insights.errors import NotPlanned
from hetang.insights.reports import Report, broadcast_report
from hetang.platform import brand, clock
from hetang.platform.access import Scope
from hetang.touch import ledger, planning
from hetang.touch.models import PlanGroup, Programme, ShortLink
from tests.touch.world import NOW, organisation, people, programme, request

pytestmark = pytest.mark.django_db

SLOT = NOW + timedelta(hours=1)
OVER = SLOT + timedelta(days=7)
WINDOW = {"slot": SLOT, "day": SLOT.date()}


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    brand.forget()
    clock.freeze(NOW)
    yield
    clock.freeze(None)
    brand.forget()


def sql(statement: str, **params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, WINDOW | params)


def broadcast(size: int = 1_000, advisers: int = 4, texts: tuple[str, ...] = ("Hi",), **asked: object) -> Programme:
    """A planned broadcast with a fifth held out."""
    staff = organisation(stores=advisers // 2, advisers_per_store=2)
    members = people(size, staff)
    wanted = request(**{"control_bp": 2_000, "weights": (1,) * len(texts)} | asked)
    made = programme(wanted, texts)
    planning.run(planning.begin(members.serialize(), wanted, made))
    return Programme.objects.get(pk=made.pk)


def send(made: Programme) -> None:
    """The advisers confirm: most are sent, every tenth is not a friend, every seventh never leaves."""
    here = {"programme": made.pk}
    ledger.move("planned", "failed", "t.programme = %(programme)s and t.customer %% 10 = 0", here, reason="not_friend")
    ledger.move("planned", "expired", "t.programme = %(programme)s and t.customer %% 7 = 0", here)
    ledger.move("planned", "sent", "t.programme = %(programme)s", here)


def buy(where: str, net: int, *, hours: int = 30, key: str = "o") -> None:
    """An order of everybody who matches `where`, so many hours after the slot."""
    sql(
        "insert into commerce_order (source, key, customer_id, channel, placed_at, local_day, net, discount, lines)"
        " select 'pos', %(key)s || number, number, 'store', %(at)s, %(at)s::date, %(net)s + mod(number, 7), 0, 1"
        f" from customers_customer where {where}",
        key=key,
        at=SLOT + timedelta(hours=hours),
        net=net,
    )


def held_out(made: Programme) -> set[int]:
    from pyroaring import BitMap

    group = PlanGroup.objects.get(plan__programme=made, reason="control")
    return set(BitMap.deserialize(bytes(group.members)))


def number(effect: object) -> Estimate:
    assert isinstance(effect, Estimate)
    return effect


@pytest.fixture
def finished() -> tuple[Programme, Report]:
    """A broadcast whose message makes a third of those it reached buy, on top of a quarter who buy anyway."""
    made = broadcast()
    send(made)
    buy("mod(number, 4) = 0", 5_000)
    buy(
        "mod(number, 3) = 0 and number in (select customer from touch_touch where state = 'sent')",
        2_000,
        key="extra",
    )
    buy("true", 9_000, hours=-48, key="before")
    buy("true", 9_000, hours=7 * 24, key="after")
    sql(
        "insert into commerce_refund (source, key, order_key, customer_id, channel, refunded_at, local_day, amount)"
        " select 'pos', 'r' || number, 'x', number, 'store', %(slot)s, %(day)s, 100 from customers_customer"
        " where mod(number, 50) = 0"
    )
    ShortLink.objects.filter(programme_id=made.pk).update(clicks=25, identified=2)
    clock.freeze(OVER)
    return made, broadcast_report(made)


def test_the_report_adds_up_to_the_ledger(finished: tuple[Programme, Report]) -> None:
    made, report = finished
    tally = ledger.tally(made.pk)
    by_state = {state: sum(n for key, n in tally.items() if key[2] == state) for _, _, state, _ in tally}

    assert report.funnel.audience == 1_000 == sum(tally.values())
    assert report.funnel.control == by_state["control"] == len(held_out(made))
    assert report.funnel.total.sent == by_state["sent"]
    assert report.funnel.total.failed == by_state["failed"]
    assert report.funnel.total.unconfirmed == by_state["expired"]
    assert report.funnel.total.waiting == report.funnel.total.unknown == 0
    assert sum(report.funnel.excluded.values()) + report.funnel.control + report.funnel.total.planned == 1_000
    for places in (report.funnel.stores, report.funnel.staff):
        assert sum(place.stage.planned for place in places) == report.funnel.total.planned
        assert sum(place.stage.sent for place in places) == report.funnel.total.sent
    assert [place.beside for place in report.funnel.staff] != [""] * 4
    assert sum(arm.people for arm in report.arms) == report.funnel.total.planned + report.funnel.control
    assert report.clicks == 25 * 4
    assert report.clicks_identified == 2 * 4
    assert report.clicks_per_sent == 100 / report.funnel.total.sent


def outcomes_of(made: Programme) -> dict[int, int]:
    """Net GMV of the window per person, worked out here one by one."""
    with connection.cursor() as cursor:
        cursor.execute("select customer from touch_touch where programme = %s and state = 'sent'", [made.pk])
        reached = {row[0] for row in cursor.fetchall()}
    found = {}
    for one in range(1, 1_001):
        found[one] = (5_000 + one % 7) * (one % 4 == 0) - 100 * (one % 50 == 0)
        found[one] += (2_000 + one % 7) * (one % 3 == 0 and one in reached)
    return found


def test_the_effect_is_that_of_assignment(finished: tuple[Programme, Report]) -> None:
    made, report = finished
    spent, control = outcomes_of(made), held_out(made)
    with connection.cursor() as cursor:
        cursor.execute("select customer, state = 'sent' from touch_touch where programme = %s", [made.pk])
        sent = dict(cursor.fetchall())
    treated = Sample.of([spent[one] for one in sent], list(sent.values()))
    rest = Sample.of([spent[one] for one in sorted(control)])

    main = report.main
    assert main.spend == mean_difference(treated, rest)
    assert main.spend_reached == per_person_reached(treated, rest)
    assert number(main.spend_total).value == pytest.approx(number(main.spend).value * len(sent))
    assert number(main.spend).distinct
    assert number(main.spend).design == "person"
    assert number(main.conversion).value > 0.1
    assert number(main.conversion_reached).value > number(main.conversion).value
    assert {arm.name: arm.gmv for arm in report.arms} == {"send": treated.total, "control": rest.total}
    assert {arm.name: arm.people for arm in report.arms} == {"send": len(sent), "control": len(control)}
    assert report.ratio is not None
    assert report.ratio.even
    assert main.detectable_spend is not None


def test_before_the_window_is_over_nothing_is_measured() -> None:
    made = broadcast()
    send(made)
    buy("true", 5_000)
    clock.freeze(OVER - timedelta(seconds=1))
    report = broadcast_report(made)

    assert report.open
    assert report.end == OVER
    assert isinstance(report.main.spend, NotMeasurable)
    assert report.main.spend.reason == report.main.conversion.reason == Reason.WINDOW_OPEN  # type: ignore[union-attr]
    assert {(arm.orders, arm.gmv) for arm in report.arms} == {(0, 0)}
    assert report.funnel.total.sent > 500


def test_without_a_control_group_there_is_no_effect() -> None:
    made = broadcast(size=100, control_bp=0)
    clock.freeze(OVER)
    report = broadcast_report(made)

    assert isinstance(report.main.spend, NotMeasurable)
    assert report.main.spend.reason == Reason.NO_CONTROL
    assert report.ratio is None


def test_variants_by_adviser_are_compared_by_adviser() -> None:
    made = broadcast(size=1_200, advisers=24, texts=("A", "B"), design="cluster", seed="pair")
    send(made)
    buy("mod(number, 5) = 0", 5_000)
    clock.freeze(OVER)
    report = broadcast_report(made)

    assert [(one.treated, one.control, one.design) for one in report.contrasts] == [
        ("1", "control", "person"),
        ("2", "control", "person"),
        ("2", "1", "cluster"),
    ]
    versus = number(report.contrasts[-1].spend)
    assert versus.treated_clusters + versus.control_clusters == 24
    assert min(versus.treated_clusters, versus.control_clusters) >= 5
    assert [arm.variant for arm in report.arms] == [1, 2, 0]
    # nothing was done to either: four standard errors, because the draw follows the advisers' ids, which differ by run
    assert abs(versus.value) < versus.high - versus.low


def test_variants_by_person_have_their_own_control_people() -> None:
    made = broadcast(size=1_000, texts=("A", "B"), design="person")
    buy("mod(number, 2) = 0", 5_000)
    clock.freeze(OVER)
    report = broadcast_report(made)

    one, two = (number(report.contrasts[place].spend) for place in (0, 1))
    assert one.control + two.control == len(held_out(made))
    assert number(report.contrasts[2].spend).design == "person"
    assert report.ratio is not None
    assert set(report.ratio.found) == {"control", "1", "2"}
    assert sum(report.ratio.found.values()) == 1_000


def test_two_who_prove_to_be_one_count_once_where_she_was_first() -> None:
    made = broadcast(size=200)
    control = held_out(made)
    kept = min(set(range(1, 201)) - control)
    absorbed = max(control)
    Customer.objects.filter(number=absorbed).update(merged_into_id=kept)
    buy(f"number = {kept}", 5_000)
    clock.freeze(OVER)
    report = broadcast_report(made)

    assert report.merged_people == 1
    assert {arm.name: (arm.people, arm.buyers) for arm in report.arms} == {
        "send": (200 - len(control), 1),
        "control": (len(control) - 1, 0),
    }


def test_a_store_manager_sees_the_people_of_her_advisers() -> None:
    made = broadcast(size=400)
    send(made)
    clock.freeze(OVER)
    with connection.cursor() as cursor:
        cursor.execute("select path from platform_orgnode where code = 's0'")
        path = cursor.fetchone()[0]
    whole, hers = broadcast_report(made), broadcast_report(made, Scope(paths=(path,)))

    assert [place.name for place in hers.funnel.stores] == ["Store 0"]
    assert hers.funnel.audience is None
    assert hers.funnel.excluded == {}
    assert hers.funnel.total.planned + hers.funnel.control == 200
    assert sum(arm.people for arm in hers.arms) == 200 < sum(arm.people for arm in whole.arms)
    nothing = broadcast_report(made, Scope(paths=()))
    assert nothing.funnel.total.planned == 0
    assert isinstance(nothing.main.spend, NotMeasurable)


def test_a_broadcast_without_a_plan_has_no_report() -> None:
    with pytest.raises(NotPlanned):
        broadcast_report(programme(request()))
