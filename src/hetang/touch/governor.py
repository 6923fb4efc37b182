"""The governor (防打扰): caps, the platform's cap and quiet hours, asked by set SQL under advisory locks.

A reservation is a row of the ledger with `reserved`. What others sent on the same channel (`ports.outside_messages`)
counts beside it: to our caps as marketing, to the platform's where it says so.

Whoever adds reservations first takes the locks of `lock()`; the statement that counts comes after it in the same
transaction, so that it sees what the last holder committed; or before it, when `alone` then finds that nobody else has
reserved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.backends.utils import CursorWrapper

from hetang.platform import clock
from hetang.touch.models import Cap, PlatformLimit, QuietHours
from hetang.touch.ports import OutsideMessages, outside_messages
from hetang.touch.rules import CapRule, PlatformWindow, next_quiet_start, platform_window, quiet_until

LOCK_SPACE = 0x70C4  # first key of our two-part advisory locks; the second is 0 for all channels or a channel's hash
PLANNED_AHEAD_DAYS = 62  # a slot lies at most this far after its plan: bounds the ledger months that a count reads


@dataclass(frozen=True)
class Limits:
    """What holds for one slot on one channel."""

    slot: datetime
    channel: str
    caps: tuple[CapRule, ...]
    platform: PlatformWindow | None

    @property
    def counts(self) -> bool:
        """Whether there is anything to count."""
        return bool(self.caps) or self.platform is not None


def limits(channel: str, message_class: str, slot: datetime) -> Limits:
    """The caps that a message of this class must keep at `slot`: ours for marketing, the platform's for all."""
    caps: list[CapRule] = []
    if message_class == "marketing":
        rows = Cap.objects.filter(channel__in=["", channel]).order_by("channel", "days")
        caps = [CapRule(row.channel, row.limit, row.days) for row in rows]
    rule = PlatformLimit.objects.filter(channel=channel).first()
    window = platform_window(rule.mode, rule.limit, slot, clock.zone()) if rule else None
    return Limits(slot, channel, tuple(caps), window)


@dataclass(frozen=True)
class Reserver:
    """A channel's count of turns at reserving: `holder` had the last ones, beginning with turn `since`."""

    holder: str = ""
    since: int = 0
    turns: int = 0


Reservers = dict[str, Reserver]  # by channel ("": all together)

_TURN = """
insert into touch_reserver as r (channel, holder, since, turns) values (%(channel)s, %(holder)s, 1, 1)
on conflict (channel) do update set
  since = case when r.holder = excluded.holder and r.holder <> '' then r.since else r.turns + 1 end,
  holder = excluded.holder, turns = r.turns + 1
"""


def lock(cursor: CursorWrapper, channel: str, holder: str = "") -> Reservers:
    """Wait for the right to reserve on this channel until the transaction ends: the lock over all channels first (where
    such a cap is set), then the channel's own. Counts a turn of `holder` ("": somebody), and returns the turns before
    it."""
    if Cap.objects.filter(channel="").exists():
        cursor.execute("select pg_advisory_xact_lock(%s, 0)", [LOCK_SPACE])
    cursor.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK_SPACE, channel])
    before = reservers(cursor, channel)
    for name in before:
        cursor.execute(_TURN, {"channel": name, "holder": holder})
    return before


def reservers(cursor: CursorWrapper, channel: str) -> Reservers:
    """The turns until now on this channel, and on all together where a cap over all of them is set. What a later
    statement of the same transaction counts is right as long as `alone` says so under the lock."""
    names = ["", channel] if Cap.objects.filter(channel="").exists() else [channel]
    cursor.execute("select channel, holder, since, turns from touch_reserver where channel = any(%s)", [names])
    found = {name: Reserver(*values) for name, *values in cursor.fetchall()}
    return {name: found.get(name, Reserver()) for name in names}


def alone(seen: Reservers, found: Reservers, holder: str) -> bool:
    """Whether all turns between `reservers` and `lock` were `holder`'s."""
    return seen.keys() == found.keys() and all(
        found[name].turns == before.turns or (found[name].holder == holder and found[name].since <= before.turns + 1)
        for name, before in seen.items()
    )


def capped_sql(rules: Limits, people: str) -> tuple[str, list[Any]]:
    """A subselect `(customer, capped)` over the customers for whom `people`, a condition on `t.customer`, holds. A
    customer without reservations in the windows has no row.

    Most people are settled by two counts per cap, before and after the slot; only where both sides together reach the
    limit without either doing so are the windows tried one by one.
    """
    cases, values = [], []
    outside = outside_messages(*_span(rules))
    for cap in rules.caps:
        sql, params = _cap_case(rules, cap, outside)
        cases.append(sql)
        values += params
    if rules.platform is not None:
        window = rules.platform
        cases.append(
            "when count(*) filter (where t.platform and t.channel = %s and t.slot_at >= %s and t.slot_at < %s) >= %s"
            " then true"
        )
        values += [rules.channel, window.start, window.end, window.limit]
    rows, params = held_sql(*_span(rules), outside, people)
    sql = f"""
    select t.customer, case {" ".join(cases)} else false end as capped
    from ({rows}) t
    group by t.customer
    """
    return sql, [*values, *params]


