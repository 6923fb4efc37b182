"""The API against its own schema: Schemathesis sends what it allows and what it forbids, seeded and bounded.

`make fuzz` sends 3,000 of each kind, others each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from hetang.api.app import api
from hetang.platform import api_keys

pytestmark = pytest.mark.django_db
FACTS = "/api/v1/facts"
EXAMPLES = int(os.environ.get("HETANG_API_EXAMPLES", "60"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
UNREADABLE = {"bad_json", "bad_fact", "batch_size", "bad_source", "too_many_identities", "unknown_identity_kind"}


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """A request's end must not close the connection of the test's transaction (Django's own client does the same)."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def key() -> str:
    return api_keys.create("till", ["facts:write"], None, limits=api_keys.WIDE)[1]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=["allowed", "forbidden"])
def test_the_api_does_what_its_schema_says(key: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(api.get_openapi_schema())))
    schema.app = WSGIHandler()
    codes: dict[int, int] = {}

    @given(case=schema[FACTS]["POST"].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize="HETANG_API_EXAMPLES" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {key}"})
        case.validate_response(answer, checks=CHECKS)
        codes[answer.status_code] = codes.get(answer.status_code, 0) + 1
        told = answer.json()
        problems = {told.get("code"), *(one["code"] for one in told.get("rejected", []))} - {None}
        if mode is GenerationMode.POSITIVE:
            assert not problems & UNREADABLE, (case.body, told)
        else:
            assert problems, (case.body, case.headers, told)

    send()
    assert sum(codes.values()) >= EXAMPLES // 2, codes


NO_BATCHES = [
    *(b"", b"\xff\xfe", b"null", b"[]", b'{"source":"pos","facts":[' + b"[" * 100_000, b'{"source":"\xed\xa0\x80"}'),
    b'{"source":"pos","facts":[{"kind":"visit.recorded","key":"\\u0000","occurred_at":"2026-01-01T00:00:00Z"}]}',
    b'{"source":"pos","facts":[{"kind":"a\\u0000","key":"k","occurred_at":"2026-01-01T00:00:00Z"}]}',
    b'{"source":"pos","facts":[{"kind":"visit.recorded","key":"k","occurred_at":"2026-01-01T00:00:00Z",'
    b'"who":[{"kind":"a\\u0000","value":"x"}],"body":{"store":"1"}}]}',
    b'{"source":"pos","facts":[{"kind":"visit.recorded","key":"k","occurred_at":"2026-01-01T00:00:00Z",'
    b'"body":{"store":' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}",
    b'{"source":"pos","facts":[{"kind":"visit.recorded","key":"k","occurred_at":"2026-01-01T00:00:00Z",'
    b'"body":{"store":"\\u0000","x":1e999}}]}',
    b'{"source":"pos","facts":[{"kind":"customer.described","key":"\\ud800","occurred_at":"2026-01-01T00:00:00Z",'
    b'"who":[{"kind":"member","value":"\\ud800"}],"name":"\\u0000","body":{"attributes":{"a":"\\u0000"}}}]}',
]


@pytest.mark.parametrize("body", NO_BATCHES, ids=range(len(NO_BATCHES)))
def test_bytes_that_are_no_batch_are_refused_in_the_one_shape(key: str, body: bytes) -> None:
    answer = _send(key, body)
    assert answer.status_code in {400, 422}, answer.content
    told = answer.json()
    assert told.get("code") or told["rejected"]


def test_too_large_a_request_is_refused_before_it_is_read(key: str) -> None:
    answer = _send(key, b'{"source":"' + b"x" * (17 << 20) + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def _send(key: str, body: bytes) -> Any:
    client = Client(raise_request_exception=False, headers={"authorization": f"Bearer {key}"})
    return client.post(FACTS, body, content_type="application/json")
