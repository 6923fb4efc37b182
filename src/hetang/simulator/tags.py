"""Corp tags and rule-group tags: the catalogue, and what hangs on relations (reference section 8).

Functions raise WeComError with the code that the API answers. What a person does in the client is told to the apps,
what an API does is not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from hetang.simulator import events, ids
from hetang.simulator.errors import WeComError
from hetang.simulator.state import State

EVENT = "change_external_tag"
LONGEST_NAME = 30
MOST_ON_A_RELATION = 3000
_MOST_ORDER = 1 << 32


@dataclass
class Shelf:
    """The tags of the corp (`strategy` 0) or of one rule group, as seen by an app (None: an administrator)."""

    state: State
    db: sqlite3.Connection
    agentid: int | None = None
    strategy: int = 0

    def tell(self, change: str, tag_id: str, kind: str, strategy: int) -> None:
        """Queue the event of a change."""
        fields: dict[str, events.Value] = {"Id": tag_id, "TagType": kind}
        if strategy:
            fields["StrategyId"] = strategy
        queue: Callable[..., None] = events.queue if self.agentid is None else events.queue_of_api
        queue(self.state, self.db, EVENT, change, fields)

    def add(self, group_id: str, group_name: str, order: int, tags: list[tuple[str, int]]) -> tuple[str, list[str]]:
        """Put tags (name, order) into a group, which is made if need be. Returns its id and the tags' ids."""
        for name in [group_name, *(name for name, _ in tags)] if not group_id else [name for name, _ in tags]:
            _check_name(name)
        for place in (order, *(place for _, place in tags)):
            _check_order(place)
        if not tags:
            raise WeComError(40063, "tag")
        group = self._group_to_fill(group_id, group_name, order)
        made = [self._put(group, name, place) for name, place in dict(tags).items()]
        most = self.state.settings.corp_tags
        if self.db.execute("select count(*) from tag where deleted_at is null").fetchone()[0] > most:
            raise WeComError(40126)
        return group, made

    def edit(self, some_id: str, name: str, order: int | None) -> None:
        """Rename or move a tag or a group."""
        if name:
            _check_name(name)
        _check_order(order or 0)
        row, kind = self.own(some_id)
        if name and self._name_taken(row, kind, name):
            raise WeComError(40071)
        table = "tag" if kind == "tag" else "tag_group"
        self.db.execute(
            f"update {table} set name = case when ?1 = '' then name else ?1 end, position = coalesce(?2, position)"
            " where id = ?3",
            [name, order, some_id],
        )
        self.tell("update", some_id, kind, row["strategy_id"])

    def delete(self, tag_ids: Iterable[str], group_ids: Iterable[str]) -> None:
        """Delete tags and whole groups. A group that loses its last tag goes, too."""
        found = [self.own(one) for one in (*tag_ids, *group_ids)]
        at = int(self.state.now())
        for row, kind in found:
            table = "tag" if kind == "tag" else "tag_group"
            self.db.execute(f"update {table} set deleted_at = ? where id = ?", [at, row["id"]])
            if kind == "tag_group":
                query = "update tag set deleted_at = ? where group_id = ? and deleted_at is null"
                self.db.execute(query, [at, row["id"]])
            self.tell("delete", row["id"], kind, row["strategy_id"])
        self.db.execute(
            "update tag_group as g set deleted_at = ? where deleted_at is null and not exists"
            " (select 1 from tag t where t.group_id = g.id and t.deleted_at is null)",
            [at],
        )

    def own(self, some_id: str) -> tuple[sqlite3.Row, str]:
        """A living tag or group of this shelf that the app may change. Raises 40068 or 81011."""
        queries = {
            "tag": "select t.*, g.agentid, g.strategy_id from tag t join tag_group g on g.id = t.group_id"
            " where t.id = ? and t.deleted_at is null",
            "tag_group": "select * from tag_group where id = ? and deleted_at is null",
        }
        for kind, query in queries.items():
            row = self.db.execute(query, [some_id]).fetchone()
            if row is not None and bool(row["strategy_id"]) == bool(self.strategy):
                if self.agentid is not None and row["agentid"] != self.agentid:
                    raise WeComError(81011)
                return row, kind
        raise WeComError(40068)

    def _group_to_fill(self, group_id: str, name: str, order: int) -> str:
        if group_id:
            row, kind = self.own(group_id)
            if kind != "tag_group":
                raise WeComError(40068)
            return str(row["id"])
        row = self.db.execute(
            "select id from tag_group where name = ? and deleted_at is null and strategy_id = ?",
            [name, self.strategy],
        ).fetchone()
        if row is not None:
            return str(row["id"])
        made = self._new_id("tag_group")
        self.db.execute(
            "insert into tag_group (id, name, position, created_at, agentid, strategy_id) values (?, ?, ?, ?, ?, ?)",
            [made, name, order, int(self.state.now()), self.agentid, self.strategy],
        )
        self.tell("create", made, "tag_group", self.strategy)
        return made

    def _put(self, group: str, name: str, order: int) -> str:
        row = self.db.execute(
            "select id from tag where group_id = ? and name = ? and deleted_at is null", [group, name]
        ).fetchone()
        if row is not None:
            return str(row["id"])
        made = self._new_id("tag")
        self.db.execute(
            "insert into tag (id, group_id, name, position, created_at) values (?, ?, ?, ?, ?)",
            [made, group, name, order, int(self.state.now())],
        )
        self.tell("create", made, "tag", self.strategy)
        return made

    def _name_taken(self, row: sqlite3.Row, kind: str, name: str) -> bool:
        queries = {
            "tag": "select 1 from tag where group_id = ? and name = ? and deleted_at is null and id != ?",
            "tag_group": "select 1 from tag_group where strategy_id = ? and name = ? and deleted_at is null"
            " and id != ?",
        }
        within = row["group_id"] if kind == "tag" else row["strategy_id"]
        return self.db.execute(queries[kind], [within, name, row["id"]]).fetchone() is not None

    def _new_id(self, table: str) -> str:
        count = self.db.execute(f"select count(*) from {table}").fetchone()[0]
        return ids.token("et", self.state.settings.seed, table, self.state.value("corpid"), count)


