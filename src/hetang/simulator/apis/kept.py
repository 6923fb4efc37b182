"""Simple objects that an app makes, reads, changes and deletes: kept as JSON with an id and their app."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.calls import Call
from hetang.simulator.errors import WeComError


def store(call: Call, kind: str, prefix: str, body: dict[str, Any]) -> str:
    """Keep a new object; returns its id."""
    number = call.db.execute("select coalesce(max(number), 0) + 1 from kept").fetchone()[0]
    made = ids.token(prefix, call.state.settings.seed, kind, call.state.value("corpid"), number)
    call.db.execute(
        "insert into kept (number, kind, id, agentid, body, created_at) values (?, ?, ?, ?, ?, ?)",
        [number, kind, made, call.agentid, _packed(body), call.now],
    )
    return made


def load(call: Call, kind: str, some_id: str, missing: int = 40058) -> tuple[sqlite3.Row, dict[str, Any]]:
    """The app's own object. Raises `missing` or 301002."""
    row = call.db.execute("select * from kept where kind = ? and id = ?", [kind, some_id]).fetchone()
    if row is None:
        raise WeComError(missing, "no such id")
    if row["agentid"] != call.agentid:
        raise WeComError(301002)
    return row, msgspec.json.decode(row["body"])


def change(call: Call, some_id: str, body: dict[str, Any]) -> None:
    """Keep a changed object."""
    call.db.execute("update kept set body = ? where id = ?", [_packed(body), some_id])


def delete(call: Call, kind: str, some_id: str) -> None:
    """Forget an object of the app."""
    load(call, kind, some_id)
    call.db.execute("delete from kept where id = ?", [some_id])


def page(call: Call, kind: str, after: int, size: int) -> tuple[list[sqlite3.Row], str]:
    """The app's objects behind a position, oldest first, and the cursor of the next page."""
    rows = call.db.execute(
        "select * from kept where kind = ? and agentid = ? and number > ? order by number limit ?",
        [kind, call.agentid, after, size + 1],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return rows, ids.cursor(rows[-1]["number"]) if more else ""


def count(call: Call, kind: str) -> int:
    """How many the corp has."""
    return int(call.db.execute("select count(*) from kept where kind = ?", [kind]).fetchone()[0])


def _packed(body: dict[str, Any]) -> str:
    return msgspec.json.encode(body).decode()
