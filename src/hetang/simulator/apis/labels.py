"""Tags as they hang on relations. A relation keeps the numbers of its tags; a deleted tag shows up nowhere."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator.calls import Call


def ids_by_number(call: Call) -> dict[int, str]:
    """The living tags: id by number."""
    return dict(call.db.execute("select number, id from tag where deleted_at is null").fetchall())


def ids_of(living: dict[int, str], tags: str) -> list[str]:
    """Ids for the numbers on a relation."""
    if tags == "[]":
        return []
    return [living[number] for number in msgspec.json.decode(tags) if number in living]


def of_relation(call: Call, row: sqlite3.Row) -> list[dict[str, Any]]:
    """`tags` of a `follow_user`: corp tags (1), the member's own (2, without id), rule-group tags (3)."""
    found = [
        {"group_name": tag["group_name"], "tag_name": tag["name"], "tag_id": tag["id"], "type": tag["kind"]}
        for tag in call.db.execute(
            "select t.id, t.name, g.name group_name, case when g.strategy_id then 3 else 1 end kind"
            " from json_each(?) w join tag t on t.number = w.value join tag_group g on g.id = t.group_id"
            " where t.deleted_at is null order by t.number",
            [row["tags"]],
        )
    ]
    return found + [{"group_name": "", "tag_name": name, "type": 2} for name in msgspec.json.decode(row["own_tags"])]
