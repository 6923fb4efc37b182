"""How many clicks conditions on clicks can see: those that name nobody are not counted, and most may not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from hetang.console.figures import number
from hetang.platform import clock
from hetang.touch import clicks

DAYS = 90


def note(leaf: dict[str, Any]) -> str:
    """What to know of a condition on clicks; nothing for another one. One query for the former."""
    return told(clicks.since(clock.now() - timedelta(days=DAYS))) if asks(leaf) else ""


def warning(tree: Any) -> str:
    """What to know when such a rule is saved: only where no click of these days names anybody."""
    if not any(asks(leaf) for leaf in _leaves(tree)):
        return ""
    found = clicks.since(clock.now() - timedelta(days=DAYS))
    return "" if found.identified else told(found)


def asks(leaf: dict[str, Any]) -> bool:
    """Whether a condition asks for clicks."""
    deeds = [leaf, leaf.get("first"), leaf.get("then")] if str(leaf.get("type")).startswith("behaviour") else []
    return any(isinstance(one, dict) and one.get("event") == "clicked" for one in deeds)


def told(found: clicks.Clicks) -> str:
    """The clicks of these days in words."""
    counts = {"days": DAYS, "total": number(found.total), "identified": number(found.identified)}
    if not found.total:
        return _("Nobody has clicked a link of a message of the last %(days)s days, so nobody is found.") % counts
    if found.identified:
        return (
            _("Links of messages of the last %(days)s days: %(total)s clicks, %(identified)s of them name a person.")
            % counts
        )
    return (
        _(
            "Links of messages of the last %(days)s days: %(total)s clicks, none of which names a person, so nobody is"
            " found by them. The page behind the link, or the provider, has to report who clicked."
        )
        % counts
    )


def _leaves(tree: Any) -> list[dict[str, Any]]:
    """The conditions of a rule as the builder holds it."""
    if not isinstance(tree, dict):
        return []
    inner = [part for key in ("all", "any") for part in tree.get(key) or []] + [
        tree[key] for key in ("not",) if key in tree
    ]
    return [leaf for part in inner for leaf in _leaves(part)] if inner else [tree]
