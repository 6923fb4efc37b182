from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import translation

from hetang.customers import queries
from hetang.customers.models import Customer
from hetang.touch.models import Programme
from hetang.touch.timeline import sent_messages
from tests.customers.drive import apply, at, draft, number_of

pytestmark = pytest.mark.django_db

ANNA, BEA = ("member", "900"), ("member", "901")


def sent(programme: Programme, number: int, days: float, state: str = "sent") -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into touch_touch (planned_at, programme, customer, occurrence, task, slot_at, local_day, channel,"
            " message_class, state, reserved, address, sent_at)"
            " values (%(at)s, %(p)s, %(n)s, 1, 0, %(at)s, %(at)s, 'wecom', 'marketing', %(s)s, %(s)s = 'sent', '',"
            " %(at)s)",
            {"at": at(days), "p": programme.pk, "n": number, "s": state},
        )


def test_messages_stand_between_the_facts_also_those_of_an_absorbed_customer() -> None:
    apply(draft("visit.recorded", "v1", [ANNA], 0.1), draft("visit.recorded", "v2", [BEA], 0.3))
    anna, bea = number_of(*ANNA), number_of(*BEA)
    programme = Programme.objects.create(
        name="Spring", channel="wecom", slot_at=at(0.2), expires_at=at(0.2) + timedelta(days=1)
    )
    sent(programme, anna, 0.2)
    sent(programme, bea, 0.4)
    sent(programme, bea, 0.5, "failed")
    apply(draft("customer.identified", "i1", [ANNA, BEA], 0.6))
    with translation.override("en"):
        number = number_of(*ANNA)
        page = queries.timeline(number, limit=3, sources=(sent_messages,))
        rest = queries.timeline(number, page.before, limit=3, sources=(sent_messages,))
        messages = queries.timeline(number, kinds={"touch.sent"}, sources=(sent_messages,))
    assert [entry.kind for entry in page.entries] == ["customer.identified", "touch.sent", "visit.recorded"]
    assert [entry.kind for entry in rest.entries] == ["touch.sent", "visit.recorded"]
    assert rest.before is None
    assert [entry.text for entry in messages.entries] == ["Message sent: Spring", "Message sent: Spring"]
    assert Customer.objects.filter(merged_into=None).count() == 1
