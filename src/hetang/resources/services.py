"""Verbs on stores, staff and products: upserts over whole sets, a few statements each. Idempotent.

One transaction each; callers with many rows hand them over by the ten thousand, so that none lasts over a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from django.db import connection, transaction

from hetang.platform import audit, organisation, positions
from hetang.platform.access import Actor
from hetang.platform.brand import brand
from hetang.resources.errors import PositionRefused, UnknownStores
from hetang.resources.models import District, Store
from hetang.resources.rules import CategoryRow, DistrictRow, ProductRow, StaffRow, StoreRow, last_of_each

CITY_KM = 300  # no district of a city is further from all its others: the widest lie about 200 km apart


@dataclass(frozen=True, slots=True)
class Upserted:
    """How many rows are new and how many were changed; unchanged ones are neither."""

    created: int
    changed: int


@transaction.atomic
def upsert_stores(rows: Iterable[StoreRow]) -> Upserted:
    """Create or change stores with their regions and nodes of the organisation. A change of region moves the node."""
    incoming = _json(last_of_each(rows))
    _run(_NEW_REGIONS, incoming, root=organisation.root().pk)
    _run(_NEW_STORE_NODES, incoming, root=organisation.root().pk)
    _run(_MOVED_STORE_NODES, incoming)
    return _counted(_STORES, incoming)


@transaction.atomic
def place(actor: Actor, store: Store, latitude: Decimal | None, longitude: Decimal | None, datum: str) -> None:
    """Say where a store is, or (without coordinates) that nobody knows. Raises PositionRefused."""
    after = _judged(latitude, longitude, datum, store.country)
    changes = _differing(Store.objects.select_for_update().get(pk=store.pk), after)
    if changes:
        Store.objects.filter(pk=store.pk).update(**after)
        audit.record(actor, "store.placed", "store", store.code, changes, org_node_id=store.org_node_id)


@transaction.atomic
def change_district(  # noqa: PLR0917 - the columns of a district
    actor: Actor,
    district: District,
    name: str,
    parent: str,
    latitude: Decimal | None,
    longitude: Decimal | None,
    datum: str,
    sure: bool = False,
) -> bool:
    """Change a district; without coordinates it is no longer used. False: it is gone.

    Raises PositionRefused: for what cannot be a position, and, unless somebody is `sure`, for a centre outside of the
    countries of the brand and its stores, or far from all other districts of its city.
    """
    after = {"name": name, "parent": parent, **_judged(latitude, longitude, datum, "")}
    if latitude is not None and longitude is not None and not sure:
        _plausible(district, parent, latitude, longitude, datum)
    now = District.objects.select_for_update().filter(pk=district.pk).first()
    if now is None:
        return False
    changes = _differing(now, after)
    if changes:
        District.objects.filter(pk=now.pk).update(**after)
        audit.record(actor, "district.changed", "district", now.code, changes)
    return True


@transaction.atomic
def delete_district(actor: Actor, district: District) -> bool:
    """Take a district off the list. False: it was gone already."""
    deleted, _of_each = District.objects.filter(pk=district.pk).delete()
    if deleted:
        said = {"name": district.name, "parent": district.parent}
        audit.record(actor, "district.deleted", "district", district.code, said)
    return bool(deleted)


def _plausible(district: District, parent: str, latitude: Decimal, longitude: Decimal, datum: str) -> None:
    """Raises PositionRefused for a centre where hardly any district of this brand and this city can lie. Two queries
    and one distance for each other district of the city."""
    home = positions.country_of(brand().time_zone)
    abroad = Store.objects.exclude(country="").values_list("country", flat=True).distinct()
    faults = [positions.judge(latitude, longitude, country) for country in (home, *abroad) if home]
    if faults and all(faults):
        raise PositionRefused(faults[0])
    of_city = District.objects.filter(parent=parent).exclude(pk=district.pk).exclude(latitude=None)
    rows = of_city.values_list("latitude", "longitude", "datum") if parent else ()
    others = [(north, east, which) for north, east, which in rows if north is not None and east is not None]
    centre = positions.to_wgs84(latitude, longitude, datum)
    away = [positions.apart_km(centre, positions.to_wgs84(*one)) for one in others]
    if away and min(away) > CITY_KM:
        raise PositionRefused("far_from_city", round(min(away)))


def _judged(latitude: Decimal | None, longitude: Decimal | None, datum: str, country: str) -> dict[str, Any]:
    """The columns of a position. Raises PositionRefused."""
    fault = positions.judge(latitude, longitude, country)
    if not fault and latitude is not None and longitude is not None:
        fault = "" if datum in positions.DATUMS else "no_datum"
    if fault:
        raise PositionRefused(fault)
    return {"latitude": latitude, "longitude": longitude, "datum": datum if latitude is not None else ""}


def _differing(row: Store | District, after: dict[str, Any]) -> dict[str, list[str]]:
    """What a change changes, as the audit log tells it: before and after, by column."""
    before = {name: getattr(row, name) for name in after}
    return {name: [_plain(before[name]), _plain(after[name])] for name in after if before[name] != after[name]}


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


@transaction.atomic
def upsert_staff(rows: Iterable[StaffRow]) -> Upserted:
    """Create or change staff. Raises UnknownStores if a row names a store that does not exist."""
    incoming = _json(last_of_each(rows))
    unknown = [code for (code,) in _run(_STAFF_WITHOUT_STORE, incoming)]
    if unknown:
        raise UnknownStores(unknown)
    return _counted(_STAFF, incoming, root=organisation.root().pk)


@transaction.atomic
def upsert_products(rows: Iterable[ProductRow]) -> Upserted:
    """Create or change products. 10,000 rows take about 0.2 s."""
    return _counted(_PRODUCTS, _json(last_of_each(rows)))


@transaction.atomic
def upsert_districts(rows: Iterable[DistrictRow]) -> Upserted:
    """Create or change districts. 3,000 rows take about 0.1 s."""
    return _counted(_DISTRICTS, _json(last_of_each(rows)))


@transaction.atomic
def label_categories(rows: Iterable[CategoryRow]) -> Upserted:
    """Say what product categories are called in the console's languages."""
    return _counted(_CATEGORIES, _json(last_of_each(rows)))


