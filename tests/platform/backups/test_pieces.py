"""The small parts: what is kept, and the copy of a log file that must be whole or absent."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetang.platform.backups import archive, wal_copy
from hetang.platform.backups.retention import Keep, kept

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
moments = st.lists(st.integers(0, 400 * 24).map(lambda hours: NOON - timedelta(hours=hours)), max_size=60)
numbers = st.integers(0, 8)


@given(moments, numbers, numbers, numbers)
def test_kept_backups_are_the_newest_of_their_days_weeks_and_months(
    times: list[datetime], days: int, weeks: int, months: int
) -> None:
    stay = kept(times, Keep(days, weeks, months))
    assert stay <= set(times)
    assert len(stay) <= days + weeks + months + 1
    if times:
        assert max(times) in stay
    for at in set(times) - stay:  # whoever goes has a younger one of its day, or its day, week and month are too old
        same_day = [one for one in times if one.date() == at.date() and one > at]
        younger_days = {one.date() for one in times if one.date() > at.date()}
        assert same_day or len(younger_days) >= days


@given(moments)
def test_throwing_away_twice_throws_away_nothing_more(times: list[datetime]) -> None:
    once = kept(times, Keep())
    assert kept(sorted(once), Keep()) == once


def test_a_year_of_nightly_backups_becomes_a_handful() -> None:
    nightly = [NOON - timedelta(days=day) for day in range(365)]
    stay = sorted(kept(nightly, Keep(7, 4, 6)), reverse=True)
    assert len(stay) == 7 + 2 + 5  # two of the four weeks and one of the six months end on a kept day
    assert stay[-1] == datetime(2026, 6, 30, 12, tzinfo=UTC)


def test_a_log_file_is_copied_once_and_never_replaced(tmp_path: Path) -> None:
    source, other, target, back = (tmp_path / name for name in ("log", "other", "log.gz", "back"))
    source.write_bytes(b"log" * 100_000)
    other.write_bytes(b"another")
    assert wal_copy.put(source, target) == 0
    assert wal_copy.put(source, target) == 0
    assert wal_copy.put(other, target) == 1
    assert wal_copy.get(target, back) == 0
    assert back.read_bytes() == source.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "log", "log.gz", "other"]


def test_what_is_missing_ends_the_recovery_and_what_is_damaged_stops_it(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"log" * 100_000)
    wal_copy.put(tmp_path / "log", tmp_path / "log.gz")
    assert wal_copy.get(tmp_path / "absent.gz", tmp_path / "back") == 1
    whole = (tmp_path / "log.gz").read_bytes()
    (tmp_path / "log.gz").write_bytes(whole[: len(whole) // 2])
    assert wal_copy.get(tmp_path / "log.gz", tmp_path / "back") == wal_copy.DAMAGED
    assert not (tmp_path / "back").exists()


def test_the_copy_starts_with_the_standard_library_alone(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"log")
    command = [sys.executable, "-I", "-S", wal_copy.__file__, "put", str(tmp_path / "log"), str(tmp_path / "l.gz")]
    subprocess.run(command, check=True, timeout=30)
    assert (tmp_path / "l.gz").exists()


def test_an_archive_that_cannot_be_used_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "global").mkdir()
    (tmp_path / "global" / "pg_control").write_bytes(b"12345678")
    monkeypatch.setenv("HETANG_ARCHIVE", str(tmp_path / "file"))
    with pytest.raises(archive.EmbeddedServerError, match="cannot be used"):
        archive.server_settings(tmp_path)
