"""What the law and people themselves say about a message: asked when a plan is made, and again before it goes.

Marketing needs a consent that was given for the channel on a known legal basis; for somebody under fourteen a
guardian's as well; and somebody who objected to being chosen by what is known of her (PIPL art. 24) is left out of
audiences that are chosen so.
"""

from __future__ import annotations

from datetime import date

from django.db.backends.utils import CursorWrapper

from hetang.customers import minors as under_age
from hetang.customers.services import PERSONALISATION

MARKETING = "marketing"

# Whoever objected; a handful of rows with an index of their own.
OBJECTED = f"""
select o.customer_id from customers_consent o
where o.purpose = '{PERSONALISATION}' and not o.given and o.channel = '{under_age.ANY_CHANNEL}'
"""


def objected(cursor: CursorWrapper, low: int, high: int) -> list[int]:
    """Customer numbers from `low` to `high` of those who object to being chosen. Reads them alone, by index."""
    cursor.execute(f"{OBJECTED} and o.customer_id between %s and %s", [low, high])
    return [row[0] for row in cursor.fetchall()]


def minors(cursor: CursorWrapper, low: int, high: int, day: date) -> list[int]:
    """Customer numbers from `low` to `high` of those who are under fourteen on a day and whose guardian has not agreed.
    Reads the children alone, by index."""
    cursor.execute(
        f"{under_age.WITHOUT_GUARDIAN} and a.customer_id between %(low)s and %(high)s",
        {"born_after": under_age.born_after(day), "low": low, "high": high},
    )
    return [row[0] for row in cursor.fetchall()]


def applies(message_class: str) -> bool:
    """Whether these wishes count for a class of message: orders and service are for everybody."""
    return message_class == MARKETING
