"""The page on which a person plays customers and staff: scan, add, write, join, accept, confirm, let time pass."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any

from hetang.simulator import days
from hetang.simulator.administration import HANDLERS, Running
from hetang.simulator.errors import AdminError, WeComError

SHOWN = 12
NEW = "new"  # instead of an external_userid: somebody whom nobody knows yet
_QUIET = {"ignore", "relate"}
# What the forms may call, and the words for it.
CALLS = {
    "scan": "扫码 Scan",
    "accept": "通过 Accept",
    "confirm": "确认发送 Confirm",
    "ignore": "不理会 Ignore",
    "chat_join": "进群 Join",
    "write": "客户发消息 Customer writes",
    "relate": "客户删好友 Customer deletes",
    "advance": "时间前进 Let time pass",
}


def act(running: Running, name: str, told: dict[str, str]) -> dict[str, str]:
    """Do what a form asks. Returns what to show: `done` or `bad`."""
    if name not in CALLS:
        return {"bad": f"no such action: {name}"}
    try:
        if told.get("external_userid") == NEW:
            told = {**told, "external_userid": _somebody_new(running)}
        found = HANDLERS[name](running, _body(name, told))
    except (AdminError, WeComError, ValueError) as problem:
        return {"bad": str(problem)}
    return {"done": f"{CALLS[name]}: " + ", ".join(f"{key} {value}" for key, value in found.items() if value != "")}


def _somebody_new(running: Running) -> str:
    with running.state.transaction() as db:
        number = db.execute("select count(*) from person where name like '新客 %'").fetchone()[0] + 1
    row = {"key": f"walk-in {number}", "name": f"新客 {number}"}
    return str(HANDLERS["people"](running, {"people": [row]})["external_userids"][0])


def _body(name: str, told: dict[str, str]) -> dict[str, Any]:
    if name == "advance":
        return {"seconds": float(told.get("hours", 1)) * 3600}
    if name == "chat_join":
        return {"chat_id": told.get("chat_id", ""), "userids": [told.get("external_userid", "")], "how": "code"}
    return {key: value for key, value in told.items() if value}


def show(running: Running, query: dict[str, str]) -> str:
    """The page's body."""
    state = running.state
    with state.transaction() as db:
        people = db.execute(
            "select external_userid, name from person p order by exists (select 1 from relation r where"
            " r.external_userid = p.external_userid), external_userid limit 200"
        ).fetchall()
        parts = [
            _codes(db, people, query.get("config_id", "")),
            _waiting(db),
            _tasks(db),
            _groups(db, people),
            _friends(db),
        ]
    now = days.local(state.settings, state.now())
    clock = _form("advance", f"<label>{_field('hours', '1')} 小时 hours</label>")
    events = sum(1 for _ in _callbacks(running))
    note = "".join(f"<p class={kind}>{escape(query[kind])}</p>" for kind in ("done", "bad") if kind in query)
    top = f"<section><h2>{now:%Y-%m-%d %H:%M}</h2>{clock} <p>待送达事件 events waiting: {events}</p></section>"
    return f"<h1>{escape(str(state.value('corp_name', '')))} 模拟企业微信</h1>{note}{top}{''.join(parts)}"


def _codes(db: sqlite3.Connection, people: list[sqlite3.Row], wanted: str) -> str:
    rows = db.execute(
        "select config_id, kind, json_extract(body, '$.remark') remark, used from way"
        " order by config_id = ? desc, number desc limit ?",
        [wanted, SHOWN],
    ).fetchall()
    kinds = {"contact": "联系我 contact way", "join": "群活码 join way"}
    return _list(
        "二维码 Codes",
        (
            f"<img src='/pictures/{row['kind']}/{row['config_id']}.png' alt=''>{kinds[row['kind']]}"
            f" {escape(row['remark'] or '')} · {row['used']} "
            + _form("scan", _hidden("config_id", row["config_id"]) + _person(people))
            for row in rows
        ),
    )


def _waiting(db: sqlite3.Connection) -> str:
    rows = db.execute(
        "select r.*, p.name, m.name member from relation r join person p using (external_userid)"
        " join member m using (userid) where r.state in ('asked', 'half') order by r.createtime desc limit ?",
        [SHOWN],
    ).fetchall()
    return _list(
        "等待通过 Waiting to be accepted",
        (f"{escape(row['name'])} → {escape(row['member'])} " + _form("accept", _pair(row)) for row in rows),
    )


def _tasks(db: sqlite3.Connection) -> str:
    rows = db.execute(
        "select t.msgid, t.userid, m.name, g.text from group_message_task t join group_message g using (msgid)"
        " join member m using (userid) where t.status = 0 and g.cancelled_at is null order by g.number desc limit ?",
        [SHOWN],
    ).fetchall()
    hidden = (_hidden("msgid", row["msgid"]) + _hidden("userid", row["userid"]) for row in rows)
    return _list(
        "群发任务 Mass-message tasks",
        (
            f"{escape(row['name'])}：{escape(row['text'][:80])} {_form('confirm', fields)} {_form('ignore', fields)}"
            for row, fields in zip(rows, hidden, strict=True)
        ),
    )


def _groups(db: sqlite3.Connection, people: list[sqlite3.Row]) -> str:
    rows = db.execute(
        "select c.chat_id, c.name, (select count(*) from chat_member m where m.chat_id = c.chat_id) size"
        " from chat c where dismissed_at is null order by number desc limit ?",
        [SHOWN],
    ).fetchall()
    return _list(
        "客户群 Groups",
        (
            f"{escape(row['name'])} ({row['size']}) "
            + _form("chat_join", _hidden("chat_id", row["chat_id"]) + _person(people))
            for row in rows
        ),
    )


def _friends(db: sqlite3.Connection) -> str:
    rows = db.execute(
        "select r.*, p.name, m.name member from relation r join person p using (external_userid)"
        " join member m using (userid) where r.state = 'full' order by r.createtime desc limit ?",
        [SHOWN],
    ).fetchall()
    leave = _hidden("action", "delete_by_customer")
    return _list(
        "最近的好友 Newest friends",
        (
            f"{escape(row['name'])} ↔ {escape(row['member'])} {_moment(row['createtime'])} "
            f"{_form('write', _pair(row))} {_form('relate', _pair(row) + leave)}"
            for row in rows
        ),
    )


def _callbacks(running: Running) -> Iterable[sqlite3.Row]:
    with running.state.transaction() as db:
        return db.execute("select number from callback where state = 'waiting' limit 1000").fetchall()


def _list(title: str, items: Iterable[str]) -> str:
    found = "".join(f"<li>{one}" for one in items) or "<li>暂无 none"
    return f"<section><h2>{title}</h2><ul>{found}</ul></section>"


def _form(name: str, fields: str) -> str:
    quiet = " class=quiet" if name in _QUIET else ""
    return f"<form method=post action='/play/{name}'>{fields}<button{quiet}>{CALLS[name]}</button></form>"


def _hidden(name: str, value: str) -> str:
    return f"<input type=hidden name={name} value='{escape(value)}'>"


def _field(name: str, value: str) -> str:
    return f"<input name={name} value='{escape(value)}' size=4 inputmode=decimal aria-label={name}>"


def _pair(row: sqlite3.Row) -> str:
    return _hidden("userid", row["userid"]) + _hidden("external_userid", row["external_userid"])


def _person(people: list[sqlite3.Row]) -> str:
    options = "".join(f"<option value='{one['external_userid']}'>{escape(one['name'])}" for one in people)
    new = f"<option value={NEW}>新客 somebody new"
    return f"<select name=external_userid aria-label='who'>{new}{options}</select>"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
