"""Point-in-time recovery of the embedded server, and the drill that tries every way back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from hetang.platform.backups import archive, drill, dump, folder, keys, recovery
from hetang.platform.backups.folder import Backup, BackupRefused
from tests import template
from tests.platform.backups import homes
from tests.processes import clean_environment, wait_until

# A fact and a file for each name; prints a moment after each commit and before whatever comes next.
WRITE = """
import sys, time
from datetime import UTC, datetime
from hetang.facts.intake import Draft, record
from hetang.platform.environment import home
from hetang.platform.models import StoredFile
for name in sys.argv[1:]:
    (home() / "files" / name).write_bytes(name.encode())
    StoredFile.objects.create(name="file", path=name, bytes=5, sha256="", created_at=datetime.now(UTC))
    at = datetime(2026, 11, 1, 9, tzinfo=UTC)
    record("till", [Draft("visit.recorded", name, at, [("member", "m1")], {"channel": "store"})])
    time.sleep(0.05)
    print(datetime.now(UTC).isoformat())
    time.sleep(0.05)
"""


@dataclass
class Past:
    """A home with an archive, what was written into it, and when."""

    home: Path
    place: Path
    base: Backup
    between: datetime  # after the good write, before the mistake
    secrets: dict[str, Any]
    url: str


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """Its server runs throughout."""
    root = tmp_path_factory.mktemp("past")
    home, place = root / "home", root / "archive"
    template.copy(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HETANG_ARCHIVE", str(place))
        with homes.running(home) as server:
            homes.python(home, server.url, WRITE, "first")
            with pytest.raises(BackupRefused, match="holds no base backup"):
                recovery.base_before(place, None)
            base = archive.take_base(home, server.url, place)
            between = datetime.fromisoformat(homes.python(home, server.url, WRITE, "good", "mistake").split()[0])
            archive.mirror_files(home, place)
            _wait_for_archive(server.url)
            yield Past(home, place, base, between, keys.of_home(home), server.url)


def test_a_home_comes_back_as_it_was_between_two_writes(past: Past, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = recovery.restore_at(past.place, past.between, home, past.secrets)
    assert (done.backup, done.files, done.files_missing) == (past.base.name, 2, 0)
    with homes.running(home) as server:
        assert _names(server.url) == ["first", "good"]
        assert sorted(path.name for path in (home / "files").iterdir()) == ["first", "good"]
        found = homes.followed(home, server.url)
    assert (found["facts"], found["visits"], found["epoch"], found["failed"]) == (
        2,
        2,
        past.base.manifest.epoch + 1,
        [],
    )
    assert not (past.place / archive.system_of(past.home / "postgres") / "wal" / "00000002.history.gz").exists()


def test_latest_means_all_that_was_archived_and_the_command_says_how_long_it_took(past: Past, tmp_path: Path) -> None:
    home = tmp_path / "home"
    arguments = ["restore", str(past.place), "--at", "latest", "--keys", str(past.home / "secrets.json"), "--json"]
    done = homes.hetang(home, *arguments)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["seconds"]) == {"checksums", "base", "log", "files", "settling"}
    with homes.running(home) as server:
        assert _names(server.url) == ["first", "good", "mistake"]


def test_moments_before_the_first_base_and_after_the_last_change_are_refused(past: Past, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="the oldest base backup in"):
        recovery.restore_at(past.place, past.base.manifest.at - timedelta(days=1), tmp_path / "a", past.secrets)
    later = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(BackupRefused, match="choose an earlier time, or --at latest"):
        recovery.restore_at(past.place, later, tmp_path / "b", past.secrets)
    said = homes.hetang(tmp_path / "c", "restore", str(past.place), "--at", "yesterday", "--keys", "x")
    assert "there is no file" in said.stderr
    keys_file = str(past.home / "secrets.json")
    said = homes.hetang(tmp_path / "c", "restore", str(past.place), "--at", "2026-11-26 10:00", "--keys", keys_file)
    assert "no time with a zone" in said.stderr


def test_a_drill_tries_the_backup_and_the_archive_and_keeps_its_report(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = tmp_path / "backups"
    with pytest.raises(BackupRefused, match="no complete backup"):
        drill.run(past.home, backups, None)
    backup = dump.take(past.home, past.url, backups)
    report = drill.run(past.home, backups, past.place)
    assert [(one.way, one.problem) for one in report.rehearsals] == [("backup", ""), ("archive", "")]
    assert report.rehearsals[0].restored["rows"] == backup.manifest.rows
    assert report.ok
    _drill_and_stop_it_half_way(past.home, backups)
    damaged = backup.path / "database" / "toc.dat"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    time.sleep(1)  # reports are named by the second
    failed = homes.hetang(past.home, "drill", HETANG_BACKUPS=str(backups))
    assert (failed.returncode, "toc.dat is damaged" in failed.stdout) == (1, True)
    assert [one.ok for one in drill.reports(backups)] == [False, True]
    assert not (past.home / "run" / "drill").exists()


def _drill_and_stop_it_half_way(home: Path, backups: Path) -> None:
    """Told to stop (`hetang up` ends), it takes its server along before it goes."""

    def servers() -> list[psutil.Process]:
        found = [
            one
            for one in psutil.process_iter(["cmdline"])
            if str(home / "run" / "drill" / "postgres") in (one.info["cmdline"] or [])
        ]
        return [one for one in found if one.status() != psutil.STATUS_ZOMBIE]

    environment = clean_environment(HETANG_HOME=str(home), HETANG_BACKUPS=str(backups))
    command = [sys.executable, "-m", "hetang.cli", "drill", "--parent", str(os.getpid())]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as drilling:
        wait_until(lambda: bool(servers()), 60)
        drilling.terminate()
    assert (drilling.returncode, servers()) == (128 + signal.SIGTERM, [])
    assert not (home / "run" / "drill").exists()


def test_old_bases_go_with_the_log_and_files_that_only_they_needed(past: Past) -> None:
    """Runs last: afterwards only moments since the second base can be reached."""
    place = archive.of_server(past.place, past.home / "postgres")
    before = [path.name for path in archive.log_files(place / "wal")]
    (past.home / "files" / "first").unlink()
    archive.mirror_files(past.home, past.place)
    assert (place / "files" / "first").exists()
    second = archive.take_base(past.home, past.url, past.place)
    _wait_for_archive(past.url)
    gone = archive.prune(past.place, past.home / "postgres", 1)
    assert gone[0] == past.base.name
    assert [one.name for one in folder.complete(place / "base", folder.BASE)] == [second.name]
    left = [path.name for path in archive.log_files(place / "wal")]
    assert before
    assert min(left)[:24] == second.manifest.log_from
    assert not (place / "files" / "first").exists()
    assert (place / "files" / "good").exists()


def _names(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select key from facts_fact order by received_at, id")]


def _wait_for_archive(url: str) -> None:
    """Switch the log file and wait until the old one is in the archive."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_logical_emit_message(true, 'test', 'so that there is something to switch')")
        row = connection.execute("select pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        for _ in range(400):
            last = connection.execute("select last_archived_wal from pg_stat_archiver").fetchone()
            if last and last[0] and last[0][:24] >= row[0]:
                return
            time.sleep(0.05)
    raise AssertionError("the log was not archived")