def mark(db: sqlite3.Connection, relation: sqlite3.Row, add: list[str], remove: list[str]) -> bool:
    """Change the tags of a relation. Returns whether anything changed. Raises 40068 for an unknown tag."""
    if not add and not remove:
        raise WeComError(40063, "add_tag and remove_tag")
    numbers = _numbers(db, [*add, *remove])
    before: list[int] = msgspec.json.decode(relation["tags"])
    removed = {numbers[one] for one in remove}
    after = [one for one in before if one not in removed]
    after += [one for one in dict.fromkeys(numbers[one] for one in add) if one not in after]
    if len(after) > MOST_ON_A_RELATION:
        raise WeComError(40126)
    if after == before:
        return False
    db.execute(
        "update relation set tags = ? where userid = ? and external_userid = ?",
        [msgspec.json.encode(after).decode(), relation["userid"], relation["external_userid"]],
    )
    return True


def numbers_of(db: sqlite3.Connection, tag_ids: list[str]) -> list[int]:
    """The numbers under which relations keep these living tags. Raises 40068."""
    found = _numbers(db, tag_ids)
    return [found[one] for one in tag_ids]


def catalogue(db: sqlite3.Connection, strategy: int, tag_ids: list[str], group_ids: list[str]) -> list[dict[str, Any]]:
    """Groups with their tags, larger order first. Deleted ones only where asked for by id."""
    asked = msgspec.json.encode(group_ids or tag_ids).decode()
    by = "group_id" if group_ids else "id" if tag_ids else ""
    where = f"t.{by} in (select value from json_each(?1))" if by else "t.deleted_at is null and ?1 is not null"
    rows = db.execute(
        "select t.*, g.name group_name, g.position group_position, g.created_at group_created, g.deleted_at group_gone,"
        f" g.strategy_id from tag t join tag_group g on g.id = t.group_id where {where}"
        " and (g.strategy_id = ?2 or (?2 = -1 and g.strategy_id > 0))"
        " order by g.position desc, g.created_at, g.id, t.position desc, t.number",
        [asked, strategy],
    )
    groups: dict[str, dict[str, Any]] = {}
    for row in rows:
        group = groups.setdefault(row["group_id"], _group(row))
        group["tag"].append(_with_deleted(_tag(row), row["deleted_at"]))
    return list(groups.values())


def _group(row: sqlite3.Row) -> dict[str, Any]:
    found = {
        "group_id": row["group_id"],
        "group_name": row["group_name"],
        "create_time": row["group_created"],
        "order": row["group_position"],
        "tag": [],
    }
    if row["strategy_id"]:
        found["strategy_id"] = row["strategy_id"]
    return _with_deleted(found, row["group_gone"])


def _tag(row: sqlite3.Row) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "create_time": row["created_at"], "order": row["position"]}


def _with_deleted(found: dict[str, Any], deleted_at: int | None) -> dict[str, Any]:
    return found if deleted_at is None else {**found, "deleted": True}


def _numbers(db: sqlite3.Connection, tag_ids: list[str]) -> dict[str, int]:
    rows = db.execute(
        "select id, number from tag where id in (select value from json_each(?)) and deleted_at is null",
        [msgspec.json.encode(tag_ids).decode()],
    )
    found = dict(rows.fetchall())
    if set(tag_ids) - set(found):
        raise WeComError(40068)
    return found


def _check_name(name: str) -> None:
    if not name:
        raise WeComError(40063, "name")
    if len(name) > LONGEST_NAME:
        raise WeComError(40072)


def _check_order(order: int) -> None:
    if not 0 <= order < _MOST_ORDER:
        raise WeComError(40058, "order")
