"""What a member did on a day: the source of the platform's statistics (reference section 17)."""

from __future__ import annotations

import sqlite3

from hetang.simulator import days
from hetang.simulator.state import State

COLUMNS = ("chats", "messages", "asked", "answered", "minutes", "lost", "applied", "gained")


def count(state: State, db: sqlite3.Connection, userid: str, at: float | None = None, **more: float) -> None:
    """Add to the member's counters of the local day: any of `COLUMNS`."""
    day = days.day_of(state.settings, state.now() if at is None else at)
    db.execute("insert or ignore into member_day (userid, day) values (?, ?)", [userid, day])
    added = ", ".join(f"{name} = {name} + ?" for name in more)
    db.execute(f"update member_day set {added} where userid = ? and day = ?", [*more.values(), userid, day])
