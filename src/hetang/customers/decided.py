"""Reads of what people decided about who is who."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

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
    rows = DecisionSide.objects.filter(decision__in=[one.pk for one in decisions])
    for decision, side, number in rows.values_list("decision", "side", "identity__customer").distinct():
        found[decision][side].add(number)
    return found
