"""Episodes of alerts: told once when they begin, once when they are over, whoever looks and however often."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from hetang.operations import alerting, configured
from hetang.operations.alert_kinds import KINDS, said
from hetang.operations.conditions import SOURCES, Condition, Source
from hetang.operations.models import Alert, Notice
from hetang.platform.access import system

NOW = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)
LAG = Condition("stream_lag", "customers", {"seconds": 400, "limit": 300})
KINDS_OF_STREAMS = {"stream_lag"}
PATIENCE, CALM = KINDS["stream_lag"].patience_s, KINDS["stream_lag"].calm_s


@pytest.fixture(autouse=True)
def _two_roads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETANG_NOTIFY_WEBHOOK_URL", "https://example.org/hook")
    monkeypatch.setenv("HETANG_NOTIFY_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("HETANG_NOTIFY_MAIL_TO", "it@example.org")


def _note(found: list[Condition], seconds: float, looked_at: set[str] = KINDS_OF_STREAMS) -> alerting.Change:
    return alerting.note(found, looked_at, NOW + timedelta(seconds=seconds))


def _told() -> list[tuple[str, str]]:
    return sorted(Notice.objects.values_list("event", "road"))


@pytest.mark.django_db
def test_what_passes_within_its_patience_is_never_told() -> None:
    assert _note([LAG], 0).opened == []
    assert _note([LAG], PATIENCE - 1).opened == []
    _note([], PATIENCE)
    assert not Alert.objects.exists()
    _note([LAG], PATIENCE + 1)
    assert _note([LAG], 2 * PATIENCE).opened == [], "its patience begins anew"


@pytest.mark.django_db
def test_one_episode_is_told_once_at_its_begin_and_once_at_its_end() -> None:
    _note([LAG], 0)
    for look in range(5):
        _note([LAG], PATIENCE + 15 * look)
    both = [("opened", "mail"), ("opened", "webhook")]
    assert _told() == both
    last = PATIENCE + 60
    _note([], last + CALM - 1)
    _note([LAG], last + CALM)  # it comes back before it was over: the same alert
    _note([], last + 2 * CALM - 1)
    assert _told() == both
    _note([], last + 2 * CALM)
    assert _told() == [("closed", "mail"), ("closed", "webhook"), *both]
    assert Alert.objects.get().closed_at is not None
    _note([LAG], last + 3 * CALM)
    _note([LAG], last + 3 * CALM + PATIENCE)
    assert Alert.objects.count() == 2
    assert len(_told()) == 6


@pytest.mark.django_db
def test_an_alert_whose_rule_could_not_be_looked_at_goes_on() -> None:
    def broken() -> Iterator[Condition]:
        raise ConnectionError
        yield

    _note([LAG], 0)
    _note([LAG], PATIENCE)
    found, looked_at = alerting.look((Source(broken, frozenset(KINDS_OF_STREAMS)),))
    assert (found, looked_at) == ([], set())
    alerting.note(found, looked_at, NOW + timedelta(hours=9))
    assert Alert.objects.get().closed_at is None


@pytest.mark.django_db(transaction=True)
def test_four_that_look_at_the_same_time_make_one_alert() -> None:
    begin = threading.Barrier(4)
    opened: list[int] = []

    def look() -> None:
        for seconds in (0, PATIENCE, PATIENCE + 1):
            begin.wait()
            opened.extend(_note([LAG, Condition("facts_held", "", {"count": 1, "limit": 1})], seconds).opened)
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Alert.objects.filter(kind="stream_lag").count() == 1
    assert len(opened) == 1
    assert _told() == [("opened", "mail"), ("opened", "webhook")]


@pytest.mark.django_db
def test_a_kind_of_an_earlier_version_ends_quietly() -> None:
    times = {"first_seen_at": NOW, "last_seen_at": NOW, "opened_at": NOW}
    Alert.objects.create(kind="gone", subject="x", severity="bad", **times)
    _note([], 1)
    assert Alert.objects.get().closed_at is not None
    assert said("gone", "x", {}).sentence == "x"


@pytest.mark.django_db
def test_every_kind_has_a_rule_and_a_sentence_that_fits_its_numbers() -> None:
    told = {kind for source in SOURCES for kind in source.kinds}
    assert told == KINDS.keys() - {"test"}
    found, looked_at = alerting.look(SOURCES)
    assert looked_at == told, "every rule could be looked at"
    for one in found:
        assert "%(" not in said(one.kind, one.subject, one.detail).sentence
        assert str(KINDS[one.kind].sentence) % {"subject": one.subject, **one.detail}


@pytest.mark.django_db
def test_a_test_goes_by_every_road_and_is_over_at_once() -> None:
    alert = alerting.test(system("test"))
    assert _told() == [("opened", "mail"), ("opened", "webhook")]
    assert alert.closed_at is not None
    configured.forget()
