"""Rules of sensitive words as they meet what a member writes (reference section 15)."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import Any

import msgspec

BLOCK = 1
# What the platform takes for a phone number, an e-mail address and a red packet is its own; these are the plain forms.
_MEANINGS = {1: r"(?<!\d)1\d{10}(?!\d)", 2: r"[\w.+-]+@[\w-]+\.\w+", 3: r"红包"}


@dataclass(frozen=True)
class Hit:
    """A rule that a text met."""

    rule: str
    blocked: bool


def check(db: sqlite3.Connection, userid: str, text: str) -> list[Hit]:
    """The rules over this member that the text meets."""
    rows = db.execute("select body from kept where kind = 'rule' order by number").fetchall()
    rules = (msgspec.json.decode(row["body"]) for row in rows)
    return [
        Hit(rule["rule_name"], rule["intercept_type"] == BLOCK)
        for rule in rules
        if _met(rule, text) and _covers(db, rule["applicable_range"], userid)
    ]


def _met(rule: dict[str, Any], text: str) -> bool:
    words = any(word in text for word in rule["word_list"])
    return words or any(re.search(_MEANINGS[one], text) for one in rule["semantics_list"])


def _covers(db: sqlite3.Connection, told: dict[str, Any], userid: str) -> bool:
    if userid.lower() in {one.lower() for one in told["user_list"]}:
        return True
    row = db.execute(
        "with recursive below (id) as (select value from json_each(?) union"
        " select d.id from department d join below b on d.parentid = b.id)"
        " select 1 from member_department where userid = ? and department in (select id from below)",
        [msgspec.json.encode(told["department_list"]).decode(), userid],
    ).fetchone()
    return row is not None
