"""The door: validated, deduplicated for ever, nothing personal in the clear, what is refused is kept."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest
from django.db import connection

from hetang.facts import intake, services
from hetang.facts.errors import MalformedBatch
from hetang.facts.intake import Draft
from hetang.facts.models import Fact, HeldFact, IntakeBatch
from hetang.platform.sealing import unseal

AT = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def order(number: str, net: int = 50, **extra: object) -> dict[str, object]:
    lines = [{"sku": "s1", "quantity": "1", "amount": net}]
    return {
        "kind": "order.placed",
        "key": number,
        "occurred_at": "2026-11-01T09:00:00Z",
        "who": [{"kind": "member", "value": "900"}],
        "body": {"store": "330", "lines": lines, "net": net},
        **extra,
    }


def request(*facts: dict[str, object], source: str = "pos") -> bytes:
    return json.dumps({"source": source, "facts": facts}).encode()


def test_a_batch_is_taken_once():
    first = intake.receive(request(order("a"), order("b")))
    second = intake.receive(request(order("b"), order("c"), order("c")))
    assert (first.accepted, first.duplicates, first.rejected) == (2, 0, [])
    assert (second.accepted, second.duplicates, second.rejected) == (1, 2, [])
    assert list(Fact.objects.order_by("id").values_list("key", flat=True)) == ["a", "b", "c"]


def test_the_same_key_of_another_source_is_another_fact():
    assert intake.receive(request(order("a"), source="pos")).accepted == 1
    assert intake.receive(request(order("a"), source="shop")).accepted == 1


def test_a_bad_fact_is_held_and_the_others_go_through():
    outcome = intake.receive(request(order("a"), order("b", net=51, body={"lines": [], "net": 0}), order("c")))
    assert outcome.accepted == 2
    assert [(r.index, r.key, r.code) for r in outcome.rejected] == [(1, "b", "bad_body")]
    assert outcome.rejected[0].detail["path"] == "lines"
    held = HeldFact.objects.get()
    assert (held.kind, held.key, held.stage, held.state) == ("order.placed", "b", "validate", "open")
    assert json.loads(unseal(held.body))["body"] == {"lines": [], "net": 0}


def test_a_fact_whose_envelope_is_broken_does_not_take_its_neighbours_with_it():
    outcome = intake.receive(request(order("a"), order("b", occurred_at="yesterday"), order("c", wrong=1)))
    assert outcome.accepted == 1
    assert [(r.index, r.key, r.code) for r in outcome.rejected] == [
        (1, "b", "bad_fact"),
        (2, "c", "bad_fact"),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "order.vanished"}, "unknown_kind"),
        ({"kind": "audience.entered", "body": {"audience": 1}, "who": []}, "unknown_kind"),
        ({"key": ""}, "bad_key"),
        ({"key": "k" * 201}, "bad_key"),
        ({"occurred_at": "2026-11-01T09:00:00"}, "time_without_zone"),
        ({"occurred_at": "1970-01-01T00:00:00Z"}, "time_too_early"),
        ({"occurred_at": "2126-01-01T00:00:00Z"}, "time_in_future"),
        ({"who": [{"kind": "passport", "value": "x"}]}, "unknown_identity_kind"),
        ({"who": [{"kind": "phone", "value": "abc"}]}, "bad_identity"),
        ({"body": {"lines": [{"sku": "s", "amount": 5}], "net": 6}}, "net_is_not_sum_of_lines"),
        ({"kind": "visit.recorded", "body": {}, "who": []}, "nobody_named"),
        ({"kind": "customer.identified", "body": {}}, "two_identities_needed"),
    ],
)
def test_refusals(change, code):
    outcome = intake.receive(request(order("a", **change)))
    assert [r.code for r in outcome.rejected] == [code]
    assert outcome.accepted == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"not json", "bad_json"),
        (b"[]", "bad_json"),
        (b'{"source": "pos", "facts": []}', "batch_size"),
        (b'{"source": "Bad Source", "facts": [{}]}', "bad_source"),
    ],
)
def test_an_unreadable_request_is_refused_whole(body, code):
    with pytest.raises(MalformedBatch) as refused:
        intake.receive(body)
    assert refused.value.code == code
    assert Fact.objects.count() == 0


def test_no_direct_identifier_is_stored_in_the_clear():
    who = [{"kind": "phone", "value": "+86 138-0000-1234"}, {"kind": "email", "value": "Li@Example.com"}]
    intake.receive(request(order("a", who=who, name="李雷"), order("b", who=who, key="")))
    fact = Fact.objects.get()
    assert json.loads(unseal(fact.sealed)) == {
        f"phone:{fact.who[0][1]}": "13800001234",
        f"email:{fact.who[1][1]}": "li@example.com",
        "name": "李雷",
    }
    with connection.cursor() as cursor:
        cursor.execute("select string_agg(f::text, '') from facts_fact f")
        facts = cursor.fetchone()[0]
        cursor.execute("select string_agg(encode(body, 'escape'), '') from facts_intake")
        raw = cursor.fetchone()[0]
        cursor.execute("select string_agg(h::text, '') from facts_heldfact h")
        held = cursor.fetchone()[0]
    for text in (facts, raw, held):
        for value in ("13800001234", "8613800001234", "xample.com", "李雷"):
            assert value not in text


def test_equal_phones_meet_however_they_are_written():
    for key, phone in (("a", "13800001234"), ("b", "+86 138 0000 1234"), ("c", "0086-13800001234")):
        intake.receive(request(order(key, who=[{"kind": "phone", "value": phone}])))
    assert len(set(Fact.objects.values_list("subject_key", flat=True))) == 1


def test_the_raw_body_is_kept_with_its_counts():
    body = request(order("a"), order("a"), order("b", key=""))
    intake.receive(body)
    batch = IntakeBatch.objects.get()
    assert (batch.accepted, batch.duplicates, batch.rejected) == (1, 1, 1)
    import zlib

    assert zlib.decompress(unseal(batch.body)) == body


def test_a_held_fact_is_replayed_once_it_can_be_taken():
    intake.receive(request(order("a", occurred_at="2026-11-01T09:00:00")))
    held = HeldFact.objects.get()
    again = services.replay(held.id)
    assert [r.code for r in again.rejected] == ["time_without_zone"]
    assert HeldFact.objects.count() == 1
    from hetang.platform.sealing import seal

    HeldFact.objects.update(body=seal(json.dumps(order("a")).encode()))
    assert services.replay(held.id).accepted == 1
    assert HeldFact.objects.get().state == "replayed"
    with pytest.raises(HeldFact.DoesNotExist):
        services.replay(held.id)


def test_internal_kinds_come_through_record():
    drafts = [Draft("audience.entered", "7:1", AT, (), {"audience": 7}, members=b"\x01\x02")]
    assert intake.record("audiences", drafts).accepted == 1
    assert bytes(Fact.objects.get().members) == b"\x01\x02"


@pytest.mark.django_db(transaction=True)
def test_many_threads_sending_the_same_facts_write_each_once():
    batches = [request(*(order(f"k{(start + n) % 200}") for n in range(100))) for start in range(0, 200, 25)]
    outcomes = []

    def send(body: bytes) -> None:
        outcomes.append(intake.receive(body))
        connection.close()

    threads = [threading.Thread(target=send, args=(body,)) for body in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.accepted for one in outcomes) == 200 == Fact.objects.count()
    assert sum(one.duplicates for one in outcomes) == 600
