from __future__ import annotations

from collections.abc import Iterator
from datetime import time

import pytest

from hetang.platform import brand, clock
from hetang.touch.models import Cap, PlatformLimit, QuietHours
from tests.touch.world import NOW


@pytest.fixture(autouse=True)
def wednesday_morning() -> Iterator[None]:
    """The clock stands still at a time outside quiet hours."""
    clock.freeze(NOW)
    brand.forget()
    yield
    clock.freeze(None)
    brand.forget()


@pytest.fixture(autouse=True)
def shipped_limits(request: pytest.FixtureRequest) -> None:
    """The governor as the first migration ships it: the flush after a transactional test takes its rows away."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None and not {"db", "transactional_db"} & set(request.fixturenames):
        return
    transactional = marker is not None and marker.kwargs.get("transaction")
    request.getfixturevalue("transactional_db" if transactional or "transactional_db" in request.fixturenames else "db")
    Cap.objects.bulk_create(
        [Cap(channel="wecom", limit=2, days=7), Cap(channel="", limit=4, days=7)], ignore_conflicts=True
    )
    PlatformLimit.objects.bulk_create([PlatformLimit(channel="wecom", mode="month")], ignore_conflicts=True)
    hours = QuietHours(id=1, on=True, start=time(22), end=time(8))
    QuietHours.objects.bulk_create([hours], ignore_conflicts=True)
