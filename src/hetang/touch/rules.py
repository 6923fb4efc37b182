"""Pure rules of touching: what a plan is asked for, sliding caps, the platform's windows, quiet hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from pyroaring import BitMap


# Why somebody of an audience gets nothing, in the order in which they count; each person once, under the first.
REASONS = ("no_consent", "no_basis", "minor", "objected", "do_not_disturb", "capped", "quiet", "unreachable")


@dataclass(frozen=True)
class Request:
    """What a plan is asked for. `design` says whom a variant is drawn for: "person", or "cluster" (the adviser).
    `org_path` restricts the senders to a part of the organisation; "" is the whole brand. `personalised`: the audience
    was chosen by what is known of people."""

    channel: str
    message_class: str
    slot_at: datetime
    seed: str
    control_bp: int = 0  # control group in hundredths of a per cent
    weights: tuple[int, ...] = (1,)
    design: str = "person"
    org_path: str = ""
    personalised: bool = True
    advisers: tuple[int, ...] = ()  # in a cluster design, those among whom the texts are shared out; found at the start

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"slot_at": self.slot_at.isoformat()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Request:
        known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        known["slot_at"] = datetime.fromisoformat(values["slot_at"])
        for name in ("weights", "advisers"):
            known[name] = tuple(values.get(name, ()))
        return cls(**known)


@dataclass(frozen=True)
class CapRule:
    """At most `limit` marketing messages in any `days` days; `channel` "" counts all channels together."""

    channel: str
    limit: int
    days: int


@dataclass(frozen=True)
class PlatformWindow:
    """The platform's own cap around one slot: at most `limit` messages of any class from `start` until before `end`."""

    start: datetime
    end: datetime
    limit: int


def breaks_cap(taken: Sequence[datetime], slot: datetime, limit: int, days: int) -> bool:
    """Whether one more message at `slot` would make some window of `days` days hold more than `limit`.

    Two messages share a window when they are less than `days` days apart. The reference for the planner's SQL.
    """
    span = timedelta(days=days)
    starts = [at for at in taken if slot - span < at <= slot] + [slot]
    return any(sum(start <= at < start + span for at in taken) + 1 > limit for start in starts)


def in_at_least(sets: Sequence[BitMap], times: int) -> BitMap:
    """The people who are in at least `times` of the sets. A millisecond per set of a million and time."""
    from pyroaring import BitMap

    if not 0 < times <= len(sets):
        return BitMap()
    found = [BitMap() for _ in range(times)]  # found[k]: in at least k + 1
    for members in sets:
        for place in range(times - 1, 0, -1):
            found[place] |= found[place - 1] & members
        found[0] |= members
    return found[-1]


def over_cap(members: BitMap, slot: datetime, others: Sequence[tuple[datetime, BitMap]], cap: CapRule) -> BitMap:
    """Those of `members` for whom one more message at `slot` would break the cap, if each of `others` reaches its
    people at its time. The same windows as `breaks_cap`, for sets."""
    span = timedelta(days=cap.days)
    near = [(at, people & members) for at, people in others if slot - span < at < slot + span]
    starts = {at for at, _people in near if at <= slot} | {slot}
    found = members & members[:0]
    for start in starts:
        found |= in_at_least([people for at, people in near if start <= at < start + span], cap.limit)
    return found


def platform_window(mode: str, limit: int | None, slot: datetime, zone: ZoneInfo) -> PlatformWindow | None:
    """The window of the platform's cap that holds `slot`: a calendar month (as many as it has days), a day (one) or a
    week from Monday (seven), in the brand's zone. None: no such cap."""
    day = slot.astimezone(zone).date()
    if mode == "month":
        first, after = day.replace(day=1), _next_month(day)
        number = (after - first).days
    elif mode == "week":
        first = day - timedelta(days=day.weekday())
        after, number = first + timedelta(days=7), 7
    elif mode == "day":
        first, after, number = day, day + timedelta(days=1), 1
    else:
        return None
    return PlatformWindow(_midnight(first, zone), _midnight(after, zone), number if limit is None else limit)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def quiet_until(at: datetime, start: time, end: time, zone: ZoneInfo) -> datetime | None:
    """When the quiet hours that hold `at` end (aware, in `zone`), or None outside them. They may cross midnight; equal
    start and end mean no quiet hours."""
    local = at.astimezone(zone)
    now = local.time().replace(tzinfo=None)
    crossing = start > end
    inside = (now >= start or now < end) if crossing else start <= now < end
    if not inside:
        return None
    day = local.date() + timedelta(days=1) if crossing and now >= start else local.date()
    return datetime.combine(day, end, zone)


def next_quiet_start(at: datetime, start: time, end: time, zone: ZoneInfo) -> datetime | None:
    """The next beginning of quiet hours after `at`; None when there are none."""
    if start == end:
        return None
    local = at.astimezone(zone)
    today = datetime.combine(local.date(), start, zone)
    return today if today > local else datetime.combine(local.date() + timedelta(days=1), start, zone)


def tasks_needed(people: Sequence[int], per_task: int) -> int:
    """How many tasks the given groups of people (one per sender and text) make: none for an empty group."""
    return sum(-(-count // per_task) for count in people)
