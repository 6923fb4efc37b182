"""The embedded PostgreSQL server: made whole, adopted, and run by an ordinary user."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
import psycopg
import pytest

from hetang.platform import children, postgres
from tests.processes import wait_until


def test_a_running_server_is_adopted_and_a_stopped_one_started_again(tmp_path: Path) -> None:
    first = postgres.start(tmp_path)
    adopted = postgres.start(tmp_path)
    assert adopted.process is None
    assert (
        _ask(adopted, "select datlocprovider::text || datcollate from pg_database where datname = 'hetang'")
        == "bC.UTF-8"
    )
    first.stop()
    assert not adopted.alive()
    again = postgres.start(tmp_path)
    assert again.process is not None
    again.stop()


def test_a_server_that_is_still_shutting_down_is_waited_for_and_followed(tmp_path: Path) -> None:
    """As after `kill -9` of the parent under load: the old one may need seconds for its last checkpoint."""
    first = postgres.start(tmp_path)
    assert first.process is not None
    client = psycopg.connect(first.url)
    first.process.send_signal(signal.SIGTERM)  # it lets its clients finish
    wait_until(lambda: not postgres.is_ready(first.data), 10)
    leaving = threading.Timer(1.0, client.close)
    leaving.start()
    second = postgres.start(tmp_path)
    assert client.closed
    leaving.join()
    assert first.process.wait(10) == 0
    assert _ask(second, "select 1") == 1
    second.stop()


def test_a_creation_that_died_half_way_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres.new" / "base").mkdir(parents=True)
    server = postgres.start(tmp_path)
    assert _ask(server, "select 1") == 1
    server.stop()


def test_a_pid_file_that_names_a_stranger_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n\n\n\n\n\nready\n")
    assert postgres.postmaster_pid(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_without_user_namespaces_root_becomes_nobody_and_opens_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "closed" / "home"
    home.mkdir(parents=True)
    home.parent.chmod(0o700)
    first = postgres.start(home)  # in a namespace where there are any: its files are ours
    first.stop()

    def refuse() -> None:
        raise OSError("not allowed")

    monkeypatch.setattr(children, "_enter_user_namespace", refuse)
    server = postgres.start(home)
    assert server.process is not None
    assert psutil.Process(server.process.pid).username() == "nobody"
    assert _ask(server, "create table t (a int); insert into t values (1); checkpoint; select count(*) from t") == 1
    assert home.parent.stat().st_mode & 0o077 == 0
    server.stop()
    monkeypatch.undo()
    back = postgres.start(home)
    assert _ask(back, "select count(*) from t") == 1
    back.stop()


def _ask(server: postgres.Server, sql: str) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        return row[0] if row else None
