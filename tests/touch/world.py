"""A brand with people, friendships, consents and past touches, made by set SQL: for tests and benchmarks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection
from pyroaring import BitMap

from hetang.platform.models import OrgNode
from hetang.resources.models import Staff, Store
from hetang.touch.models import Programme, Variant
from hetang.touch.rules import Request

NOW = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)  # a Wednesday, 10:00 in Shanghai


def organisation(stores: int = 2, advisers_per_store: int = 2) -> list[Staff]:
    """A brand with one region, its stores, and their advisers; returns the advisers in order."""
    brand, _ = OrgNode.objects.get_or_create(code="brand", defaults={"kind": "brand", "name": "Brand", "path": "1."})
    region = OrgNode.objects.create(parent=brand, kind="region", code="east", name="East", path=f"{brand.path}2.")
    staff = []
    for number in range(stores):
        node = OrgNode.objects.create(
            parent=region, kind="store", code=f"s{number}", name=f"Store {number}", path=f"{region.path}{number + 3}."
        )
        store = Store.objects.create(code=f"s{number}", name=f"Store {number}", org_node=node)
        staff += [
            Staff.objects.create(userid=f"u{number}_{one}", name=f"Adviser {number}.{one}", store=store, org_node=node)
            for one in range(advisers_per_store)
        ]
    return staff


def people(count: int, staff: list[Staff], *, consent: bool = True, channel: str = "wecom", first: int = 1) -> BitMap:
    """Customers `first` ... with one active friend each (advisers in turn), known as `ext<number>`."""
    with connection.cursor() as cursor:
        span = {"first": first, "last": first + count - 1, "now": NOW, "staff": [one.pk for one in staff]}
        span["channel"] = channel
        cursor.execute(
            "insert into customers_customer (number, public_id, created_at)"
            " select n, gen_random_uuid(), %(now)s from generate_series(%(first)s::bigint, %(last)s) n",
            span,
        )
        cursor.execute(
            "insert into customers_relation (customer_id, staff_id, external_userid, state, since, occurred_at,"
            " fact_key, add_way, channel_state, simulated)"
            " select n, (%(staff)s::bigint[])[1 + n %% array_length(%(staff)s::bigint[], 1)], 'ext' || n, 'active',"
            " %(now)s, %(now)s, '', 0, '', true from generate_series(%(first)s::bigint, %(last)s) n",
            span,
        )
        if consent:
            cursor.execute(
                "insert into customers_consent (customer_id, purpose, channel, given, basis, text_version, occurred_at,"
                " fact_key, source, simulated)"
                " select n, 'marketing', %(channel)s, true, 'consent', '', %(now)s, '', 'test', true"
                " from generate_series(%(first)s::bigint, %(last)s) n",
                span,
            )
    return BitMap(range(first, first + count))


def past_touches(count: int, population: int, *, days: int = 30, channel: str = "wecom") -> None:
    """`count` touches sent over the last `days` days, spread evenly over customers 1..population."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into touch_touch (planned_at, slot_at, programme, customer, task, local_day, channel,"
            " message_class, state, address)"
            " select at, at, 0, 1 + n %% %(population)s, 0, at::date, %(channel)s, 'marketing', 'sent', 'ext' || n"
            " from (select n, %(now)s::timestamptz - (n::bigint * 7919 %% (%(days)s * 86400)) * interval '1 second'"
            "       as at from generate_series(1, %(count)s) n) past",
            {"count": count, "population": population, "days": days, "now": NOW, "channel": channel},
        )


def request(**changes: object) -> Request:
    """A plan for marketing by WeCom, an hour from now."""
    values = {"channel": "wecom", "message_class": "marketing", "slot_at": NOW + timedelta(hours=1), "seed": "seed"}
    return Request(**values | changes)  # type: ignore[arg-type]


def programme(asked: Request, texts: tuple[str, ...] = ("Hello",)) -> Programme:
    """A programme about to be planned for this request."""
    made = Programme.objects.create(
        name="Test",
        channel=asked.channel,
        message_class=asked.message_class,
        state=Programme.PLANNING,
        planned_at=NOW,
        slot_at=asked.slot_at,
        expires_at=asked.slot_at + timedelta(days=3),
        target_url="https://shop.example/spring",
    )
    for number, text in enumerate(texts, start=1):
        Variant.objects.create(programme=made, number=number, text=text)
    return made
