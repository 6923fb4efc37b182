"""The life of customer groups: who is in, which version of the member list, what is told (reference 7, 24.5)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hetang.simulator import days, events, ids
from hetang.simulator.errors import AdminError
from hetang.simulator.state import State

EVENT = "change_external_chat"
INVITED, BY_LINK, BY_CODE = 1, 2, 3
LEFT, REMOVED = 0, 1
_LISTED = 100  # so many changed members at most in one event; MemChangeCnt tells all


@dataclass
class Chat:
    """One group and the means to change it."""

    state: State
    db: sqlite3.Connection
    row: sqlite3.Row

    @property
    def chat_id(self) -> str:
        """The platform's id."""
        return str(self.row["chat_id"])

    def size(self) -> int:
        """Members and customers in it."""
        found = self.db.execute("select count(*) from chat_member where chat_id = ?", [self.chat_id])
        return int(found.fetchone()[0])

    def join(self, userids: list[str], scene: int, invitor: str = "", state_text: str = "") -> int:
        """Let people in. Returns how many are new; those are told of in one event."""
        room = self.state.settings.chat_size - self.size()
        new = [one for one in dict.fromkeys(userids) if not self.holds(one)]
        if len(new) > room:
            raise AdminError(409, "the group is full")
        rows = [(one, kind_of(self.db, one)) for one in new]
        at = int(self.state.now())
        self.db.executemany(
            "insert into chat_member (chat_id, userid, kind, join_time, join_scene, invitor, state)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            ((self.chat_id, one, kind, at, scene, invitor, state_text) for one, kind in rows),
        )
        if new:
            self._count(joined=len(new))
            self._members_changed("add_member", new, {"JoinScene": scene})
        return len(new)

    def leave(self, userids: list[str], how: int) -> int:
        """People leave by themselves or are removed. Returns how many were in."""
        gone = [one for one in dict.fromkeys(userids) if self.holds(one)]
        self.db.executemany(
            "delete from chat_member where chat_id = ? and userid = ?", ((self.chat_id, one) for one in gone)
        )
        if gone:
            self._count(lost=len(gone))
            self._members_changed("del_member", gone, {"QuitScene": how})
        return len(gone)

    def change(self, detail: str, **columns: Any) -> None:
        """A new name, notice or owner, told as `detail`."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.db.execute(f"update chat set {names} where chat_id = ?", [*columns.values(), self.chat_id])
        self.tell("update", {"UpdateDetail": detail})

    def dismiss(self) -> None:
        """The owner dissolves the group."""
        self.db.execute("update chat set dismissed_at = ? where chat_id = ?", [self.state.now(), self.chat_id])
        self.db.execute("delete from chat_member where chat_id = ?", [self.chat_id])
        self.tell("dismiss")

    def speak(self, userid: str, times: int) -> None:
        """Somebody writes into the group: counted, not told."""
        if not self.holds(userid):
            raise AdminError(404, "she is not in the group")
        day = days.day_of(self.state.settings, self.state.now())
        self._count(messages=times)
        self.db.execute(
            "insert or ignore into chat_speaker (chat_id, day, userid) values (?, ?, ?)", [self.chat_id, day, userid]
        )

    def holds(self, userid: str) -> bool:
        """Whether somebody is in."""
        query = "select 1 from chat_member where chat_id = ? and userid = ?"
        return self.db.execute(query, [self.chat_id, userid]).fetchone() is not None

    def tell(self, change: str, more: Mapping[str, events.Value] | None = None) -> None:
        """Queue an event."""
        events.queue(self.state, self.db, EVENT, change, {"ChatId": self.chat_id, **(more or {})})

    def _members_changed(self, detail: str, changed: list[str], scene: dict[str, events.Value]) -> None:
        self.db.execute("update chat set version = version + 1 where chat_id = ?", [self.chat_id])
        number = self.db.execute("select version from chat where chat_id = ?", [self.chat_id]).fetchone()[0]
        told: dict[str, events.Value] = {
            "UpdateDetail": detail,
            **scene,
            "MemChangeCnt": len(changed),
            "MemChangeList": changed[:_LISTED],
            "LastMemVer": version(self.chat_id, number - 1),
            "CurMemVer": version(self.chat_id, number),
        }
        self.tell("update", told)

    def _count(self, **more: int) -> None:
        day = days.day_of(self.state.settings, self.state.now())
        self.db.execute("insert or ignore into chat_day (chat_id, day) values (?, ?)", [self.chat_id, day])
        added = ", ".join(f"{name} = {name} + ?" for name in more)
        self.db.execute(
            f"update chat_day set {added} where chat_id = ? and day = ?", [*more.values(), self.chat_id, day]
        )


def version(chat_id: str, number: int) -> str:
    """What the platform shows as the version of a member list: opaque, other after every change."""
    return ids.token("", 0, "version", chat_id, number)


def opengid(chat_id: str) -> str:
    """The group's id towards mini-programs."""
    return ids.token("G", 0, "opengid", chat_id, length=28)


def kind_of(db: sqlite3.Connection, userid: str) -> int:
    """1 for a member of the corp, 2 for a person outside. Raises AdminError for nobody."""
    if db.execute("select 1 from member where userid = ? and left_at is null", [userid]).fetchone():
        return 1
    if db.execute("select 1 from person where external_userid = ?", [userid]).fetchone():
        return 2
    raise AdminError(404, f"there is nobody called {userid}")


def create(state: State, db: sqlite3.Connection, owner: str, name: str) -> Chat:
    """A new group with its owner in it, told as `create`."""
    row = db.execute(
        "select userid from member where userid = ? and left_at is null and customer_contact = 1", [owner]
    ).fetchone()
    if row is None:
        raise AdminError(404, "the owner must be a member with customer contact")
    number = db.execute("select coalesce(max(number), 0) + 1 from chat").fetchone()[0]
    chat_id = ids.token("wr", state.settings.seed, "chat", state.value("corpid"), number)
    at = int(state.now())
    db.execute(
        "insert into chat (number, chat_id, name, owner, created_at) values (?, ?, ?, ?, ?)",
        [number, chat_id, name, row["userid"], at],
    )
    db.execute(
        "insert into chat_member (chat_id, userid, kind, join_time, join_scene) values (?, ?, 1, ?, 1)",
        [chat_id, row["userid"], at],
    )
    made = find(state, db, chat_id)
    made.tell("create")
    return made


def find(state: State, db: sqlite3.Connection, chat_id: str) -> Chat:
    """The living group. Raises AdminError."""
    row = db.execute("select * from chat where chat_id = ? and dismissed_at is null", [chat_id]).fetchone()
    if row is None:
        raise AdminError(404, "there is no such group")
    return Chat(state, db, row)
