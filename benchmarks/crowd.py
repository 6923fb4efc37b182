"""Millions of people for `benchmarks.audiences`, put straight into the engine: they exist in its sets and in the
history, not in PostgreSQL. There only what rules may name stands: tags, attributes, stores, categories.

200 tags of 0.5 to 50 per cent (log-uniform, 11 on average), 500 stores, 1,000 members of staff with a friendship of
seven people in ten, two consents, 30 numeric attributes beside the built-in metrics, a position in one of twenty cities
of 60 by 60 km with 25 stores each, and five facts for each person: two lines in one and a half orders, one touch, half
a visit, over 180 days.
"""

from __future__ import annotations

import array
import math
import time
from typing import Any

import numpy as np
from pyroaring import BitMap

TAGS, STORES, STAFF, ATTRIBUTES, CATEGORIES, DAYS = 200, 500, 1000, 30, 40, 180
_INSERTS = 4  # a statement holds this part of the people in memory at once


def name_things() -> None:
    """What rules may name, into PostgreSQL."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in _NAMES.format(TAGS=TAGS, STORES=STORES, STAFF=STAFF, ATTRIBUTES=ATTRIBUTES).split(";\n"):
            if statement.strip():
                cursor.execute(statement)


def name_people(people: int) -> None:
    """Rows of the people in PostgreSQL, so that pages can show them; before `live_sets`, which then knows of them."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "insert into customers_customer (number, public_id, created_at, home_store_id)"
            " select n, gen_random_uuid(), now(), (select min(id) from resources_store) + n %% %s"
            " from generate_series(1, %s) n",
            [STORES, people],
        )
        cursor.execute("analyze customers_customer")


def fill_history(people: int) -> float:
    """Profiles and facts; returns seconds."""
    from hetang.commerce import attribute_columns, history
    from hetang.platform import clickhouse
    from hetang.platform.positions import USUAL

    started = time.monotonic()
    history.ensure_schema()
    codes = [*((f"m{number}", "number") for number in range(1, ATTRIBUTES + 1)), (USUAL, "place")]
    attribute_columns.ensure(codes)
    columns = ", ".join(attribute_columns.column(*one) for one in codes)
    values = ", ".join(f"intHash32(customer * 31 + {number}) % 100000" for number in range(1, ATTRIBUTES + 1))
    values += f", {_POSITION}"
    step = math.ceil(people / _INSERTS)
    for first in range(1, people + 1, step):
        params = {"first": first, "until": min(first + step, people + 1), "days": DAYS, "seconds": DAYS * 86_400}
        clickhouse.command(_PROFILES.format(columns=columns, values=values, STORES=STORES), params)
        for statement in _FACTS:
            clickhouse.command(statement.format(STORES=STORES, CATEGORIES=CATEGORIES), params)
    return time.monotonic() - started


def settle(timeout_s: float = 900) -> float:
    """Wait until the history has merged what came at once, which takes both cores for minutes; returns seconds."""
    from hetang.platform import clickhouse

    started = time.monotonic()
    quiet = 0
    while quiet < 5 and time.monotonic() - started < timeout_s:
        quiet = 0 if clickhouse.rows("select count() from system.merges")[0][0] else quiet + 1
        time.sleep(1)
    return time.monotonic() - started


def live_sets(people: int, seed: int = 1) -> Any:
    """The live sets at the newest position of the database."""
    from hetang.audiences import following
    from hetang.audiences.live import LiveSets

    draw = np.random.default_rng(seed)
    sets = LiveSets(position=following.head())
    ids = _ids()
    sets.families["alive"][True] = BitMap(range(1, people + 1))
    for tag in ids["tag"]:
        sets.families["tag"][tag] = some_of(draw, people, density(draw))
    for channel, share in (("wecom", 0.7), ("sms", 0.4)):
        sets.families["consent"]["marketing", channel] = some_of(draw, people, share)
    sets.families["left_alone"][True] = some_of(draw, people, 0.01)
    _share_out(sets.families["home_store"], ids["store"], people, draw, 1.0)
    _share_out(sets.families["friends"], ids["staff"], people, draw, 0.7)
    return sets


def density(draw: np.random.Generator) -> float:
    """Of a tag: log-uniform from 0.5 to 50 per cent."""
    return float(np.exp(draw.uniform(np.log(0.005), np.log(0.5))))


def some_of(draw: np.random.Generator, people: int, share: float) -> BitMap:
    """Each of the numbers 1 to `people` with this chance: the gaps between members are geometric."""
    size = int(people * share + 6 * math.sqrt(people * share) + 20)
    numbers = np.cumsum(draw.geometric(share, size))
    return bitmap(numbers[numbers <= people].astype(np.uint32))


def bitmap(numbers: np.ndarray[Any, Any]) -> BitMap:
    """Of sorted or unsorted uint32 numbers."""
    packed = array.array("I")
    packed.frombytes(numbers.tobytes())
    return BitMap(packed)


def _share_out(into: dict[Any, BitMap], keys: list[int], people: int, draw: np.random.Generator, share: float) -> None:
    numbers = np.flatnonzero(draw.random(people, dtype=np.float32) < share).astype(np.uint32) + np.uint32(1)
    places = draw.integers(0, len(keys), len(numbers), dtype=np.uint16)
    order = np.argsort(places, kind="stable")
    borders = np.searchsorted(places[order], np.arange(len(keys) + 1))
    for place, key in enumerate(keys):
        into[key] = bitmap(numbers[order[borders[place] : borders[place + 1]]])


def _ids() -> dict[str, list[int]]:
    from hetang.customers.models import Tag
    from hetang.resources.models import Staff, Store

    models = {"tag": Tag, "store": Store, "staff": Staff}
    return {name: list(model.objects.order_by("id").values_list("id", flat=True)) for name, model in models.items()}


