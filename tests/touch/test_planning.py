from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from hetang.commerce.models import Order
from hetang.customers.models import Consent, Customer, DoNotDisturb, Relation
from hetang.resources.models import Staff
from hetang.touch import deciding, governor, ledger, planning, rules
from hetang.touch.models import Cap, Plan, PlatformLimit, Programme, SendTask, Touch
from hetang.touch.rules import Request
from tests.touch.world import NOW, organisation, people, programme, request

pytestmark = pytest.mark.django_db


def split(plan: Plan) -> dict[tuple[str, int], int]:
    return {(group.reason, group.variant): group.count for group in plan.groups.all()}


def committed(members: BitMap, asked: Request, texts: tuple[str, ...] = ("Hi",), chunk: int = 7) -> Plan:
    return planning.run(planning.begin(members.serialize(), asked, programme(asked, texts)), chunk)


def touch_rows(customers: list[int], slot: datetime, channel: str = "wecom", kind: str = "marketing") -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into touch_touch (planned_at, slot_at, programme, customer, task, local_day, channel,"
            " message_class, state, address) values (%s, %s, 0, %s, 0, %s, %s, %s, 'sent', '')",
            [[slot, slot, customer, slot.date(), channel, kind] for customer in customers],
        )


def test_each_person_counts_once_under_the_first_reason() -> None:
    staff = organisation()
    members = people(60, staff)
    Consent.objects.filter(customer__lte=10).update(given=False)
    for number in range(6, 16):  # 6..10 have no consent either
        DoNotDisturb.objects.create(customer_id=number, on=True, occurred_at=NOW, fact_key="", source="t")
    for number, until in ((26, 2), (27, 2), (28, 0)):  # the last one's wish ends before the slot
        DoNotDisturb.objects.create(
            customer_id=number, on=True, until=NOW + timedelta(hours=until), occurred_at=NOW, fact_key="", source="t"
        )
    touch_rows([*range(11, 21), *range(16, 21)], NOW - timedelta(days=2))  # 11..15 once, 16..20 twice
    touch_rows([14, 15], NOW - timedelta(days=3))  # over the cap, but they do not want to be disturbed
    Relation.objects.filter(customer__in=[29, 30]).update(state="lost_by_customer")
    Customer.objects.filter(number=31).update(merged_into_id=32)
    plan = committed(members, request())
    assert split(plan) == {
        ("no_consent", 0): 10,
        ("do_not_disturb", 0): 5,
        ("capped", 0): 5,
        ("quiet", 0): 2,
        ("unreachable", 0): 3,
        ("", 1): 35,
    }
    assert sum(split(plan).values()) == 60 == plan.people


def test_dry_run_equals_the_committed_plan_and_writes_no_touch() -> None:
    staff = organisation()
    members = people(500, staff)
    asked = request(control_bp=2000, weights=(1, 3))
    dry = planning.run(planning.begin(members.serialize(), asked), 100)
    assert Touch.objects.count() == SendTask.objects.count() == 0
    done = committed(members, asked, ("A", "B"), chunk=33)
    assert {(g.reason, g.variant): bytes(g.members) for g in dry.groups.all()} == {
        (g.reason, g.variant): bytes(g.members) for g in done.groups.all()
    }
    assert sorted(dry.senders.values_list("staff_id", "variant", "people")) == sorted(
        done.senders.values_list("staff_id", "variant", "people")
    )


def test_a_plan_that_died_ends_like_one_that_did_not() -> None:
    staff = organisation()
    members = people(400, staff)
    asked = request(control_bp=1000, weights=(1, 1))
    whole = planning.run(planning.begin(members.serialize(), asked), 1000)
    died = planning.begin(members.serialize(), asked, programme(asked, ("A", "B")))
    planning.step(died.pk, members.to_array(), 150)
    resumed = planning.run(Plan.objects.get(pk=died.pk), 90)
    assert {(g.reason, g.variant): bytes(g.members) for g in whole.groups.all()} == {
        (g.reason, g.variant): bytes(g.members) for g in resumed.groups.all()
    }
    assert resumed.programme is not None
    assert resumed.programme.state == Programme.RUNNING
    assert sum(ledger.tally(resumed.programme.pk).values()) == 400


