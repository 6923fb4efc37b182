"""Statistics of members: what they did with customers, by day (reference section 17)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import days
from hetang.simulator.apis.scope import contact_member, departments_below
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

MOST = 100
LONGEST_S, BACK_S = 30 * 86400, 180 * 86400


class Behaviour(msgspec.Struct):
    start_time: int
    end_time: int
    userid: list[str] = msgspec.field(default_factory=list)
    partyid: list[int] = msgspec.field(default_factory=list)


@api("externalcontact/get_user_behavior_data", "POST", Behaviour)
def get_user_behavior_data(call: Call, request: Behaviour) -> dict[str, Any]:
    settings = call.state.settings
    start, end = days.midnight(settings, request.start_time), days.midnight(settings, request.end_time)
    today = days.midnight(settings, call.now)
    if not start <= end < today or end - start > LONGEST_S or start < today - BACK_S:
        raise WeComError(600018)
    if not request.userid and not request.partyid:
        raise WeComError(40063, "userid and partyid")
    if len(request.userid) > MOST or len(request.partyid) > MOST:
        raise WeComError(40058, f"more than {MOST}")
    members = {contact_member(call, userid) for userid in request.userid}
    wanted = msgspec.json.encode(sorted(members | set(departments_below(call, request.partyid)))).decode()
    return {
        "behavior_data": [
            _day(call, midnight, day, wanted) for midnight, day in days.days_between(settings, start, end)
        ]
    }


def _day(call: Call, midnight: int, day: str, members: str) -> dict[str, Any]:
    row = call.db.execute(
        "select coalesce(sum(chats), 0) chats, coalesce(sum(messages), 0) messages, coalesce(sum(asked), 0) asked,"
        " coalesce(sum(answered), 0) answered, coalesce(sum(minutes), 0) minutes, coalesce(sum(lost), 0) lost,"
        " coalesce(sum(applied), 0) applied, coalesce(sum(gained), 0) gained from member_day"
        " where day = ? and userid in (select value from json_each(?))",
        [day, members],
    ).fetchone()
    found = {
        "stat_time": midnight,
        "chat_cnt": row["chats"],
        "message_cnt": row["messages"],
        "negative_feedback_cnt": row["lost"],
        "new_apply_cnt": row["applied"],
        "new_contact_cnt": row["gained"],
    }
    if row["asked"]:  # both are absent on a day without chats
        found["reply_percentage"] = round(100 * min(1, row["answered"] / row["asked"]), 2)
    if row["answered"]:
        found["avg_reply_time"] = round(row["minutes"] / row["answered"])
    return found
