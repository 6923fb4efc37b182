"""Identities that may not come back: people who were erased and objected to being known again.

The list holds keyed hashes only. A fact that names one of them is refused at the door and nothing of it is kept; a sale
is taken as an anonymous one, since the books must have it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from django.db import connection

from hetang.facts.errors import Refusal
from hetang.facts.rules import normalise_identity
from hetang.platform import clock
from hetang.platform.sealing import erasure_key

if TYPE_CHECKING:
    from hetang.facts.intake import Draft

OBJECTED = "objected"
TTL_S = 1.0  # how long a process may still believe that the list is empty
_looked: tuple[float, bool] = (float("-inf"), False)


def refuse(identities: Iterable[tuple[str, str]]) -> int:
    """Put (kind, value in the clear) on the list, for ever. Facts already on their way may pass for `TTL_S`."""
    return refuse_hashes((kind, erasure_key(kind, value)) for kind, value in identities)


def refuse_hashes(hashes: Iterable[tuple[str, str]]) -> int:
    """The same for what `erasure_key` made of them. Returns how many were not on the list yet."""
    rows = sorted(set(hashes))
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into facts_refused (kind, hash, since) select kind, hash, %s"
            " from unnest(%s::text[], %s::text[]) as r(kind, hash) on conflict do nothing",
            [clock.now(), [kind for kind, _ in rows], [one for _, one in rows]],
        )
        added = cursor.rowcount
    forget()
    return int(added)


def objected(drafts: Sequence[tuple[int, Draft]]) -> set[int]:
    """Places of the drafts that name somebody on the list. Nothing to pay while the list is empty."""
    if not _any():
        return set()
    places: dict[tuple[str, str], set[int]] = {}
    for index, draft in drafts:
        for kind, value in draft.who:
            try:
                key = erasure_key(kind, normalise_identity(kind, value))
            except Refusal:
                continue
            places.setdefault((kind, key), set()).add(index)
    with connection.cursor() as cursor:
        cursor.execute(
            "select r.kind, r.hash from facts_refused r join unnest(%s::text[], %s::text[]) as w(kind, hash)"
            " on r.kind = w.kind and r.hash = w.hash",
            [[kind for kind, _ in places], [one for _, one in places]],
        )
        return {place for kind, one in cursor.fetchall() for place in places[kind, one]}


def is_refused(kind: str, value: str) -> bool:
    """Whether one identity, as it came, is on the list."""
    from hetang.facts.intake import Draft

    return bool(objected([(0, Draft("", "", clock.now(), [(kind, value)]))]))


def forget() -> None:
    """Look again at whether the list is empty."""
    global _looked  # noqa: PLW0603 - one cache per process is the point
    _looked = (float("-inf"), False)


def _any() -> bool:
    global _looked  # noqa: PLW0603
    at, found = _looked
    if not found and time.monotonic() - at > TTL_S:
        with connection.cursor() as cursor:
            cursor.execute("select exists (select from facts_refused)")
            found = bool(cursor.fetchone()[0])
        _looked = (time.monotonic(), found)
    return found
