"""To whom customers go. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

TRANSFERS = 2  # of one customer, and of one group, in `WINDOW_DAYS` while her adviser is in service (reference 14)
WINDOW_DAYS = 90
LEFT_AT_MOST_DAYS = 365  # later than this WeCom hands nothing over any more


def shares(loads: Mapping[int, int], number: int, most: int) -> dict[int, int]:
    """How many of `number` customers each member gets, so that who has fewest gets first and nobody exceeds `most`.

    `loads`: customers that each has now. What nobody may take is left over: the shares then sum up to less. Members of
    equal load get theirs in the order of their keys. About a microsecond a customer.
    """
    found = dict.fromkeys(sorted(loads), 0)
    waiting = [(load, member) for member, load in sorted(loads.items()) if load < most]
    heapq.heapify(waiting)
    for _ in range(number):
        if not waiting:
            break
        load, member = waiting[0]
        found[member] += 1
        if load + 1 < most:
            heapq.heapreplace(waiting, (load + 1, member))
        else:
            heapq.heappop(waiting)
    return found
