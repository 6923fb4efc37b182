"""The life of customer moments: a job, a task per sender, publishing, who sees it, reactions (reference 13)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import days, ids, tags
from hetang.simulator.errors import AdminError
from hetang.simulator.state import State


def create(
    state: State,
    db: sqlite3.Connection,
    body: dict[str, Any],
    senders: list[str],
    *,
    agentid: int | None,
    owner: str = "",
) -> sqlite3.Row:
    """A corp moment with a task per sender, or (with `owner`) a member's own. Returns its row."""
    number = db.execute("select coalesce(max(number), 0) + 1 from moment").fetchone()[0]
    seed, corpid = state.settings.seed, state.value("corpid")
    moment_id = ids.token("mom", seed, "moment", corpid, number)
    db.execute(
        "insert into moment (number, moment_id, jobid, agentid, owner, created_at, body) values (?, ?, ?, ?, ?, ?, ?)",
        [
            *(number, moment_id, ids.token("", seed, "job", corpid, number), agentid, owner),
            *(state.now(), msgspec.json.encode(body).decode()),
        ],
    )
    for userid in senders:
        decides, delay, _, _ = ids.chances(seed, "publish", userid, number)
        waits = 2 * state.settings.confirm_delay_s * delay
        at = state.now() + waits if decides < state.settings.confirm_rate else None
        db.execute(
            "insert into moment_task (moment_id, userid, publishes_at) values (?, ?, ?)", [moment_id, userid, at]
        )
    row: sqlite3.Row = db.execute("select * from moment where number = ?", [number]).fetchone()
    return row


def act(state: State, db: sqlite3.Connection, until: float) -> int:
    """Everybody whose moment has come by `until` publishes. Returns how many."""
    due = db.execute(
        "select t.moment_id, t.userid, t.publishes_at from moment_task t join moment m using (moment_id)"
        " where t.published_at is null and t.publishes_at <= ?"
        " and (m.cancelled_at is null or m.cancelled_at > t.publishes_at) order by t.publishes_at",
        [until],
    ).fetchall()
    for row in due:
        publish(state, db, row["moment_id"], row["userid"], row["publishes_at"])
    return len(due)


def publish(state: State, db: sqlite3.Connection, moment_id: str, userid: str, at: float) -> int:
    """The member publishes: his customers (with one of the tags, if any are asked for) may see it.

    Returns how many do: a customer sees only so many moments a day.
    """
    changed = db.execute(
        "update moment_task set published_at = ? where moment_id = ? and userid = ? and published_at is null",
        [at, moment_id, userid],
    ).rowcount
    if not changed:
        raise AdminError(404, "this member has nothing to publish there")
    body = msgspec.json.decode(
        db.execute("select body from moment where moment_id = ?", [moment_id]).fetchone()["body"]
    )
    wanted = msgspec.json.encode(tags.numbers_of(db, body.get("tag_list", []))).decode()
    midnight = days.midnight(state.settings, at)
    db.execute(
        "insert into moment_view (moment_id, userid, external_userid, seen, at)"
        " select ?1, r.userid, r.external_userid, (select count(*) from moment_view v"
        "   where v.external_userid = r.external_userid and v.seen and v.at >= ?4) < ?5, ?3"
        " from relation r where r.userid = ?2 and r.state = 'full' and (?6 = '[]' or exists"
        "   (select 1 from json_each(r.tags) t where t.value in (select value from json_each(?6))))",
        [moment_id, userid, at, midnight, state.settings.moments_seen_a_day, wanted],
    )
    seen = db.execute(
        "select count(*) from moment_view where moment_id = ? and userid = ? and seen", [moment_id, userid]
    )
    return int(seen.fetchone()[0])


def react(state: State, db: sqlite3.Connection, moment_id: str, userid: str, *, who: str, kind: str) -> None:
    """A customer who sees it likes or comments."""
    seen = db.execute(
        "select 1 from moment_view where moment_id = ? and userid = ? and external_userid = ? and seen",
        [moment_id, userid, who],
    ).fetchone()
    if seen is None:
        raise AdminError(404, "the customer does not see this moment")
    db.execute(
        "insert into moment_reaction (moment_id, userid, kind, external_userid, at) values (?, ?, ?, ?, ?)",
        [moment_id, userid, kind, who, state.now()],
    )
