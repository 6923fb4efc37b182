""" "Contact me" ways, the live codes (reference section 5)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.apis import ways
from hetang.simulator.apis.content import Text, check_body, check_text
from hetang.simulator.apis.scope import departments_below, in_range
from hetang.simulator.apis.ways import CONTACT, ConfigId
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

SINGLE, SEVERAL = 1, 2
IN_MINIPROGRAM, QR_CODE = 1, 2
MOST_MEMBERS = 100
LONGEST_TEXT = 30
LONGEST_LIFE_S = 14 * 86400
LIST_BACK_S = 90 * 86400


class ContactWay(msgspec.Struct):
    type: int | None = None
    scene: int | None = None
    style: int = 1
    remark: str = ""
    skip_verify: bool = True
    state: str = ""
    user: list[str] = msgspec.field(default_factory=list)
    party: list[int] = msgspec.field(default_factory=list)
    is_temp: bool = False
    expires_in: int = 7 * 86400
    chat_expires_in: int = 86400
    unionid: str = ""
    is_exclusive: bool = False
    mark_source: bool = True
    conclusions: dict[str, Any] = msgspec.field(default_factory=dict)


class Update(msgspec.Struct, omit_defaults=True):
    """Only what is given changes; `user`, `party` and `conclusions` are replaced as a whole."""

    config_id: str = ""
    style: int | None = None
    remark: str | None = None
    skip_verify: bool | None = None
    state: str | None = None
    user: list[str] | None = None
    party: list[int] | None = None
    expires_in: int | None = None
    chat_expires_in: int | None = None
    unionid: str | None = None
    mark_source: bool | None = None
    conclusions: dict[str, Any] | None = None


class ListQuery(msgspec.Struct):
    start_time: int | None = None
    end_time: int | None = None
    cursor: str = ""
    limit: int | None = None


class TempChat(msgspec.Struct):
    userid: str = ""
    external_userid: str = ""


@api("externalcontact/add_contact_way", "POST", ContactWay)
def add_contact_way(call: Call, request: ContactWay) -> dict[str, Any]:
    _check(call, request)
    config_id = ways.store(call, CONTACT, msgspec.to_builtins(request), temporary=request.is_temp)
    answer = {"config_id": config_id}
    if request.scene == QR_CODE:
        answer["qr_code"] = call.picture("contact", config_id)
    return answer


@api("externalcontact/get_contact_way", "POST", ConfigId)
def get_contact_way(call: Call, request: ConfigId) -> dict[str, Any]:
    row, body = ways.load(call, CONTACT, request.config_id)
    found = {"config_id": row["config_id"], **body}
    found.pop("is_exclusive")
    if body["scene"] == QR_CODE:
        found["qr_code"] = call.picture("contact", row["config_id"])
    if not body["is_temp"]:
        for name in ("expires_in", "chat_expires_in", "unionid", "conclusions"):
            found.pop(name)
    return {"contact_way": found}


@api("externalcontact/list_contact_way", "POST", ListQuery)
def list_contact_way(call: Call, request: ListQuery) -> dict[str, Any]:
    size = page_size(request.limit, 100, 1000)
    start = call.now - LIST_BACK_S if request.start_time is None else request.start_time
    end = call.now if request.end_time is None else request.end_time + 1
    after = place(request.cursor) or [0]
    rows = call.db.execute(
        "select number, config_id from way where kind = ? and temporary = 0 and agentid = ?"
        " and created_at >= ? and created_at <= ? and number > ? order by number limit ?",
        [CONTACT, call.agentid, int(start), end, after[0], size + 1],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return {
        "contact_way": [{"config_id": row["config_id"]} for row in rows],
        "next_cursor": ids.cursor(rows[-1]["number"]) if more else "",
    }


@api("externalcontact/update_contact_way", "POST", Update)
def update_contact_way(call: Call, request: Update) -> dict[str, Any]:
    _, body = ways.load(call, CONTACT, request.config_id)
    given = {name: value for name, value in msgspec.to_builtins(request).items() if value is not None}
    given.pop("config_id")
    changed = {**body, **given}
    _check(call, msgspec.convert(changed, ContactWay))
    ways.change(call, request.config_id, changed)
    return {}


@api("externalcontact/del_contact_way", "POST", ConfigId)
def del_contact_way(call: Call, request: ConfigId) -> dict[str, Any]:
    ways.delete(call, CONTACT, request.config_id)
    return {}


@api("externalcontact/close_temp_chat", "POST", TempChat)
def close_temp_chat(call: Call, request: TempChat) -> dict[str, Any]:
    if not request.userid:
        raise WeComError(41009)
    if not request.external_userid:
        raise WeComError(41035)
    changed = call.db.execute(
        "update temp_chat set closed_at = ?1 where userid = ?2 and external_userid = ?3 and closed_at is null"
        " and ends_at > ?1",
        [call.now, request.userid, request.external_userid],
    ).rowcount
    if not changed:
        raise WeComError(84061)
    return {}


def _check(call: Call, way: ContactWay) -> None:
    if way.type is None:
        raise WeComError(41037)
    if way.scene is None:
        raise WeComError(41038)
    if way.type not in {SINGLE, SEVERAL}:
        raise WeComError(41039)
    if way.scene not in {IN_MINIPROGRAM, QR_CODE}:
        raise WeComError(41040)
    if way.scene == IN_MINIPROGRAM and way.style not in {1, 2, 3}:
        raise WeComError(41042)
    for text in (way.remark, way.state):
        if len(text) > LONGEST_TEXT:
            raise WeComError(40058, f"longer than {LONGEST_TEXT} characters")
    _check_members(call, way)
    _check_temporary(call, way)


def _check_members(call: Call, way: ContactWay) -> None:
    if way.type == SINGLE and (len(way.user) != 1 or way.party):
        raise WeComError(40058, "type 1 needs exactly one user and no party")
    if not way.user and not way.party:
        raise WeComError(40058, "user and party are both empty")
    for userid in way.user:
        row = call.db.execute("select * from member where userid = ? and left_at is null", [userid]).fetchone()
        if row is None:
            raise WeComError(40003)
        if not in_range(call, userid):
            raise WeComError(60011)
        if row["status"] != 1:
            raise WeComError(41054)
        if not row["verified"]:
            raise WeComError(40098)
        if not row["customer_contact"]:
            raise WeComError(84074)
    for department in way.party:
        if call.db.execute("select 1 from department where id = ?", [department]).fetchone() is None:
            raise WeComError(60123)
    behind = {one.lower() for one in (*way.user, *departments_below(call, way.party))}
    if len(behind) > MOST_MEMBERS:
        raise WeComError(41041)


def _check_temporary(call: Call, way: ContactWay) -> None:
    if not way.is_temp:
        return
    if way.type != SINGLE:
        raise WeComError(41039, "temporary chats need type 1")
    for seconds in (way.expires_in, way.chat_expires_in):
        if not 0 < seconds <= LONGEST_LIFE_S:
            raise WeComError(40058, "a temporary way lives for at most 14 days")
    check_text(msgspec.convert(way.conclusions.get("text"), Text | None), 4000)
    for kind in ("image", "link", "miniprogram"):
        if kind in way.conclusions:
            check_body(call, kind, way.conclusions[kind])
