"""Moving touches from state to state, with the counters in the same transaction. Nothing else writes a state."""

from __future__ import annotations

from typing import Any

from django.db import connection

from hetang.touch.models import RELEASED

_COUNT = """
insert into touch_tally (programme, channel, arm, variant, state, reason, count)
select programme, channel, arm, variant, state, reason, sum(n) from (
  select programme, channel, arm, variant, %(old)s as state, '' as reason, -count(*) as n from moved group by 1, 2, 3, 4
  union all
  select programme, channel, arm, variant, state, reason, count(*) from moved group by 1, 2, 3, 4, 5, 6
) change
group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
on conflict (programme, channel, arm, variant, state, reason) do update set count = touch_tally.count + excluded.count
"""


def move(
    old: str, new: str, where: str, params: dict[str, Any], *, reason: str = "", also: str = "", source: str = ""
) -> list[int]:
    """Move the touches in state `old` that match `where` (SQL over alias `t`, joined with `source`) to `new`.

    Returns the customers moved, whose number the caller checks. A released state gives the reservation back. `also`
    sets more columns (SQL). Runs in the caller's transaction and changes the counters with it.
    """
    values = params | {"old": old, "new": new, "reason": reason, "reserved": new not in RELEASED}
    state = f"state = %(new)s, reason = %(reason)s, reserved = %(reserved)s{', ' + also if also else ''}"
    from_clause = f"from {source}" if source else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with moved as (
              update touch_touch t set {state} {from_clause} where t.state = %(old)s and {where}
              returning t.programme, t.channel, t.arm, t.variant, t.state, t.reason, t.customer
            ), counted as ({_COUNT} returning 1)
            select customer, (select count(*) from counted) from moved
            """,
            values,
        )
        return [row[0] for row in cursor.fetchall()]


def add(counts: dict[tuple[int, str, str, int, str, str], int]) -> None:
    """Add people to the counters: (programme, channel, arm, variant, state, reason) -> how many, in key order, so that
    two transactions never wait for each other in a circle."""
    rows: list[list[str | int]] = [[*key, number] for key, number in sorted(counts.items()) if number]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into touch_tally values (%s, %s, %s, %s, %s, %s, %s)"
            " on conflict (programme, channel, arm, variant, state, reason)"
            " do update set count = touch_tally.count + excluded.count",
            rows,
        )


def tally(programme_id: int) -> dict[tuple[str, int, str, str], int]:
    """People by (arm, variant, state, reason); their sum is the audience. Empty counters are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select arm, variant, state, reason, sum(count)::bigint from touch_tally where programme = %s and count > 0"
            " group by 1, 2, 3, 4",
            [programme_id],
        )
        return {(arm, variant, state, reason): count for arm, variant, state, reason, count in cursor.fetchall()}
