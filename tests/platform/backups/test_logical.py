"""Logical backups: taken under writes, brought back whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from hetang.facts.intake import Draft, record
from hetang.facts.models import Fact
from hetang.platform import environment, files, postgres
from hetang.platform.backups import dump, folder, keys, restore
from hetang.platform.backups.folder import Backup, BackupRefused
from hetang.platform.models import Session
from tests.platform.backups import homes
from tests.processes import clean_environment, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


def visits(*names: str) -> None:
    record("till", [Draft("visit.recorded", name, AT, [("member", "m1")], {"channel": "store"}) for name in names])


def taken(tmp_path: Path) -> Backup:
    return dump.take(environment.home(), homes.database_of_tests(), tmp_path / "backups")


def secrets() -> dict[str, object]:
    return keys.of_home(environment.home())


@pytest.fixture(autouse=True)
def no_files_of_others() -> None:
    """The home is shared by the whole run; what other tests uploaded is no part of these."""
    shutil.rmtree(environment.home() / "files", ignore_errors=True)


@pytest.fixture
def writer() -> Iterator[threading.Event]:
    """Facts that come in one by one until the event is set."""
    stop, began = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            visits(f"live{number}")
            number += 1
            began.set()
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    began.wait(20)
    yield stop
    stop.set()
    thread.join()


def test_what_was_backed_up_under_writes_comes_back_and_the_streams_go_on(
    tmp_path: Path, writer: threading.Event
) -> None:
    stored = files.store("list.csv", [b"number,name\n" * 1000])
    Session.objects.create(key_hash="abc", data="", started_at=AT, seen_at=AT)
    before = Fact.objects.count()
    backup = taken(tmp_path)
    writer.set()
    saved = sum(rows for table, rows in backup.manifest.tables.items() if table.startswith("facts_fact"))
    assert before <= saved <= Fact.objects.count()

    home = tmp_path / "home"
    done = restore.restore(backup, home, secrets())
    assert (done.files, done.files_missing, done.rows) == (1, 0, backup.manifest.rows)
    assert (home / "files" / stored.path).read_bytes() == (environment.home() / "files" / stored.path).read_bytes()
    with homes.running(home) as server:
        first = homes.followed(home, server.url)
        homes.python(home, server.url, homes.TAKE_FACTS, "after1", "after2", "live0")  # live0 is known
        second = homes.followed(home, server.url)
        assert homes.ask(server.url, "select count(*) from platform_session") == 0
        assert homes.ask(server.url, "select kind from platform_jobrun where state = 'waiting'") == "history.rebuild"
        action = "select action from platform_auditentry order by id desc limit 1"
        assert homes.ask(server.url, action) == "backup.restored"
    assert first == {"facts": saved, "visits": saved, "epoch": backup.manifest.epoch + 1, "failed": []}
    assert second == {**first, "facts": saved + 2, "visits": saved + 2}


def test_unchanged_files_share_their_bytes_with_the_backup_before(tmp_path: Path) -> None:
    stored = files.store("picture.png", [os.urandom(100_000)])
    first = taken(tmp_path)
    first.path.rename(first.path.with_name("20200101T000000Z"))
    second = taken(tmp_path)
    paths = [tmp_path / "backups" / name / "files" / stored.path for name in ("20200101T000000Z", second.name)]
    assert paths[0].stat().st_ino == paths[1].stat().st_ino
    folder.verify(second)


def test_a_kill_in_the_middle_leaves_nothing_that_counts_and_the_next_run_clears_it_away(tmp_path: Path) -> None:
    visits("1")
    target = tmp_path / "backups"
    with connection.cursor() as cursor:  # pg_dump waits for this table
        cursor.execute("begin; lock table facts_fact in access exclusive mode")
        process = subprocess.Popen(
            [sys.executable, "-m", "hetang.cli", "backup", "--to", str(target)],
            env=clean_environment(HETANG_HOME=str(environment.home()), HETANG_DATABASE_URL=homes.database_of_tests()),
        )
        wait_until(lambda: any(target.glob("*.partial")), 60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        cursor.execute("rollback")
    assert [path.name.endswith(".partial") for path in target.glob("2*")] == [True]
    assert folder.newest(target) is None
    with pytest.raises(BackupRefused, match="was not finished"):
        folder.open_backup(next(target.glob("*.partial")))
    made = dump.take(environment.home(), homes.database_of_tests(), target)
    assert [path.name for path in target.glob("2*")] == [made.name]


def test_two_backups_at_once_are_refused(tmp_path: Path) -> None:
    with folder.writing(tmp_path), pytest.raises(BackupRefused, match="another backup"), folder.writing(tmp_path):
        pass


def test_damage_is_named_before_anything_is_made(tmp_path: Path) -> None:
    files.store("picture.png", [b"x" * 5000])
    backup = taken(tmp_path)
    damaged = max(path for path in (backup.path / "files").iterdir())
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.unlink()
    damaged.write_bytes(content)
    with pytest.raises(BackupRefused, match=f"{damaged.name} is damaged"):
        restore.restore(backup, tmp_path / "home", secrets())
    assert not (tmp_path / "home").exists()


def test_other_keys_a_full_home_and_a_newer_version_are_refused(tmp_path: Path) -> None:
    backup = taken(tmp_path)
    other = json.loads(json.dumps(secrets()))
    other["sealing"]["1"] = "00" * 32
    with pytest.raises(BackupRefused, match="sealing 1 differ or are missing"):
        restore.restore(backup, tmp_path / "home", other)
    (tmp_path / "full" / "postgres").mkdir(parents=True)
    with pytest.raises(BackupRefused, match="is not empty"):
        restore.restore(backup, tmp_path / "full", secrets())
    backup.manifest.migrations.append("facts.9999_to_come")
    with pytest.raises(BackupRefused, match="newer"):
        restore.restore(backup, tmp_path / "home", secrets())


def test_an_interrupted_restore_is_no_home_and_can_be_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits("1", "2")
    backup, home = taken(tmp_path), tmp_path / "home"
    with monkeypatch.context() as patch:
        patch.setattr(restore, "_compare", _fail)
        with pytest.raises(RuntimeError):
            restore.restore(backup, home, secrets())
    refused = homes.hetang(home, "up")
    assert refused.returncode == 2
    assert "did not finish" in refused.stderr
    restore.restore(backup, home, secrets())
    with homes.running(home) as server:
        assert homes.ask(server.url, "select count(*) from facts_fact") == 2


def test_the_command_line_saves_lists_and_restores_into_another_server(tmp_path: Path) -> None:
    visits("1", "2", "3")
    source, home = environment.home(), tmp_path / "home"
    url = homes.database_of_tests()
    place = str(tmp_path / "backups")
    saved = homes.hetang(source, "backup", "--to", place, url=url)
    assert saved.returncode == 0, saved.stderr
    assert "The keys are NOT in it" in saved.stdout
    listed = homes.hetang(source, "backups", "--in", place)
    assert listed.stdout.startswith(place)

    exported = tmp_path / "keys"
    told = homes.hetang(source, "keys", str(exported), HETANG_KEYS_PASSPHRASE="lotus pond at dawn")
    assert told.returncode == 0, told.stderr
    with homes.running(tmp_path / "other") as server:
        arguments = ["restore", place, "--keys", str(exported), "--home", str(home)]
        wrong = homes.hetang(home, *arguments, url=server.url, HETANG_KEYS_PASSPHRASE="lotus pond at noon")
        assert (wrong.returncode, "does not open" in wrong.stderr) == (2, True)
        done = homes.hetang(home, *arguments, url=server.url, HETANG_KEYS_PASSPHRASE="lotus pond at dawn")
        assert done.returncode == 0, done.stderr
        assert homes.followed(home, server.url)["visits"] == 3
        again = homes.hetang(
            tmp_path / "third", *arguments[:4], url=server.url, HETANG_KEYS_PASSPHRASE="lotus pond at dawn"
        )
        assert (again.returncode, "the database is not empty" in again.stderr) == (2, True)
    assert not (home / "postgres").exists()


def test_into_somebody_elses_server_a_dump_comes_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of this run, which may be older than our programs (`python -m tests.external`)."""
    visits("1", "2", "3")
    backup = taken(tmp_path)
    with homes.another_database() as url:
        damaged = tmp_path / "damaged"
        shutil.copytree(backup.path, damaged)
        rows = max((damaged / "database").glob("*.dat.gz"), key=lambda path: path.stat().st_size)
        rows.write_bytes(rows.read_bytes()[:-20])
        with monkeypatch.context() as patch, pytest.raises(BackupRefused, match="bringing the dump back failed"):
            patch.setattr(folder, "verify", lambda _backup: None)
            restore.restore(replace(backup, path=damaged), tmp_path / "home", secrets(), url=url)
        assert homes.ask(url, "select count(*) from pg_class where relnamespace = 'public'::regnamespace") == 0
        restore.restore(backup, tmp_path / "home", secrets(), url=url, finish=lambda *_: [])
        assert homes.ask(url, "select count(*) from facts_fact") == 3


