from __future__ import annotations

from collections.abc import Iterator

import pytest

from hetang.platform import brand, clock
from tests.touch.world import NOW


@pytest.fixture(autouse=True)
def wednesday_morning() -> Iterator[None]:
    """The clock stands still at a time outside quiet hours."""
    clock.freeze(NOW)
    brand.forget()
    yield
    clock.freeze(None)
    brand.forget()
