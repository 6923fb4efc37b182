"""The simulator's memory: one SQLite file in WAL mode, one connection, one lock.

`synchronous=NORMAL`: what was answered survives `kill -9` of the process (the pages are in the kernel by then).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hetang.simulator.schema import SCHEMA
from hetang.simulator.settings import Settings


class State:
    """State on disk plus the clock. Every access goes through `transaction()`, which serialises threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(folder / "state.sqlite3", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=normal; pragma cache_size=-4000;")
        _prepare(self._db)
        self._settings = self._read_settings()
        self._offset_s = float(self.value("clock_offset_s", 0.0))
        self.people_version = 0  # raised when rates or people change: drawn days are then drawn again
        self.wake = threading.Condition()  # told when there is something to post

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the lock; commit at the end of the outermost block, roll back on an exception."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("begin immediate")
            self._depth += 1
            try:
                yield self._db
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("rollback")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("commit")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other thread waiting across several transactions (callers see none of the steps in between)."""
        with self._lock:
            yield

    def write(self, statement: str, values: list[Any]) -> int:
        """One statement in a transaction of its own; returns how many rows it changed."""
        with self.transaction() as db:
            return db.execute(statement, values).rowcount

    def write_named(self, statement: str, values: dict[str, Any]) -> int:
        """As `write`, with named parameters."""
        with self.transaction() as db:
            return db.execute(statement, values).rowcount

    def value(self, name: str, default: Any = None) -> Any:
        """A named JSON value."""
        with self.transaction() as db:
            row = db.execute("select value from setting where name = ?", [name]).fetchone()
        return default if row is None else msgspec.json.decode(row["value"])

    def keep(self, name: str, value: Any) -> None:
        """Store a named JSON value."""
        with self.transaction() as db:
            db.execute(
                "insert into setting (name, value) values (?, ?)"
                " on conflict (name) do update set value = excluded.value",
                [name, msgspec.json.encode(value).decode()],
            )

    @property
    def settings(self) -> Settings:
        """The behaviour in force."""
        return self._settings

    def change_settings(self, changes: dict[str, Any]) -> Settings:
        """Merge `changes` into the settings. Raises msgspec.ValidationError on a wrong type or an unknown name."""
        merged = {**msgspec.to_builtins(self._settings), **changes}
        unknown = set(merged) - set(Settings.__struct_fields__)
        if unknown:
            raise msgspec.ValidationError(f"unknown settings: {', '.join(sorted(unknown))}")
        settings = msgspec.convert(merged, Settings)
        self.keep("settings", msgspec.to_builtins(settings))
        self._settings = settings
        self.people_version += 1
        return settings

    def now(self) -> float:
        """The simulator's time, Unix seconds."""
        return time.time() + self._offset_s

    @property
    def offset_s(self) -> float:
        """Seconds by which the clock is turned ahead of the wall clock."""
        return self._offset_s

    def turn(self, offset_s: float) -> None:
        """Turn the clock without anybody acting."""
        self.keep("clock_offset_s", offset_s)
        self._offset_s = offset_s

    def notify(self) -> None:
        """Wake the threads that post orders and callbacks."""
        with self.wake:
            self.wake.notify_all()

    def wipe(self) -> None:
        """Forget everything: an empty world with default settings and the wall clock."""
        with self.transaction() as db:
            tables = db.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
            for row in tables.fetchall():
                db.execute(f"delete from {row['name']}")
        self._settings = Settings()
        self._offset_s = 0.0
        self.people_version += 1

    def close(self) -> None:
        """Close the file (the WAL is checkpointed)."""
        with self._lock:
            self._db.close()

    def _read_settings(self) -> Settings:
        stored = self.value("settings", {})
        known = {name: value for name, value in stored.items() if name in Settings.__struct_fields__}
        return msgspec.convert(known, Settings)


def _prepare(db: sqlite3.Connection) -> None:
    """Make the tables; a file of an earlier version gets the columns that came since (each has a default)."""
    statements = [one for one in SCHEMA.split(";") if one.strip()]
    indexes = [one for one in statements if one.lstrip().startswith("create index")]
    for statement in statements:
        if statement not in indexes:
            db.execute(statement)
    with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(SCHEMA)
        for (table,) in fresh.execute("select name from sqlite_master where type = 'table'").fetchall():
            there = {row[1] for row in db.execute(f"pragma table_info({table})")}
            for _, name, kind, notnull, default, _ in fresh.execute(f"pragma table_info({table})"):
                if name not in there:
                    must = f" not null default {default}" if notnull else ""
                    db.execute(f"alter table {table} add column {name} {kind}{must}")
    for statement in indexes:
        db.execute(statement)
