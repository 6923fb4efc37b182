"""Customer groups: list, details, id of a mini-program's group (reference section 7)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import chats, ids
from hetang.simulator.apis.scope import in_range
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

OWNER_LEFT, MOVING, MOVED = 1, 2, 3


class OwnerFilter(msgspec.Struct):
    userid_list: list[str] = msgspec.field(default_factory=list)


class ListQuery(msgspec.Struct):
    status_filter: int = 0
    owner_filter: OwnerFilter | None = None
    cursor: str = ""
    limit: int | None = None


class GetQuery(msgspec.Struct):
    chat_id: str = ""
    need_name: int = 0


class OpenGid(msgspec.Struct):
    opengid: str = ""


@api("externalcontact/groupchat/list", "POST", ListQuery)
def groupchat_list(call: Call, request: ListQuery) -> dict[str, Any]:
    if request.limit is None:
        raise WeComError(40058, "limit is missing")
    size = page_size(request.limit, 1000, 1000)
    if request.status_filter not in {0, OWNER_LEFT, MOVING, MOVED}:
        raise WeComError(40058, "status_filter")
    owners = owners_of(call, request.owner_filter)
    after = place(request.cursor) or [0]
    rows = call.db.execute(
        "select number, chat_id, status from chat where dismissed_at is null and number > ?1"
        " and (?2 = 0 or status = ?2) and (?3 is null or owner in (select lower(value) from json_each(?3)))"
        " order by number limit ?4",
        [after[0], request.status_filter, owners, size + 1],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return {
        "group_chat_list": [{"chat_id": row["chat_id"], "status": row["status"]} for row in rows],
        "next_cursor": ids.cursor(rows[-1]["number"]) if more else "",
    }


@api("externalcontact/groupchat/get", "POST", GetQuery)
def groupchat_get(call: Call, request: GetQuery) -> dict[str, Any]:
    row = chat_row(call, request.chat_id)
    return {
        "group_chat": {
            "chat_id": row["chat_id"],
            "name": row["name"],
            "owner": row["owner"],
            "create_time": row["created_at"],
            "notice": row["notice"],
            "member_list": [_member(call, one, bool(request.need_name)) for one in _members(call, row["chat_id"])],
            "admin_list": [{"userid": userid} for userid in msgspec.json.decode(row["admins"])],
            "member_version": chats.version(row["chat_id"], row["version"]),
        }
    }


@api("externalcontact/opengid_to_chatid", "POST", OpenGid)
def opengid_to_chatid(call: Call, request: OpenGid) -> dict[str, Any]:
    if not request.opengid:
        raise WeComError(40058, "opengid is empty")
    for row in call.db.execute("select chat_id from chat where dismissed_at is null"):
        if chats.opengid(row["chat_id"]) == request.opengid:
            return {"chat_id": row["chat_id"]}
    raise WeComError(86001)


def chat_row(call: Call, chat_id: str) -> sqlite3.Row:
    """A living group whose owner the app sees. Raises 86003, 86001 or 60011."""
    if not chat_id:
        raise WeComError(86003)
    row: sqlite3.Row | None = call.db.execute(
        "select * from chat where chat_id = ? and dismissed_at is null", [chat_id]
    ).fetchone()
    if row is None:
        raise WeComError(86001)
    if not in_range(call, row["owner"]):
        raise WeComError(60011)
    return row


def owners_of(call: Call, asked: OwnerFilter | None) -> str | None:
    """The owners asked for, or those whom the app sees, as a JSON list in lower case; None for everybody."""
    wanted = asked.userid_list if asked else []
    if len(wanted) > 100:
        raise WeComError(40058, "owner_filter is longer than 100")
    for userid in wanted:
        if not in_range(call, userid):
            raise WeComError(60011)
    if not wanted and call.app is not None and call.app["allowed"]:
        in_range(call, "")  # fills the set
        wanted = sorted(call.allowed or ())
    return msgspec.json.encode([one.lower() for one in wanted]).decode() if wanted else None


def _members(call: Call, chat_id: str) -> list[sqlite3.Row]:
    return call.db.execute(
        "select c.*, p.name, p.unionid, p.kind person_kind, m.name member_name,"
        " case when p.kind = 2 then exists (select 1 from relation r where r.external_userid = c.userid"
        "   and r.state in ('full', 'lost_by_customer')) end friend"
        " from chat_member c left join person p on c.kind = 2 and p.external_userid = c.userid"
        " left join member m on c.kind = 1 and m.userid = c.userid"
        " where c.chat_id = ? order by c.join_time, c.userid",
        [chat_id],
    ).fetchall()


def _member(call: Call, row: sqlite3.Row, named: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "userid": row["userid"],
        "type": row["kind"],
        "join_time": row["join_time"],
        "join_scene": row["join_scene"],
        "group_nickname": row["nickname"],
    }
    if row["invitor"]:
        found["invitor"] = {"userid": row["invitor"]}
    if row["kind"] == 2 and row["person_kind"] == 1 and call.state.settings.unionid_bound:
        found["unionid"] = row["unionid"]
    if row["state"] and row["join_scene"] == chats.BY_CODE:
        found["state"] = row["state"]
    if named:
        hidden = row["kind"] == 2 and row["person_kind"] == 2 and not row["friend"]
        found["name"] = "" if hidden else row["member_name"] if row["kind"] == 1 else row["name"]
    return found