def test_tasks_are_the_sum_over_sender_and_text_of_full_and_started_tens_of_thousands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deciding, "people_per_unit", lambda name: 10)
    staff = organisation(stores=1, advisers_per_store=2)
    members = people(25, staff[:1]) | people(41, staff[1:], first=26)
    plan = committed(members, request())
    tasks = SendTask.objects.order_by("staff", "seq").values_list("staff_id", "seq", "people")
    one, two = staff[0].pk, staff[1].pk
    assert list(tasks) == [
        *((one, 0, 10), (one, 1, 10), (one, 2, 5)),
        *((two, 0, 10), (two, 1, 10), (two, 2, 10), (two, 3, 10), (two, 4, 1)),
    ]
    assert rules.tasks_needed([sender.people for sender in plan.senders.all()], 10) == 8
    assert Touch.objects.filter(task=SendTask.objects.get(staff=two, seq=4).pk).count() == 1
    links = set(SendTask.objects.values_list("link_id", flat=True))
    assert len(links) == 8


def test_owner_before_last_interaction_before_newest_friend() -> None:
    first, second, third, gone = organisation()
    gone.active = False
    gone.save()
    people(4, [first])
    for number in range(1, 5):
        for other, days in ((second, 5), (third, 9), (gone, 20)):
            Relation.objects.create(
                *(), customer_id=number, staff=other, external_userid=f"e{number}", state="active",
                since=NOW + timedelta(days=days), occurred_at=NOW, fact_key="",
            )  # fmt: skip
    Customer.objects.filter(number=1).update(owner=second)
    for number, days in ((1, 1), (2, 1)):
        Order.objects.create(
            source="t", key=f"o{number}", customer_id=number, staff=first, channel="store", lines=1, net=1,
            placed_at=NOW - timedelta(days=days), local_day=NOW.date(),
        )  # fmt: skip
    Customer.objects.filter(number=4).update(owner=first)
    Relation.objects.filter(customer=4, staff=first).update(state="lost_by_customer")  # bound, but no longer friends
    committed(BitMap([1, 2, 3, 4]), request())
    assert list(Touch.objects.order_by("customer").values_list("customer", "staff")) == [
        *((1, second.pk), (2, first.pk), (3, third.pk), (4, third.pk)),
    ]


def test_senders_stay_inside_the_part_of_the_organisation() -> None:
    staff = organisation(stores=2, advisers_per_store=1)
    members = people(10, staff)
    plan = committed(members, request(org_path=staff[0].org_node.path))
    assert split(plan) == {("", 1): 5, ("unreachable", 0): 5}


def test_cluster_design_gives_all_customers_of_an_adviser_one_text() -> None:
    staff = organisation(stores=4, advisers_per_store=3)
    members = people(240, staff)
    asked = request(weights=(1, 1), design="cluster", control_bp=500)
    plan = committed(members, asked, ("A", "B"))
    seen = set(Touch.objects.values_list("staff", "variant"))
    assert len(seen) == 12
    assert sorted(variant for _, variant in seen) == [1] * 6 + [2] * 6
    assert seen == set(deciding.cluster_variants(Request.from_json(plan.parameters)).items())


def test_texts_are_shared_out_among_those_who_could_send_there() -> None:
    """Office staff, other parts of the organisation and people who left must not take up places in an arm."""
    staff = organisation(stores=2, advisers_per_store=4)
    here = staff[:4]
    node = here[0].org_node
    for number in range(9):
        Staff.objects.create(userid=f"office{number}", name="Office", org_node=node)
    people(80, staff)
    asked = request(weights=(1, 1), design="cluster", org_path=node.path)
    dry = planning.begin(BitMap(range(1, 81)).serialize(), asked)
    found = Request.from_json(dry.parameters)
    dealt = deciding.cluster_variants(found)
    assert sorted(dealt) == [one.pk for one in here]
    assert sorted(dealt.values()) == [1, 1, 2, 2]
    Staff.objects.filter(pk=here[0].pk).update(active=False)  # between dry run and plan
    plan = committed(BitMap(range(1, 81)), found, ("A", "B"))
    assert Request.from_json(plan.parameters) == found
    assert set(Touch.objects.values_list("staff", "variant")) == set(dealt.items()) - {(here[0].pk, dealt[here[0].pk])}


