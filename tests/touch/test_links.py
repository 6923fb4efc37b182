"""One click counts once, also when it comes twice at the same moment."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from hetang.facts.models import Fact
from hetang.platform import clock
from hetang.touch.links import follow
from hetang.touch.models import ShortLink

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_same_click_on_many_connections_counts_once() -> None:
    ShortLink.objects.create(code="abc123", target="https://shop.example/", created_at=clock.now())
    start = threading.Barrier(8)
    led: list[str | None] = []

    def open_it(number: int) -> None:
        try:
            start.wait(10)
            led.append(follow("abc123", key=f"open-000{number % 2}"))
        finally:
            connection.close()

    threads = [threading.Thread(target=open_it, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert led == ["https://shop.example/"] * 8
    assert ShortLink.objects.get().clicks == Fact.objects.filter(kind="link.clicked").count() == 2
