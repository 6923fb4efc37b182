"""The API's door: keys and scopes, statuses, the one error shape."""

from __future__ import annotations

import json

import pytest

from hetang.facts.models import Fact
from hetang.platform import api_keys

pytestmark = pytest.mark.django_db
URL = "/api/v1/facts"


@pytest.fixture
def key() -> str:
    return api_keys.create("till", ["facts:write"], None)[1]


def visit(number: int = 1, **extra: object) -> dict[str, object]:
    return {
        "kind": "visit.recorded",
        "key": f"v{number}",
        "occurred_at": "2026-11-01T09:00:00+08:00",
        "who": [{"kind": "member", "value": "900"}],
        "body": {"store": "330"},
        **extra,
    }


def send(client, body: object, key: str | None, language: str = "zh-hans"):
    headers = {"Accept-Language": language} | ({"Authorization": f"Bearer {key}"} if key else {})
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post(URL, text, content_type="application/json", headers=headers)


def test_facts_are_accepted_once(client, key):
    body = {"source": "pos", "facts": [visit(1), visit(2)]}
    first, second = send(client, body, key), send(client, body, key)
    assert (first.status_code, first.json()) == (200, {"accepted": 2, "duplicates": 0, "rejected": []})
    assert (second.status_code, second.json()) == (200, {"accepted": 0, "duplicates": 2, "rejected": []})


def test_a_marketing_consent_without_a_basis_is_kept_and_remarked_on(client, key):
    said = {"purpose": "marketing", "channel": "sms", "given": True}
    facts = [
        visit(number, kind="consent.changed", body=said | more)
        for number, more in enumerate(
            [{}, {"basis": "unknown"}, {"basis": "contract"}, {"given": False}, {"purpose": "service"}]
        )
    ]
    answer = send(client, {"source": "pos", "facts": facts}, key, language="en").json()
    assert (answer["accepted"], answer["rejected"]) == (5, [])
    assert [(one["index"], one["key"], one["code"]) for one in answer["remarks"]] == [
        (0, "v0", "consent_without_basis"),
        (1, "v1", "consent_without_basis"),
    ]
    assert "this consent does not count" in answer["remarks"][0]["detail"]


def test_a_refused_fact_is_explained_in_the_caller_s_language(client, key):
    body = {"source": "pos", "facts": [visit(1, occurred_at="2026-11-01T09:00:00")]}
    answer = send(client, body, key)
    assert answer.status_code == 422
    assert answer.json()["rejected"][0]["code"] == "time_without_zone"
    text = send(client, body, key, language="en").json()["rejected"][0]["detail"]
    assert text == "The time has no zone. Write it like 2026-11-11T09:00:00+08:00."


@pytest.mark.parametrize(("body", "code"), [("nonsense", "bad_json"), ({"source": "pos", "facts": []}, "batch_size")])
def test_an_unreadable_request_is_refused(client, key, body, code):
    answer = send(client, body, key)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_without_a_key_or_with_the_wrong_scope_nothing_is_read(client):
    reader = api_keys.create("reader", [], None)[1]  # no scope at all
    body = {"source": "pos", "facts": [visit(1)]}
    for plain in (None, "htk_wrong", reader):
        assert send(client, body, plain).status_code == 401


def test_a_revoked_key_is_refused(client, key):
    api_keys.revoke(api_keys.verify(key, "facts:write"))
    assert send(client, {"source": "pos", "facts": [visit(1)]}, key).status_code == 401


def test_what_is_too_much_is_refused_whole_with_the_time_to_wait(client):
    plain = api_keys.create("shop", ["facts:write"], None, limits=api_keys.Limits(requests=2, facts=1000))[1]
    first = send(client, {"source": "pos", "facts": [visit(1)]}, plain)
    assert first["RateLimit-Policy"] == '"requests";q=2;w=60, "facts";q=1000;w=60'
    assert '"requests";r=1' in first["RateLimit"] and '"facts";r=999' in first["RateLimit"]
    assert "Retry-After" not in first
    assert send(client, "nonsense", plain).status_code == 400  # counts as a request
    refused = send(client, {"source": "pos", "facts": [visit(2)]}, plain, language="en")
    body = refused.json()
    assert (refused.status_code, body["code"], body["fields"]["unit"]) == (429, "too_many_requests", "requests")
    assert body["detail"].startswith("This key may send 2 requests a minute. Try again in ")
    assert int(refused["Retry-After"]) == body["fields"]["retry_after"] >= 1
    assert Fact.objects.count() == 1


def test_a_stranger_is_told_in_the_one_shape(client):
    answer = send(client, {"source": "pos", "facts": [visit(1)]}, "htk_wrong", language="en")
    assert (answer.status_code, answer.json()["code"], answer["WWW-Authenticate"]) == (401, "unauthorized", "Bearer")
