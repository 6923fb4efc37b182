"""The simulator's own API below `/simulator/`: seeding, clock, behaviour, faults. JSON in and out, bearer secret.

Handlers get the running parts and the decoded JSON body, and return a JSON object. `reports.py` holds the reading ones.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec

from hetang.simulator import events, ids, staff
from hetang.simulator.clicks import Clicker
from hetang.simulator.errors import AdminError
from hetang.simulator.faults import Fault, Faults
from hetang.simulator.limits import Limiter
from hetang.simulator.orders import Poster
from hetang.simulator.state import State
from hetang.simulator.world import World

MAX_BATCH = 10_000
_T = TypeVar("_T")


@dataclass
class Running:
    """The parts of the process that admin calls work on."""

    state: State
    world: World
    faults: Faults
    limiter: Limiter
    poster: Poster
    clicker: Clicker


AdminHandler = Callable[[Running, dict[str, Any]], dict[str, Any]]
HANDLERS: dict[str, AdminHandler] = {}


def admin(name: str) -> Callable[[AdminHandler], AdminHandler]:
    """Register a handler at `/simulator/<name>`."""

    def register(handler: AdminHandler) -> AdminHandler:
        HANDLERS[name] = handler
        return handler

    return register


class App(msgspec.Struct):
    agentid: int = 1000002
    name: str = "Hetang"
    secret: str = ""
    customer_contact: bool = True
    trusted_ips: list[str] = msgspec.field(default_factory=list)
    callback_url: str = ""
    callback_token: str = ""
    callback_aes_key: str = ""


class Department(msgspec.Struct):
    id: int
    name: str
    parentid: int = 1
    position: int = 0


class Member(msgspec.Struct):
    userid: str
    name: str
    departments: list[int] = msgspec.field(default_factory=lambda: [1])
    store: str = ""
    position: str = ""
    customer_contact: bool = True
    status: int = 1


class Person(msgspec.Struct):
    """`identities` are the (kind, value) pairs under which her orders and visits are told to Hetang."""

    key: str
    name: str
    identities: list[tuple[str, str]] = msgspec.field(default_factory=list)
    unionid: str = ""
    gender: int = 0
    store: str = ""
    basket: int = 0
    daily_rate: float = 0.0


class Relation(msgspec.Struct):
    userid: str
    external_userid: str
    createtime: int
    add_way: int = 1
    state: str = "full"
    channel_state: str = ""


class Product(msgspec.Struct):
    sku: str
    category: str = ""
    price: int = 0


class Hetang(msgspec.Struct):
    """Where orders go: base URL of Hetang, an API key with the scope to write facts, and the name of the source.
    `public_url` is the base of the links in its messages, where that is another one."""

    url: str
    api_key: str
    source: str = "simulator"
    public_url: str = ""


@admin("reset")
def reset(running: Running, _body: dict[str, Any]) -> dict[str, Any]:
    running.state.wipe()
    running.faults.clear()
    running.limiter.forget()
    return {}


@admin("settings")
def settings(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """Change what is given, answer all."""
    changed = running.state.change_settings(body) if body else running.state.settings
    return cast(dict[str, Any], msgspec.to_builtins(changed))


@admin("corp")
def corp(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{corpid?, name?, apps: [App]}`: found the corp or change its apps. Answers the secrets."""
    state = running.state
    apps = _convert(body.get("apps", []), list[App])
    with state.transaction() as db:
        corpid = body.get("corpid") or state.value("corpid") or "ww" + secrets.token_hex(8)
        state.keep("corpid", corpid)
        state.keep("corp_name", body.get("name") or state.value("corp_name", ""))
        state.keep("acted_until", state.value("acted_until", state.now()))
        db.execute("insert or ignore into department (id, name, parentid) values (1, ?, 0)", [body.get("name", "")])
        for app in apps:
            _put_app(db, app)
        rows = db.execute("select agentid, name, secret, callback_token, callback_aes_key from app").fetchall()
    return {"corpid": corpid, "apps": [dict(row) for row in rows]}


def _put_app(db: sqlite3.Connection, app: App) -> None:
    db.execute(
        "insert into app (agentid, name, secret, customer_contact, trusted_ips, callback_url, callback_token,"
        " callback_aes_key) values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (agentid) do update set name = excluded.name,"
        " secret = case when ? then excluded.secret else secret end, customer_contact = excluded.customer_contact,"
        " trusted_ips = excluded.trusted_ips, callback_url = excluded.callback_url,"
        " callback_token = excluded.callback_token, callback_aes_key = excluded.callback_aes_key",
        [
            *(app.agentid, app.name, app.secret or secrets.token_urlsafe(32), app.customer_contact),
            msgspec.json.encode(app.trusted_ips).decode(),
            *(app.callback_url, app.callback_token, app.callback_aes_key, bool(app.secret)),
        ],
    )


