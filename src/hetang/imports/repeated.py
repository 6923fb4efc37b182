"""Rows that say again what a file said before something else: a later file is a later word.

A statement's key is its content, so that a row that has not changed is known, file after file. But of a value that was
A, then B, and is A again, the third row would be known as well, and B would stay. Such a row gets the time of its file
into its keys. What was said last is looked up in the log, among the statements of files of the same source about the
same subject; a file about her that named her otherwise is not found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from hetang.facts import intake, queries
from hetang.facts.errors import Refusal
from hetang.facts.intake import Draft

DESCRIBED = "described:"  # what keys of a row's own statement begin with
_AGAIN = re.compile(r"@\d+\Z")
Subject = tuple[str, str]


def restate(source: str, rows: Sequence[list[Draft]]) -> None:
    """Change the keys of rows that are known and not the last word, in place. `rows` are the drafts of rows without a
    time of their own, in their order; the first of each is what it says of the customer.

    Two queries; the second goes through the facts about each known customer since the last file that changed her.
    """
    subjects = [_subject(drafts[0]) for drafts in rows]
    told = queries.known_keys(source, [drafts[0].key for drafts in rows])
    asked = {one for one, drafts in zip(subjects, rows, strict=True) if one and drafts[0].key in told}
    before = min((drafts[0].occurred_at for drafts in rows), default=None)
    last: dict[Subject, str] = {}
    if asked and before is not None:
        newest = queries.newest_keys(source, "customer.described", DESCRIBED, sorted(asked), before)
        last = {one: _AGAIN.sub("", key) for one, key in newest.items()}
    for subject, drafts in zip(subjects, rows, strict=True):
        if subject is None:  # the door will refuse it
            continue
        key = drafts[0].key
        if key in told and last.get(subject, key) != key:
            drafts[:] = _again(drafts, drafts[0].occurred_at)
        told.add(key)
        last[subject] = key


def _subject(draft: Draft) -> Subject | None:
    try:
        return intake.subject_in_log(draft.who)
    except Refusal:
        return None


def _again(drafts: list[Draft], at: datetime) -> list[Draft]:
    """With keys that nothing had before. What happened at a time of its own (a consent) happened once, and so did a yes
    to being written to, whose key is not of the row (`rows`)."""
    mark, row = f"@{int(at.timestamp() * 1_000_000)}", drafts[0].key.rpartition(":")[2]
    again = [one.occurred_at == at and one.key.endswith(f":{row}") for one in drafts]
    return [
        msgspec.structs.replace(one, key=f"{one.key}{mark}") if said else one
        for one, said in zip(drafts, again, strict=True)
    ]
