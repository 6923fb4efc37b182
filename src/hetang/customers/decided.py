"""Reads of what people decided about who is who."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hetang.customers.evidence import rows
from hetang.customers.models import Decision, DecisionSide, Identity


@dataclass(frozen=True, slots=True)
class About:
    """A decision as one customer sees it: the numbers of those on the other side, as they are now."""

    decision: Decision
    others: tuple[int, ...]


def about(number: int, limit: int = 20) -> list[About]:
    """The decisions in force about one customer, newest first. Three small queries."""
    hers = set(Identity.objects.filter(customer=number).values_list("pk", flat=True))
    sides = DecisionSide.objects.filter(identity__in=hers).values("decision")
    in_force = Decision.objects.filter(pk__in=sides, lifted_at=None).exclude(made_at=None)
    decisions = list(in_force.order_by("-made_at", "-id")[:limit]) if hers else []
    if not decisions:
        return []
    people = people_of(decisions)
    return [
        About(one, tuple(sorted({other for side in people[one.pk] for other in side} - {number}))) for one in decisions
    ]


def people_of(decisions: Sequence[Decision]) -> dict[int, tuple[set[int], set[int]]]:
    """Of each decision the customers on both sides, as they are now. One query."""
    found: dict[int, tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
    named = DecisionSide.objects.filter(decision__in=[one.pk for one in decisions])
    for decision, side, number in named.values_list("decision", "side", "identity__customer").distinct():
        found[decision][side].add(number)
    return found


def kept_apart(one: int, other: int) -> bool:
    """Whether a decision in force says that these two customers are not the same person."""
    return bool(rows(_KEPT_APART, {"one": one, "other": other}))


_KEPT_APART = f"""
select 1 from customers_identity i join customers_decisionside a on a.identity_id = i.id
join customers_decisionside b on b.decision_id = a.decision_id and b.side <> a.side
join customers_identity j on j.id = b.identity_id and j.customer_id = %(other)s
join customers_decision d on d.id = a.decision_id and d.verdict = '{Decision.APART}'
  and d.made_at is not null and d.lifted_at is null
where i.customer_id = %(one)s limit 1
"""