@admin("departments")
def departments(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    rows = _batch(body, "departments", list[Department])
    with running.state.transaction() as db:
        db.executemany(
            "insert into department (id, name, parentid, position) values (?, ?, ?, ?) on conflict (id)"
            " do update set name = excluded.name, parentid = excluded.parentid, position = excluded.position",
            ((row.id, row.name, row.parentid, row.position) for row in rows),
        )
    return {"taken": len(rows)}


@admin("staff")
def seed_staff(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    rows = _batch(body, "staff", list[Member])
    with running.state.transaction() as db:
        db.executemany(
            "insert into member (userid, name, store, position, customer_contact, status) values (?, ?, ?, ?, ?, ?)"
            " on conflict (userid) do update set name = excluded.name, store = excluded.store,"
            " position = excluded.position, customer_contact = excluded.customer_contact, status = excluded.status",
            ((row.userid, row.name, row.store, row.position, row.customer_contact, row.status) for row in rows),
        )
        db.executemany("delete from member_department where userid = ?", ((row.userid,) for row in rows))
        db.executemany(
            "insert or ignore into member_department (userid, department) values (?, ?)",
            ((row.userid, department) for row in rows for department in row.departments),
        )
    return {"taken": len(rows)}


@admin("people")
def people(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """Answers `external_userids` in the order of the request: each follows from seed, corp and `key`."""
    state = running.state
    rows = _batch(body, "people", list[Person])
    corpid, seed = state.value("corpid", ""), state.settings.seed
    external = [ids.token("wm", seed, corpid, row.key) for row in rows]
    with state.transaction() as db:
        db.executemany(
            "insert into person (external_userid, name, unionid, gender, identities, store, basket, daily_rate)"
            " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (external_userid) do update set name = excluded.name,"
            " unionid = excluded.unionid, gender = excluded.gender, identities = excluded.identities,"
            " store = excluded.store, basket = excluded.basket, daily_rate = excluded.daily_rate",
            (_person_row(seed, external_userid, row) for external_userid, row in zip(external, rows, strict=True)),
        )
    state.people_version += 1
    return {"external_userids": external}


def _person_row(seed: int, external_userid: str, row: Person) -> tuple[Any, ...]:
    unionid = row.unionid or ids.token("o", seed, "unionid", row.key, length=28)
    identities = row.identities or [("unionid", unionid)]
    return (
        *(external_userid, row.name, unionid, row.gender, msgspec.json.encode(identities).decode()),
        *(row.store, row.basket, row.daily_rate),
    )


@admin("relations")
def relations(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """Friendships in bulk, without callbacks."""
    rows = _batch(body, "relations", list[Relation])
    with running.state.transaction() as db:
        db.executemany(
            "insert into relation (userid, external_userid, state, createtime, add_way, channel_state)"
            " values (?, ?, ?, ?, ?, ?) on conflict (userid, external_userid) do update set state = excluded.state,"
            " createtime = excluded.createtime, add_way = excluded.add_way, channel_state = excluded.channel_state",
            (
                (row.userid, row.external_userid, row.state, row.createtime, row.add_way, row.channel_state)
                for row in rows
            ),
        )
    return {"taken": len(rows)}


@admin("relate")
def relate(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """One person acts, with its callback: `{action: add | add_half | delete_by_customer | delete_by_staff, userid,
    external_userid, state?}`."""
    state = running.state
    action, userid, external = body.get("action"), str(body.get("userid")), str(body.get("external_userid"))
    changes = {
        "add": ("full", "add_external_contact"),
        "add_half": ("half", "add_half_external_contact"),
        "delete_by_customer": ("lost_by_customer", "del_follow_user"),
        "delete_by_staff": ("lost_by_staff", "del_external_contact"),
    }
    if action not in changes:
        raise AdminError(400, f"action must be one of {', '.join(changes)}")
    new_state, change = changes[str(action)]
    fields = {"UserID": userid, "ExternalUserID": external}
    with state.transaction() as db:
        if new_state in {"full", "half"}:
            channel_state = str(body.get("state", ""))
            _befriend(state, db, (userid, external, new_state), channel_state)
            fields["State"] = channel_state
        elif not db.execute(
            "update relation set state = ? where userid = ? and external_userid = ? and state in ('full', 'half')",
            [new_state, userid, external],
        ).rowcount:
            raise AdminError(404, "there is no such friendship")
        events.queue(state, db, "change_external_contact", change, fields)
    state.notify()
    return {}


def _befriend(state: State, db: sqlite3.Connection, pair: tuple[str, str, str], channel_state: str) -> None:
    userid, external, new_state = pair
    known = db.execute(
        "select (select count(*) from member where userid = ?)"
        " + (select count(*) from person where external_userid = ?)",
        [userid, external],
    ).fetchone()[0]
    if known != 2:
        raise AdminError(404, "no such member or person")
    db.execute(
        "insert into relation (userid, external_userid, state, createtime, add_way, channel_state)"
        " values (?, ?, ?, ?, 1, ?) on conflict (userid, external_userid) do update set state = excluded.state,"
        " createtime = excluded.createtime, add_way = 1, channel_state = excluded.channel_state",
        [userid, external, new_state, int(state.now()), channel_state],
    )


@admin("products")
def products(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    rows = _batch(body, "products", list[Product])
    with running.state.transaction() as db:
        db.executemany(
            "insert or replace into product (sku, category, price) values (?, ?, ?)",
            ((row.sku, row.category, row.price) for row in rows),
        )
    return {"taken": len(rows)}


@admin("hetang")
def hetang(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    target = _convert(body, Hetang)
    running.state.keep("hetang", msgspec.to_builtins(target))
    running.state.notify()
    return {}


@admin("clock")
def clock(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{offset_s}` turns the clock without anybody acting; the answer tells what it is."""
    if "offset_s" in body:
        with running.state.alone():
            running.state.turn(float(body["offset_s"]))
            running.state.keep("acted_until", running.state.now())
    return {"now": running.state.now(), "offset_s": running.state.offset_s}


@admin("advance")
def advance(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{seconds}` turns the clock ahead and lets everybody act; `{offset_s}` instead turns it to that offset."""
    state = running.state
    seconds = float(body["offset_s"]) - state.offset_s if "offset_s" in body else float(body.get("seconds", 0))
    if seconds < 0:
        raise AdminError(400, "time does not run backwards; use /simulator/clock")
    return {**running.world.advance(seconds), "offset_s": state.offset_s}


@admin("confirm")
def confirm(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{msgid?, userid?, share?}`: the given tasks (default all open ones) are confirmed now, or a seeded share of
    them; the others are left as they are."""
    share = float(body.get("share", 1.0))
    confirmed = 0
    with running.state.transaction() as db:
        rows = _open_tasks(db, body)
        for row in rows:
            draw = ids.chance(running.state.settings.seed, "asked", row["userid"], row["msgid"])
            if draw < share:
                confirmed += staff.confirm(running.state, db, row["msgid"], row["userid"], running.state.now())
    return {"confirmed": confirmed, "open": len(rows) - confirmed}


@admin("ignore")
def ignore(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{msgid?, userid?}`: these open tasks will not be confirmed by themselves."""
    with running.state.transaction() as db:
        rows = _open_tasks(db, body)
        db.executemany(
            "update group_message_task set ignored = 1 where msgid = ? and userid = ?",
            ((row["msgid"], row["userid"]) for row in rows),
        )
    return {"ignored": len(rows)}


def _open_tasks(db: sqlite3.Connection, body: dict[str, Any]) -> list[sqlite3.Row]:
    return db.execute(
        "select t.msgid, t.userid from group_message_task t join group_message g using (msgid)"
        " where t.status = 0 and g.cancelled_at is null and (?1 = '' or t.msgid = ?1) and (?2 = '' or t.userid = ?2)"
        " order by g.number, t.userid",
        [body.get("msgid") or "", body.get("userid") or ""],
    ).fetchall()


@admin("tokens")
def tokens(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{dead: expired | invalid}`: every token answers 42001 or 40014 from now on."""
    dead = body.get("dead")
    if dead not in {"expired", "invalid"}:
        raise AdminError(400, "dead must be expired or invalid")
    with running.state.transaction() as db:
        changed = db.execute("update token set dead = ? where dead = ''", [dead]).rowcount
    return {"tokens": changed}


@admin("faults")
def faults(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`Fault` adds one, `{clear: true}` forgets all; the answer lists what is still to come."""
    if body.get("clear"):
        running.faults.clear()
    elif body:
        running.faults.add(_convert(body, Fault))
    return {"faults": msgspec.to_builtins(running.faults.waiting())}


def _batch(body: dict[str, Any], name: str, kind: type[list[_T]]) -> list[_T]:
    rows = _convert(body.get(name), kind)
    if len(rows) > MAX_BATCH:
        raise AdminError(400, f"at most {MAX_BATCH} {name} at once")
    return rows


def _convert(value: Any, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        raise AdminError(400, str(problem)) from problem
