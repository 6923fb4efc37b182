"""What contact ways and join ways share: one table, one quota, one shape of ids (reference sections 5 and 6)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.calls import Call
from hetang.simulator.errors import WeComError

CONTACT, JOIN = "contact", "join"


class ConfigId(msgspec.Struct):
    config_id: str = ""


def store(call: Call, kind: str, body: dict[str, Any], *, temporary: bool = False) -> str:
    """Keep a new way of the calling app; returns its config_id. Raises 41045."""
    _check_quota(call, temporary)
    number = call.db.execute("select coalesce(max(number), 0) + 1 from way").fetchone()[0]
    config_id = ids.hexadecimal(call.state.settings.seed, "way", call.state.value("corpid"), number)
    call.db.execute(
        "insert into way (number, config_id, kind, agentid, body, created_at, temporary) values (?, ?, ?, ?, ?, ?, ?)",
        [number, config_id, kind, call.agentid, _packed(body), call.now, temporary],
    )
    return config_id


def load(call: Call, kind: str, config_id: str) -> tuple[sqlite3.Row, dict[str, Any]]:
    """The app's own way. Raises 41043, 41044 or 301002."""
    if not config_id:
        raise WeComError(41043)
    row = call.db.execute("select * from way where config_id = ? and kind = ?", [config_id, kind]).fetchone()
    if row is None:
        raise WeComError(41044)
    if row["agentid"] != call.agentid:
        raise WeComError(301002)
    return row, msgspec.json.decode(row["body"])


def change(call: Call, config_id: str, body: dict[str, Any]) -> None:
    """Keep a changed way."""
    call.db.execute("update way set body = ? where config_id = ?", [_packed(body), config_id])


def delete(call: Call, kind: str, config_id: str) -> None:
    """Forget a way: its code stops working at once."""
    load(call, kind, config_id)
    call.db.execute("delete from way where config_id = ?", [config_id])


def _check_quota(call: Call, temporary: bool) -> None:
    settings = call.state.settings
    query = "select count(*) from way where temporary = 0"
    values: list[float] = []
    if temporary:
        query, values = "select count(*) from way where temporary = 1 and created_at > ?", [call.now - 86400]
    most = settings.temporary_ways_a_day if temporary else settings.ways
    if call.db.execute(query, values).fetchone()[0] >= most:
        raise WeComError(41045)


def _packed(body: dict[str, Any]) -> str:
    return msgspec.json.encode(body).decode()