def held_sql(
    first: datetime,
    last: datetime,
    outside: Sequence[OutsideMessages],
    people: str = "true",
    *,
    of: Sequence[Any] = (),
    alias: str = "t",
) -> tuple[str, list[Any]]:
    """A select of `(customer, channel, message_class, slot_at, platform)`: what counts between two moments, both
    excluded, for the customers for whom `people`, a condition on `customer` of `alias` with parameters `of`, holds.

    Reservations, and what others sent (`outside`, of that time or longer); `platform`: whether it counts to the
    platform's cap.
    """
    columns = ", ".join(f"{alias}.{name}" for name in ("customer", "channel", "message_class", "slot_at"))
    when = f"{alias}.slot_at > %s and {alias}.slot_at < %s"
    sql = f"""
      select {columns}, true as platform from touch_touch {alias}
      where {alias}.reserved and {when} and {alias}.planned_at > %s and {people}"""
    params: list[Any] = [first, last, first - timedelta(days=PLANNED_AHEAD_DAYS), *of]
    for other in outside:
        sql += f"""
      union all
      select {alias}.customer, %s, 'marketing', {alias}.slot_at, {alias}.platform from ({other.sql}) {alias}
      where {when} and {people}"""
        params += [other.channel, *other.params, first, last, *of]
    return sql, params


def _cap_case(rules: Limits, cap: CapRule, outside: Sequence[OutsideMessages]) -> tuple[str, list[Any]]:
    """Three branches: surely over, surely within, else every window that starts at a message before the slot."""
    span = timedelta(days=cap.days)
    which = "t.message_class = 'marketing'" + (" and t.channel = %s" if cap.channel else "")
    name = [cap.channel] if cap.channel else []
    before = f"count(*) filter (where {which} and t.slot_at > %s and t.slot_at <= %s)"
    before_params = [*name, rules.slot - span, rules.slot]
    after = f"count(*) filter (where {which} and t.slot_at > %s and t.slot_at < %s)"
    after_params = [*name, rules.slot, rules.slot + span]
    hers = "h.customer = t.customer"
    rows, params = held_sql(rules.slot - span, rules.slot + span, outside, hers, alias="h")
    windows = f"""(select coalesce(max(held), 0) from (
        select count(*) over (order by x.slot_at range between current row and %s following) as held, x.slot_at
        from ({rows}) x where {which.replace("t.", "x.")}
      ) window_of where slot_at <= %s)"""
    # "following" is closed; a microsecond less makes the window half-open, as PostgreSQL counts in microseconds
    windows_params = [span - timedelta(microseconds=1), *params, *name, rules.slot]
    sql = f"when {before} >= %s or {after} >= %s then true when {before} + {after} >= %s and {windows} >= %s then true"
    first = [*before_params, cap.limit, *after_params, cap.limit]
    return sql, [*first, *before_params, *after_params, cap.limit, *windows_params, cap.limit]


def _span(rules: Limits) -> tuple[datetime, datetime]:
    """The open interval of slots that any count looks at."""
    longest = timedelta(days=max((cap.days for cap in rules.caps), default=0))
    first, last = rules.slot - longest, rules.slot + longest
    if rules.platform is not None:
        first = min(first, rules.platform.start - timedelta(microseconds=1))
        last = max(last, rules.platform.end)
    return first, last


def quiet(at: datetime, message_class: str, zone: ZoneInfo | None = None) -> datetime | None:
    """When the quiet hours around `at` end, or None when a message of this class may leave at `at`."""
    hours = QuietHours.objects.filter(id=1, on=True).first() if message_class == "marketing" else None
    return quiet_until(at, hours.start, hours.end, zone or clock.zone()) if hours else None


def next_quiet(at: datetime, message_class: str) -> datetime | None:
    """When the next quiet hours after `at` begin in the brand's zone."""
    hours = QuietHours.objects.filter(id=1, on=True).first() if message_class == "marketing" else None
    return next_quiet_start(at, hours.start, hours.end, clock.zone()) if hours else None


def set_caps(caps: Sequence[CapRule]) -> None:
    """Replace all caps, in the caller's transaction."""
    Cap.objects.all().delete()
    Cap.objects.bulk_create(Cap(channel=cap.channel, limit=cap.limit, days=cap.days) for cap in caps)
