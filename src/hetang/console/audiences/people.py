"""Customers as a preview shows them: recognisable, never with a full name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext

from hetang.commerce.models import CustomerMetric
from hetang.console.customers.lists import recognised_by
from hetang.customers import queries
from hetang.customers.models import Customer
from hetang.platform import audit
from hetang.platform.access import Actor, foreign_among, visible_customers

VIEW = "customers:view"


@dataclass(frozen=True)
class Shown:
    """One person of a sample; money in minor units."""

    number: int
    public_id: UUID
    name: str
    known_by: str  # masked names look alike; a number tells people apart
    store: str
    orders: int
    gmv: int
    last_order_at: datetime | None

    @property
    def shown(self) -> str:
        """Name and number in one, for a sentence."""
        return f"{self.name} {self.known_by}".strip()


def rows(numbers: Sequence[int], actor: Actor) -> list[Shown]:
    """Those of the customers whom the actor may look at one by one, in the given order: nobody if she sees only counts.

    Whoever is not her own company's has no name. Six queries.
    """
    if not actor.can(VIEW):
        return []
    audit.look(actor, "look.list", "customer", "", {"of": "audience"})
    seen = visible_customers(actor, VIEW).filter(number__in=numbers).select_related("home_store")
    found = {one.number: one for one in seen}
    foreign = foreign_among(actor, VIEW, list(found))
    sums: dict[int, Any] = CustomerMetric.objects.in_bulk(list(numbers))
    own = [number for number in found if number not in foreign]
    names, known_by = queries.names_of(own), recognised_by(own)
    return [
        _shown(found[number], names.get(number, ""), known_by.get(number, ""), sums.get(number))
        for number in numbers
        if number in found
    ]


def _shown(customer: Customer, name: str, known_by: str, sums: Any) -> Shown:
    return Shown(
        customer.number,
        customer.public_id,
        name or known_by or gettext("No. %(number)s") % {"number": customer.number},
        known_by if name else "",
        customer.home_store.name if customer.home_store else "",
        sums.orders if sums else 0,
        sums.gmv if sums else 0,
        sums.last_order_at if sums else None,
    )
