"""Money is a whole number of minor units (fen, cents) in the brand's currency; never a float.

Quantities are `numeric(14,3)`. Rounding residue goes to the largest remainders, so parts always add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

_SIGNS = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "HKD": "HK$", "TWD": "NT$", "SGD": "S$"}


def sign(currency: str) -> str:
    """What stands before an amount: `sign("CNY") == "¥"`; a currency without a sign is named by its code."""
    return _SIGNS.get(currency, currency + " ")


def to_minor(amount: str | int | Decimal, digits: int) -> int:
    """Major units as text or Decimal to minor units, half away from zero: `to_minor("1.005", 2) == 101`."""
    return int((Decimal(amount) * 10**digits).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_major(minor: int, digits: int) -> Decimal:
    """Minor units to an exact decimal of major units: `to_major(101, 2) == Decimal("1.01")`."""
    return Decimal(minor).scaleb(-digits)


def split_by_weight(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` minor units in proportion to non-negative `weights`; the parts add up to `total` exactly.

    Residue goes to the largest remainders, ties to the earlier place. All-zero weights count as equal.
    """
    if not weights:
        raise ValueError("nothing to split among")
    if min(weights) < 0:
        raise ValueError("weights must not be negative")
    base = list(weights) if sum(weights) else [1] * len(weights)
    whole = sum(base)
    parts = [total * weight // whole for weight in base]
    remainders = [total * weight % whole for weight in base]
    missing = total - sum(parts)
    for index in sorted(range(len(base)), key=lambda place: (-remainders[place], place))[:missing]:
        parts[index] += 1
    return parts
