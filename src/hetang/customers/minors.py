"""People under fourteen: their data are sensitive by law. Derived from the date of birth, so nobody has to keep a flag.

A date of birth is the attribute `birthday`, and every attribute whose definition says that it is one. Somebody without
a date of birth counts as grown up. Marketing needs the consent of a guardian (`consent.changed`, purpose `guardian`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from django.db import connection

AGE = 14
USUAL = "birthday"
GUARDIAN = "guardian"
ANY_CHANNEL = "any"

# Dates are ISO texts, which sort as they are; whatever is none is no date of birth.
UNDER_AGE = f"""
select a.customer_id from customers_customerattribute a
where a.code = any(array(
    select '{USUAL}' union select d.code from customers_attributedefinition d where d.birth_date))
  and left(a.value #>> '{{}}', 10) > %(born_after)s and a.value #>> '{{}}' ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}'
"""


# Those of `UNDER_AGE` for whom no guardian agreed to marketing.
WITHOUT_GUARDIAN = f"""{UNDER_AGE} and not exists (
  select from customers_consent g
  where g.customer_id = a.customer_id and g.purpose = '{GUARDIAN}' and g.channel = '{ANY_CHANNEL}' and g.counts)
"""


def born_after(today: date) -> str:
    """Who was born after this day (ISO) has not turned fourteen yet."""
    return f"{today.year - AGE:04d}-{today.month:02d}-{today.day:02d}"


def among(numbers: Collection[int], today: date) -> set[int]:
    """Those of the numbers who are under age. One small query."""
    if not numbers:
        return set()
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"born_after": born_after(today), "numbers": list(numbers)}
        cursor.execute(f"{UNDER_AGE} and a.customer_id = any(%(numbers)s)", values)
        return {row[0] for row in cursor.fetchall()}