def _json(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()


def _run(statement: str, incoming: str, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"rows": incoming, **params})
        return cursor.fetchall() if cursor.description else []


def _counted(statement: str, incoming: str, **params: Any) -> Upserted:
    created = [new for (new,) in _run(statement, incoming, **params)]
    return Upserted(sum(created), len(created) - sum(created))


# Codes of nodes carry their kind, since one code may name a region and a store.
_NEW_REGIONS = """
with named as (
  select distinct region from jsonb_to_recordset(%(rows)s::jsonb) as r(region text) where region <> ''
), fresh as (
  select nextval(pg_get_serial_sequence('platform_orgnode', 'id')) as id, region from named
  where not exists (select from platform_orgnode n where n.code = left('region:' || region, 64))
)
insert into platform_orgnode (id, parent_id, kind, code, name, path, legal_entity)
select fresh.id, root.id, 'region', left('region:' || region, 64), left(region, 120), root.path || fresh.id || '.', ''
from fresh, platform_orgnode root where root.id = %(root)s
"""
_NEW_STORE_NODES = """
with fresh as (
  select nextval(pg_get_serial_sequence('platform_orgnode', 'id')) as id, code, name, region
  from jsonb_to_recordset(%(rows)s::jsonb) as r(code text, name text, region text)
  where not exists (select from platform_orgnode n where n.code = left('store:' || r.code, 64))
)
insert into platform_orgnode (id, parent_id, kind, code, name, path, legal_entity)
select fresh.id, parent.id, 'store', left('store:' || fresh.code, 64), coalesce(nullif(fresh.name, ''), fresh.code),
       parent.path || fresh.id || '.', ''
from fresh join platform_orgnode parent
  on case when fresh.region <> '' then parent.code = left('region:' || fresh.region, 64)
          else parent.id = %(root)s end
"""
_MOVED_STORE_NODES = """
update platform_orgnode n
set parent_id = parent.id, path = parent.path || n.id || '.', name = coalesce(nullif(r.name, ''), n.name)
from jsonb_to_recordset(%(rows)s::jsonb) as r(code text, name text, region text),
     platform_orgnode current, platform_orgnode parent
where n.code = left('store:' || r.code, 64) and current.id = n.parent_id
  and parent.id = coalesce(
    (select id from platform_orgnode where code = left('region:' || r.region, 64)), current.id)
  and (parent.id <> n.parent_id or n.name <> coalesce(nullif(r.name, ''), n.name))
"""
_STORES = """
insert into resources_store as s (public_id, code, name, org_node_id, address, city, country, latitude, longitude,
                                  datum, time_zone, opened_on, closed_on)
select gen_random_uuid(), r.code, coalesce(r.name, r.code), n.id, coalesce(r.address, ''), coalesce(r.city, ''),
       coalesce(r.country, ''), r.latitude, r.longitude, coalesce(r.datum, ''),
       coalesce(r.time_zone, ''), r.opened_on, r.closed_on
from jsonb_to_recordset(%(rows)s::jsonb) as r(code text, name text, address text, city text, country text,
       latitude numeric(9, 6), longitude numeric(9, 6), datum text, time_zone text, opened_on date, closed_on date)
join platform_orgnode n on n.code = left('store:' || r.code, 64)
on conflict (code) do update set
  name = case when excluded.name <> excluded.code then excluded.name else s.name end,
  address = coalesce(nullif(excluded.address, ''), s.address),
  city = coalesce(nullif(excluded.city, ''), s.city),
  country = coalesce(nullif(excluded.country, ''), s.country),
  latitude = coalesce(excluded.latitude, s.latitude), longitude = coalesce(excluded.longitude, s.longitude),
  datum = case when excluded.latitude is null and excluded.datum = '' then s.datum else excluded.datum end,
  time_zone = coalesce(nullif(excluded.time_zone, ''), s.time_zone),
  opened_on = coalesce(excluded.opened_on, s.opened_on), closed_on = coalesce(excluded.closed_on, s.closed_on)
where (s.name, s.address, s.city, s.country, s.latitude, s.longitude, s.datum, s.time_zone, s.opened_on, s.closed_on)
  is distinct from (
    case when excluded.name <> excluded.code then excluded.name else s.name end,
    coalesce(nullif(excluded.address, ''), s.address), coalesce(nullif(excluded.city, ''), s.city),
    coalesce(nullif(excluded.country, ''), s.country), coalesce(excluded.latitude, s.latitude),
    coalesce(excluded.longitude, s.longitude),
    case when excluded.latitude is null and excluded.datum = '' then s.datum else excluded.datum end,
    coalesce(nullif(excluded.time_zone, ''), s.time_zone),
    coalesce(excluded.opened_on, s.opened_on), coalesce(excluded.closed_on, s.closed_on))
returning xmax = 0
"""
_STAFF_WITHOUT_STORE = """
select distinct r.store from jsonb_to_recordset(%(rows)s::jsonb) as r(store text)
where r.store <> '' and not exists (select from resources_store s where s.code = r.store) order by r.store
"""
_STAFF = """
with incoming as (
  select r.*, s.id as store_id, coalesce(s.org_node_id, %(root)s) as org_node_id
  from jsonb_to_recordset(%(rows)s::jsonb)
    as r(userid text, name text, store text, active boolean, simulated boolean)
  left join resources_store s on s.code = r.store
), changed as (
  update resources_staff t set
    name = coalesce(nullif(r.name, ''), t.name), active = coalesce(r.active, t.active),
    simulated = coalesce(r.simulated, t.simulated), store_id = coalesce(r.store_id, t.store_id),
    org_node_id = case when r.store_id is null then t.org_node_id else r.org_node_id end
  from incoming r where t.userid = r.userid
    and (t.name, t.active, t.simulated, t.store_id) is distinct from (
      coalesce(nullif(r.name, ''), t.name), coalesce(r.active, t.active), coalesce(r.simulated, t.simulated),
      coalesce(r.store_id, t.store_id))
  returning false as created
), created as (
  insert into resources_staff (public_id, userid, name, store_id, org_node_id, active, simulated)
  select gen_random_uuid(), userid, coalesce(nullif(name, ''), userid), store_id, org_node_id,
         coalesce(active, true), coalesce(simulated, false)
  from incoming where true
  on conflict (userid) do nothing
  returning true as created
)
select created from created union all select created from changed
"""
_PRODUCTS = """
insert into resources_product as p (sku, name, category, department, brand, cost, price)
select sku, coalesce(name, sku), coalesce(category, ''), coalesce(department, ''), coalesce(brand, ''), cost, price
from jsonb_to_recordset(%(rows)s::jsonb)
  as r(sku text, name text, category text, department text, brand text, cost bigint, price bigint)
on conflict (sku) do update set
  name = case when excluded.name <> excluded.sku then excluded.name else p.name end,
  category = coalesce(nullif(excluded.category, ''), p.category),
  department = coalesce(nullif(excluded.department, ''), p.department),
  brand = coalesce(nullif(excluded.brand, ''), p.brand),
  cost = coalesce(excluded.cost, p.cost), price = coalesce(excluded.price, p.price)
where (p.name, p.category, p.department, p.brand, p.cost, p.price) is distinct from (
    case when excluded.name <> excluded.sku then excluded.name else p.name end,
    coalesce(nullif(excluded.category, ''), p.category), coalesce(nullif(excluded.department, ''), p.department),
    coalesce(nullif(excluded.brand, ''), p.brand), coalesce(excluded.cost, p.cost),
    coalesce(excluded.price, p.price))
returning xmax = 0
"""
_DISTRICTS = """
insert into resources_district as d (code, name, parent, latitude, longitude, datum)
select code, coalesce(name, code), coalesce(parent, ''), latitude, longitude,
       case when latitude is null then '' else coalesce(datum, '') end
from jsonb_to_recordset(%(rows)s::jsonb)
  as r(code text, name text, parent text, latitude numeric(9, 6), longitude numeric(9, 6), datum text)
on conflict (code) do update set
  name = case when excluded.name <> excluded.code then excluded.name else d.name end,
  parent = coalesce(nullif(excluded.parent, ''), d.parent),
  latitude = excluded.latitude, longitude = excluded.longitude, datum = excluded.datum
where (d.name, d.parent, d.latitude, d.longitude, d.datum) is distinct from (
    case when excluded.name <> excluded.code then excluded.name else d.name end,
    coalesce(nullif(excluded.parent, ''), d.parent), excluded.latitude, excluded.longitude, excluded.datum)
returning xmax = 0
"""
_CATEGORIES = """
insert into resources_categorylabel as c (category, zh_hans, en)
select category, coalesce(zh_hans, ''), coalesce(en, '')
from jsonb_to_recordset(%(rows)s::jsonb) as r(category text, zh_hans text, en text)
on conflict (category) do update set
  zh_hans = coalesce(nullif(excluded.zh_hans, ''), c.zh_hans), en = coalesce(nullif(excluded.en, ''), c.en)
where (c.zh_hans, c.en) is distinct from
      (coalesce(nullif(excluded.zh_hans, ''), c.zh_hans), coalesce(nullif(excluded.en, ''), c.en))
returning xmax = 0
"""
