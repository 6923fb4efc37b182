"""The demo's import files: seven CSV files below `home/imports/demo`, as a brand's till and CRM would export them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetang.demo import source, world
from hetang.demo.world import Adviser, Person, Shopper, Visit
from hetang.platform.environment import home

if TYPE_CHECKING:
    import pyarrow as pa

NAMES = ("stores", "products", "staff", "customers", "orders", "visits")
ATTRIBUTES = ("age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count")
CHILDREN = tuple(f"child_{place}_birthday" for place in (1, 2, 3))
TIME = "%Y-%m-%d %H:%M:%S"


class World:
    """The data and what is drawn for them, read once (about 3 s, 400 MB while it is built)."""

    def __init__(self) -> None:
        columns = ["household_id", "store_id", "basket_id", "sales_value", "transaction_timestamp"]
        lines = source.table("transactions", columns)
        self.baskets = _baskets(lines)
        self.shoppers = _shoppers(self.baskets)
        self.stores = _stores_by_traffic(self.baskets)
        self.advisers: list[Adviser] = world.advisers(self.stores)
        self.people: list[Person] = world.people(self.shoppers, self.advisers)

    def visits(self) -> list[Visit]:
        """Simulated visits of the whole year."""
        return world.visits(_first_baskets(self.baskets))


def folder() -> Path:
    """Where the files lie: an import folder, so they go the way of any file on the server."""
    return home() / "imports" / "demo"


def write(drawn: World) -> dict[str, Path]:
    """Write the files that are missing. Each appears whole or not at all."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    tables: dict[str, Callable[[], pa.Table]] = {
        "stores": lambda: _stores(drawn.stores),
        "products": _products,
        "staff": lambda: _staff(drawn.advisers),
        "customers": lambda: _customers(drawn.people),
        "orders": _orders,
        "visits": lambda: _visits(drawn.visits()),
    }
    for name, build in tables.items():
        path = folder() / f"{name}.csv"
        if not path.exists():
            _write(build(), path)
    return {name: folder() / f"{name}.csv" for name in NAMES}


def _write(table: pa.Table, path: Path) -> None:
    from pyarrow import csv

    draft = path.with_suffix(".new")
    csv.write_csv(table, draft)
    draft.replace(path)


# -- the data's own ------------------------------------------------------------------------------------------------


def _baskets(lines: pa.Table) -> pa.Table:
    """One row per basket: household, store, time, net in cents."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cents = pc.round(pc.multiply(lines["sales_value"], 100)).cast(pa.int64())
    lines = lines.drop_columns(["sales_value"]).append_column("cents", cents)
    keys = ["basket_id", "household_id", "store_id", "transaction_timestamp"]
    return lines.group_by(keys).aggregate([("cents", "sum")]).sort_by("basket_id")


def _shoppers(baskets: pa.Table) -> list[Shopper]:
    per_store = baskets.group_by(["household_id", "store_id"]).aggregate([("basket_id", "count"), ("cents_sum", "sum")])
    stores: dict[int, list[tuple[str, int]]] = {}
    money: dict[int, int] = {}
    for row in per_store.to_pylist():
        stores.setdefault(row["household_id"], []).append((str(row["store_id"]), row["basket_id_count"]))
        money[row["household_id"]] = money.get(row["household_id"], 0) + row["cents_sum_sum"]
    return [
        Shopper(
            str(household),
            tuple(sorted(stores[household], key=lambda one: (-one[1], int(one[0])))),
            sum(count for _, count in stores[household]),
            money[household],
        )
        for household in sorted(stores)
    ]


def _stores_by_traffic(baskets: pa.Table) -> list[str]:
    rows = baskets.group_by("store_id").aggregate([("basket_id", "count")]).to_pylist()
    return [str(row["store_id"]) for row in sorted(rows, key=lambda row: (-row["basket_id_count"], row["store_id"]))]


def _first_baskets(baskets: pa.Table) -> list[tuple[str, str, Any]]:
    """(member, store, naive UTC time) of the first basket of each household and local day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    local = pc.local_timestamp(pc.assume_timezone(baskets["transaction_timestamp"], "UTC").cast(_zoned()))
    day = pc.floor_temporal(local, unit="day")
    order = baskets.append_column("day", day).sort_by(
        [("household_id", "ascending"), ("transaction_timestamp", "ascending"), ("basket_id", "ascending")]
    )
    rows = order.group_by(["household_id", "day"], use_threads=False).aggregate(
        [("store_id", "first"), ("transaction_timestamp", "first")]
    )
    times = rows["transaction_timestamp_first"].cast(pa.timestamp("us"))
    columns = (rows["household_id"], rows["store_id_first"], times)
    return [(str(h), str(s), at) for h, s, at in zip(*(c.to_pylist() for c in columns), strict=True)]


