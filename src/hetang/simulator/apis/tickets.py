"""Tickets of the JS-SDK, and where the platform's servers are (reference sections 21 and 1)."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

LIFE_S = 7200


class TicketQuery(msgspec.Struct):
    type: str = ""


@api("get_jsapi_ticket", "GET")
def get_jsapi_ticket(call: Call, _request: Any) -> dict[str, Any]:
    return _ticket(call, "corp", 0)


@api("ticket/get", "GET", TicketQuery)
def ticket_get(call: Call, request: TicketQuery) -> dict[str, Any]:
    if request.type != "agent_config":
        raise WeComError(40058, "type")
    return _ticket(call, "app", call.agentid)


@api("get_api_domain_ip", "GET")
def get_api_domain_ip(_call: Call, _request: Any) -> dict[str, Any]:
    return {"ip_list": ["127.0.0.1"]}


@api("getcallbackip", "GET")
def getcallbackip(_call: Call, _request: Any) -> dict[str, Any]:
    return {"ip_list": ["127.0.0.*"]}


def _ticket(call: Call, kind: str, agentid: int) -> dict[str, Any]:
    """The same ticket until it expires."""
    row = call.db.execute(
        "select * from js_ticket where kind = ? and agentid = ? and expires_at > ?", [kind, agentid, call.now]
    ).fetchone()
    if row is None:
        ticket = secrets.token_urlsafe(64)
        call.db.execute(
            "insert or replace into js_ticket (kind, agentid, ticket, expires_at) values (?, ?, ?, ?)",
            [kind, agentid, ticket, call.now + LIFE_S],
        )
        return {"ticket": ticket, "expires_in": LIFE_S}
    return {"ticket": row["ticket"], "expires_in": int(row["expires_at"] - call.now)}
