"""Log lines as JSON, one object a line, without personal data.

A line names the request, the user's number and the job; never an address with its query, a form or a body. What an
exception says may quote a value (PostgreSQL repeats the row that it refuses), so such parts are taken out.
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
from datetime import UTC, datetime
from typing import Any

from hetang.platform.origin import origin, user_id

REQUESTS = "hetang.requests"  # one line a request (`hetang.operations.observing`)
JSON, TEXT = "json", "text"
HIDDEN = "***"
_LONGEST_TRACE = 8_000  # characters; the end tells most
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request"}
# PostgreSQL's further lines of an error: they repeat rows and statements.
_REPEATS = re.compile(r"^[\s|]*(DETAIL|CONTEXT|LINE \d+|QUERY|STATEMENT|WHERE|\^)", re.IGNORECASE)
_FRAME = re.compile(r'[\s|+-]*(File "|Traceback |\n)')
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w-])(?:\+?86)?1[3-9]\d{9}(?![\w-])")
_QUOTED = re.compile(r"([\"'“])((?:(?![\"'”]).)*)([\"'”])")
_TELLS_SOMEBODY = re.compile(r"[぀-ヿ㐀-鿿가-힯@]|\d{7,}")
_QUERY = re.compile(r"\?[\w%.~-]+=[^\s\"']*")
_OF_DATABASE = ("psycopg.", "django.db.utils.")


class JsonLines(logging.Formatter):
    """A record as one line of JSON. Further fields come from `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": os.environ.get("HETANG_PROCESS", ""),
            "logger": record.name,
            "message": said(record),
        }
        line |= _whence()
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = type(record.exc_info[1]).__name__
            line["trace"] = trace(record.exc_info[1])[-_LONGEST_TRACE:]
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """The same for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        parts = [at, record.levelname, record.name, said(record)]
        parts += [f"{name}={value}" for name, value in (_whence() | extra).items()]
        text = " ".join(parts)
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + trace(record.exc_info[1])
        return text


def said(record: logging.LogRecord) -> str:
    """The message without what could name somebody. Django's own lines about a request lose its address."""
    if record.name.startswith(("django.request", "django.security")):
        return f"request answered {getattr(record, 'status_code', 400)}"
    arguments = record.args
    if isinstance(arguments, tuple):
        record.args = tuple(harmless(one) if isinstance(one, BaseException) else one for one in arguments)
    return without_people(record.getMessage())


def trace(problem: BaseException) -> str:
    """The stack (places in the code, no values), with each exception's message made harmless."""
    lines = traceback.TracebackException.from_exception(problem).format()
    return "".join(one if _FRAME.match(one) else _harmless_text(one, _is_database(one)) for one in lines).rstrip()


def harmless(problem: BaseException) -> str:
    """What an exception says, without values that it may quote."""
    kind = type(problem)
    return _harmless_text(str(problem), _is_database(f"{kind.__module__}.{kind.__name__}")).strip()


def without_people(text: str) -> str:
    """Without phone numbers, mail addresses and queries of addresses."""
    return _QUERY.sub(f"?{HIDDEN}", _PHONE.sub(HIDDEN, _EMAIL.sub(HIDDEN, text)))


def configuration(form: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` takes: everything to stderr, which the supervisor keeps below HOME/logs."""
    formatter = TextLines if form == TEXT else JsonLines
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"{formatter.__module__}.{formatter.__qualname__}"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            "httpx": {"level": "WARNING"},
            "procrastinate": {"level": "WARNING"},
            # What was merely refused stands in the line of the request; scanners ask for wrong hosts all day.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
        },
    }


def _whence() -> dict[str, Any]:
    source, user = origin.get(), user_id.get()
    found: dict[str, Any] = {}
    if source.request_id:
        found["request_id"] = source.request_id
    if source.job_run_id is not None:
        found["job"] = source.job_run_id
    if user is not None:
        found["user_id"] = user
    return found


def _is_database(kind: str) -> bool:
    return kind.lstrip(" |").startswith(_OF_DATABASE)


def _harmless_text(text: str, of_database: bool) -> str:
    lines = [line for line in text.splitlines(keepends=True) if not _REPEATS.match(line)]
    return without_people(_QUOTED.sub(lambda found: _hide(found, of_database), "".join(lines)))


def _hide(found: re.Match[str], of_database: bool) -> str:
    """A quoted part stays when it is a plain word of ours. PostgreSQL quotes values after a colon, names elsewhere."""
    value = of_database and found.string[: found.start()].endswith(": ")
    if value or _TELLS_SOMEBODY.search(found[2]):
        return f"{found[1]}{HIDDEN}{found[3]}"
    return found[0]
