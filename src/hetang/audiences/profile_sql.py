"""What conditions on columns of the profile have in common as SQL over the ClickHouse history. Pure: builds text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

PROFILES = "from customer_profile final where "


def all_of(tests: Sequence[str]) -> str:
    """One test that holds where all of these do, which are 0, 1 or unknown.

    Written with `and`, ClickHouse filters all columns once for each test, one after the other: of twenty million people
    that took half as long again as to make one test of all first.
    """
    return reduce("bitAnd({}, {})".format, tests)
