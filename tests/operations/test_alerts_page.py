"""The page of the alerts: what needs somebody, who is on it, what was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from hetang.operations.models import Alert, Notice
from hetang.platform.models import AuditEntry
from tests.console.cast import PASSWORD, Cast, user

PAGE = "/operations/alerts/"


def _alert(kind: str = "stream_stopped", **more: object) -> Alert:
    at = datetime.now(UTC) - timedelta(minutes=90)
    times = {"first_seen_at": at, "last_seen_at": at, "opened_at": at}
    return Alert.objects.create(kind=kind, subject="commerce", severity="bad", **{**times, **more})


def test_an_alert_needs_somebody_until_one_is_on_it(headquarters: Client, cast: Cast) -> None:
    alert = _alert()
    page = headquarters.get(PAGE).content.decode()
    assert "The data stream “commerce” stands at a record" in page
    assert "1 alert needs somebody." in headquarters.get("/").content.decode()
    answer = headquarters.post(f"{PAGE}{alert.pk}/acknowledge", follow=True).content.decode()
    assert "you are on it" in answer
    assert "Needs attention" not in answer
    assert "alert needs somebody" not in headquarters.get("/").content.decode()
    headquarters.post(f"{PAGE}{alert.pk}/acknowledge")
    assert AuditEntry.objects.filter(action="alert.acknowledged", target_id=str(alert.pk)).count() == 1


def test_a_trouble_within_its_patience_is_not_shown(headquarters: Client) -> None:
    waiting = _alert(opened_at=None)
    assert "commerce” stands" not in headquarters.get(PAGE).content.decode()
    assert headquarters.post(f"{PAGE}{waiting.pk}/acknowledge").status_code == 404


def test_an_auditor_sees_alerts_but_handles_none_and_a_manager_sees_none(manager: Client, cast: Cast) -> None:
    alert = _alert()
    auditor = Client()
    assert auditor.login(username=user("audrey", "auditor", cast.root).username, password=PASSWORD)
    page = auditor.get(PAGE).content.decode()
    assert "commerce" in page
    assert "acknowledge" not in page
    assert auditor.post(f"{PAGE}{alert.pk}/acknowledge").status_code == 403
    assert auditor.post(f"{PAGE}test").status_code == 403
    assert manager.get(PAGE).status_code == 403
    assert manager.get(f"{PAGE}history").status_code == 403
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_the_way_to_a_page_is_offered_to_those_only_who_may_open_it(headquarters: Client, cast: Cast) -> None:
    for kind in ("facts_held", "backup_old"):
        _alert(kind)
    administrator = Client()
    assert administrator.login(username=user("ada", "administrator", cast.root).username, password=PASSWORD)
    page = administrator.get(PAGE)
    assert {one.alert.kind: one.url for one in page.context["open"]} == {
        "facts_held": "",
        "backup_old": "/operations/backups/",
    }
    assert "/operations/held/" in {one.url for one in headquarters.get(PAGE).context["open"]}


def test_history_says_how_long_it_lasted_and_what_became_of_the_messages(headquarters: Client) -> None:
    now = datetime.now(UTC)
    over = _alert(closed_at=now)
    common = {"alert": over, "event": "opened", "next_try_at": now}
    Notice.objects.create(road="mail", state="failed", attempts=9, error="login", **common)
    page = headquarters.get(f"{PAGE}history", {"kind": "stream_stopped"}).content.decode()
    for part in ("90 minutes", "Mail failed", "refused the user name or the password"):
        assert part in page
    assert "90 minutes" not in headquarters.get(f"{PAGE}history", {"kind": "disk_low"}).content.decode()


def test_a_test_needs_a_way_and_then_shows_what_became_of_it(
    headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Nobody is told" in headquarters.get(PAGE).content.decode()
    assert "Nothing is set up yet" in headquarters.post(f"{PAGE}test", follow=True).content.decode()
    assert not Alert.objects.exists()
    monkeypatch.setenv("HETANG_NOTIFY_WEBHOOK_URL", "https://example.org/hook?key=s3cr3t")
    page = headquarters.post(f"{PAGE}test", follow=True).content.decode()
    assert "Webhook waits" in page
    assert "s3cr3t" not in page + headquarters.get("/settings/system/").content.decode()
