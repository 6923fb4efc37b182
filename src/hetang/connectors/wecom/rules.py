"""Which welcome a new friend gets. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MINUTES_A_DAY = 24 * 60
TEXT_BYTES, TITLE_BYTES, DESC_BYTES, URL_BYTES = 4000, 128, 512, 2048  # of the platform
CARD_TITLE_BYTES, CARD_PAGE_BYTES = 64, 1024


@dataclass(frozen=True)
class Condition:
    """Whom a rule is for; what is empty fits everybody. `node_path`: below which node the member of staff works."""

    rule_id: int
    channel_states: frozenset[str] = frozenset()
    node_path: str = ""
    staff: frozenset[str] = frozenset()
    from_minute: int | None = None
    until_minute: int | None = None
    audience_id: int | None = None


@dataclass(frozen=True)
class Friend:
    """A new friend: the code's state, who she added, that one's place, the brand's minute of the day, and the audiences
    she is known to be in."""

    channel_state: str
    userid: str
    node_path: str
    minute: int
    audiences: frozenset[int] = frozenset()


def winner(rules: Sequence[Condition], friend: Friend) -> int | None:
    """The id of the first rule that fits; None when none does."""
    return next((rule.rule_id for rule in rules if fits(rule, friend)), None)


def fits(rule: Condition, friend: Friend) -> bool:
    """Whether every condition of a rule fits."""
    return (
        (not rule.channel_states or friend.channel_state in rule.channel_states)
        and (not rule.staff or friend.userid in rule.staff)
        and friend.node_path.startswith(rule.node_path)
        and in_time(rule.from_minute, rule.until_minute, friend.minute)
        and (rule.audience_id is None or rule.audience_id in friend.audiences)
    )


def in_time(start: int | None, end: int | None, minute: int) -> bool:
    """Whether a minute of the day lies in [start, end), over midnight where the end comes first."""
    if start is None or end is None or start == end:
        return True
    return start <= minute < end if start < end else minute >= start or minute < end


def shadowed(rules: Sequence[Condition]) -> set[int]:
    """Rules that can never win, since an earlier one fits everybody they fit."""
    found: set[int] = set()
    for place, rule in enumerate(rules):
        if any(_covers(earlier, rule) for earlier in rules[:place]):
            found.add(rule.rule_id)
    return found


def _covers(wide: Condition, narrow: Condition) -> bool:
    return (
        (not wide.channel_states or (bool(narrow.channel_states) and narrow.channel_states <= wide.channel_states))
        and (not wide.staff or (bool(narrow.staff) and narrow.staff <= wide.staff))
        and narrow.node_path.startswith(wide.node_path)
        and _time_covers(wide, narrow)
        and (wide.audience_id is None or wide.audience_id == narrow.audience_id)
    )


def _time_covers(wide: Condition, narrow: Condition) -> bool:
    return all(
        in_time(wide.from_minute, wide.until_minute, minute)
        for minute in range(MINUTES_A_DAY)
        if in_time(narrow.from_minute, narrow.until_minute, minute)
    )
