"""Handing customers over: from members at work and from those who left (reference section 14)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import friendships, ids, transfers
from hetang.simulator.apis.scope import contact_member
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

ON_JOB, RESIGNED = "onjob", "resigned"
MOST = 100
LONGEST_TEXT = 200
YEAR_S = 365 * 86400
_PAGE = 1000


class Transfer(msgspec.Struct):
    handover_userid: str = ""
    takeover_userid: str = ""
    external_userid: list[str] = msgspec.field(default_factory=list)
    transfer_success_msg: str = ""


class Single(msgspec.Struct):
    handover_userid: str = ""
    takeover_userid: str = ""
    external_userid: str = ""


class ResultQuery(msgspec.Struct):
    handover_userid: str = ""
    takeover_userid: str = ""
    cursor: str = ""


class UnassignedQuery(msgspec.Struct):
    page_id: int = 0
    cursor: str = ""
    page_size: int | None = None


@api("externalcontact/transfer_customer", "POST", Transfer)
def transfer_customer(call: Call, request: Transfer) -> dict[str, Any]:
    return _start(call, request, ON_JOB)


@api("externalcontact/resigned/transfer_customer", "POST", Transfer)
def resigned_transfer_customer(call: Call, request: Transfer) -> dict[str, Any]:
    return _start(call, request, RESIGNED)


@api("externalcontact/transfer", "POST", Single, legacy=True)
def transfer(call: Call, request: Single) -> dict[str, Any]:
    """The form of one customer a call, for members who left."""
    if not request.external_userid:
        raise WeComError(41035)
    wanted = Transfer(request.handover_userid, request.takeover_userid, [request.external_userid])
    (answer,) = _start(call, wanted, RESIGNED)["customer"]
    if answer["errcode"]:
        raise WeComError(answer["errcode"])
    return {}


@api("externalcontact/transfer_result", "POST", ResultQuery)
def transfer_result(call: Call, request: ResultQuery) -> dict[str, Any]:
    return _results(call, request, ON_JOB)


@api("externalcontact/resigned/transfer_result", "POST", ResultQuery)
def resigned_transfer_result(call: Call, request: ResultQuery) -> dict[str, Any]:
    return _results(call, request, RESIGNED)


@api("externalcontact/get_unassigned_list", "POST", UnassignedQuery)
def get_unassigned_list(call: Call, request: UnassignedQuery) -> dict[str, Any]:
    transfers.settle(call.state, call.db, call.now)
    size = page_size(request.page_size, _PAGE, _PAGE)
    after = place(request.cursor)
    offset = int(after[0]) if after else request.page_id * size
    rows = call.db.execute(
        "select r.userid, r.external_userid, m.left_at from member m join relation r using (userid)"
        f" where m.left_at is not null and r.{friendships.VISIBLE_SQL} and not exists (select 1 from transfer t"
        "   where t.external_userid = r.external_userid and t.handover = r.userid and t.status = ?)"
        " order by m.left_at, r.userid, r.external_userid limit ? offset ?",
        [transfers.WAITING, size + 1, offset],
    ).fetchall()
    more = len(rows) > size
    info = [
        {
            "handover_userid": row["userid"],
            "external_userid": row["external_userid"],
            "dimission_time": int(row["left_at"]),
        }
        for row in rows[:size]
    ]
    return {"info": info, "is_last": not more, "next_cursor": ids.cursor(offset + size) if more else ""}


def _start(call: Call, request: Transfer, kind: str) -> dict[str, Any]:
    if not 1 <= len(request.external_userid) <= MOST:
        raise WeComError(40058, f"external_userid must have 1 to {MOST} entries")
    if len(request.transfer_success_msg) > LONGEST_TEXT:
        raise WeComError(40058, "transfer_success_msg")
    transfers.settle(call.state, call.db, call.now)
    handover = _handover(call, request.handover_userid, kind)
    takeover = contact_member(call, request.takeover_userid)
    if handover.lower() == takeover.lower():
        raise WeComError(40130)
    verified = call.db.execute("select verified from member where userid = ?", [takeover]).fetchone()[0]
    if not verified:
        raise WeComError(40098)
    answers = []
    for person in request.external_userid:
        code = _refusal(call, (person, handover, takeover), kind)
        if not code:
            call.db.execute(
                "insert into transfer (kind, external_userid, handover, takeover, asked_at, message)"
                " values (?, ?, ?, ?, ?, ?)",
                [kind, person, handover, takeover, call.now, request.transfer_success_msg],
            )
        answers.append({"external_userid": person, "errcode": code})
    return {"customer": answers}


def _handover(call: Call, userid: str, kind: str) -> str:
    if kind == ON_JOB:
        return contact_member(call, userid)
    if not userid:
        raise WeComError(41009)
    row = call.db.execute("select * from member where userid = ?", [userid]).fetchone()
    if row is None:
        raise WeComError(40003)
    if row["left_at"] is None or call.now - row["left_at"] > YEAR_S:
        raise WeComError(40097)
    return str(row["userid"])


def _refusal(call: Call, who: tuple[str, str, str], kind: str) -> int:
    """Why this customer cannot be handed over; 0 where nothing is against it."""
    person, handover, takeover = who
    if call.db.execute("select 1 from person where external_userid = ?", [person]).fetchone() is None:
        return 40096
    row = friendships.relation(call.db, handover, person)
    if row is None or row["state"] not in friendships.VISIBLE:
        return 40131
    waiting, recent = call.db.execute(
        "select coalesce(sum(status = ?1), 0), coalesce(sum(kind = ?2 and status in (1, 2) and asked_at > ?3), 0)"
        " from transfer where external_userid = ?4",
        [transfers.WAITING, ON_JOB, call.now - transfers.RECENT_S, person],
    ).fetchone()
    if waiting:
        return 40129 if kind == ON_JOB else 40100
    if kind == ON_JOB and recent >= call.state.settings.transfers_per_customer:
        return 40128
    if friendships.friends(call.db, takeover) >= call.state.settings.customers_per_member:
        return 40099
    return 0


def _results(call: Call, request: ResultQuery, kind: str) -> dict[str, Any]:
    if not request.handover_userid or not request.takeover_userid:
        raise WeComError(41009)
    transfers.settle(call.state, call.db, call.now)
    after = place(request.cursor) or [0]
    rows: list[sqlite3.Row] = call.db.execute(
        "select * from transfer where handover = ? and takeover = ? and kind = ? and number > ?"
        " order by number limit ?",
        [request.handover_userid, request.takeover_userid, kind, after[0], _PAGE + 1],
    ).fetchall()
    more = len(rows) > _PAGE
    rows = rows[:_PAGE]
    return {
        "customer": [
            {
                "external_userid": row["external_userid"],
                "status": row["status"],
                "takeover_time": int(row["taken_at"] or 0),
            }
            for row in rows
        ],
        "next_cursor": ids.cursor(rows[-1]["number"]) if more else "",
    }