_NAMES = """
insert into platform_brand (id, name, currency, currency_digits, time_zone, country, accent, staff_title, demo,
                            demo_shift_days)
  values (1, 'Crowd', 'CNY', 2, 'Asia/Shanghai', 'CN', '#2f7d6b', '', false, 0) on conflict do nothing;
insert into platform_orgnode (kind, code, name, path, legal_entity) select 'brand', 'brand', 'Crowd', '1.', ''
  where not exists (select from platform_orgnode where parent_id is null);
insert into platform_orgnode (parent_id, kind, code, name, path, legal_entity)
  select (select min(id) from platform_orgnode), 'store', 's' || n, 'Store ' || n, 'new' || n, ''
  from generate_series(0, {STORES} - 1) n;
update platform_orgnode set path = parent_id || '.' || id || '.' where path like 'new%';
insert into resources_store (public_id, code, name, org_node_id, address, city, country, time_zone)
  select gen_random_uuid(), code, name, id, '', '', '', '' from platform_orgnode where kind = 'store';
insert into resources_staff (public_id, userid, name, org_node_id, active, simulated)
  select gen_random_uuid(), 'u' || n, 'Adviser ' || n, (select min(id) from platform_orgnode), true, false
  from generate_series(1, {STAFF}) n;
insert into resources_product (sku, name, category, department, brand)
  select 'p' || n, 'Product ' || n, 'c' || n, '', '' from generate_series(0, 39) n;
insert into customers_attributedefinition (code, type, label_zh, label_en, choices, sensitive, birth_date)
  select 'm' || n, 'number', '指标 ' || n, 'Metric ' || n, '[]', false, false from generate_series(1, {ATTRIBUTES}) n;
insert into customers_attributedefinition (code, type, label_zh, label_en, choices, sensitive, birth_date)
  values ('place', 'place', '位置', 'Position', '[]', true, false);
update resources_store set datum = 'wgs84',
  latitude = 22 + split_part(code, 's', 2)::int % 20 + mod(abs(hashtext('n' || code)), 500000) / 1e6,
  longitude = 103 + mod(split_part(code, 's', 2)::int % 20 * 7, 18) + mod(abs(hashtext('e' || code)), 600000) / 1e6;
insert into customers_taggroup (name, position, exclusive) values ('Crowd', 0, false);
insert into customers_tag (code, group_id, name, position)
  select 't' || n, (select id from customers_taggroup where name = 'Crowd'), 'Tag ' || n, n
  from generate_series(1, {TAGS}) n;
"""
_PROFILES = """
insert into customer_profile (customer, version, home_store, owner, first_order_at, last_order_at, orders, gmv,
    refunded, visits, last_visit_at, favourite_store, favourite_category, attributes, alive, {columns})
select toUInt32(number) as customer, 1, concat('s', toString(intHash32(customer) % {STORES})), '',
  now64(3) - toIntervalSecond({{seconds:UInt32}} + intHash32(customer + 1) % 31536000),
  now64(3) - toIntervalSecond(intHash32(customer + 2) % {{seconds:UInt32}}), 1 + intHash32(customer + 3) % 30,
  intHash32(customer + 4) % 500000, 0, 1, null, concat('s', toString(intHash32(customer + 5) % {STORES})),
  concat('c', toString(intHash32(customer + 6) % 40)), map(), 1, {values}
from numbers({{first:UInt64}}, {{until:UInt64}} - {{first:UInt64}})
"""
_CITY = "intHash32(customer + 40) % 20"
_POSITION = (
    f"bitOr(bitShiftLeft(toUInt64(112000000 + {_CITY} * 1000000 + intHash32(customer + 41) % 500000), 32),"
    f" toUInt64(283000000 + {_CITY} * 7 % 18 * 1000000 + intHash32(customer + 42) % 600000))"
)
_PEOPLE = "numbers({{first:UInt64}}, {{until:UInt64}} - {{first:UInt64}})"
_AT = "now64(3) - toIntervalSecond(intHash32(number * 7 + {}) % {{{{seconds:UInt32}}}}) as at"
_FACTS = [
    # Every second person has one order of two lines, every second two of one line.
    f"""
    insert into order_lines select toUInt32(number), {_AT.format("line")}, toDate(at, 'Asia/Shanghai'), 'crowd',
      concat(toString(number), '-', toString(number % 2 ? line : 0)),
      concat('s', toString(intHash32(number) % {{STORES}})), 'store',
      concat('p', toString(intHash32(number * 3 + line) % {{CATEGORIES}})),
      concat('c', toString(intHash32(number * 3 + line) % {{CATEGORIES}})), 1, intHash32(number + line) % 20000
    from {_PEOPLE} array join [0, 1] as line
    """,
    f"""
    insert into orders select toUInt32(number), {_AT.format("order")}, toDate(at, 'Asia/Shanghai'), 'crowd',
      concat(toString(number), '-', toString(order)), concat('s', toString(intHash32(number) % {{STORES}})), 'store',
      intHash32(number + order) % 40000, 0, 2 - number % 2
    from {_PEOPLE} array join if(number % 2, [0, 1], [0]) as order
    """,
    f"""
    insert into touches (customer, at, day, channel, programme, message_class, state)
    select toUInt32(number), {_AT.format(11)}, toDate(at, 'Asia/Shanghai'), 'wecom', 1, 'marketing', 'sent'
    from {_PEOPLE}
    """,
    f"""
    insert into visits select toUInt32(number), {_AT.format(13)}, toDate(at, 'Asia/Shanghai'),
      concat('s', toString(intHash32(number) % {{STORES}})), 'store' from {_PEOPLE} where number % 2
    """,
]
