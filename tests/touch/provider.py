"""Providers of our own that keep what they accepted in an SQLite file, so that it survives whoever calls them.

`FAKE_PROVIDER` names the file. Modes (`FAKE_PROVIDER_MODE`): "drop" loses its answer after accepting, for a part of the
calls; "refuse" refuses some for a moment. Everybody confirms at once.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from hetang.touch.ports import (
    DirectOutcome,
    DirectRequest,
    OutcomeUnknown,
    PersonResult,
    Refused,
    SenderState,
    TaskRequest,
)

SCHEMA = """
create table if not exists task (id integer primary key, mark text, sender text, cancelled integer default 0);
create table if not exists delivery (task integer, address text, key text);
create index if not exists delivery_key on delivery (key);
create index if not exists delivery_task on delivery (task);
"""


@contextmanager
def books() -> Iterator[sqlite3.Connection]:
    """The provider's books, in one transaction."""
    connection = sqlite3.connect(os.environ["FAKE_PROVIDER"], timeout=30)
    try:
        connection.executescript("pragma journal_mode=wal")
        with connection:
            yield connection
    finally:
        connection.close()


def create() -> None:
    """Lay the books out."""
    with books() as book:
        book.executescript(SCHEMA)


def deliveries() -> dict[str, int]:
    """How often each address was reached, as the provider counts it."""
    with books() as book:
        return dict(book.execute("select address, count(*) from delivery group by address"))


def _mood() -> None:
    mode = os.environ.get("FAKE_PROVIDER_MODE", "")
    if mode == "refuse" and random.random() < 0.2:
        raise Refused("busy", permanent=False)


def _answer() -> None:
    if os.environ.get("FAKE_PROVIDER_MODE", "") == "drop" and random.random() < 0.3:
        raise OutcomeUnknown("the connection was lost after the request had been sent")


class Tasks:
    """A task channel without an idempotency key; a confirmed task counts as delivered to all its people."""

    people_per_task = 500

    def create_task(self, request: TaskRequest) -> str:
        _mood()
        with books() as book:
            task = book.execute(
                "insert into task (mark, sender) values (?, ?)", [request.text, request.sender]
            ).lastrowid
            book.executemany(
                "insert into delivery (task, address) values (?, ?)", [[task, one] for one in request.recipients]
            )
        _answer()
        return str(task)

    def find_task(self, mark: str, since: datetime) -> str | None:
        with books() as book:
            row = book.execute("select id from task where instr(mark, ?) > 0", [mark]).fetchone()
        return str(row[0]) if row else None

    def task_states(self, provider_id: str) -> list[SenderState]:
        with books() as book:
            rows = book.execute("select sender from task where id = ?", [provider_id]).fetchall()
        return [SenderState(row[0], True, datetime.now(UTC)) for row in rows]

    def results(self, provider_id: str, sender: str) -> list[PersonResult]:
        with books() as book:
            rows = book.execute("select address from delivery where task = ?", [provider_id]).fetchall()
        return [PersonResult(row[0], "sent", datetime.now(UTC)) for row in rows]

    def remind(self, provider_id: str) -> None:
        pass

    def cancel(self, provider_id: str) -> None:
        with books() as book:
            book.execute("update task set cancelled = 1 where id = ?", [provider_id])

    def upload_image(self, data: bytes, name: str) -> str:
        return name


class Direct:
    """A direct channel; with `idempotent`, a key is delivered once however often it is sent."""

    people_per_call = 500
    identity_kind = "member"

    def __init__(self, idempotent: bool) -> None:
        self.idempotent = idempotent

    def send(self, batch: list[DirectRequest]) -> list[DirectOutcome]:
        _mood()
        with books() as book:
            known: set[str] = set()
            if self.idempotent:
                keys = [one.key for one in batch]
                marks = ",".join("?" * len(keys))
                known = {row[0] for row in book.execute(f"select key from delivery where key in ({marks})", keys)}
            book.executemany(
                "insert into delivery (address, key) values (?, ?)",
                [[one.address, one.key] for one in batch if one.key not in known],
            )
        _answer()
        return [DirectOutcome(one.key, "sent") for one in batch]

    def find(self, keys: list[str]) -> list[DirectOutcome]:
        with books() as book:
            marks = ",".join("?" * len(keys))
            rows = book.execute(f"select key from delivery where key in ({marks})", keys).fetchall()
        return [DirectOutcome(row[0], "sent") for row in rows]


def tasks() -> Tasks:
    return Tasks()


def direct() -> Direct:
    return Direct(idempotent=False)


def keyed() -> Direct:
    return Direct(idempotent=True)
