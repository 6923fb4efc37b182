"""Seeding a world: corp and apps, departments, staff, people, friendships, goods. No callbacks: nobody acts."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.administration import Running, admin, batch, convert


def _put(table: str, key: str, columns: str, mark: str = ":{}") -> str:
    """An insert by name that changes the row if it is there."""
    names = columns.split()
    marks = ", ".join(mark.format(name) for name in names)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
    return f"insert into {table} ({', '.join(names)}) values ({marks}) on conflict ({key}) do update set {changes}"


_PUT_MEMBER = _put(
    *("member", "userid"),
    "userid name store position customer_contact status alias mobile email gender verified own_welcome",
)
_PUT_PERSON = _put(
    *("person", "external_userid"),
    "external_userid name unionid gender identities store basket daily_rate kind corp_name position",
    mark="?",
)


class App(msgspec.Struct):
    """`allowed` is the visible range `{users: [userid], departments: [id]}`; empty means everybody. `writes_contacts`:
    its secret is that of the contact sync (通讯录同步), which may write departments and members."""

    agentid: int = 1000002
    name: str = "Hetang"
    secret: str = ""
    customer_contact: bool = True
    trusted_ips: list[str] = msgspec.field(default_factory=list)
    callback_url: str = ""
    callback_token: str = ""
    callback_aes_key: str = ""
    redirect_domain: str = ""
    allowed: dict[str, list[int | str]] = msgspec.field(default_factory=dict)
    writes_contacts: bool = False


class Department(msgspec.Struct):
    id: int
    name: str
    parentid: int = 1
    position: int = 0


class Member(msgspec.Struct):
    userid: str
    name: str
    departments: list[int] = msgspec.field(default_factory=lambda: [1])
    leads: list[int] = msgspec.field(default_factory=list)
    store: str = ""
    position: str = ""
    customer_contact: bool = True
    status: int = 1
    alias: str = ""
    mobile: str = ""
    email: str = ""
    gender: int = 0
    verified: bool = True
    own_welcome: bool = False


class Person(msgspec.Struct):
    """`kind` 1 is a person of WeChat, 2 one of another corp's WeCom. `identities` are the (kind, value) pairs under
    which her orders and visits are told to Hetang."""

    key: str
    name: str
    identities: list[tuple[str, str]] = msgspec.field(default_factory=list)
    unionid: str = ""
    gender: int = 0
    store: str = ""
    basket: int = 0
    daily_rate: float = 0.0
    kind: int = 1
    corp_name: str = ""
    position: str = ""


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


@admin("corp")
def corp(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{corpid?, name?, apps: [App]}`: found the corp or change its apps. Answers the secrets."""
    state = running.state
    apps = convert(body.get("apps", []), list[App])
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
    row = {
        **msgspec.to_builtins(app),
        "secret": app.secret or secrets.token_urlsafe(32),
        "trusted_ips": msgspec.json.encode(app.trusted_ips).decode(),
        "allowed": msgspec.json.encode(app.allowed).decode() if app.allowed else "",
    }
    names = ", ".join(row)
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "secret" or app.secret)
    db.execute(
        f"insert into app ({names}) values ({', '.join('?' for _ in row)})"
        f" on conflict (agentid) do update set {changes}",
        list(row.values()),
    )


@admin("departments")
def departments(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    rows = batch(body, "departments", list[Department])
    with running.state.transaction() as db:
        db.executemany(
            "insert into department (id, name, parentid, position) values (?, ?, ?, ?) on conflict (id)"
            " do update set name = excluded.name, parentid = excluded.parentid, position = excluded.position",
            ((row.id, row.name, row.parentid, row.position) for row in rows),
        )
    return {"taken": len(rows)}


@admin("staff")
def seed_staff(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    rows = batch(body, "staff", list[Member])
    with running.state.transaction() as db:
        put_members(db, rows)
    return {"taken": len(rows)}


def put_members(db: sqlite3.Connection, rows: list[Member]) -> None:
    """Insert or change members and their departments."""
    db.executemany(_PUT_MEMBER, (msgspec.to_builtins(row) for row in rows))
    db.executemany("delete from member_department where userid = ?", ((row.userid,) for row in rows))
    db.executemany(
        "insert or ignore into member_department (userid, department, leads) values (?, ?, ?)",
        ((row.userid, department, department in row.leads) for row in rows for department in row.departments),
    )


@admin("people")
def people(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """Answers `external_userids` in the order of the request: each follows from seed, corp and `key`."""
    state = running.state
    rows = batch(body, "people", list[Person])
    corpid, seed = state.value("corpid", ""), state.settings.seed
    external = [ids.token("wm", seed, corpid, row.key) for row in rows]
    with state.transaction() as db:
        db.executemany(
            _PUT_PERSON,
            (_person_row(seed, external_userid, row) for external_userid, row in zip(external, rows, strict=True)),
        )
    state.people_version += 1
    return {"external_userids": external}


def _person_row(seed: int, external_userid: str, row: Person) -> tuple[Any, ...]:
    unionid = row.unionid or ids.token("o", seed, "unionid", row.key, length=28)
    identities = row.identities or [("unionid", unionid)]
    return (
        *(external_userid, row.name, unionid, row.gender, msgspec.json.encode(identities).decode()),
        *(row.store, row.basket, row.daily_rate, row.kind, row.corp_name, row.position),
    )


@admin("relations")
def relations(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """Friendships in bulk, without callbacks."""
    rows = batch(body, "relations", list[Relation])
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


@admin("products")
def products(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    rows = batch(body, "products", list[Product])
    with running.state.transaction() as db:
        db.executemany(
            "insert or replace into product (sku, category, price) values (?, ?, ?)",
            ((row.sku, row.category, row.price) for row in rows),
        )
    return {"taken": len(rows)}


class Group(msgspec.Struct):
    """`members` are userids and external_userids beside the owner; all came by invitation."""

    owner: str
    name: str
    createtime: int
    members: list[str] = msgspec.field(default_factory=list)


@admin("groups")
def groups(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """Customer groups in bulk, without callbacks. Answers `chat_ids` in the order of the request."""
    rows = batch(body, "groups", list[Group])
    state = running.state
    with state.transaction() as db:
        first = db.execute("select coalesce(max(number), 0) + 1 from chat").fetchone()[0]
        numbers = range(first, first + len(rows))
        made = [ids.token("wr", state.settings.seed, "chat", state.value("corpid"), number) for number in numbers]
        told = list(zip(numbers, made, rows, strict=True))
        db.executemany(
            "insert into chat (number, chat_id, name, owner, created_at) values (?, ?, ?, ?, ?)",
            ((number, chat_id, row.name, row.owner, row.createtime) for number, chat_id, row in told),
        )
        db.executemany(
            "insert or ignore into chat_member (chat_id, userid, kind, join_time, join_scene, invitor) select ?1, ?2,"
            " case when exists (select 1 from member where userid = ?2) then 1 else 2 end, ?3, 1, ?4",
            (
                (chat_id, userid, row.createtime, "" if userid == row.owner else row.owner)
                for _, chat_id, row in told
                for userid in (row.owner, *row.members)
            ),
        )
    return {"chat_ids": made}
