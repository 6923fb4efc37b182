"""Verbs on who is who: tell people apart, take that back. Each writes a fact of source `console`, which the customers
stream then follows within the second; the caller checks permissions and writes the audit row, in one transaction.

A key is made from what is decided about, so deciding the same thing twice is one decision; the verbs return whether
this was the first time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from hetang.customers.errors import AlreadyApart, NoIdentity
from hetang.customers.models import Decision, DecisionSide, Identity, Merge
from hetang.customers.rules import CONTACT_KINDS
from hetang.customers.services import SOURCE
from hetang.facts import intake
from hetang.facts.errors import Refusal
from hetang.facts.intake import Draft
from hetang.facts.models import FactKey
from hetang.facts.rules import DIRECT_KINDS, MAX_DECIDED
from hetang.platform import clock
from hetang.platform.ids import fact_key_hash
from hetang.platform.sealing import unseal

Ids = list[int]


def unmerge(merge: Merge, by: str, reason: str) -> bool:
    """Tell apart again whom this merge joined: both sides as they were at that time.

    Raises AlreadyApart if they are not one any more, NoIdentity if a side was erased, Refusal.
    """
    if merge.undone_at is not None:
        raise AlreadyApart
    survivor, absorbed = sides_of(merge)
    return keep_apart(survivor, absorbed, unmerge_key(merge), by, reason)


def unmerge_key(merge: Merge) -> str:
    """The key of the fact that undoes this merge; there is one at most."""
    return f"unmerge:{merge.pk}"


def decision_of(key: str) -> Decision | None:
    """The decision that a fact of this key made, once the stream has followed it."""
    return Decision.objects.filter(key=f"{SOURCE}\x1f{key}").first()


def is_recorded(key: str) -> bool:
    """Whether a fact of this key was written, though the stream may not have followed it yet."""
    return FactKey.objects.filter(pk=fact_key_hash(SOURCE, key)).exists()


def sides_of(merge: Merge) -> tuple[Ids, Ids]:
    """The identities of the survivor and of the absorbed when they were merged, as far as they are still there."""
    present = set(
        Identity.objects.filter(pk__in=[*merge.survivor_side, *merge.absorbed_side]).values_list("pk", flat=True)
    )
    absorbed = [one for one in merge.absorbed_side if one in present]
    if not merge.absorbed_side:  # merged before sides were kept
        absorbed = list(Identity.objects.filter(evidence_number=merge.absorbed).values_list("pk", flat=True))
    survivor = [one for one in merge.survivor_side if one in present]
    if not merge.survivor_side:  # too many to be kept: whatever the other side is not
        whole = Identity.objects.filter(customer__in=Identity.objects.filter(pk__in=absorbed).values("customer"))
        survivor = list(whole.exclude(pk__in=absorbed).values_list("pk", flat=True))
    return survivor, absorbed


def keep_apart(left: Collection[int], right: Collection[int], key: str, by: str, reason: str) -> bool:
    """No identity of one side is the same person as any of the other. Raises NoIdentity, Refusal."""
    sides = [_named(left), _named(right)]
    if not all(sides):
        raise NoIdentity
    body: dict[str, Any] = {"left": len(sides[0]), "by": by, "reason": reason}
    if len(sides[0]) + len(sides[1]) > MAX_DECIDED:
        raise Refusal("too_many_identities", {"limit": MAX_DECIDED})
    return _record("customer.kept_apart", key, [*sides[0], *sides[1]], body)


def join(one: Collection[int], other: Collection[int], key: str, by: str, reason: str) -> bool:
    """The people of these identities are one, by the strongest identity of each. Raises NoIdentity, Refusal."""
    strongest = [_named(_strongest_first(ids))[:1] for ids in (one, other)]
    if not all(strongest):
        raise NoIdentity
    return _record("customer.joined", key, [*strongest[0], *strongest[1]], {"by": by, "reason": reason})


def lift(decision: str, ids: Iterable[int], by: str, reason: str = "") -> bool:
    """Take back the decision of this key (`Decision.key`); the evidence counts again. Harmless before the stream has
    followed the decision itself.

    `ids` are identities of those concerned, of whom the fact names one. Raises NoIdentity if none is left.
    """
    who = _named(list(ids)[:50])[:1]
    if not who:
        raise NoIdentity
    source, _, key = decision.partition("\x1f")
    body = {"decision": decision, "by": by, "reason": reason}
    return _record("customer.decision_lifted", f"lift:{fact_key_hash(source, key)}", who, body)


def concerned(decision: Decision) -> list[int]:
    """The identities that a decision speaks of."""
    sides = DecisionSide.objects.filter(decision=decision).order_by("side", "identity_id")
    return list(sides.values_list("identity_id", flat=True))


def _strongest_first(ids: Collection[int]) -> list[int]:
    """Accounts before contacts, what is one person's own before what is shared, the older first."""
    rows = Identity.objects.filter(pk__in=ids)
    return [one.pk for one in sorted(rows, key=lambda one: (one.kind in CONTACT_KINDS, one.shared, one.pk))]


def _named(ids: Iterable[int]) -> list[tuple[str, str]]:
    """The identities as a fact names them, in the plain, in the order given."""
    order = list(ids)
    found = Identity.objects.in_bulk(order)
    rows = [found[one] for one in order if one in found]
    readable = [row for row in rows if row.kind not in DIRECT_KINDS or row.sealed is not None]
    return [(row.kind, unseal(row.sealed).decode() if row.sealed is not None else row.key) for row in readable]


def _record(kind: str, key: str, who: Sequence[tuple[str, str]], body: dict[str, Any]) -> bool:
    outcome = intake.record(SOURCE, [Draft(kind, key, clock.now(), who, body)], door="console")
    if outcome.rejected:
        raise Refusal(outcome.rejected[0].code, outcome.rejected[0].detail)
    return outcome.accepted == 1
