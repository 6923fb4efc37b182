"""Customers as a preview shows them: recognisable, never with a full name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hetang.commerce.models import CustomerMetric
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
    store: str
    orders: int
    gmv: int
    last_order_at: datetime | None


def rows(numbers: Sequence[int], actor: Actor) -> list[Shown]:
    """Those of the customers whom the actor may look at one by one, in the given order: nobody if she sees only counts.

    Whoever is not her own company's has no name. Five queries and one for each person without a name.
    """
    if not actor.can(VIEW):
        return []
    audit.look(actor, "look.list", "customer", "", {"of": "audience"})
    seen = visible_customers(actor, VIEW).filter(number__in=numbers).select_related("home_store")
    found = {one.number: one for one in seen}
    foreign = foreign_among(actor, VIEW, list(found))
    sums: dict[int, Any] = CustomerMetric.objects.in_bulk(list(numbers))
    names = queries.names_of([number for number in found if number not in foreign])
    names |= {number: f"#{number}" for number in foreign}
    return [_shown(found[number], names.get(number), sums.get(number)) for number in numbers if number in found]


def _shown(customer: Customer, name: str | None, sums: Any) -> Shown:
    return Shown(
        customer.number,
        customer.public_id,
        name or queries.shown_identity(customer.number) or f"#{customer.number}",
        customer.home_store.name if customer.home_store else "",
        sums.orders if sums else 0,
        sums.gmv if sums else 0,
        sums.last_order_at if sums else None,
    )
