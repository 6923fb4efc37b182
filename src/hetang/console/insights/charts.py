"""What `<e-chart>` needs to know, as plain data; the figures stand in a table beside it as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hetang.console.figures import currency_sign
from hetang.platform.brand import brand
from hetang.platform.money import to_major


@dataclass(frozen=True)
class Series:
    """A named row of amounts in minor units."""

    name: str
    data: Sequence[int | None]


def money_chart(kind: Literal["line", "bar"], title: str, labels: Sequence[str], *series: Series) -> dict[str, Any]:
    """A chart of money. Floats are for drawing only; the table has the exact amounts."""
    digits = brand().currency_digits
    return {
        "kind": kind,
        "title": title,
        "labels": list(labels),
        "series": [asdict(one) | {"data": [_major(value, digits) for value in one.data]} for one in series],
        "prefix": currency_sign(),
        "digits": digits,
    }


def _major(minor: int | None, digits: int) -> float | None:
    return None if minor is None else float(to_major(minor, digits))
