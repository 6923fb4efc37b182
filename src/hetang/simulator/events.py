"""Events as the platform words them (reference 24.3 to 24.8), queued for each app that wants them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from hetang.simulator.state import State

Value = str | int | list[str]


def queue(
    state: State,
    db: sqlite3.Connection,
    event: str,
    change: str,
    fields: Mapping[str, Value],
    *,
    at: float | None = None,
) -> None:
    """Queue one event for every app with a callback address. Empty texts are left out, as the platform does."""
    created = int(state.now() if at is None else at)
    head = {"ToUserName": state.value("corpid", ""), "FromUserName": "sys", "CreateTime": created, "MsgType": "event"}
    told: dict[str, Value] = {**head, "Event": event, "ChangeType": change, **fields}
    body = f"<xml>{''.join(_element(name, value) for name, value in told.items())}</xml>"
    for app in db.execute("select agentid from app where callback_url != ''").fetchall():
        row = [app["agentid"], body, created]
        db.execute("insert into callback (agentid, body, created_at) values (?, ?, ?)", row)


def queue_for_app(
    state: State, db: sqlite3.Connection, app: tuple[int, str], event: str, fields: Mapping[str, Value]
) -> None:
    """Queue an event of a member with one app: `app` is (agentid, the member's userid)."""
    agentid, userid = app
    created = int(state.now())
    head = {"ToUserName": state.value("corpid", ""), "FromUserName": userid, "CreateTime": created, "MsgType": "event"}
    told: dict[str, Value] = {**head, "Event": event, **fields, "AgentID": agentid}
    body = f"<xml>{''.join(_element(name, value) for name, value in told.items())}</xml>"
    db.execute(
        "insert into callback (agentid, body, created_at) select agentid, ?, ? from app"
        " where agentid = ? and callback_url != ''",
        [body, created, agentid],
    )


def queue_kf(state: State, db: sqlite3.Connection, token: str, open_kfid: str) -> None:
    """Queue "there is something to fetch" of WeChat customer service for every app; it has no sender."""
    created = int(state.now())
    head = {"ToUserName": state.value("corpid", ""), "CreateTime": created, "MsgType": "event"}
    told: dict[str, Value] = {**head, "Event": "kf_msg_or_event", "Token": token, "OpenKfId": open_kfid}
    body = f"<xml>{''.join(_element(name, value) for name, value in told.items())}</xml>"
    db.execute(
        "insert into callback (agentid, body, created_at) select agentid, ?, ? from app where callback_url != ''",
        [body, created],
    )


def queue_of_api(state: State, db: sqlite3.Connection, event: str, change: str, fields: Mapping[str, Value]) -> None:
    """As `queue`, for what an API call caused: the platform tells nobody unless the setting says otherwise."""
    if state.settings.callbacks_by_api:
        queue(state, db, event, change, fields)


def _element(name: str, value: Value) -> str:
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    if isinstance(value, list):
        return f"<{name}>{''.join(_element('Item', one) for one in value)}</{name}>" if value else ""
    safe = value.replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{safe}]]></{name}>" if value else ""
