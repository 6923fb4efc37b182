"""Events as the platform words them (reference 24.3, 24.4), queued for each app that wants them."""

from __future__ import annotations

import sqlite3

from hetang.simulator.state import State


def queue(state: State, db: sqlite3.Connection, event: str, change: str, fields: dict[str, str]) -> None:
    """Queue one event for every app with a callback address. Empty fields are left out, as the platform does."""
    at = int(state.now())
    head = {"ToUserName": state.value("corpid", ""), "FromUserName": "sys"}
    tail = {"MsgType": "event", "Event": event, "ChangeType": change}
    texts = "".join(_text(name, value) for name, value in {**head, **tail, **fields}.items() if value)
    body = f"<xml>{texts}<CreateTime>{at}</CreateTime></xml>"
    for app in db.execute("select agentid from app where callback_url != ''").fetchall():
        db.execute("insert into callback (agentid, body, created_at) values (?, ?, ?)", [app["agentid"], body, at])


def _text(name: str, value: str) -> str:
    safe = value.replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{safe}]]></{name}>"
