"""A few customers with a history, brought in through the one door."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hetang.customers import queries as customers
from hetang.customers import services
from hetang.customers.models import Customer, Identity
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.subscriptions import advance, all_subscriptions
from hetang.platform.access import Scope
from tests.console.cast import Cast

START = datetime(2026, 1, 5, 3, tzinfo=UTC)


def come_in(cast: Cast) -> None:
    """Mei (store A, friend of Anna, tagged, buys) and Bo (store B), a third without anything but a number."""
    group = services.create_group("Taste")
    services.create_tag(group, "Likes coffee", "coffee")
    services.create_tag(group, "Likes tea", "tea")
    record(
        [
            fact(
                "customer.described",
                "d1",
                "m1",
                {"home_store": "A", "owner": "anna"},
                name="王小梅",
                phone="13812345678",
            ),
            fact("customer.described", "d2", "m2", {"home_store": "B", "owner": "bela"}, name="Bo Smith"),
            fact("customer.described", "d3", "m3", {"home_store": "A"}),
            fact("tag.changed", "t1", "m1", {"tag": "coffee", "on": True}),
            fact("consent.changed", "c1", "m1", consent()),
            fact("relation.changed", "r1", "m1", {"staff": "anna", "state": "active", "add_way": 1}, external="wm1"),
            order("o1", "m1", 1290, 5),
            order("o2", "m1", 2500, 9),
            fact("order.refunded", "f1", "m1", {"order": "o2", "amount": 500, "store": "A"}),
            fact("visit.recorded", "v1", "m1", {"store": "A", "channel": "store"}),
            order("o3", "m2", 990, 11),
        ]
    )


def fact(
    kind: str, key: str, member: str, body: dict[str, Any], name: str = "", phone: str = "", external: str = ""
) -> Draft:
    who = [("member", member)]
    who += [("phone", phone)] if phone else []
    who += [("external_userid", external)] if external else []
    return Draft(kind, key, START, who, body, name=name or None)


def order(key: str, member: str, net: int, day: int) -> Draft:
    lines = [{"sku": "S1", "category": "MILK", "quantity": "1", "amount": net}]
    body = {"store": "A", "channel": "store", "lines": lines, "net": net}
    return Draft("order.placed", key, START.replace(day=day), [("member", member)], body)


def consent() -> dict[str, Any]:
    return {"purpose": "marketing", "channel": "wecom", "given": True, "basis": "consent", "text_version": "2026-01"}


def record(drafts: list[Draft]) -> None:
    outcome = intake.record("test", drafts)
    assert not outcome.rejected, outcome.rejected
    apply()


def apply() -> None:
    """Let the people's and the orders' streams catch up."""
    for stream in all_subscriptions():
        if stream.name in {"customers", "commerce"}:
            while advance(stream):
                pass


def customer(member: str) -> Customer:
    return Identity.objects.select_related("customer").get(kind="member", key=member).customer


def visible_names() -> dict[int, str]:
    from hetang.customers.access import visible

    return customers.names_of(list(visible(Scope((), everything=True)).values_list("number", flat=True)))
