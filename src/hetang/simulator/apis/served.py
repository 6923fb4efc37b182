"""Everybody outside whom the corp serves: customers, and those who are only in groups (reference 4.1)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.apis.scope import in_range
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.friendships import VISIBLE_SQL

_CUSTOMERS = (
    "select r.userid, r.external_userid, r.createtime at, p.name from relation r join person p using (external_userid)"
    f" where r.{VISIBLE_SQL} and (r.userid, r.external_userid) > (?, ?) order by r.userid, r.external_userid limit ?"
)
_IN_GROUPS = (
    "select c.chat_id, c.userid, c.join_time at, p.name, g.name chat_name, g.owner from chat_member c"
    " join person p on p.external_userid = c.userid join chat g using (chat_id)"
    " where c.kind = 2 and not exists"
    f" (select 1 from relation r where r.external_userid = c.userid and r.{VISIBLE_SQL})"
    " and (c.chat_id, c.userid) > (?, ?) order by c.chat_id, c.userid limit ?"
)


class Paging(msgspec.Struct):
    cursor: str = ""
    limit: int | None = None


@api("externalcontact/contact_list", "POST", Paging)
def contact_list(call: Call, request: Paging) -> dict[str, Any]:
    """Customers first, then people in groups. Names are masked, `tmp_openid` is no key to keep."""
    size = page_size(request.limit, 1000, 1000)
    part, *after = place(request.cursor) or [0, "", ""]
    query = _IN_GROUPS if part else _CUSTOMERS
    rows = call.db.execute(query, [*after, size + 1]).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    if part:
        told = [_in_group(call, row) for row in rows if in_range(call, row["owner"])]
        cursor = ids.cursor(1, rows[-1]["chat_id"], rows[-1]["userid"]) if more else ""
        return {"info_list": told, "next_cursor": cursor}
    told = [_customer(call, row) for row in rows if in_range(call, row["userid"])]
    behind = ids.cursor(0, rows[-1]["userid"], rows[-1]["external_userid"]) if more else ids.cursor(1, "", "")
    return {"info_list": told, "next_cursor": behind}


def _customer(call: Call, row: Any) -> dict[str, Any]:
    known = {"external_userid": row["external_userid"], "follow_userid": row["userid"]}
    return {"is_customer": True, **_person(call, row["external_userid"], row), **known}


def _in_group(call: Call, row: Any) -> dict[str, Any]:
    known = {"chat_id": row["chat_id"], "chat_name": row["chat_name"]}
    return {"is_customer": False, **_person(call, row["userid"], row), **known}


def _person(call: Call, external_userid: str, row: Any) -> dict[str, Any]:
    day = int(call.now // 86400)  # temporary: another one every day
    openid = ids.token("ot", call.state.settings.seed, "tmp openid", external_userid, day, length=28)
    return {"tmp_openid": openid, "name": f"{row['name'][:1]}**", "add_time": row["at"]}
