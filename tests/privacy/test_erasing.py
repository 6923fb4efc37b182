"""Erasing a person: nothing of her is found anywhere, everybody else's data and all sums stay as they were."""

from __future__ import annotations

import json

import pytest
from django.db import connection

from hetang.audiences import stored
from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.commerce.models import CustomerMetric, Order, Refund
from hetang.customers.models import Customer, Identity
from hetang.facts import intake
from hetang.facts.subscriptions import run_until_idle
from hetang.imports.models import Import
from hetang.platform import clickhouse as store
from hetang.platform import jobs
from hetang.platform.access import system
from hetang.platform.models import AuditEntry
from hetang.privacy import certificates, erasing, erasure_list
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Erasure
from hetang.touch import ledger
from hetang.touch.models import Plan, PlanGroup, Programme
from tests.privacy import story, traces

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]


def erase(number: int, *, objects: bool = False) -> Erasure:
    ordered = erasing.order(system("test"), Customer.objects.get(pk=number), "asked", objects=objects)
    jobs.run_waiting()
    ordered.refresh_from_db()
    return ordered


def test_she_is_found_everywhere_before_and_nowhere_after(eve: int) -> None:
    assert len(traces.in_database(story.VALUES)) > 20
    assert traces.in_history(story.VALUES) != []
    assert len(traces.in_files(story.VALUES)) == 3  # one upload: number, phone, name
    done = erase(eve)
    assert (done.state, done.waits_for) == (Erasure.DONE, [])
    assert traces.in_database(story.VALUES) == []
    assert traces.in_history(story.VALUES) == []
    assert traces.in_files(story.VALUES) == []


def test_her_number_is_in_no_set_plan_ledger_or_history(eve: int) -> None:
    erase(eve)
    for rows in (AudienceSnapshot, Plan, PlanGroup):
        assert not any(eve in stored.read_members(row.pk) for row in rows.objects.all())
    with connection.cursor() as cursor:
        cursor.execute("select members from facts_fact where members is not null")
        assert not any(eve in traces.bitmap(members) for (members,) in cursor.fetchall())
        cursor.execute("select customer from touch_touch union select customer from touch_key")
        ledger_numbers = {row[0] for row in cursor.fetchall()}
    assert eve not in ledger_numbers
    assert len(ledger_numbers) == 2  # Bo, and a number that is nobody's
    assert Customer.objects.filter(pk__in=ledger_numbers).count() == 1
    for table in ("orders", "order_lines", "refunds", "visits", "touches", "facts", "customer_profile"):
        assert store.rows(f"select count() from {table} where customer = {eve}") == [(0,)], table


def test_sales_stay_without_her_and_everybody_else_stays(eve: int) -> None:
    before = (Order.objects.count(), sum(Order.objects.values_list("net", flat=True)), Refund.objects.count())
    history = store.rows("select count(), sum(net) from orders")
    erase(eve)
    assert (Order.objects.count(), sum(Order.objects.values_list("net", flat=True)), Refund.objects.count()) == before
    assert store.rows("select count(), sum(net) from orders") == history
    assert set(Order.objects.values_list("key", "customer")) == {
        ("o1", None),
        ("o2", None),
        ("o3", story.number_of(story.BO)),
    }
    assert list(CustomerMetric.objects.values_list("customer", flat=True)) == [story.number_of(story.BO)]
    assert Import.objects.exclude(stored_file=None).get().title == "bo.csv"


def test_snapshots_say_what_they_would_without_her(eve: int) -> None:
    erase(eve)
    bo = story.number_of(story.BO)
    rows = AudienceSnapshot.objects.order_by("sequence")
    assert [sorted(traces.bitmap(row.members)) for row in rows] == [[], [bo], [bo], [bo]]
    assert [(row.count, row.entered, row.left) for row in rows] == [(0, 0, 0), (1, 1, 0), (1, 0, 0), (1, 0, 0)]
    assert Audience.objects.get().count == 1


def test_the_ledger_still_adds_up_and_her_unsent_message_is_withdrawn(eve: int) -> None:
    erase(eve)
    for programme in Programme.objects.all():
        counted = ledger.tally(programme.pk)
        assert sum(counted.values()) == 2
        with connection.cursor() as cursor:
            cursor.execute(
                "select arm, variant, state, reason, count(*) from touch_touch where programme = %s"
                " group by 1, 2, 3, 4",
                [programme.pk],
            )
            rows = {tuple(row[:4]): row[4] for row in cursor.fetchall()}
        assert {key: n for key, n in counted.items() if key[0] == "send"} == rows
    assert ("send", 1, "cancelled", "withdrawn") in {k for p in Programme.objects.all() for k in ledger.tally(p.pk)}


