"""Worlds of a size: many people, friendships and groups made by SQL inside SQLite, and crowds that scan a code."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.acts.codes import scanned
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError

CHUNK = 100_000
SIZES = {  # members, people (one friendship each), groups, people in each, corp tags
    "small": (10, 500, 5, 20, 20),
    "store": (50, 20_000, 100, 80, 200),
    "luckin": (5_000, 1_000_000, 10_000, 100, 1_000),
}
_RANGE = "with recursive n (i) as (select :first union all select i + 1 from n where i + 1 < :last) "
_PEOPLE = _RANGE + (
    "insert or ignore into person (external_userid, name, unionid, gender, identities) select"
    " printf('wmGROWN%025d', i), substr(:surnames, 1 + i % 20, 1) || substr(:given, 1 + i / 20 % 20, 1)"
    " || substr(:given, 1 + i / 400 % 20, 1), printf('oGROWN%022d', i), 1 + i % 2,"
    " json_array(json_array('unionid', printf('oGROWN%022d', i))) from n"
)
_MEMBERS = _RANGE + (
    "insert or ignore into member (userid, name) select printf('grown%05d', i),"
    " substr(:surnames, 1 + i * 7 % 20, 1) || substr(:given, 1 + i % 20, 1) from n"
)
_PLACES = _RANGE + (
    "insert or ignore into member_department (userid, department) select printf('grown%05d', i), 1000 + i / 10 from n"
)
_DEPARTMENTS = _RANGE + (
    "insert or ignore into department (id, name, parentid) select 1000 + i, printf('门店 %d', i + 1), 1 from n"
)
# Customers of a member follow each other, so that rows go in in the order of the key.
_RELATIONS = _RANGE + (
    "insert or ignore into relation (userid, external_userid, state, createtime, add_way, tags, by_customer) select"
    " printf('grown%05d', i * :members / :people), printf('wmGROWN%025d', i), 'full',"
    " :now - i * 7919 % (365 * 86400), 1, case when :tags then json_array(:tag + i % :tags) else '[]' end, 1 from n"
)
_CHATS = _RANGE + (
    "insert or ignore into chat (number, chat_id, name, owner, created_at) select :number + i,"
    " printf('wrGROWN%025d', i), printf('福利群 %d', i + 1), printf('grown%05d', i % :members),"
    " :now - i * 7919 % (365 * 86400) from n"
)
_OWNERS = _RANGE + (
    "insert or ignore into chat_member (chat_id, userid, kind, join_time, join_scene) select"
    " printf('wrGROWN%025d', i), printf('grown%05d', i % :members), 1, :now - i * 7919 % (365 * 86400), 1 from n"
)
_IN_CHATS = _RANGE + (
    ", k (j) as (select 0 union all select j + 1 from k where j + 1 < :size)"
    " insert or ignore into chat_member (chat_id, userid, kind, join_time, join_scene) select"
    " printf('wrGROWN%025d', i), printf('wmGROWN%025d', (i * :size + j) % :people), 2,"
    " :now - (i * 7919 + j) % (300 * 86400), 1 + j % 3 from n, k"
)
_SURNAMES, _GIVEN = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高", "伟芳娜敏静丽强磊洋勇艳杰娟涛明超秀霞平刚"


class Growing(msgspec.Struct):
    """A size by name, or numbers of one's own."""

    size: str = ""
    members: int = 0
    people: int = 0
    groups: int = 0
    group_size: int = 0
    tags: int = 0


class Crowd(msgspec.Struct):
    config_id: str
    count: int
    name: str = "crowd"


@admin("grow")
def grow(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{size: small | store | luckin}` or `{members, people, groups, group_size, tags}`: without callbacks.

    A million people with one friend each and 10,000 groups of 100 take well under a minute on a free core.
    """
    wanted = convert(body, Growing)
    if wanted.size:
        if wanted.size not in SIZES:
            raise AdminError(400, f"size must be one of {', '.join(SIZES)}")
        wanted = Growing("", *SIZES[wanted.size])
    if wanted.people and not wanted.members:
        raise AdminError(400, "people need members")
    state = running.state
    with state.transaction() as db:
        number = db.execute("select coalesce(max(number), 0) + 1 from chat").fetchone()[0]
        tag = db.execute("select coalesce(max(number), 0) + 1 from tag").fetchone()[0]
        _grow_tags(running, wanted.tags)
    values = {
        **{"surnames": _SURNAMES, "given": _GIVEN, "now": int(state.now()), "number": number, "tag": tag},
        **{"members": wanted.members, "people": wanted.people, "size": wanted.group_size, "tags": wanted.tags},
    }
    for statement, count, chunk in (
        (_DEPARTMENTS, (wanted.members + 9) // 10, CHUNK),
        (_MEMBERS, wanted.members, CHUNK),
        (_PLACES, wanted.members, CHUNK),
        (_PEOPLE, wanted.people, CHUNK),
        (_RELATIONS, wanted.people, CHUNK),
        (_CHATS, wanted.groups, CHUNK),
        (_OWNERS, wanted.groups, CHUNK),
        (_IN_CHATS, wanted.groups if wanted.group_size else 0, CHUNK // max(1, wanted.group_size)),
    ):
        for first in range(0, count, max(1, chunk)):
            last = min(count, first + max(1, chunk))
            named = {name: value for name, value in values.items() if f":{name}" in statement}
            state.write_named(statement, {**named, "first": first, "last": last})
    state.people_version += 1
    return {"members": wanted.members, "people": wanted.people, "groups": wanted.groups, "tags": wanted.tags}


def _grow_tags(running: Running, count: int) -> None:
    state = running.state
    with state.transaction() as db:
        at = int(state.now())
        for first in range(0, count, 50):
            group = ids.token("et", state.settings.seed, "grown group", first)
            db.execute(
                "insert or ignore into tag_group (id, name, created_at) values (?, ?, ?)",
                [group, f"标签组 {first // 50 + 1}", at],
            )
            db.executemany(
                "insert or ignore into tag (id, group_id, name, created_at) values (?, ?, ?, ?)",
                (
                    (ids.token("et", state.settings.seed, "grown tag", n), group, f"标签 {n + 1}", at)
                    for n in range(first, min(count, first + 50))
                ),
            )


@admin("crowd")
def crowd(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{config_id, count, name?}`: so many new people scan a code one after the other: a busy store.

    Answers who came: `external_userids`.
    """
    wanted = convert(body, Crowd)
    state = running.state
    came = []
    with state.transaction() as db:
        for number in range(wanted.count):
            person = ids.token("wm", state.settings.seed, state.value("corpid", ""), wanted.name, number)
            unionid = ids.token("o", state.settings.seed, "unionid", wanted.name, number, length=28)
            known = msgspec.json.encode([("unionid", unionid)]).decode()
            db.execute(
                "insert or ignore into person (external_userid, name, unionid, identities) values (?, ?, ?, ?)",
                [person, f"{wanted.name} {number + 1}", unionid, known],
            )
            scanned(state, db, wanted.config_id, person)
            came.append(person)
    state.notify()
    return {"external_userids": came}
