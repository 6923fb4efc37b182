"""Everything that is held about one person, to be handed out to her: what the rooms tell, in the order of erasing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils import timezone

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


def lines(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """A part as (where, what) lines for people: `orders 3 net`, `12.50`. Empty values are left out."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from lines(value, f"{path} {name}".strip())
    elif isinstance(data, list):
        for number, value in enumerate(data, start=1):
            yield from lines(value, f"{path} {number}".strip())
    elif data not in (None, "", [], {}):
        yield path.replace("_", " "), _written(data)


def plain(data: Any) -> Any:
    """The same as JSON can say it."""
    if isinstance(data, dict):
        return {str(name): plain(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if isinstance(data, datetime | date):
        return data.isoformat()
    return data if isinstance(data, str | int | float | bool | None) else str(data)


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return timezone.localtime(value).strftime("%Y-%m-%d %H:%M")
    return str(value)