def _zoned() -> Any:
    import pyarrow as pa

    return pa.timestamp("ns", tz=source.TIME_ZONE)


def _orders() -> pa.Table:
    """The till's export, with each product's category."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lines, products = source.table("transactions"), source.table("products", ["product_id", "product_category"])
    place = pc.index_in(lines["product_id"], products["product_id"].combine_chunks())
    category = products["product_category"].take(place)
    time = pc.strftime(lines["transaction_timestamp"].cast(pa.timestamp("s")), format=TIME)
    return pa.table(
        {
            "order_id": lines["basket_id"],
            "time_utc": time,
            "member_id": lines["household_id"],
            "store_id": lines["store_id"],
            "sku": lines["product_id"],
            "category": category,
            "quantity": lines["quantity"],
            "amount": lines["sales_value"],
            "discount": pc.round(pc.add(lines["retail_disc"], lines["coupon_disc"]), ndigits=2),
        }
    )


def _products() -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = source.table("products")
    kind = pc.utf8_title(pc.coalesce(rows["product_type"], rows["product_category"], rows["department"]))
    size = pc.coalesce(rows["package_size"], "")
    return pa.table(
        {
            "sku": rows["product_id"],
            "name": pc.utf8_trim_whitespace(pc.binary_join_element_wise(kind, size, " ")),
            "category": rows["product_category"],
            "department": rows["department"],
            "brand": rows["brand"],
        }
    )


# -- drawn ---------------------------------------------------------------------------------------------------------


def _stores(codes: Sequence[str]) -> pa.Table:
    codes = sorted(codes, key=int)
    return _columns(
        store_id=codes,
        name=[world.store_name(code) for code in codes],
        region=[world.region_of(code) for code in codes],
        **_degrees([world.store_place(code) for code in codes]),
    )


def _staff(advisers: Iterable[Adviser]) -> pa.Table:
    rows = list(advisers)
    return _columns(
        userid=[one.userid for one in rows],
        name=[one.name for one in rows],
        store_id=[one.store for one in rows],
        simulated=["1"] * len(rows),
    )


def _customers(people: Sequence[Person]) -> pa.Table:
    known = {str(row["household_id"]): row for row in source.table("demographics").to_pylist()}
    attributes = {name: [known.get(one.shopper.member, {}).get(name) for one in people] for name in ATTRIBUTES}
    born = [world.children(one.shopper.member, known.get(one.shopper.member, {}).get("kids_count")) for one in people]
    return _columns(
        member_id=[one.shopper.member for one in people],
        unionid=[one.unionid for one in people],
        home_store=[one.shopper.stores[0][0] for one in people],
        owner=[one.advisers[0] if one.advisers else None for one in people],
        consent=["1" if one.consent else None for one in people],
        consent_at=["2017-01-01 17:00:00" if one.consent else None for one in people],
        do_not_disturb=["1" if one.quiet else None for one in people],
        **_degrees([world.home_place(one.shopper.member, one.shopper.stores[0][0]) for one in people]),
        **{name: [_day(days, place) for days in born] for place, name in enumerate(CHILDREN)},
        **attributes,
    )


def _day(days: Sequence[date], place: int) -> str | None:
    return days[place].isoformat() if place < len(days) else None


def _degrees(places: Sequence[tuple[float, float]]) -> dict[str, list[str | None]]:
    return {"latitude": [f"{one[0]:.6f}" for one in places], "longitude": [f"{one[1]:.6f}" for one in places]}


def _visits(rows: Sequence[Visit]) -> pa.Table:
    return _columns(
        member_id=[one.member for one in rows],
        store_id=[one.store for one in rows],
        time_utc=[one.at.strftime(TIME) for one in rows],
    )


def _columns(**columns: Sequence[str | None]) -> pa.Table:
    import pyarrow as pa

    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
