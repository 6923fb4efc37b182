"""Statistics of customer groups by owner and by day (reference section 7)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import days
from hetang.simulator.apis.groups import OwnerFilter
from hetang.simulator.apis.scope import contact_member
from hetang.simulator.calls import Call, api, page_size
from hetang.simulator.errors import WeComError

LONGEST_DAYS, BACK_DAYS = 30, 180
_DAY_S = 86400
_ORDERS = {1: "new_chat_cnt", 2: "chat_total", 3: "new_member_cnt", 4: "member_total"}
_FIELDS = (
    "new_chat_cnt",
    "chat_total",
    "chat_has_msg",
    "new_member_cnt",
    "member_total",
    "member_has_msg",
    "msg_total",
)
# Totals are those at the end of the span: what is there now, without what came and went since.
_OF_OWNER = """
with mine as (select * from chat where owner = :owner and created_at < :end
              and (dismissed_at is null or dismissed_at >= :start)),
     span as (select d.* from chat_day d join mine using (chat_id) where d.day between :first and :last),
     since as (select coalesce(sum(d.joined - d.lost), 0) more from chat_day d join mine using (chat_id)
               where d.day > :last and mine.dismissed_at is null)
select (select count(*) from mine where created_at >= :start) new_chat_cnt,
       (select count(*) from mine where dismissed_at is null or dismissed_at >= :end) chat_total,
       (select count(distinct chat_id) from span where messages > 0) chat_has_msg,
       (select coalesce(sum(joined), 0) from span) new_member_cnt,
       (select count(*) from chat_member c join mine using (chat_id)) - (select more from since) member_total,
       (select count(*) from (select distinct s.chat_id, s.userid from chat_speaker s join mine using (chat_id)
         where s.day between :first and :last)) member_has_msg,
       (select coalesce(sum(messages), 0) from span) msg_total
"""


class Statistic(msgspec.Struct):
    day_begin_time: int
    day_end_time: int | None = None
    owner_filter: OwnerFilter | None = None
    order_by: int = 1
    order_asc: int = 0
    offset: int = 0
    limit: int | None = None


@api("externalcontact/groupchat/statistic", "POST", Statistic)
def statistic(call: Call, request: Statistic) -> dict[str, Any]:
    span = _span(call, request)
    size = page_size(request.limit, 500, 1000)
    if request.order_by not in _ORDERS:
        raise WeComError(40058, "order_by")
    rows = [(owner, _data(call, owner, span)) for owner in sorted(_owners(call, request))]
    rows.sort(key=lambda row: row[1][_ORDERS[request.order_by]], reverse=not request.order_asc)
    end = request.offset + size
    items = [{"owner": owner, "data": data} for owner, data in rows[request.offset : end]]
    return {"total": len(rows), "next_offset": min(end, len(rows)), "items": items}


@api("externalcontact/groupchat/statistic_group_by_day", "POST", Statistic)
def statistic_group_by_day(call: Call, request: Statistic) -> dict[str, Any]:
    start, end = _span(call, request)
    owners = _owners(call, request)
    items = []
    for midnight, _day in days.days_between(call.state.settings, start, end):
        each = [_data(call, owner, (midnight, midnight)) for owner in owners]
        items.append({"stat_time": midnight, "data": {name: sum(one[name] for one in each) for name in each[0]}})
    return {"items": items}


def _span(call: Call, request: Statistic) -> tuple[int, int]:
    """The midnights of the first and the last day. Raises 600018."""
    settings = call.state.settings
    start = request.day_begin_time
    end = start if request.day_end_time is None else request.day_end_time
    today = days.midnight(settings, call.now)
    if start != days.midnight(settings, start):
        raise WeComError(600018, "day_begin_time is not the start of a day")
    last = days.midnight(settings, end)
    if not start <= last < today or last - start > LONGEST_DAYS * _DAY_S or start < today - BACK_DAYS * _DAY_S:
        raise WeComError(600018)
    return start, last


def _owners(call: Call, request: Statistic) -> list[str]:
    wanted = request.owner_filter.userid_list if request.owner_filter else []
    if len(wanted) > 100:
        raise WeComError(40058, "owner_filter is longer than 100")
    if wanted:
        return [contact_member(call, userid) for userid in wanted]
    rows = call.db.execute("select userid from member where customer_contact = 1 and left_at is null limit 1001")
    owners = [row["userid"] for row in rows]
    if len(owners) > 1000:
        raise WeComError(81017)
    return owners


def _data(call: Call, owner: str, span: tuple[int, int]) -> dict[str, int]:
    settings = call.state.settings
    start, last = span
    values = {
        "owner": owner,
        "start": start,
        "end": days.midnight(settings, last + 36 * 3600),  # the midnight after, whatever the clock does that night
        "first": days.day_of(settings, start),
        "last": days.day_of(settings, last),
    }
    row = call.db.execute(_OF_OWNER, values).fetchone()
    return {**{name: row[name] for name in _FIELDS}, "migrate_trainee_chat_cnt": 0}
