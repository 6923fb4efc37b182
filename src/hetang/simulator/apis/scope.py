"""Whom an app may see: its visible range, and members with the right to serve customers (reference 1.3)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator.calls import Call
from hetang.simulator.errors import WeComError

_BELOW = (
    "with recursive below (id) as (select value from json_each(?) union"
    " select d.id from department d join below b on d.parentid = b.id)"
    " select distinct userid from member_department where department in (select id from below)"
)


def in_range(call: Call, userid: str) -> bool:
    """Whether the calling app sees the member."""
    if call.app is None or not call.app["allowed"]:
        return True
    if call.allowed is None:
        call.allowed = _allowed(call, msgspec.json.decode(call.app["allowed"]))
    return userid.lower() in call.allowed


def contact_member(call: Call, userid: str) -> str:
    """The userid as stored, of a member who serves customers. Raises 41009, 40003, 60011 or 84074."""
    if not userid:
        raise WeComError(41009)
    row = call.db.execute("select userid, customer_contact, left_at from member where userid = ?", [userid]).fetchone()
    if row is None or row["left_at"] is not None:
        raise WeComError(40003)
    if not in_range(call, row["userid"]):
        raise WeComError(60011)
    if not row["customer_contact"]:
        raise WeComError(84074)
    return str(row["userid"])


def departments_below(call: Call, departments: list[int]) -> list[str]:
    """The members of the departments and of all below them."""
    rows = call.db.execute(_BELOW, [msgspec.json.encode(departments).decode()])
    return [row[0] for row in rows]


def _allowed(call: Call, told: dict[str, list[Any]]) -> set[str]:
    seen = {str(userid).lower() for userid in told.get("users", [])}
    return seen | {one.lower() for one in departments_below(call, told.get("departments", []))}
