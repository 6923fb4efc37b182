"""When something around us is away: pages and the API say so, loops look again soon, the supervisor goes on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import urllib3
from django.core.handlers.exception import response_for_exception
from django.db import InterfaceError, OperationalError
from django.test import Client, RequestFactory

from hetang.console import errors
from hetang.facts import intake
from hetang.platform import api_keys, brand, children, loops, outages, supervisor
from hetang.platform.engine_client import EngineUnavailable


def _caused(by: Exception, kind: type[Exception] = OperationalError) -> Exception:
    problem = kind("it failed")
    problem.__cause__ = by
    return problem


GONE = _caused(psycopg.OperationalError("connection to server on socket failed"))
FULL = _caused(psycopg.errors.DiskFull("could not extend file"))


@pytest.mark.parametrize(
    ("problem", "away"),
    [
        (GONE, outages.DATABASE),
        (_caused(psycopg.errors.AdminShutdown()), outages.DATABASE),
        (_caused(psycopg.errors.CannotConnectNow()), outages.DATABASE),
        (_caused(psycopg.errors.TooManyConnections()), outages.DATABASE),
        (InterfaceError("connection already closed"), outages.DATABASE),
        (FULL, outages.DISK),
        (psycopg.errors.DiskFull("could not extend file"), outages.DISK),
        (psycopg.OperationalError("the connection is lost"), outages.DATABASE),
        (psycopg.errors.UniqueViolation("twice"), ""),
        (OSError(errno.ENOSPC, "No space left on device"), outages.DISK),
        (EngineUnavailable("refused"), outages.ENGINE),
        (urllib3.exceptions.ProtocolError("closed"), outages.ENGINE),
        (_caused(EngineUnavailable("refused"), RuntimeError), outages.ENGINE),
        (_caused(psycopg.errors.DeadlockDetected()), ""),
        (_caused(psycopg.errors.QueryCanceled()), ""),
        (ValueError("ours"), ""),
        (FileNotFoundError("ours"), ""),
    ],
)
def test_what_is_away_is_told_from_errors_of_our_own(problem: Exception, away: str) -> None:
    assert outages.of(problem) == away


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after PostgreSQL has gone: whoever asks it gets an error, the page's own frame included."""

    def gone(*_: Any, **__: Any) -> Any:
        raise _caused(psycopg.OperationalError("connection to server on socket failed"))

    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.ensure_connection", gone)
    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.cursor", gone)
    brand.forget()


@pytest.mark.parametrize("path", ["/", "/customers/", "/login", "/no/such/place", "/l/abc", "/operations/alerts/"])
def test_without_the_database_every_page_says_so_and_looks_again(no_database: None, path: str) -> None:
    answer = Client(raise_request_exception=False).get(path, headers={"Accept-Language": "en"})
    page = answer.content.decode()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "The database does not answer" in page
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "<script" not in page
    chinese = Client(raise_request_exception=False).get(path, headers={"Accept-Language": "zh-CN"})
    assert "数据库没有应答" in chinese.content.decode()


def test_what_was_sent_meanwhile_is_called_unsaved_and_is_not_sent_again_by_itself(no_database: None) -> None:
    answer = Client(raise_request_exception=False).post("/login", {"username": "x"}, headers={"Accept-Language": "en"})
    page = answer.content.decode()
    assert answer.status_code == 503
    assert "may not have been saved" in page
    assert "refresh" not in page


@pytest.mark.parametrize(
    ("problem", "said"),
    [(FULL, "The disk is full"), (EngineUnavailable("x"), "The analysis engine does not answer")],
)
def test_a_full_disk_and_a_missing_engine_are_named(problem: Exception, said: str) -> None:
    request = RequestFactory().get("/")
    request.user = None  # type: ignore[assignment]
    try:
        raise problem
    except Exception as raised:
        answer = response_for_exception(request, raised)
    assert answer.status_code == 503
    assert (
        said in answer.content.decode()
        or "磁盘已满" in answer.content.decode()
        or "分析引擎" in answer.content.decode()
    )


def test_an_error_of_our_own_is_500_even_where_its_page_needs_what_is_missing(no_database: None) -> None:
    try:
        raise ValueError("ours")
    except ValueError:
        answer = errors.server_error(RequestFactory().get("/"))
    assert answer.status_code in (500, 503)
    assert answer.content


@pytest.mark.django_db
@pytest.mark.parametrize("problem", [GONE, FULL])
def test_the_api_answers_503_in_its_own_shape_and_acknowledges_nothing(
    monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise problem

    _key, plain = api_keys.create("till", ["facts:write"], None)
    monkeypatch.setattr(intake, "receive", fail)
    answer = Client().post(
        "/api/v1/facts", b"{}", content_type="application/json", headers={"Authorization": f"Bearer {plain}"}
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "5"


def test_a_loop_looks_again_soon_while_a_server_is_away_and_seldom_after_its_own_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert max(_pauses(GONE, monkeypatch)) == 5.0
    assert max(_pauses(ValueError("ours"), monkeypatch)) == 60.0


def _pauses(problem: Exception, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a loop that fails ten times."""
    pauses: list[float] = []
    runner = loops.Runner([])

    def turn(_loop: loops.Loop) -> float:
        if len(pauses) == 10:
            runner._stopping.set()
        raise problem

    monkeypatch.setattr(runner, "_turn", turn)
    monkeypatch.setattr(runner._stopping, "wait", lambda timeout: pauses.append(timeout) or False)
    monkeypatch.setattr(loops, "connection", SimpleNamespace(close=lambda: None))
    runner._run(loops.Loop("test.failing", lambda: 0.0))
    return pauses


class Sleeper:
    """A supervisor over one process that sleeps."""

    def __init__(self, home: Path) -> None:
        (home / "run").mkdir()
        (home / "logs").mkdir()
        self.supervisor = supervisor.Supervisor(supervisor.Plan(home))
        self.child = supervisor.Child("engine", ["sleep", "60"], {"PATH": "/usr/bin:/bin"})
        self.supervisor._children = [self.child]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Sleeper]:
    made = Sleeper(tmp_path)
    yield made
    made.supervisor.stop()


def test_a_process_that_hangs_is_ended_and_started_again(sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper.child.ask, sleeper.child.patience = "http://127.0.0.1:1/ping", 30.0
    heard = [True, False, False]
    monkeypatch.setattr(supervisor, "lives", lambda _url: heard.pop(0) if heard else True)
    sleeper.supervisor._launch(sleeper.child)
    first = sleeper.child.process
    assert first is not None
    for look in range(2):
        sleeper.supervisor._look_after_answers(1000.0 * (look + 1))
        assert first.poll() is None, "it has been silent for less than its patience"
    sleeper.child.heard -= 31
    sleeper.supervisor._look_after_answers(9000.0)
    assert first.wait(5) == -9
    sleeper.supervisor._look_after()
    sleeper.child.start_at = 0.0
    sleeper.supervisor._look_after()
    assert sleeper.child.process is not first
    assert sleeper.child.process is not None


def test_a_full_disk_does_not_end_the_supervisor(sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(children, "spawn", full)
        sleeper.supervisor._launch(sleeper.child)
    assert sleeper.child.process is None
    with monkeypatch.context() as patch:
        patch.setattr(supervisor, "_remember_children", full)
        sleeper.child.start_at = 0.0
        sleeper.supervisor._look_after()
    assert sleeper.child.process is not None
    assert sleeper.child.process.poll() is None
