"""Showing one masked value of one customer in full: with a permission and a reason, counted, limited, and audited.

Lists and exports never do. The count is raised before the value is read, in one statement that does nothing at the
limit: two browsers of one person cannot share the last one.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from django.db import connection, transaction

from hetang.customers import households
from hetang.customers.errors import MemberGone
from hetang.customers.models import Customer, CustomerAttribute, Identity
from hetang.platform import audit, clock, positions
from hetang.platform.access import Actor, Forbidden
from hetang.platform.sealing import unseal
from hetang.privacy import limits
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Reveal, RevealCount

REASONS = ("call", "verify", "order", "complaint", "authority", "other")
SHOWN_S = 60  # pages hide the value again after so many seconds
NAME, IDENTITY, ATTRIBUTE, MEMBER = "name", "identity:", "attribute:", "member:"


@dataclass(frozen=True)
class Shown:
    """The value in full, what it is (a kind of identity, `name`, `attribute:CODE`, `member:ID`), and how many are left
    today."""

    value: str
    what: str
    left: int


def reveal(actor: Actor, customer: Customer, which: str, reason: str, text: str) -> Shown:
    """Show `which` (`name`, `identity:<id>`, `attribute:<code>`, `member:<id>`) of a customer whom the
    caller may see.

    Raises Forbidden, and PrivacyRefused: bad_reason, text_missing, nothing_there, limit_reached.
    """
    actor.require("customers:reveal")
    if actor.user_id is None:
        raise Forbidden("customers:reveal")  # a look is somebody's
    text = text.strip()[:200]
    if reason not in REASONS:
        raise PrivacyRefused("bad_reason")
    if reason == "other" and len(text) < 4:
        raise PrivacyRefused("text_missing")
    what, value = _value(customer, which)
    with transaction.atomic():
        left = _count(actor)
        _note(actor, customer, what, reason, text)
    return Shown(value, what, left)


def used_today(actor: Actor) -> int:
    """How many values the actor has seen in full today."""
    today = RevealCount.objects.filter(user_id=actor.user_id or 0, day=clock.today())
    return today.values_list("count", flat=True).first() or 0


def _count(actor: Actor) -> int:
    """Take one of today's; returns how many are left. Raises PrivacyRefused at the limit."""
    limit = limits.current().reveals_a_day
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into privacy_revealcount as c (user_id, day, count) select %(user)s, %(day)s, 1 where %(limit)s > 0"
            " on conflict (user_id, day) do update set count = c.count + 1 where c.count < %(limit)s returning count",
            {"user": actor.user_id, "day": clock.today(), "limit": limit},
        )
        row = cursor.fetchone()
    if row is None:
        raise PrivacyRefused("limit_reached", limit=limit)
    return limit - int(row[0])


def _note(actor: Actor, customer: Customer, what: str, reason: str, text: str) -> None:
    Reveal.objects.create(
        at=clock.now(),
        user_id=actor.user_id,
        actor=actor.name,
        customer=customer.pk,
        customer_id_shown=customer.public_id,
        what=what,
        reason=reason,
        text=text,
    )
    node = customer.home_store.org_node_id if customer.home_store else None
    audit.record(
        actor, "look.reveal", "customer", customer.public_id, {"what": what, "reason": reason}, org_node_id=node
    )


def _value(customer: Customer, which: str) -> tuple[str, str]:
    if which == NAME and customer.name:
        return NAME, unseal(customer.name).decode()
    if which.startswith(IDENTITY) and which.removeprefix(IDENTITY).isdigit():
        row = Identity.objects.filter(pk=int(which.removeprefix(IDENTITY)), customer=customer).first()
        if row is not None:
            return row.kind, unseal(row.sealed).decode() if row.sealed else row.key
    if which.startswith(ATTRIBUTE):
        code = which.removeprefix(ATTRIBUTE)
        found = CustomerAttribute.objects.filter(customer=customer, code=code).exclude(value=None).first()
        if found is not None:
            return which, positions.shown(str(found.value))
    if which.startswith(MEMBER) and which.removeprefix(MEMBER).isdigit():
        with contextlib.suppress(MemberGone):
            return which, households.in_full(customer.pk, int(which.removeprefix(MEMBER)[:18]))
    raise PrivacyRefused("nothing_there")
