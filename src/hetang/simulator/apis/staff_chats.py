"""Group chats of members among themselves (appchat, reference section 18): not the groups of customers.

Only the app that made a chat may use it, and only an app that sees everybody may make one.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from typing import Any

import msgspec

from hetang.simulator.apis import app_messages
from hetang.simulator.apis.app_messages import Message
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

FEWEST, MOST = 2, 2000
LONGEST_NAME = 50
CREATED_A_DAY, CHANGED_AN_HOUR = 1000, 1000
_CHATID = re.compile(r"[0-9a-zA-Z]{1,32}")
_KINDS = frozenset({"text", "image", "voice", "video", "file", "textcard", "news", "mpnews", "markdown"})


class Creation(msgspec.Struct):
    name: str = ""
    owner: str = ""
    userlist: list[str] = msgspec.field(default_factory=list)
    chatid: str = ""


class Update(msgspec.Struct):
    chatid: str = ""
    name: str = ""
    owner: str = ""
    add_user_list: list[str] = msgspec.field(default_factory=list)
    del_user_list: list[str] = msgspec.field(default_factory=list)


class Query(msgspec.Struct):
    chatid: str = ""


class ChatMessage(Message):
    chatid: str = ""
    safe: int = 0


@api("appchat/create", "POST", Creation)
def create(call: Call, request: Creation) -> dict[str, Any]:
    _sees_everybody(call)
    members = _members(call, request.userlist)
    if not FEWEST <= len(members) <= MOST:
        raise WeComError(86216, f"{FEWEST} to {MOST} members")
    owner = request.owner or members[0]
    if owner.lower() not in {one.lower() for one in members}:
        raise WeComError(86216, "the owner is not among the members")
    _check_name(request.name)
    _count(call, "created_at", CREATED_A_DAY, 86400)
    chatid = request.chatid or secrets.token_hex(16)
    if not _CHATID.fullmatch(chatid) or _find(call, chatid) is not None:
        raise WeComError(86001, "not 0-9a-zA-Z, too long, or taken")
    call.db.execute(
        "insert into staff_chat (chatid, agentid, name, owner, members, created_at, changed_at)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        [chatid, call.agentid, request.name, owner, _packed(members), call.now, call.now],
    )
    return {"chatid": chatid}


@api("appchat/update", "POST", Update)
def update(call: Call, request: Update) -> dict[str, Any]:
    row = _own(call, request.chatid)
    _check_name(request.name)
    gone = {one.lower() for one in request.del_user_list}
    members = [one for one in msgspec.json.decode(row["members"]) if one.lower() not in gone]
    members += [one for one in _members(call, request.add_user_list) if one not in members]
    if not FEWEST <= len(members) <= MOST:
        raise WeComError(86216, f"{FEWEST} to {MOST} members")
    owner = request.owner or row["owner"]
    if owner.lower() not in {one.lower() for one in members}:
        raise WeComError(86216, "the owner is not among the members")
    _count(call, "changed_at", CHANGED_AN_HOUR, 3600)
    call.db.execute(
        "update staff_chat set name = ?, owner = ?, members = ?, changed_at = ? where chatid = ?",
        [request.name or row["name"], owner, _packed(members), call.now, row["chatid"]],
    )
    return {}


@api("appchat/get", "GET", Query)
def get(call: Call, request: Query) -> dict[str, Any]:
    row = _own(call, request.chatid)
    told = {"chatid": row["chatid"], "name": row["name"], "owner": row["owner"]}
    return {"chat_info": {**told, "userlist": msgspec.json.decode(row["members"])}}


@api("appchat/send", "POST", ChatMessage)
def send(call: Call, request: ChatMessage) -> dict[str, Any]:
    """Members find it among what the app wrote to them."""
    row = _own(call, request.chatid)
    if request.msgtype not in _KINDS:
        raise WeComError(40008)
    body = msgspec.json.encode(app_messages.checked(call, request)).decode()
    app_messages.keep(call, request.msgtype, body, msgspec.json.decode(row["members"]))
    return {}


def _own(call: Call, chatid: str) -> sqlite3.Row:
    """A chat that this app made. Raises 86003 or 86001."""
    if not chatid:
        raise WeComError(86003)
    row = _find(call, chatid)
    if row is None or row["agentid"] != call.agentid:
        raise WeComError(86001)
    return row


def _find(call: Call, chatid: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = call.db.execute("select * from staff_chat where chatid = ?", [chatid]).fetchone()
    return row


def _members(call: Call, wanted: list[str]) -> list[str]:
    """The members as they are written in the address book. Raises 40031 for one who is not there."""
    found: list[str] = []
    for userid in wanted:
        row = call.db.execute("select userid from member where userid = ? and left_at is null", [userid]).fetchone()
        if row is None:
            raise WeComError(40031, userid)
        if row["userid"] not in found:
            found.append(row["userid"])
    return found


def _sees_everybody(call: Call) -> None:
    allowed = msgspec.json.decode(call.app["allowed"] or b"{}") if call.app is not None else {}
    if allowed and 1 not in allowed.get("departments", []):
        raise WeComError(48002)


def _check_name(name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise WeComError(40058, "name")


def _count(call: Call, column: str, most: int, span_s: int) -> None:
    query = f"select count(*) from staff_chat where {column} > ?"
    if call.db.execute(query, [call.now - span_s]).fetchone()[0] >= most:
        raise WeComError(45009)


def _packed(members: list[str]) -> str:
    return msgspec.json.encode(members).decode()
