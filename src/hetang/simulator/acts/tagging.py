"""Tags changed by people in the client and the administrator's console: these are told to the apps."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import events, friendships, tags
from hetang.simulator.acts.people import Pair
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError


class Adding(msgspec.Struct):
    group: str
    tags: list[str]
    strategy_id: int = 0


class Editing(msgspec.Struct):
    id: str
    name: str = ""
    order: int | None = None
    strategy_id: int = 0


class Deleting(msgspec.Struct):
    ids: list[str]
    strategy_id: int = 0


class Shuffling(msgspec.Struct):
    group_id: str = ""
    strategy_id: int = 0


class Marking(Pair):
    add: list[str] = msgspec.field(default_factory=list)
    remove: list[str] = msgspec.field(default_factory=list)


@admin("add_tags")
def add_tags(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{group, tags: [name], strategy_id?}`: an administrator makes tags. Answers `{group_id, tag_ids}`."""
    wanted = convert(body, Adding)
    with running.state.transaction() as db:
        shelf = tags.Shelf(running.state, db, None, wanted.strategy_id)
        group, made = shelf.add("", wanted.group, 0, [(name, 0) for name in wanted.tags])
    running.state.notify()
    return {"group_id": group, "tag_ids": made}


@admin("edit_tag")
def edit_tag(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{id, name?, order?, strategy_id?}`: an administrator renames or moves a tag or a group."""
    wanted = convert(body, Editing)
    with running.state.transaction() as db:
        tags.Shelf(running.state, db, None, wanted.strategy_id).edit(wanted.id, wanted.name, wanted.order)
    running.state.notify()
    return {}


@admin("delete_tags")
def delete_tags(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{ids: [tag or group], strategy_id?}`: an administrator deletes."""
    wanted = convert(body, Deleting)
    with running.state.transaction() as db:
        tags.Shelf(running.state, db, None, wanted.strategy_id).delete(wanted.ids, [])
    running.state.notify()
    return {}


@admin("shuffle_tags")
def shuffle_tags(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{group_id?, strategy_id?}`: an administrator turns the order of a group's tags round, or of the groups."""
    wanted = convert(body, Shuffling)
    with running.state.transaction() as db:
        table, where = ("tag", "group_id = ?1") if wanted.group_id else ("tag_group", "?1 = ''")
        most = db.execute(f"select coalesce(max(position), 0) + 1 from {table} where {where}", [wanted.group_id])
        highest = most.fetchone()[0]
        db.execute(f"update {table} set position = ?2 - position where {where}", [wanted.group_id, highest])
        fields: dict[str, events.Value] = {"Id": wanted.group_id}
        fields |= {"StrategyId": wanted.strategy_id} if wanted.strategy_id else {}
        events.queue(running.state, db, tags.EVENT, "shuffle", fields)
    running.state.notify()
    return {}


@admin("tag")
def tag(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, add?, remove?}` (tag ids): the member marks the customer in the client."""
    wanted = convert(body, Marking)
    state, pair = running.state, (wanted.userid, wanted.external_userid)
    with state.transaction() as db:
        row = friendships.relation(db, *pair)
        if row is None or row["state"] not in friendships.VISIBLE:
            raise AdminError(404, "there is no such friendship")
        if tags.mark(db, row, wanted.add, wanted.remove):
            friendships.queue_pair(state, db, "edit_external_contact", *pair)
    state.notify()
    return {}
