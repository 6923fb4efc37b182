"""What each customer's rows come to, as SQL over the ClickHouse history. Pure: builds text.

Grouping looks up a hash table once a row, which with millions of customers is hardly ever in the processor's cache.
Numbers of customers are dense. So rows are first put together by parts of 65,536 numbers, which costs next to nothing,
and then each part is added up in an array with a place for each number. Of twenty million customers (ninety days, 15
million orders) the sums took 0.97 s of processor time so and 2.2 s by grouping; of one million (180 days, 3.5 million
orders) 0.11 and 0.21 s; of few rows the same.

ClickHouse knows `-Resample` since 2019.
"""

from __future__ import annotations

PART = 1 << 16  # customer numbers


def chosen_by_sum(rows: str, column: str, test: str) -> str:
    """Customers for whose `total` of a column over these rows (from a table's name on) a test holds that does not hold
    for 0, which is what customers without rows have. Without a column, rows are counted."""
    amounts = f", groupArray({column}) as amounts" if column else ""
    total = _added("sum", "amounts") if column else _added("count")
    parts = f"select {_PART}, {_PLACES}{amounts} from {rows} group by part {_TOGETHER}"
    return (
        f"select arrayJoin(arrayFilter((number, total) -> {test}, {_NUMBERS}, totals)) as customer"
        f" from (select part, {total} as totals from ({parts}))"
    )


def days_times_and_sums(rows: str, within: str, column: str) -> str:
    """Of each part (UInt32) with any of these rows three arrays with a place for each number: the last `day`, as days
    since 1970 and one (UInt32; 0: no row), how many rows lie `within` (UInt32), and the sum of a column over these
    (Int64). In RowBinary all parts are of one length."""
    columns = f"toUInt16(day) + 1 as last, toUInt8({within}) as one, if(one, {column}, 0) as amount"
    days, ones, amounts = (f"groupArray({name}) as {name}s" for name in ("last", "one", "amount"))
    chosen = f"select customer, {columns} from {rows}"
    parts = f"select {_PART}, {_PLACES}, {days}, {ones}, {amounts} from ({chosen}) group by part {_TOGETHER}"
    times = f"arrayMap(n -> toUInt32(n), {_added('sum', 'ones')})"
    return f"select toUInt32(part), {_added('max', 'lasts')}, {times}, {_added('sum', 'amounts')} from ({parts})"


def _added(how: str, column: str = "") -> str:
    values = f"{column}, " if column else ""
    return f"arrayReduce('{how}Resample(0, {PART}, 1)', {values}places)"


_PART = f"intDiv(customer, {PART}) as part"
_PLACES = f"groupArray(toUInt16(customer % {PART})) as places"
_NUMBERS = f"arrayMap(place -> part * {PART} + place, range({PART}))"
_TOGETHER = "settings group_by_two_level_threshold = 1"  # so that threads share the parts among them
