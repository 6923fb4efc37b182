"""What machines ask: does it live, can it work, how is it."""

from __future__ import annotations

import json
import logging

import pytest
from django.db import OperationalError
from django.test import Client

from hetang.facts.models import SubscriptionCursor
from hetang.operations import probes
from hetang.platform import clickhouse, clock, upgrade

SECRET = "s3cr3t-pass"


def _down(*_: object) -> None:
    raise OperationalError(f'connection failed: FATAL: password "{SECRET}" of user hetang is wrong')


@pytest.fixture
def with_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse, "available", lambda: True)


def test_healthz_asks_nobody(client: Client) -> None:
    answer = client.get("/healthz")  # without the database mark: a query would raise
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_readyz_is_ready_when_all_four_parts_work(client: Client, with_engine: None) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, json.loads(answer.content)) == (200, {"state": "ready", "problems": []})


@pytest.mark.django_db
def test_without_the_database_readyz_says_so_and_no_secret(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "known_state", _down)
    monkeypatch.setattr(clickhouse, "available", lambda: False)
    answer = client.get("/readyz")
    told = json.loads(answer.content)
    assert (answer.status_code, told["state"]) == (503, "down")
    assert {one["part"] for one in told["problems"]} == {"database", "engine"}
    assert SECRET not in answer.content.decode()
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db
def test_pending_migrations_make_it_not_ready(
    client: Client, with_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = upgrade._of_this_version()
    monkeypatch.setattr(upgrade, "_of_this_version", lambda: own | {("touch", "0999_more")})
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert json.loads(answer.content)["problems"][0]["code"] == "pending"


@pytest.mark.django_db
def test_a_stopped_stream_or_a_missing_engine_impairs_but_pages_are_served(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clickhouse, "available", lambda: False)
    SubscriptionCursor.objects.update_or_create(name="commerce", defaults={"failed_at": clock.now(), "error": "x"})
    answer = client.get("/readyz")
    told = json.loads(answer.content)
    assert (answer.status_code, told["state"]) == (200, "impaired")
    assert [(one["part"], one["code"]) for one in told["problems"]] == [
        ("engine", "unreachable"),
        ("streams", "stopped"),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "caller", [{"REMOTE_ADDR": "203.0.113.7"}, {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, {"HTTP_FORWARDED": "for=x"}]
)
def test_strangers_learn_neither_metrics_nor_details(client: Client, caller: dict[str, str]) -> None:
    assert client.get("/metrics", **caller).status_code == 404
    assert client.get("/readyz", **caller).content in (b"ready\n", b"impaired\n")


@pytest.mark.django_db
def test_metrics_name_every_part(client: Client) -> None:
    client.get("/login")
    text = client.get("/metrics").content.decode()
    for name in (
        *("http_requests_total", "http_request_seconds_bucket", "stream_lag_seconds", "jobs", "database_connections"),
        *("disk_free_bytes", "engine_up", "database_oldest_transaction_seconds", "clock_skew_seconds"),
    ):
        assert f"\nhetang_{name}{{" in text or f"\nhetang_{name} " in text, name
    assert 'hetang_http_requests_total{route="console:login",method="GET",status="302"}' in text
    unread = [line for line in text.splitlines() if line.startswith("hetang_measured") and line.endswith(" 0")]
    assert unread == []


def test_metrics_without_a_database_still_tell_the_rest(client: Client) -> None:
    text = client.get("/metrics").content.decode()
    assert 'hetang_measured{part="database"} 0' in text
    assert 'hetang_disk_free_bytes{place="home"}' in text


@pytest.mark.django_db
def test_a_request_is_one_line_with_its_route_and_nothing_of_its_address(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hetang.requests"):
        answer = client.get("/customers/?q=13812345678")
        client.get("/no/such/place/13812345678")
    lines = [record for record in caplog.records if record.name == "hetang.requests"]
    assert [(one.route, one.status) for one in lines] == [("customers:list", 302), ("none", 404)]
    assert "13812345678" not in str([vars(one) for one in lines])
    assert len(answer.headers["X-Request-ID"]) == 36
    assert probes.PROBES.keys() >= {"/healthz", "/readyz", "/metrics"}