def test_the_proof_is_signed_and_can_be_checked_again(eve: int) -> None:
    proof = erase(eve).certificate
    assert proof["sources"] == ["crm", "file", "pos"]
    assert {one["code"]: one["left"] for one in proof["holdings"]}["facts"] == 0
    assert {one["code"] for one in proof["holdings"] if one["removed"]} >= {
        *("facts", "intake", "held", "commerce", "snapshots", "set_facts", "touches", "plans", "imports", "wecom"),
    }
    assert certificates.check(proof).sound
    assert not certificates.signed(proof | {"reason": "law"})
    AudienceSnapshot.objects.update(members=traces.packed([eve]))
    again = certificates.check(proof)
    assert (again.signed, again.left["snapshots"], again.sound) == (True, 4, False)


def test_an_order_is_made_once_and_leaves_its_rows_in_the_audit_log(eve: int) -> None:
    customer = Customer.objects.get(pk=eve)
    erasing.order(system("test"), customer, "asked", objects=False)
    with pytest.raises(PrivacyRefused, match="erasing_already"):
        erasing.order(system("test"), customer, "asked", objects=False)
    jobs.run_waiting()
    with pytest.raises(PrivacyRefused, match="erased_already"):
        erasing.order(system("test"), Customer.objects.get(pk=eve), "asked", objects=False)
    rows = AuditEntry.objects.filter(target_id=str(customer.public_id)).order_by("id").values_list("action", flat=True)
    assert list(rows) == ["customer.erasure_ordered", "customer.erased"]


def test_who_comes_back_is_somebody_new(eve: int) -> None:
    erase(eve)
    intake.record("pos", [story.order("o9", story.MEMBER, 700), story.fact("customer.described", "new")])
    run_until_idle()
    again = story.number_of(story.MEMBER)
    assert again > eve
    assert CustomerMetric.objects.get(pk=again).orders == 1
    intake.record("pos", [story.order("o1", story.MEMBER, 1290)])  # delivered again: its key is still known
    run_until_idle()
    assert CustomerMetric.objects.get(pk=again).orders == 1


def test_who_objected_is_refused_and_nothing_is_kept_but_sales_for_nobody(eve: int) -> None:
    erase(eve, objects=True)
    at = "2026-02-01T00:00:00Z"
    phone, member = {"kind": "phone", "value": "137-9876-5432"}, {"kind": "member", "value": story.BO}
    facts = [
        {"kind": "customer.described", "key": "again", "occurred_at": at, "who": [phone], "name": story.NAME},
        {"kind": "customer.described", "key": "bo2", "occurred_at": at, "who": [member]},
    ]
    body = json.dumps({"source": "crm", "facts": facts}).encode()
    outcome = intake.receive(body)
    assert (outcome.accepted, [one.code for one in outcome.rejected]) == (1, ["objected"])
    sale = intake.record("pos", [story.order("o9", story.MEMBER, 700)])
    assert (sale.accepted, sale.rejected) == (1, [])
    run_until_idle()
    assert Order.objects.get(key="o9").customer_id is None
    assert not Identity.objects.filter(kind="member", key=story.MEMBER).exists()
    assert traces.in_database(story.VALUES) == []


def test_facts_that_no_stream_has_read_make_nobody(eve: int) -> None:
    """They were committed before she was erased: they are hers, not a new person's."""
    intake.record("pos", [story.fact("visit.recorded", "late", store="A"), story.order("o8", story.MEMBER, 50)])
    erase(eve)
    run_until_idle()
    assert not Identity.objects.filter(kind="member", key=story.MEMBER).exists()
    assert Order.objects.get(key="o8").customer_id is None


@pytest.mark.parametrize("dies_in", ["begin", "facts", "snapshots", "touches", "finish"])
def test_an_erasure_that_dies_is_finished_by_the_next_attempt(
    eve: int, dies_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(Exception):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    ordered = erasing.order(system("test"), Customer.objects.get(pk=eve), "asked", objects=False)
    with monkeypatch.context() as patch:
        if dies_in == "begin":
            patch.setattr("hetang.customers.erasing.begin", die)
        elif dies_in == "finish":
            patch.setattr(certificates, "make", die)
        else:
            patch.setattr(erasing, "all_holdings", lambda: traces.dying_in(dies_in, die))
        with pytest.raises(Died):
            erasing.carry_out(ordered.pk)
    assert erasing.carry_out(ordered.pk).state == Erasure.DONE
    assert traces.in_database(story.VALUES) == []
    assert len(erasure_list.entries()) == 1


def test_a_store_that_is_away_delays_only_the_end(eve: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store, "available", lambda: False)
        waiting = erase(eve)
    assert (waiting.state, waiting.waits_for) == (Erasure.RUNNING, ["history"])
    assert not Identity.objects.filter(kind="member", key=story.MEMBER).exists()
    assert erasing.go_on() == 1
    jobs.run_waiting()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.sealed) == (Erasure.DONE, None)


def test_the_history_read_again_knows_her_no_more(eve: int) -> None:
    from hetang.commerce import history

    erase(eve)
    run_until_idle()
    before = store.rows("select customer, order_key, net from orders order by order_key")
    history.rebuild_history()
    run_until_idle()
    assert store.rows("select customer, order_key, net from orders order by order_key") == before
    assert store.rows(f"select count() from facts where customer = {eve}") == [(0,)]
