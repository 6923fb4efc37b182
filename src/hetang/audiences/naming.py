"""The rules in use, and which of them name something that somebody wants to take away."""

from __future__ import annotations

from django.db.models import QuerySet

from hetang.audiences.models import Audience
from hetang.audiences.rules import named_in


def in_use() -> QuerySet[Audience]:
    """Saved audiences, and the rules that ponds have of their own, by name; each with its pond set. One query."""
    return Audience.objects.filter(archived_at=None).select_related("pond_set").order_by("name", "pk")


def naming(key: str, *codes: str) -> list[Audience]:
    """Those of them whose rule has any of these codes under a key (such as `tags`). Reads every rule."""
    wanted = {code for code in codes if code}
    return [one for one in in_use() if wanted & named_in(one.rule, key)]
