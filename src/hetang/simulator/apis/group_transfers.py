"""Handing customer groups over to a new owner (reference section 14)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import transfers
from hetang.simulator.apis.scope import contact_member
from hetang.simulator.apis.transfers import ON_JOB, RESIGNED
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import TEXTS, WeComError

MOST = 100
RUNNING = 2


class Transfer(msgspec.Struct):
    chat_id_list: list[str] = msgspec.field(default_factory=list)
    new_owner: str = ""


@api("externalcontact/groupchat/transfer", "POST", Transfer)
def groupchat_transfer(call: Call, request: Transfer) -> dict[str, Any]:
    return _start(call, request, RESIGNED)


@api("externalcontact/groupchat/onjob_transfer", "POST", Transfer)
def groupchat_onjob_transfer(call: Call, request: Transfer) -> dict[str, Any]:
    return _start(call, request, ON_JOB)


def _start(call: Call, request: Transfer, kind: str) -> dict[str, Any]:
    if not 1 <= len(request.chat_id_list) <= MOST:
        raise WeComError(40058, f"chat_id_list must have 1 to {MOST} groups")
    owner = contact_member(call, request.new_owner)
    failed = []
    for chat_id in request.chat_id_list:
        code = _refusal(call, chat_id, owner, kind)
        if code:
            failed.append({"chat_id": chat_id, "errcode": code, "errmsg": TEXTS[code]})
            continue
        call.db.execute(
            "insert into chat_transfer (chat_id, kind, takeover, asked_at) values (?, ?, ?, ?)",
            [chat_id, kind, owner, call.now],
        )
        if kind == RESIGNED:
            call.db.execute("update chat set status = ? where chat_id = ?", [RUNNING, chat_id])
    transfers.settle(call.state, call.db, call.now)
    return {"failed_chat_list": failed}


def _refusal(call: Call, chat_id: str, owner: str, kind: str) -> int:
    row = call.db.execute(
        "select c.*, m.left_at from chat c join member m on m.userid = c.owner"
        " where c.chat_id = ? and c.dismissed_at is null",
        [chat_id],
    ).fetchone()
    if row is None:
        return 90501
    if call.db.execute("select 1 from chat_transfer where chat_id = ? and done_at is null", [chat_id]).fetchone():
        return 90507
    if row["owner"].lower() == owner.lower():
        return 90504
    if kind == RESIGNED and row["left_at"] is None:
        return 90508 if row["status"] == 3 else 90500
    if kind == ON_JOB and row["left_at"] is not None:
        return 90502
    return _limit(call, chat_id, owner, kind)


def _limit(call: Call, chat_id: str, owner: str, kind: str) -> int:
    recent = call.db.execute(
        "select count(*) from chat_transfer where chat_id = ? and kind = ? and asked_at > ?",
        [chat_id, ON_JOB, call.now - transfers.RECENT_S],
    ).fetchone()[0]
    if kind == ON_JOB and recent >= call.state.settings.transfers_per_customer:
        return 40128
    today = call.db.execute(
        "select count(*) from chat_transfer where takeover = ? and asked_at > ?", [owner, call.now - 86400]
    ).fetchone()[0]
    return 45009 if today >= call.state.settings.groups_per_new_owner_a_day else 0
