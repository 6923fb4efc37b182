"""How fast WeCom is called, kept in PostgreSQL for all processes of the installation together.

A row for each corp and API says when its next call is free (a steady rate with a burst of five seconds), how many calls
the clock hour has seen, until when the platform's limit (45009) holds it, and how many calls may be in flight after
45033. A process reserves a slice of calls with one statement, up to a quarter of a second's worth while it is busy, so
the row costs at most about four statements a second, API and process; what is left of a slice is lost after a second.
All times here are real ones, by the database's clock: the platform's limits know nothing of a turned clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection

BURST_S = 5.0
LOWERED_S = 600.0  # so long after 45033 one more call may be in flight again
_STILL_S = 120.0  # a limit that is met again so soon after a pause is one of a longer period
# All APIs of one address (section 2): 20,000 a minute and 600,000 an hour, less a margin.
ADDRESS = "*"
ADDRESS_A_MINUTE, ADDRESS_AN_HOUR = 18_000, 560_000


@dataclass(frozen=True)
class Reserved:
    """`wait_s`: until the first of the calls may go. `in_flight`: lowered number of places, 0 if it is not lowered.
    `holds`: how often in a row the platform's limit was met."""

    wait_s: float
    in_flight: int
    holds: int


@dataclass(frozen=True)
class Held:
    """Nothing was reserved: seconds until the limit ends."""

    wait_s: float


def reserve(corp_id: int, path: str, calls: int, *, a_minute: int, an_hour: int) -> Reserved | Held:
    """Take the next `calls` calls of an API. One statement, two when the limit holds."""
    params = {
        **{"corp": corp_id, "path": path, "calls": calls, "took": calls * 60.0 / a_minute},
        **{"burst": BURST_S, "an_hour": an_hour, "lowered": LOWERED_S},
    }
    found = _row(_RESERVE, params)
    if found is not None:
        return Reserved(max(0.0, found[0]), found[1], found[2])
    left = _row(_LEFT, params)
    return Held(max(1.0, left[0]) if left else 1.0)


def hold(corp_id: int, path: str, zone: str, least_s: float = 60.0) -> float:
    """Note that the platform's limit was met; returns the seconds to wait.

    WeCom does not say which limit it is: a minute's is assumed, and when it is met again soon after that, an hour's,
    and then the day's (until midnight in `zone`). Whoever meets it while it is noted already prolongs nothing.
    """
    found = _row(_HOLD, {"corp": corp_id, "path": path, "least": least_s, "still": _STILL_S, "zone": zone})
    return max(1.0, float(found[0])) if found else least_s


def went_well(corp_id: int, path: str) -> None:
    """A call went through after a limit: the next one that is met is a minute's again."""
    _row(
        "update wecom_pace set holds = 0 where corp_id = %(corp)s and path = %(path)s returning 0",
        {"corp": corp_id, "path": path},
    )


def lower(corp_id: int, path: str, most: int) -> int:
    """Too many calls were in flight (45033): one fewer from now on, for ten minutes. Returns how many."""
    found = _row(_LOWER, {"corp": corp_id, "path": path, "most": most})
    return int(found[0]) if found else 1


def _row(statement: str, params: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


# The hour is the clock's hour in the database, counted in the row; at its turn the count begins anew.
_RESERVE = """
with t as (select clock_timestamp() as now, date_trunc('hour', clock_timestamp()) as hour),
written as (
  insert into wecom_pace as p (corp_id, path, free_at, hour, used, holds, in_flight)
  select %(corp)s, %(path)s, t.now - %(burst)s * interval '1 second' + %(took)s * interval '1 second', t.hour,
         %(calls)s, 0, 0 from t
  on conflict (corp_id, path) do update set
    free_at = greatest(p.free_at, clock_timestamp() - %(burst)s * interval '1 second')
              + %(took)s * interval '1 second',
    used = case when p.hour = excluded.hour then p.used else 0 end + %(calls)s, hour = excluded.hour,
    in_flight = case when p.lowered_at < clock_timestamp() - %(lowered)s * interval '1 second' then 0
                     else p.in_flight end
  where (p.held_until is null or p.held_until <= clock_timestamp())
    and (p.hour <> excluded.hour or p.used + %(calls)s <= %(an_hour)s)
  returning free_at, in_flight, holds
)
select extract(epoch from free_at - %(took)s * interval '1 second' - t.now)::float8, in_flight, holds from written, t
"""
_LEFT = """
select extract(epoch from greatest(
  held_until, case when used + %(calls)s > %(an_hour)s then hour + interval '1 hour' end) - clock_timestamp())::float8
from wecom_pace where corp_id = %(corp)s and path = %(path)s
"""
_HOLD = """
update wecom_pace p set
  holds = n.holds,
  held_until = clock_timestamp() + case n.holds
    when 1 then %(least)s * interval '1 second' when 2 then interval '1 hour'
    else date_trunc('day', clock_timestamp() at time zone %(zone)s) + interval '1 day'
         - clock_timestamp() at time zone %(zone)s end
from (
  select id, case when held_until > clock_timestamp() then holds
                  when held_until > clock_timestamp() - %(still)s * interval '1 second' then least(holds + 1, 3)
                  else 1 end as holds, held_until > clock_timestamp() as already
  from wecom_pace where corp_id = %(corp)s and path = %(path)s for update
) n
where p.id = n.id and not coalesce(n.already, false)
returning extract(epoch from p.held_until - clock_timestamp())::float8
"""
_LOWER = """
update wecom_pace set lowered_at = clock_timestamp(),
  in_flight = greatest(1, case when in_flight = 0 then %(most)s else in_flight end - 1)
where corp_id = %(corp)s and path = %(path)s returning in_flight
"""
