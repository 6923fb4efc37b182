"""Everything that is held about one person, to be handed out to her: what the rooms tell, in the order of erasing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hetang.customers import erasing as customers
from hetang.customers.models import Customer
from hetang.platform import audit
from hetang.platform.access import Actor
from hetang.platform.holdings import NotNow, Text
from hetang.privacy.holdings import all_holdings


@dataclass(frozen=True)
class Part:
    """One kind of data: None where a store is away at the moment."""

    code: str
    label: Text
    data: Any


def copy_of(customer: Customer, by: Actor | str) -> list[Part]:
    """What is held about her now, with the look noted. Raises Customer.DoesNotExist if she was erased."""
    person = customers.person_of(customer.pk)
    audit.record(by, "look.personal_copy", "customer", customer.public_id)
    parts = []
    for one in all_holdings():
        if one.tell is not None:
            try:
                parts.append(Part(one.code, one.label, one.tell(person)))
            except NotNow:
                parts.append(Part(one.code, one.label, None))
    return parts


def plain(data: Any) -> Any:
    """A part as JSON can say it."""
    if isinstance(data, dict):
        return {str(name): plain(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if isinstance(data, datetime | date):
        return data.isoformat()
    return data if isinstance(data, str | int | float | bool | None) else str(data)
