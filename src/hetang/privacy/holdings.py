"""Every holding of this installation, in the order of erasing."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from hetang.platform.holdings import Holding


@cache
def all_holdings() -> tuple[Holding, ...]:
    """What the rooms declared in `settings.HOLDINGS`."""
    found: list[Holding] = []
    for path in settings.HOLDINGS:
        found += import_string(path.replace(":", "."))
    return tuple(found)
