"""Who may not be written to: under fourteen without a guardian, and whoever objected to being chosen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hetang.audiences.rules import (
    All,
    AnyOf,
    AtStore,
    ConsentGiven,
    Friends,
    InBucket,
    LeftAlone,
    MemberOf,
    Metric,
    Node,
    Not,
    Tagged,
    is_personal,
)
from hetang.customers.models import AttributeDefinition, Consent, CustomerAttribute
from hetang.platform import clock
from hetang.touch import dispatch, planning, wishes
from hetang.touch.models import Plan, SendTask
from hetang.touch.rules import Request
from tests.touch.test_planning import committed, split
from tests.touch.world import NOW, organisation, people, request

pytestmark = pytest.mark.django_db
PERSONAL = Tagged("any", ("coffee",))


@pytest.fixture(autouse=True)
def _still() -> object:
    clock.freeze(NOW)
    yield
    clock.freeze(None)


def born(number: int, day: str, code: str = "birthday") -> None:
    CustomerAttribute.objects.create(customer_id=number, code=code, value=day, occurred_at=NOW, fact_key="")


def said(number: int, purpose: str, given: bool) -> None:
    values = {"given": given, "basis": "consent", "occurred_at": NOW, "fact_key": "", "source": "t"}
    Consent.objects.update_or_create(customer_id=number, purpose=purpose, channel="any", defaults=values)


def world() -> tuple[object, Request]:
    """Twenty people: 1 and 2 under fourteen, of 2 a guardian agreed; 3 turns fourteen on the day; 4 objects."""
    members = people(20, organisation())
    AttributeDefinition.objects.create(code="dob", type="date", label_zh="生日", label_en="Born", birth_date=True)
    born(1, "2012-03-05")  # the slot is on 4 March 2026
    born(2, "2020-01-01", "dob")
    born(3, "2012-03-04")
    born(5, "soon")
    said(2, "guardian", given=True)
    said(4, "personalisation", given=False)
    said(6, "personalisation", given=True)
    return members, request()


def test_children_and_objectors_are_left_out_of_marketing() -> None:
    members, asked = world()
    assert split(committed(members, asked)) == {("minor", 0): 1, ("objected", 0): 1, ("", 1): 18}  # type: ignore[arg-type]
    said(2, "guardian", given=False)
    plan = planning.run(planning.begin(members.serialize(), request(personalised=False)))  # type: ignore[attr-defined]
    assert split(plan) == {("minor", 0): 2, ("", 1): 18}  # everybody of a store is no personal choice


def test_service_and_orders_reach_everybody() -> None:
    members, _asked = world()
    for kind in ("service", "transaction"):
        plan = planning.run(planning.begin(members.serialize(), request(message_class=kind)))  # type: ignore[attr-defined]
        assert split(plan) == {("", 1): 20}


def test_whoever_says_so_after_the_plan_is_released_before_it_goes() -> None:
    members, asked = world()
    committed(members, asked)
    said(7, "personalisation", given=False)
    said(2, "guardian", given=False)
    born(8, "2025-01-01")
    assert sum(dispatch.withdraw(task) for task in SendTask.objects.all()) == 3
    Plan.objects.update(parameters=request(personalised=False).as_json())
    said(9, "personalisation", given=False)
    assert sum(dispatch.withdraw(task) for task in SendTask.objects.all()) == 0


def test_a_withdrawal_is_one_statement_a_task() -> None:
    members, asked = world()
    committed(members, asked)
    said(7, "personalisation", given=False)
    tasks = list(SendTask.objects.select_related("programme"))
    with CaptureQueriesContext(connection) as seen:
        assert sum(dispatch.withdraw(task) for task in tasks) == 1
    assert len([query for query in seen if "SAVEPOINT" not in query["sql"]]) == len(tasks)


def test_the_sets_are_found_by_their_indexes() -> None:
    """Each chunk of a plan asks: reading all attributes or consents would cost more than the rest of the chunk."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into customers_customerattribute (customer_id, code, value, occurred_at, fact_key)"
            " select n, c, to_jsonb('1990-01-01'::text), now(), '' from generate_series(1, 20000) n,"
            " unnest(array['birthday', 'wedding']) c"
        )
        cursor.execute(
            "insert into customers_consent (customer_id, purpose, channel, given, basis, text_version, occurred_at,"
            " fact_key, source, simulated) select n, 'marketing', 'wecom', true, 'consent', '', now(), '', 't', true"
            " from generate_series(1, 20000) n"
        )
        cursor.execute("analyze customers_customerattribute; analyze customers_consent")
        with CaptureQueriesContext(connection) as asked, connection.cursor() as seen:
            assert wishes.minors(seen, 1, 20000, NOW.date()) == wishes.objected(seen, 1, 20000) == []
        for query, index in zip(list(asked), ("attribute_born", "consent_objected"), strict=True):
            cursor.execute(f"explain {query['sql']}")
            assert index in "\n".join(row[0] for row in cursor.fetchall())


@pytest.mark.parametrize(
    ("node", "personal"),
    [
        (All(()), False),
        (All((AtStore("home", ("A",), ""), Friends(1, ()), LeftAlone(False))), False),
        (All((ConsentGiven("marketing", "wecom", True), InBucket("", 0, 9))), False),
        (All((AtStore("home", ("A",), ""), PERSONAL)), True),
        (AnyOf((AtStore("bought_at", ("A",), ""),)), True),
        (Not(Metric("orders", ">", (3,))), True),
        (MemberOf("plain"), False),
        (MemberOf("personal"), True),
        (MemberOf("gone"), True),
    ],
)
def test_which_rules_choose_by_what_is_known_of_people(node: Node, personal: bool) -> None:
    saved = {"plain": All(()), "personal": PERSONAL}
    assert is_personal(node, saved.get) is personal


def test_slots_decide_the_age_not_the_day_of_planning() -> None:
    members = people(1, organisation())
    born(1, "2012-03-05")
    later = request(slot_at=NOW + timedelta(days=1))
    assert split(planning.run(planning.begin(members.serialize(), later))) == {("", 1): 1}
