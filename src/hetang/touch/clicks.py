"""Clicks of which another system says whose they are: what a link's code means, and how many there were.

People of a task share one link, so our own address (`touch.links`) cannot tell who opened it. A page or a provider that
knows reports `click.identified`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Sum

from hetang.facts.subscriptions import Subscription, Window
from hetang.touch.models import Programme, ShortLink

KIND = "click.identified"
_LINKS = """
select l.code, p.id, (select min(t.id) from touch_sendtask t where t.link_id = l.code), p.channel, p.message_class,
       coalesce(nullif(p.name, ''), l.code)
from touch_shortlink l left join touch_programme p on p.id = l.programme_id where l.code = any(%s)
"""
FIELDS = ("programme", "task", "channel", "message_class", "title")
_COUNT = """
update touch_shortlink l set clicks = l.clicks + n.direct, identified = l.identified + n.identified
from (
  select f.body->>'link' as code, count(*) as identified,
         count(*) filter (where (f.body->>'direct')::boolean) as direct
  from facts_fact f where {where} group by 1
) n
where l.code = n.code
"""


@dataclass(frozen=True, slots=True)
class Clicks:
    """Clicks on short links, and of how many of them it is known whose they are."""

    total: int
    identified: int


def links(codes: Collection[str]) -> dict[str, dict[str, Any]]:
    """What facts about clicks say of these links, by code: programme, task, channel and class of the message, and what
    it is called. Codes that are none are left out. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_LINKS, [list(codes)])
        rows = cursor.fetchall()
    known = {code: zip(FIELDS, values, strict=True) for code, *values in rows}
    return {code: {name: value for name, value in said if value is not None} for code, said in known.items()}


def count(window: Window) -> None:
    """Count a window of identified clicks on their links; those that our address has not counted add to its clicks."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT.format(where=window.where), window.params)


def of_programme(programme_id: int) -> Clicks:
    """Clicks on all links of a programme."""
    return _summed(programme_id=programme_id)


def since(at: datetime) -> Clicks:
    """Clicks on the links of all programmes that were planned since then."""
    return _summed(programme_id__in=Programme.objects.filter(planned_at__gte=at).values("pk"))


def _summed(**which: Any) -> Clicks:
    sums = ShortLink.objects.filter(**which).aggregate(total=Sum("clicks"), identified=Sum("identified"))
    return Clicks(sums["total"] or 0, sums["identified"] or 0)


clicks = Subscription("clicks", count, kinds=frozenset({KIND}))
