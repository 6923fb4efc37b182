"""Customers to look at today: new friends who have not bought, who is late for her rhythm, who bought this week."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from hetang.commerce import queries as commerce
from hetang.commerce.models import CustomerMetric
from hetang.console import figures
from hetang.console.customers.lists import titles_of
from hetang.console.homes.which import Charge
from hetang.customers.models import Customer, Relation
from hetang.platform import clock

WEEK_DAYS = 7
SHOWN, COUNTED = 5, 99


@dataclass(frozen=True)
class Line:
    """A customer of a list: what she is called, what is to be known of her now, and who serves her."""

    public_id: UUID
    title: str
    text: str
    staff: str = ""


@dataclass(frozen=True)
class Watch:
    """A list of customers to look at. `rows` selects them among those in charge, `order` ends in a unique column."""

    code: str
    label: str | Promise
    why: str | Promise
    none: str | Promise
    order: tuple[str, ...]
    rows: Callable[[Charge], QuerySet[Any]]
    text: Callable[[Any], str]

    @property
    def url(self) -> str:
        """The page of all of them."""
        return reverse("console:look-at", args=[self.code])


@dataclass(frozen=True)
class Found:
    """The first of a list, and how many there are (`more`: and then some)."""

    watch: Watch
    lines: Sequence[Line]
    count: int
    more: bool

    @property
    def counted(self) -> str:
        """The number as it is shown."""
        return f"{self.count}+" if self.more else str(self.count)


def week_began() -> datetime:
    """The start of the local day six days ago: today and the six days before it are this week."""
    return datetime.combine(clock.today() - timedelta(days=WEEK_DAYS - 1), time(), clock.zone())


def look(watches: Sequence[Watch], charge: Charge) -> list[Found]:
    """The first of each list and its number. A query for each list and four for all names together."""
    read = [(watch, list(watch.rows(charge).order_by(*watch.order)[: COUNTED + 1])) for watch in watches]
    lines = iter(_lines([(watch, row) for watch, rows in read for row in rows[:SHOWN]], charge))
    return [
        Found(watch, list(islice(lines, min(len(rows), SHOWN))), min(len(rows), COUNTED), len(rows) > COUNTED)
        for watch, rows in read
    ]


def lines_of(watch: Watch, rows: Sequence[Any], charge: Charge) -> list[Line]:
    """Rows of a list as they are drawn; four queries for all of them."""
    return _lines([(watch, row) for row in rows], charge)


def _lines(rows: Sequence[tuple[Watch, Any]], charge: Charge) -> list[Line]:
    numbers = [row.customer_id for _watch, row in rows]
    if not numbers:
        return []
    titles, known = titles_of(numbers), Customer.objects.in_bulk(numbers)
    return [
        Line(known[number].public_id, titles[number], watch.text(row), _staff(row, known[number], charge))
        for number, (watch, row) in zip(numbers, rows, strict=True)
    ]


def _staff(row: Any, customer: Customer, charge: Charge) -> str:
    """Who serves her, where that is somebody whom the reader may see."""
    serves = row.staff_id if isinstance(row, Relation) else customer.owner_id
    return charge.staff.get(serves or 0, "")


def _new_friends(charge: Charge) -> QuerySet[Relation]:
    bought = CustomerMetric.objects.filter(customer=OuterRef("customer"), orders__gt=0)
    friends = Relation.objects.filter(staff__in=list(charge.staff), state=Relation.ACTIVE, since__gte=week_began())
    return friends.filter(customer__in=charge.people.values("pk")).exclude(Exists(bought))


def _late(charge: Charge) -> QuerySet[CustomerMetric]:
    return commerce.slowing(clock.now()).filter(customer__in=charge.people.values("pk"))


def _bought(charge: Charge) -> QuerySet[CustomerMetric]:
    recent = CustomerMetric.objects.filter(last_order_at__gte=week_began(), last_order_at__lte=clock.now())
    return recent.filter(customer__in=charge.people.values("pk"))


def _since(row: Relation) -> str:
    return gettext("friend since %(day)s") % {"day": figures.short_day(clock.local_day(row.since))}


def _how_late(row: Any) -> str:
    day, gap = row.rhythm
    gone = (clock.today() - date.fromisoformat(day)).days
    usual = ngettext("usually every %(n)d day", "usually every %(n)d days", gap) % {"n": gap}
    last = ngettext("last bought %(n)d day ago", "last bought %(n)d days ago", gone) % {"n": gone}
    return gettext("%(last)s, %(usual)s") % {"last": last, "usual": usual}


def _when(row: CustomerMetric) -> str:
    assert row.last_order_at is not None  # noqa: S101 - who bought has bought
    day = figures.short_day(clock.local_day(row.last_order_at))
    if row.orders == 1:
        return gettext("first order on %(day)s") % {"day": day}
    return ngettext("%(day)s, %(n)d order so far", "%(day)s, %(n)d orders so far", row.orders) % {
        "day": day,
        "n": row.orders,
    }


NEW_FRIENDS = Watch(
    "new-friends",
    _("New friends without an order"),
    _("Added this week and have not bought yet: a greeting helps most in the first days."),
    _("No new friend of this week waits for a first order."),
    ("-since", "-id"),
    _new_friends,
    _since,
)
LATE = Watch(
    "late",
    _("Later than usual"),
    _(
        "Nine in ten times they had bought again by now, and it is a month at least. Who has spent most stands first; "
        "who is gone for twice that time is no longer here."
    ),
    _("Nobody is later than usual."),
    ("-gmv", "customer_id"),
    _late,
    _how_late,
)
BOUGHT = Watch(
    "bought",
    _("Bought this week"),
    _("Today and the six days before it, the newest first."),
    _("Nobody bought this week yet."),
    ("-last_order_at", "customer_id"),
    _bought,
    _when,
)
WATCHES = {watch.code: watch for watch in (NEW_FRIENDS, LATE, BOUGHT)}
