"""When backups and drills are due, what the jobs do, and what the page says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from hetang.operations import jobs as our_jobs
from hetang.operations import schedule
from hetang.platform import jobs
from hetang.platform.backups import drill, folder
from hetang.platform.models import Brand, JobRun
from tests.platform.backups import homes

NOW = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai
ZONES = st.sampled_from(["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Pacific/Chatham"])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HETANG_BACKUPS", str(tmp_path / "backups"))
    return tmp_path / "backups"


def _backup(place: Path, at: datetime) -> None:
    """A complete backup of that time, as far as the schedule looks at it."""
    with folder.writing(place):
        draft = folder.begin(place, at)
        values = {"kind": "logical", "hetang": "0", "server": "18", "seconds": 1.0, "keys": {}}
        folder.finish(draft, {**values, "taken_at": at.isoformat()})


@given(ZONES, st.integers(0, 366 * 1440), st.integers(0, 23), st.integers(0, 59))
def test_each_local_day_has_one_slot_and_the_last_one_is_at_most_25_hours_old(
    name: str, minutes: int, hour: int, minute: int
) -> None:
    now, zone = NOW + timedelta(minutes=minutes), ZoneInfo(name)
    slot = schedule.last_slot(f"{hour:02}:{minute:02}", now, zone)
    assert slot is not None
    assert slot <= now
    assert now - slot <= timedelta(hours=25)
    following = schedule.last_slot(f"{hour:02}:{minute:02}", slot + timedelta(hours=30), zone)
    assert following is not None
    assert (following.astimezone(zone).date() - slot.astimezone(zone).date()).days == 1


@pytest.mark.django_db
def test_the_first_drill_waits_for_a_backup_of_the_night_or_a_day(place: Path) -> None:
    _backup(place, NOW)  # the first start, at ten in the morning
    assert schedule.due(NOW + timedelta(minutes=1)) == []
    assert schedule.due(NOW + timedelta(hours=24)) == ["operations.backup", "operations.drill"]
    _backup(place, NOW + timedelta(hours=16, minutes=31))  # 02:31, a minute after the slot
    assert schedule.due(NOW + timedelta(hours=17)) == ["operations.drill"]


@pytest.mark.django_db
def test_a_backup_is_due_once_a_night_and_a_drill_once_a_week(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert schedule.due(NOW) == ["operations.backup"]
    _backup(place, NOW - timedelta(hours=7))  # 03:00 in Shanghai, after the slot of 02:30
    assert schedule.due(NOW) == ["operations.drill"]
    drill._keep(place / drill.REPORTS, drill.Report(NOW.isoformat(), "0", [drill.Rehearsal("backup")]))
    assert schedule.due(NOW + timedelta(hours=1)) == []
    assert schedule.due(NOW + timedelta(hours=18)) == ["operations.backup"]
    assert schedule.due(NOW + timedelta(days=7)) == ["operations.backup", "operations.drill"]
    monkeypatch.setenv("HETANG_BACKUP_AT", "")
    monkeypatch.setenv("HETANG_BACKUP_DRILL_EVERY", "0")
    assert "operations.drill" not in schedule.due(NOW + timedelta(days=7))


@pytest.mark.django_db
def test_what_is_due_is_planned_once_and_after_a_failure_not_at_once_again(place: Path) -> None:
    schedule.run_once()
    schedule.run_once()
    assert list(JobRun.objects.values_list("kind", flat=True)) == ["operations.backup"]
    JobRun.objects.update(state=JobRun.FAILED)
    schedule.run_once()
    assert JobRun.objects.count() == 1
    JobRun.objects.update(beat_at=datetime.now(UTC) - timedelta(hours=2))
    schedule.run_once()
    assert JobRun.objects.count() == 2


@pytest.mark.django_db
def test_the_demo_plans_nothing(place: Path) -> None:
    from hetang.platform import brand

    Brand.objects.create(id=1, name="Demo", demo=True)
    brand.forget()
    schedule.run_once()
    brand.forget()
    assert not JobRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_backup_as_a_job_from_the_page_ends_with_figures_and_old_ones_go(
    place: Path, headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETANG_DATABASE_URL", homes.database_of_tests())
    for days in range(1, 12):
        _backup(place, datetime.now(UTC) - timedelta(days=days))
    answer = headquarters.post("/operations/backups/backup")
    run = JobRun.objects.get(kind="operations.backup")
    assert answer.headers["Location"] == f"/operations/jobs/{run.public_id}/"
    assert headquarters.post("/operations/backups/backup").headers["Location"] == "/operations/backups/"
    jobs.run_waiting()
    run.refresh_from_db()
    assert (run.state, run.error) == (JobRun.DONE, "")
    assert run.result["rows"] > 0
    assert run.result["removed"] == 12 - len(folder.complete(place))
    assert run.result["removed"] >= 2
    page = headquarters.get("/operations/backups/").content.decode()
    assert "Newest backup" in page
    assert folder.complete(place)[-1].name in page


@pytest.mark.django_db
def test_a_drill_that_fails_is_a_failed_job_that_says_why(
    place: Path, headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = {"ok": False, "rehearsals": [{"way": "backup", "problem": "toc.dat is damaged", "seconds": 1.0}]}
    monkeypatch.setattr(our_jobs, "_command", lambda *_, **__: json.loads(json.dumps(report)))
    run = jobs.enqueue("operations.drill", "Restore drill", {})
    jobs.run_waiting()
    run.refresh_from_db()
    assert (run.state, run.error) == (JobRun.FAILED, "CommandFailed: toc.dat is damaged")


@pytest.mark.django_db
def test_a_command_that_fails_is_said_in_its_own_words(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = jobs.enqueue("operations.drill", "Restore drill", {})
    jobs.run_waiting()
    run.refresh_from_db()
    assert "there is no complete backup" in run.error


def test_the_page_of_an_installation_without_backups_says_what_to_do(place: Path, headquarters: Client) -> None:
    page = headquarters.get("/operations/backups/").content.decode()
    assert "No backup yet" in page
    assert "hetang keys" in page


def test_a_drill_report_is_shown_with_its_time_and_size(place: Path, headquarters: Client) -> None:
    done = drill.Rehearsal("backup", "", {"rows": 4711, "bytes": 3_000_000}, 12.3)
    failed = drill.Rehearsal("archive", "the log is damaged", {}, 1.0)
    drill._keep(place / drill.REPORTS, drill.Report(NOW.isoformat(), "0", [done, failed]))
    page = headquarters.get("/operations/backups/").content.decode()
    assert all(part in page for part in ("4,711", "12 s", "came back whole", "the log is damaged"))


def test_a_manager_sees_neither_backups_nor_settings(manager: Client) -> None:
    assert manager.get("/operations/backups/").status_code == 403
    assert manager.get("/settings/system/").status_code == 403
    assert manager.post("/operations/backups/backup").status_code == 403