def test_holdout_remembers_whom_they_would_have_heard_from() -> None:
    import numpy as np

    staff = organisation()
    members = people(200, staff)
    plan = committed(members, request(control_bp=3000), chunk=50)
    rows = [
        (int(customer), int(adviser))
        for part in plan.holdouts.order_by("pk")
        for customer, adviser in zip(
            np.frombuffer(part.customers, ">i8"), np.frombuffer(part.staff, ">i8"), strict=True
        )
    ]
    control = plan.groups.get(reason="control")
    assert [customer for customer, _ in rows] == list(BitMap.deserialize(bytes(control.members)))
    assert all(adviser == staff[customer % 4].pk for customer, adviser in rows)


def test_quiet_hours_exclude_everybody_left() -> None:
    members = people(5, organisation())
    midnight = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
    assert split(committed(members, request(slot_at=midnight))) == {("quiet", 0): 5}


def test_service_messages_need_no_consent_and_no_cap_but_respect_a_refusal() -> None:
    members = people(6, organisation(), consent=False)
    Consent.objects.create(
        customer_id=1, purpose="service", channel="wecom", given=False, occurred_at=NOW, fact_key="", source="t"
    )
    touch_rows([2] * 9, NOW - timedelta(days=1))
    assert split(committed(members, request(message_class="service"))) == {("no_consent", 0): 1, ("", 1): 5}


def test_platform_cap_counts_every_class_of_the_month() -> None:
    members = people(3, organisation())
    Cap.objects.all().delete()
    for day in range(31):
        touch_rows([1], datetime(2026, 3, 1, 4, tzinfo=UTC) + timedelta(days=day), kind="service")
        touch_rows([2], datetime(2026, 2, 28, 4, tzinfo=UTC) + timedelta(days=day), kind="service")
    assert split(committed(members, request())) == {("capped", 0): 1, ("", 1): 2}
    PlatformLimit.objects.update(mode="none")
    assert split(committed(members, request())) == {("", 1): 3}


def test_the_cap_over_all_channels_counts_other_channels() -> None:
    members = people(3, organisation())
    Cap.objects.all().delete()
    governor.set_caps([rules.CapRule("", 2, 7)])
    touch_rows([1, 1, 2], NOW - timedelta(days=1), channel="sms")
    assert split(committed(members, request())) == {("capped", 0): 1, ("", 1): 2}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.integers(-9 * 24, 9 * 24), max_size=6), min_size=12, max_size=12),
    st.integers(1, 3),
    st.integers(1, 8),
)
def test_set_sql_counts_like_the_rule(history: list[list[int]], limit: int, days: int) -> None:
    Touch.objects.all()._raw_delete("default")
    slot = NOW + timedelta(hours=1)
    for number, hours in enumerate(history, start=1):
        for hour in hours:
            touch_rows([number], slot + timedelta(hours=hour))
    cap = rules.CapRule("wecom", limit, days)
    sql, params = governor.capped_sql(governor.Limits(slot, "wecom", (cap,), None), "t.customer between 1 and 12")
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        over = {customer for customer, capped in cursor.fetchall() if capped}
    assert over == {
        number
        for number, hours in enumerate(history, start=1)
        if rules.breaks_cap([slot + timedelta(hours=hour) for hour in hours], slot, limit, days)
    }


@pytest.mark.parametrize(
    ("size", "took_s", "following"),
    [
        (20_000, 0.5, 20_000),
        (20_000, 0.4, 25_000),
        (20_000, 0.01, 30_000),  # by half at most
        (50_000, 0.1, 60_000),
        (20_000, 4.0, 10_000),
        (1_200, 9.0, 1_000),
    ],
)
def test_chunks_grow_and_shrink_towards_half_a_second(size: int, took_s: float, following: int) -> None:
    assert planning.next_size(size, took_s) == following
