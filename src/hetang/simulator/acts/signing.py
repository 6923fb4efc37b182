"""People who sign on, and members who read and press what apps sent them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hetang.simulator import events, sign_on
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError


class Authorising(msgspec.Struct):
    agentid: int = 1000002
    userid: str = ""
    external_userid: str = ""
    private: bool = False
    kind: Literal["web", "miniprogram"] = "web"


class Inbox(msgspec.Struct):
    userid: str
    limit: int = 50


class Pressing(msgspec.Struct):
    userid: str
    msgid: str
    key: str


@admin("authorise")
def authorise(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{agentid, userid | external_userid, private?, kind?}`: somebody signs on. Answers the `code` for the app."""
    wanted = convert(body, Authorising)
    with running.state.transaction() as db:
        code = sign_on.issue(
            *(running.state, db, wanted.agentid),
            userid=wanted.userid,
            external_userid=wanted.external_userid,
            private=wanted.private,
            kind=wanted.kind,
        )
    return {"code": code}


@admin("inbox")
def inbox(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, limit?}`: newest messages of apps that a member got."""
    wanted = convert(body, Inbox)
    with running.state.transaction() as db:
        rows = db.execute(
            "select * from app_message m where recalled_at is null and exists"
            " (select 1 from json_each(m.members) where value = ?) order by number desc limit ?",
            [wanted.userid, wanted.limit],
        ).fetchall()
    return {
        "messages": [
            {
                "msgid": row["msgid"],
                "agentid": row["agentid"],
                "msgtype": row["msgtype"],
                "at": row["at"],
                "body": msgspec.json.decode(row["body"]),
            }
            for row in rows
        ]
    }


@admin("press")
def press(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, msgid, key}`: a member presses a button of a template card, which the app is told."""
    wanted = convert(body, Pressing)
    with running.state.transaction() as db:
        row = db.execute(
            "select * from app_message where msgid = ? and msgtype = 'template_card' and exists"
            " (select 1 from json_each(members) where value = ?)",
            [wanted.msgid, wanted.userid],
        ).fetchone()
        if row is None:
            raise AdminError(404, "the member has no such card")
        card = msgspec.json.decode(row["body"])
        told: dict[str, events.Value] = {
            "EventKey": wanted.key,
            "TaskId": str(card.get("task_id", "")),
            "CardType": str(card["card_type"]),
            "ResponseCode": row["response_code"],
        }
        events.queue_for_app(running.state, db, (row["agentid"], wanted.userid), "template_card_event", told)
    running.state.notify()
    return {}