def test_a_servers_own_notes_on_columns_are_no_options() -> None:
    note = b"\nALTER TABLE ONLY public.jobs ALTER COLUMN id SET (pg_attver=33854144);\n"
    contents = b"\0\1CREATE TABLE public.jobs (\n    id bigint\n);" + note + b"\0\1"
    cleaned = dump.without_notes(contents)
    assert len(cleaned) == len(contents)
    assert cleaned.split() == contents.replace(note.strip(), b"").split()
    kept = b"ALTER TABLE ONLY public.jobs ALTER COLUMN id SET (n_distinct=5);"
    assert dump.without_notes(kept) == kept


def test_keys_are_exported_once_under_a_long_passphrase_and_read_back(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="at least 12"):
        keys.export(environment.home(), tmp_path / "keys", "short")
    keys.export(environment.home(), tmp_path / "keys", "a long passphrase")
    assert keys.read(tmp_path / "keys", "a long passphrase") == secrets()
    assert str(secrets()["lookup"]) not in (tmp_path / "keys").read_text()
    with pytest.raises(BackupRefused, match="exists already"):
        keys.export(environment.home(), tmp_path / "keys", "a long passphrase")


def _fail(*_: object) -> None:
    raise RuntimeError("killed here")


def test_no_password_travels_through_a_command_line() -> None:
    from hetang.platform.backups import programs

    found = programs.environment_of("postgresql://ann:s3cret@db.example:6432/shop?sslmode=require")
    kept = {name: value for name, value in found.items() if name.startswith("PG")}
    assert kept == {
        "PGHOST": "db.example",
        "PGPORT": "6432",
        "PGDATABASE": "shop",
        "PGUSER": "ann",
        "PGPASSWORD": "s3cret",
        "PGSSLMODE": "require",
    }
    with pytest.raises(BackupRefused, match="pg_restore failed"):
        programs.run("pg_restore", "/nowhere", env=found)
    assert postgres.binary("pg_dump").exists()
