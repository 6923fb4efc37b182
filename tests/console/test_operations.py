"""Held records, jobs, status, keys, users."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from hetang.console.operations import held_words
from hetang.facts.models import Fact, HeldFact
from hetang.platform import api_keys, clickhouse, clock, jobs
from hetang.platform.models import ApiKey, AuditEntry, Grant, JobRun, User
from hetang.platform.sealing import seal
from tests.console.cast import PASSWORD, Cast

ENVELOPE = (
    b'{"kind":"visit.recorded","key":"v1","occurred_at":"2026-01-01T10:00:00+08:00",'
    b'"who":[{"kind":"phone","value":"13812345678"}],"body":{"channel":"store"}}'
)


def _held(body: bytes = ENVELOPE, reason: str = "unknown_kind") -> HeldFact:
    return HeldFact.objects.create(
        received_at=clock.now(),
        door="api",
        source="till",
        kind="visit.recorded",
        key="v1",
        stage="validate",
        reason=reason,
        detail={"kind": "visit.recorded"},
        body=seal(body),
    )


def test_held_records_are_listed_with_their_reason_and_never_with_a_phone(headquarters: Client) -> None:
    held = _held()
    listed = headquarters.get("/operations/held/").content.decode()
    assert "It came as “visit.recorded”, which is no kind of record that is known here." in listed
    page = headquarters.get(f"/operations/held/{held.pk}/").content.decode()
    assert "138****5678" in page
    assert "13812345678" not in page


WHY = {
    "Object missing required field `net`@$": "“Net amount” is missing.",
    "Object missing required field `amount`@lines[0]": "“Amount of an item” is missing.",
    "Object contains unknown field `nett`@$": "It has a field “nett”, which records of this kind do not have.",
    "Expected `int`, got `str`@lines[0].amount": ("“Amount of an item” must be a whole number; what came is a text."),
    "Expected `str | null`, got `int`@home_store": "“Home store” must be a text or empty; what came is a whole number.",
    "Expected `array` of length >= 1@lines": "“Items of the order” is empty.",
    "Expected `array` of length >= 2@who": "“Whose it is” needs at least 2 entries.",
    "Expected `str` of length <= 64@lines[3].sku": "“Article number of an item” is longer than 64 characters.",
    "Expected `int` >= -1000@net": "“Net amount” is too small or too large.",
    "Invalid RFC3339 encoded datetime@occurred_at": (
        "“When it happened” is no time with date and zone, like 2026-11-11T09:00:00+08:00."
    ),
    "Invalid enum value 'x'@basis": "“Legal basis” has a value that is not allowed there, or not of the right form.",
    "not JSON in UTF-8, or nested too deeply@$": "The record is damaged and cannot be read.",
    "something new@until": "“Until” is not as it must be.",
}


def test_a_held_record_speaks_the_operators_words_and_keeps_the_technical_ones_apart(headquarters: Client) -> None:
    for said, expected in WHY.items():
        problem, path = said.rsplit("@", 1)
        assert held_words.why("bad_body", {"path": path, "problem": problem}) == expected
    body = (
        b'{"kind":"order.placed","key":"o1","occurred_at":"2026-01-01T10:00:00+08:00",'
        b'"who":[{"kind":"phone","value":"13812345678"}],"body":{"store":"330","lines":[{"sku":"a"}],"net":1250}}'
    )
    held = _held(body, "net_is_not_sum_of_lines")
    HeldFact.objects.filter(pk=held.pk).update(kind="order.placed", detail={"net": 1250, "sum": 1200})
    page = headquarters.get(f"/operations/held/{held.pk}/").content.decode()
    plain, technical = page.split('<details class="more"', 1)
    assert "net amount is ¥12.50, but its items add up to ¥12.00." in plain
    assert "<dt>Items of the order</dt><dd>1 entry</dd>" in plain
    assert "<dt>Net amount</dt><dd>¥12.50</dd>" in plain
    assert "138****5678" in plain
    for word in ("order.placed", "net_is_not_sum_of_lines", "validate"):
        assert word not in plain.split("<main", 1)[1]
        assert word in technical


def test_replaying_takes_the_record_and_closes_it(headquarters: Client) -> None:
    held = _held()
    answer = headquarters.post(f"/operations/held/{held.pk}/replay", follow=True).content.decode()
    assert "Taken." in answer
    held.refresh_from_db()
    assert (held.state, Fact.objects.count()) == (HeldFact.REPLAYED, 1)
    assert AuditEntry.objects.get(action="held.replayed").changes == {"taken": True}


def test_what_is_still_wrong_stays_held_and_says_why(headquarters: Client) -> None:
    held = _held(ENVELOPE.replace(b"visit.recorded", b"visit.dreamt"))
    answer = headquarters.post(f"/operations/held/{held.pk}/replay", follow=True).content.decode()
    assert "Still held" in answer
    held.refresh_from_db()
    assert held.state == HeldFact.OPEN


def test_reasons_are_told_in_words_and_replaying_many_says_how_many(headquarters: Client) -> None:
    _held(), _held()
    page = headquarters.get("/operations/held/", {"reason": "unknown_kind"}).content.decode()
    assert '<option value="unknown_kind" selected>unknown_kind' not in page
    assert "2 records are checked again under today" in page


def test_all_of_one_reason_are_replayed_together(headquarters: Client) -> None:
    for number in range(3):
        _held(ENVELOPE.replace(b'"v1"', f'"v{number}"'.encode()))
    other = _held(reason="bad_key")
    answer = headquarters.post("/operations/held/replay", {"reason": "unknown_kind"}, follow=True)
    assert "3 records were taken." in answer.content.decode()
    assert list(HeldFact.objects.filter(state="open").values_list("pk", flat=True)) == [other.pk]


def test_dismissing_sets_a_record_aside(headquarters: Client) -> None:
    held = _held()
    headquarters.post(f"/operations/held/{held.pk}/dismiss")
    held.refresh_from_db()
    assert held.state == HeldFact.DISMISSED
    assert headquarters.post(f"/operations/held/{held.pk}/dismiss").status_code == 404


def test_a_job_can_be_watched_by_whoever_started_it_and_by_operations(
    headquarters: Client, manager: Client, cast: Cast
) -> None:
    hers = _job(cast.manager_a)
    other = _job(cast.headquarters)
    assert manager.get(f"/operations/jobs/{hers.public_id}/").status_code == 200
    assert manager.get(f"/operations/jobs/{other.public_id}/").status_code == 404
    assert manager.post(f"/operations/jobs/{other.public_id}/cancel").status_code == 404
    assert headquarters.get(f"/operations/jobs/{hers.public_id}/progress").status_code == 200
    assert "Reading" in headquarters.get("/operations/jobs/").content.decode()


def test_cancelling_a_waiting_job_ends_it(headquarters: Client, cast: Cast) -> None:
    run = _job(cast.headquarters)
    headquarters.post(f"/operations/jobs/{run.public_id}/cancel")
    run.refresh_from_db()
    assert run.state == JobRun.CANCELLED
    page = headquarters.get(f"/operations/jobs/{run.public_id}/progress").content.decode()
    assert "Cancelled." in page
    assert "hx-get" not in page


def test_the_progress_fragment_only_leads_on_inside_the_console(headquarters: Client, cast: Cast) -> None:
    run = _job(cast.headquarters)
    JobRun.objects.filter(pk=run.pk).update(state=JobRun.DONE)
    page = headquarters.get(f"/operations/jobs/{run.public_id}/progress", {"then": "//evil.example"}).content.decode()
    assert "evil" not in page


def _job(user: User) -> JobRun:
    return jobs.enqueue("test.none", "Reading", {}, created_by=user)


def test_the_status_page_names_streams_and_engine(headquarters: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse, "available", lambda: False)
    page = headquarters.get("/operations/").content.decode()
    assert "customers" in page
    assert "no answer" in page
    fragment = headquarters.get("/operations/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment


def test_a_key_is_shown_once_and_works_until_it_is_revoked(headquarters: Client) -> None:
    values = {"name": "till", "scopes": ["facts:write"], "requests_a_minute": 60, "facts_a_minute": 5000}
    page = headquarters.post("/settings/keys/", values)
    plain = page.context["plain"]
    assert plain.startswith("htk_")
    assert plain not in headquarters.get("/settings/keys/").content.decode()
    key = ApiKey.objects.get()
    assert plain not in (key.key_hash, key.prefix)
    assert api_keys.verify(plain, "facts:write") == key
    assert api_keys.verify(plain, "customers:read") is None
    assert api_keys.verify(plain + "x", "facts:write") is None
    limits = f"/settings/keys/{key.pk}/limits"
    headquarters.post(limits, {"requests_a_minute": 0, "facts_a_minute": 1})
    headquarters.post(limits, {"requests_a_minute": 90, "facts_a_minute": 9000})
    key.refresh_from_db()
    assert (key.requests_a_minute, key.facts_a_minute) == (90, 9000)
    assert "0 of 9,000 records" in headquarters.get("/settings/keys/").content.decode()
    changed = AuditEntry.objects.get(action="api_key.limits").changes
    assert changed == {"requests_a_minute": [60, 90], "facts_a_minute": [5000, 9000]}
    revoke = f"/settings/keys/{key.pk}/revoke"
    headquarters.post(revoke)
    assert api_keys.verify(plain, "facts:write") is None
    assert headquarters.post(limits, {"requests_a_minute": 1, "facts_a_minute": 1000}).status_code == 404
    ApiKey.objects.update(revoked_at=None, expires_at=clock.wall() - timedelta(seconds=1))
    assert revoke in headquarters.get("/settings/keys/").content.decode()  # of one that is over it ends the alert


def test_a_key_needs_known_scopes(db: None) -> None:
    with pytest.raises(ValueError, match="unknown scopes"):
        api_keys.create("till", ["facts:eat"], None)


def test_headquarters_makes_users_and_grants(headquarters: Client, cast: Cast) -> None:
    node = cast.store_b.org_node
    values = {"username": "carla", "password": PASSWORD, "role": "store_manager", "org_node": node.pk}
    headquarters.post("/settings/users/new", values)
    carla = User.objects.get(username="carla")
    assert carla.check_password(PASSWORD)
    grant = Grant.objects.get(user=carla)
    assert (grant.role, grant.org_node_id) == ("store_manager", node.pk)
    headquarters.post(f"/settings/users/{carla.pk}/grants/{grant.pk}/remove")
    assert not Grant.objects.filter(user=carla).exists()
    headquarters.post(f"/settings/users/{carla.pk}/active", {"active": "0"})
    carla.refresh_from_db()
    assert not carla.is_active


def test_nobody_locks_herself_out(headquarters: Client, cast: Cast) -> None:
    for own in Grant.objects.filter(user=cast.headquarters):
        headquarters.post(f"/settings/users/{cast.headquarters.pk}/grants/{own.pk}/remove")
    headquarters.post(f"/settings/users/{cast.headquarters.pk}/active", {"active": "0"})
    assert Grant.objects.filter(user=cast.headquarters).count() == 2
    cast.headquarters.refresh_from_db()
    assert cast.headquarters.is_active


def test_a_wrong_form_is_answered_422_with_the_fault(headquarters: Client) -> None:
    answer = headquarters.post("/settings/", {"name": "", "accent": "red", "currency": "CNY", "time_zone": "Mars"})
    assert answer.status_code == 422
    assert "This time zone is not known" in answer.content.decode()


def test_changing_the_brand_is_audited_with_before_and_after(headquarters: Client) -> None:
    values = {"name": "Pond", "accent": "#884422", "currency": "CNY", "time_zone": "Asia/Shanghai", "country": "CN"}
    headquarters.post("/settings/", values)
    row = AuditEntry.objects.get(action="brand.changed")
    assert row.changes == {"name": ["Lotus & Co", "Pond"], "accent": ["#2f7d6b", "#884422"]}
