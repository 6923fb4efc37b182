"""What the simulated world knows: tasks, orders, what customers received, and the truth about the effect."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator.administration import Running, admin
from hetang.simulator.errors import AdminError


@admin("status")
def status(running: Running, _body: dict[str, Any]) -> dict[str, Any]:
    """Counts, clock, calls per API, and what is still to be posted."""
    state = running.state
    with state.transaction() as db:
        counts = {name: _count(db, name) for name in ("member", "person", "relation", "group_message", "purchase")}
        waiting = db.execute("select count(*) from outbox where posted_at is null").fetchone()[0]
        clicks = db.execute(
            "select count(*) opened, coalesce(sum(answered_at is null), 0) waiting from click where at <= ?",
            [float(state.value("acted_until", 0.0))],
        ).fetchone()
        callbacks = dict(db.execute("select state, count(*) from callback group by state").fetchall())
    return {
        "now": state.now(),
        "offset_s": state.offset_s,
        "corpid": state.value("corpid", ""),
        "counts": counts,
        "calls": dict(running.limiter.calls),
        "outbox": {"waiting": waiting, "problem": running.poster.problem},
        "clicks": {**dict(clicks), "problem": running.clicker.problem},
        "callbacks": callbacks,
    }


@admin("tasks")
def tasks(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{limit?, open?}`: newest messages with one row per member: people, results, state."""
    limit = min(int(body.get("limit", 200)), 1000)
    until = float(running.state.value("acted_until", 0.0))
    only_open = " and t.status = 0 and g.cancelled_at is null" if body.get("open") else ""
    with running.state.transaction() as db:
        rows = db.execute(
            "select g.msgid, g.number, g.text, g.attachments, g.created_at, g.cancelled_at, t.userid, m.name, m.store,"
            " g.chat_type, t.status, t.send_time, t.ignored, count(r.msgid) people,"
            " coalesce(sum(r.status = 1), 0) sent, coalesce(sum(r.status = 2), 0) not_friend,"
            " coalesce(sum(r.status = 3), 0) over_cap,"
            " (select count(*) from click c where c.msgid = g.msgid and c.at <= ?2) opened"
            " from group_message g join group_message_task t using (msgid)"
            " join member m using (userid)"
            " left join group_message_recipient r on r.msgid = t.msgid and r.userid = t.userid"
            f" where 1 = 1{only_open} group by g.number, t.userid order by g.number desc, t.userid limit ?1",
            [limit, until],
        ).fetchall()
        open_count = db.execute(
            "select count(*) from group_message_task t join group_message g using (msgid)"
            " where t.status = 0 and g.cancelled_at is null"
        ).fetchone()[0]
    decoded = [{**dict(row), "attachments": msgspec.json.decode(row["attachments"])} for row in rows]
    return {"tasks": decoded, "open": open_count}


@admin("orders")
def orders(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{limit?}`: newest purchases. `caused` is 1 where the message made the person buy."""
    limit = min(int(body.get("limit", 50)), 10_000)
    with running.state.transaction() as db:
        rows = db.execute(
            "select p.*, q.name, q.store, o.posted_at from purchase p join person q using (external_userid)"
            " left join outbox o on o.key = p.key order by p.number desc limit ?",
            [limit],
        ).fetchall()
    return {"orders": [dict(row) for row in rows]}


@admin("received")
def received(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """How often customers were tasked and reached, as the provider counts: `{contains?: text of the message}`.

    Answers `tasked` and `received` as `{times: customers}`, `messages`, and the customers with more than one (at most
    1,000 each). A customer counts once per message that lists her, whoever sends it.
    """
    match, wanted = _containing(body)
    answer: dict[str, Any] = {}
    with running.state.transaction() as db:
        for name, where in (("tasked", "1 = 1"), ("received", "r.status = 1")):
            per_person = (
                "select r.external_userid, count(*) n from group_message g join group_message_recipient r using (msgid)"
                f" where {match} and {where} group by r.external_userid"
            )
            times = db.execute(f"select n, count(*) from ({per_person}) group by n", [wanted]).fetchall()
            answer[name] = {str(n): people for n, people in times}
            doubled = db.execute(f"select external_userid from ({per_person}) where n > 1 limit 1000", [wanted])
            answer[f"{name}_doubled"] = [row[0] for row in doubled]
        answer["messages"] = db.execute(f"select count(*) from group_message g where {match}", [wanted]).fetchone()[0]
        if body.get("people"):
            answer["people"] = _people(db, match, wanted)
    return answer


@admin("clicks")
def clicks(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{contains?: text of the message}`: links opened by now, those that Hetang answered, and with what status."""
    match, wanted = _containing(body)
    until = float(running.state.value("acted_until", 0.0))
    with running.state.transaction() as db:
        rows = db.execute(
            f"select c.status, count(*) n from click c join group_message g using (msgid) where c.at <= ?2 and {match}"
            " group by c.status",
            [wanted, until],
        ).fetchall()
    statuses = {str(row["status"]): row["n"] for row in rows if row["status"] is not None}
    answered = sum(statuses.values())
    return {"opened": sum(row["n"] for row in rows), "answered": answered, "statuses": statuses}


@admin("truth")
def truth(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{start?, end?}` (Unix seconds): purchases in the time, and those that messages caused: people, orders, money."""
    start, end = float(body.get("start", 0)), float(body.get("end", 1e12))
    if start > end:
        raise AdminError(400, "start is after end")
    answer: dict[str, Any] = {"start": start, "end": end, "exposed": 0}
    with running.state.transaction() as db:
        for name, where in (("all", "1 = 1"), ("caused", "caused = 1")):
            row = db.execute(
                "select count(*) orders, count(distinct external_userid) people, coalesce(sum(net), 0) net"
                f" from purchase where at > ? and at <= ? and {where}",
                [start, end],
            ).fetchone()
            answer[name] = dict(row)
        answer["exposed"] = _count(db, "exposure")
        answer["caused_people"] = [
            row[0]
            for row in db.execute(
                "select distinct external_userid from purchase where at > ? and at <= ? and caused = 1 order by 1",
                [start, end],
            )
        ]
    return answer


def _containing(body: dict[str, Any]) -> tuple[str, str]:
    """A condition on messages `g` with parameter 1, and that parameter."""
    wanted = "%" + str(body.get("contains", "")).replace("%", "").replace("_", "\\_") + "%"
    return "(g.text like ?1 escape '\\' or g.attachments like ?1 escape '\\')", wanted


def _people(db: sqlite3.Connection, match: str, wanted: str) -> dict[str, int]:
    rows = db.execute(
        "select r.external_userid, sum(r.status = 1) from group_message g join group_message_recipient r using (msgid)"
        f" where {match} group by r.external_userid",
        [wanted],
    )
    return {row[0]: row[1] for row in rows}


def _count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"select count(*) from {table}").fetchone()[0])
