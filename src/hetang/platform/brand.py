"""The brand's own settings, read once and kept for a few seconds per process."""

from __future__ import annotations

import time

from hetang.platform.models import Brand

_TTL_S = 5.0
_cached: tuple[float, Brand | None] = (float("-inf"), None)


def brand() -> Brand:
    """The one brand of this installation (unsaved defaults before set-up)."""
    global _cached  # noqa: PLW0603 - one cache per process is the point
    read_at, value = _cached
    if value is None or time.monotonic() - read_at > _TTL_S:
        value = Brand.objects.filter(id=1).first() or Brand(name="")
        _cached = (time.monotonic(), value)
    return value


def forget() -> None:
    """Drop the cached brand after a change."""
    global _cached  # noqa: PLW0603
    _cached = (float("-inf"), None)
