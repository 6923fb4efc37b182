"""Stating afterwards on which legal basis a marketing consent rests that came without one (PIPL art. 13).

The customer's word stays as it is, with its time and source; what the brand says of its basis is a fact of its own
(`consent.basis_stated`) about the consent of exactly that time, so that a withdrawal or another consent, however late
it arrives, is never covered by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection

from hetang.customers.errors import NoIdentity, NothingToState
from hetang.customers.services import SOURCE
from hetang.facts import intake
from hetang.facts.errors import Refusal
from hetang.facts.intake import Draft
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform import clock
from hetang.platform.sealing import unseal

STATED = ("consent", "contract", "legal_duty", "public_interest")


@dataclass(frozen=True)
class Statement:
    """What is said: the basis, the version of the text (where none came with the consent), by whom and why, and when.
    `key` tells it from others; the fact of one consent is named by it, so it may be recorded twice."""

    key: str
    basis: str
    text_version: str
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Meant:
    """A consent that a statement is about. `identity` names the customer in a fact; None: she has none."""

    customer: int
    purpose: str
    channel: str
    given_at: datetime
    text_version: str
    identity: tuple[str, str] | None


@dataclass(frozen=True)
class Lot:
    """Consents of one source, purpose and channel."""

    source: str
    purpose: str
    channel: str


def state(number: int, purpose: str, channel: str, said: Statement) -> None:
    """State the basis of one customer's consent, or state it anew. In the caller's transaction, with her audit row.

    Raises NothingToState (withdrawn, or with a basis of its own), NoIdentity, Refusal (unknown basis).
    """
    where = "c.customer_id = %(number)s and c.purpose = %(purpose)s and c.channel = %(channel)s"
    found = _meant(
        f"{where} and c.given and (not c.counts or c.stated)",
        {"number": number, "purpose": purpose, "channel": channel},
    )
    if not found:
        raise NothingToState(f"{purpose} {channel}")
    if found[0].identity is None:
        raise NoIdentity(str(number))
    one = replace(found[0], text_version=said.text_version or found[0].text_version)
    if refused := record([one], said):
        raise Refusal(refused[0].code, refused[0].detail)


def waiting(lot: Lot, until: datetime) -> int:
    """People whose consent of this lot, given until then, does not count for want of a basis. Reads an index."""
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from customers_consent c where {_OF_LOT}", _values(lot, until, 0))
        return int(cursor.fetchone()[0])


def next_of(lot: Lot, until: datetime, after: int, limit: int) -> list[Meant]:
    """The next of them beyond a customer number, in ascending order."""
    return _meant(f"{_OF_LOT} order by c.customer_id limit {int(limit)}", _values(lot, until, after))


def record(meant: Sequence[Meant], said: Statement) -> list[intake.Rejection]:
    """One fact for each consent whose customer can be named; returns what was refused. A version of the text that came
    with the consent is kept. In the caller's transaction."""
    drafts = [
        Draft(
            "consent.basis_stated",
            f"basis:{said.key}:{one.customer}:{one.purpose}:{one.channel}",
            said.at,
            [one.identity],
            {
                **{"purpose": one.purpose, "channel": one.channel, "given_at": one.given_at},
                **{"basis": said.basis, "text_version": one.text_version or said.text_version},
                **{"by": said.by, "reason": said.reason},
            },
        )
        for one in meant
        if one.identity is not None
    ]
    return intake.record(SOURCE, drafts, door="console").rejected if drafts else []


_OF_LOT = (
    "c.given and not c.counts and c.source = %(source)s and c.purpose = %(purpose)s and c.channel = %(channel)s"
    " and c.occurred_at <= %(until)s and c.customer_id > %(after)s"
)


def _values(lot: Lot, until: datetime, after: int) -> dict[str, Any]:
    values = {"source": lot.source, "purpose": lot.purpose, "channel": lot.channel}
    return {**values, "until": until, "after": after}


# The identity that the consent itself came by, so that an un-merge takes both to the same person; else any that names
# her. A direct one is told in the plain.
_MEANT = """
select c.customer_id, c.purpose, c.channel, c.occurred_at, c.text_version, n.kind, n.key, n.sealed
from customers_consent c
left join lateral (
  select i.kind, i.key, i.sealed from customers_identity i
  left join facts_fact f on f.subject_kind = i.kind and f.subject_key = i.key and f.occurred_at = c.occurred_at
    and f.kind = 'consent.changed' and f.source || chr(31) || f.key = c.fact_key
  where i.customer_id = c.customer_id and (i.sealed is not null or i.kind <> all(%(direct)s))
  order by f.id is null, i.kind = any(%(direct)s), i.id limit 1
) n on true
where {where}
"""


def _meant(where: str, values: dict[str, Any]) -> list[Meant]:
    with connection.cursor() as cursor:
        cursor.execute(_MEANT.format(where=where), {**values, "direct": list(DIRECT_KINDS)})
        return [
            Meant(number, purpose, channel, given_at, text, _identity(kind, key, sealed))
            for number, purpose, channel, given_at, text, kind, key, sealed in cursor.fetchall()
        ]


def _identity(kind: str | None, key: str, sealed: bytes | None) -> tuple[str, str] | None:
    if kind is None:
        return None
    return kind, unseal(bytes(sealed)).decode() if kind in DIRECT_KINDS and sealed else key


def now_said(key: str, basis: str, text_version: str, by: str, reason: str) -> Statement:
    """A statement made at this moment."""
    return Statement(key, basis, text_version.strip(), by, reason.strip(), clock.now())
