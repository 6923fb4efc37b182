"""Two processes that apply at once share the work and double nothing."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from hetang.commerce.models import CustomerMetric, Order
from hetang.customers.models import Customer
from hetang.facts import intake, subscriptions
from tests.customers.drive import draft, order

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_appliers_at_once_do_not_double(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = [one for one in subscriptions.all_subscriptions() if one.name != "history"]
    small = [subscriptions.Subscription(one.name, one.handle, one.kinds, one.after, batch=7) for one in streams]
    for batch in range(6):
        drafts = [order(f"o{batch}-{n}", [("member", str(n % 9))], 10, n) for n in range(20)]
        drafts.append(draft("customer.identified", f"i{batch}", [("member", str(batch)), ("card", str(batch % 2))]))
        assert intake.record("pos", drafts).accepted == 21
    problems: list[Exception] = []

    def follow() -> None:
        try:
            idle = 0
            while idle < 20:  # 0 may mean that the other holds the cursor
                idle = 0 if sum([subscriptions.advance(one) for one in small]) else idle + 1
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=follow) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while sum([subscriptions.advance(one) for one in small]):
        pass
    assert problems == []
    assert Order.objects.count() == 120
    totals = CustomerMetric.objects.values_list("orders", "gmv")
    assert (sum(orders for orders, _ in totals), sum(gmv for _, gmv in totals)) == (120, 1200)
    # 0, 2, 4 share a card, and 1, 3, 5 the other: five people are left of nine members.
    assert Customer.objects.filter(merged_into=None).count() == 5
