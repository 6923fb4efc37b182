"""Log lines: JSON, with whence they come, without personal data; logs that do not fill the disk."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import django.db.utils
import pytest

from hetang.platform import log_files, logs
from hetang.platform.origin import Origin, origin, user_id

PHONE, NAME = "13812345678", "王小明"


def _line(message: str, *arguments: object, problem: Exception | None = None, name: str = "hetang.x") -> str:
    exc_info = None
    if problem is not None:
        try:
            raise problem
        except Exception:
            exc_info = sys.exc_info()
    record = logging.LogRecord(name, logging.ERROR, "x.py", 1, message, arguments, exc_info)
    return logs.JsonLines().format(record)


@pytest.mark.parametrize(
    "problem",
    [
        django.db.utils.IntegrityError(
            f'duplicate key value violates unique constraint "one"\nDETAIL:  Key (name)=({NAME}) already exists.'
        ),
        django.db.utils.DataError(
            f"invalid input syntax for type integer: \"{PHONE}\"\nLINE 1: select '{NAME}'\n               ^"
        ),
        django.db.utils.DataError('value "Anna Smith" is wrong: "Anna Smith"\nCONTEXT:  COPY x, line 1: "Anna Smith"'),
        ValueError(f"invalid literal for int() with base 10: '{PHONE}'"),
        KeyError(NAME),
        ExceptionGroup("several", [ValueError(f"“{NAME}” of a@example.org")]),
        RuntimeError("GET /customers/?q=Anna%20Smith"),
    ],
)
def test_what_an_exception_quotes_does_not_reach_the_log(problem: Exception) -> None:
    line = _line("failed: %s", problem, problem=problem)
    told = json.loads(line)
    assert told["error"] == type(problem).__name__
    assert "raise problem" in told["trace"], "the place in the code is worth everything"
    for personal in (PHONE, NAME, "a@example.org", "q=Anna", "line 1"):
        assert personal not in line, line
    if "CONTEXT" not in str(problem):
        assert "Anna" not in line


def test_a_line_says_whence_it_comes_and_django_s_line_has_no_address() -> None:
    tokens = origin.set(Origin("abc", "10.0.0.1", 7)), user_id.set(4711)
    try:
        told = json.loads(_line("Internal Server Error: %s", f"/customers/{NAME}", name="django.request"))
    finally:
        origin.reset(tokens[0])
        user_id.reset(tokens[1])
    assert (told["request_id"], told["user_id"], told["job"]) == ("abc", 4711, 7)
    assert told["level"] == "ERROR"
    assert NAME not in json.dumps(told, ensure_ascii=False)
    assert "10.0.0.1" not in json.dumps(told)


def test_a_long_log_moves_aside_while_it_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    path = log_files.of(tmp_path, "web")
    with path.open("ab", buffering=0) as writer:
        for number in range(7):
            writer.write(f"{number} old\n".encode() * 20)
            log_files.rotate_all(tmp_path, limit=100)
            writer.write(b"new\n")
    assert path.read_text() == "new\n"
    kept = sorted(one.name for one in (tmp_path / "logs").iterdir())
    assert kept == ["web.log", *(f"web.log.{number}" for number in range(1, log_files.KEPT + 1))]
    assert "6 old" in path.with_suffix(".log.1").read_text()
