"""The simulated WeCom of the demo: its corp, departments, staff, people and friendships, and the connection to it."""

from __future__ import annotations

import base64
import os
import secrets
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hetang.connectors.wecom import services as wecom
from hetang.connectors.wecom.models import App
from hetang.connectors.wecom.sync import sync
from hetang.demo import source, users, world
from hetang.demo.files import World
from hetang.platform import api_keys, clock
from hetang.platform.brand import brand
from hetang.platform.environment import secrets_of_home
from hetang.platform.jobs import Work
from hetang.platform.models import ApiKey
from hetang.simulator.admin import SimulatorAdmin

CORP_NAME = "荷塘演示企业（模拟）"
AGENT_ID = 1000002
PRODUCTS = 300
KNOWN = 0.5  # share of the clicks of which the page behind the link knows whose they are
_FIRST_DEPARTMENT = 1000


def populate(drawn: World, work: Work, url: str | None = None) -> dict[str, int]:
    """Seed the simulator at `url` (HETANG_SIMULATOR_URL), connect to its corp and bring friendships in by the sync.

    Idempotent: rows are set, not added. Returns the sync's counts.
    """
    address = url or os.environ["HETANG_SIMULATOR_URL"]
    with SimulatorAdmin(address, secrets_of_home().simulator) as simulator:
        simulator.wait_until_ready()
        simulator.settings(seed=world.SEED, time_zone=source.TIME_ZONE, known_rate=KNOWN)
        simulator.clock(clock.offset().total_seconds())
        connect(simulator, address)
        seed(simulator, drawn)
        post_to_hetang(simulator)
    counts = sync(work)
    users.tie_adviser()
    return counts


def connect(simulator: SimulatorAdmin, address: str, name: str = CORP_NAME) -> App:
    """Found the corp with one app, and tell both sides about each other."""
    answer = simulator.corp(name, [{"agentid": AGENT_ID, "name": "Hetang"}])
    token = secrets.token_hex(8)
    aes_key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    app = wecom.connect(
        corpid=answer["corpid"],
        agentid=AGENT_ID,
        secret=answer["apps"][0]["secret"],
        name=name,
        base_url=address,
        callback_token=token,
        callback_aes_key=aes_key,
        simulated=True,
        calls_per_minute=10_000,
    )
    settings = {
        **{"agentid": AGENT_ID, "name": "Hetang", "callback_url": _web_url() + wecom.callback_path(app)},
        **{"callback_token": token, "callback_aes_key": aes_key},
    }
    simulator.corp(name, [settings], answer["corpid"])
    return app


def post_to_hetang(simulator: SimulatorAdmin) -> None:
    """Tell the simulator where orders and visits go, with a fresh API key."""
    simulator.hetang(_web_url(), _api_key(), public_url=os.environ.get("HETANG_PUBLIC_URL", ""))


def seed(simulator: SimulatorAdmin, drawn: World) -> None:
    """Departments named like the staffed stores, advisers in them, all households as people, friendships, goods."""
    staffed = list(dict.fromkeys(one.store for one in drawn.advisers))
    number = {store: _FIRST_DEPARTMENT + place for place, store in enumerate(staffed)}
    simulator.departments(
        {"id": number[store], "name": world.store_name(store), "parentid": 1, "position": place}
        for place, store in enumerate(staffed)
    )
    simulator.staff(
        {"userid": one.userid, "name": one.name, "departments": [number[one.store]], "store": one.store}
        for one in drawn.advisers
    )
    external = simulator.people(
        {
            "key": person.shopper.member,
            "name": world.person_name(person.shopper.member),
            "identities": [["unionid", person.unionid], ["member", person.shopper.member]],
            "unionid": person.unionid,
            "store": person.shopper.stores[0][0],
            "basket": round(person.shopper.net / person.shopper.orders),
            "daily_rate": round(person.shopper.orders / 365, 5),
        }
        for person in drawn.people
    )
    simulator.relations(
        {"userid": userid, "external_userid": external[place], "createtime": _moved(since), "add_way": 1}
        for place, person in enumerate(drawn.people)
        for userid, since in zip(person.advisers, person.friends_since, strict=True)
    )
    simulator.products(_products())


def _moved(day: date) -> int:
    """A day of 2017 at noon in the shops' zone, moved like the data, as Unix seconds."""
    local = datetime.combine(day + timedelta(days=brand().demo_shift_days), time(12), ZoneInfo(source.TIME_ZONE))
    return int(local.astimezone(UTC).timestamp())


def _products() -> list[dict[str, object]]:
    """The goods with the highest sales, at their mean price in cents."""
    import pyarrow.compute as pc

    lines = source.table("transactions", ["product_id", "quantity", "sales_value"])
    lines = lines.filter(pc.and_(pc.greater(lines["quantity"], 0), pc.less(lines["quantity"], 100)))
    sums = lines.group_by("product_id").aggregate([("sales_value", "sum"), ("quantity", "sum")])
    best = sums.sort_by([("sales_value_sum", "descending"), ("product_id", "ascending")]).slice(0, PRODUCTS)
    known = source.table("products", ["product_id", "product_category"])
    category = known["product_category"].take(pc.index_in(best["product_id"], known["product_id"].combine_chunks()))
    return [
        {
            "sku": str(row["product_id"]),
            "category": name or "",
            "price": max(1, round(100 * row["sales_value_sum"] / row["quantity_sum"])),
        }
        for row, name in zip(best.to_pylist(), category.to_pylist(), strict=True)
    ]


def _web_url() -> str:
    return os.environ.get("HETANG_WEB_URL", "http://127.0.0.1:8000").rstrip("/")


def _api_key() -> str:
    """A fresh key for the simulator; the one of an earlier attempt stops."""
    for old in ApiKey.objects.filter(name="simulator", revoked_at=None):
        api_keys.revoke(old)
    return api_keys.create("simulator", ["facts:write"], None, limits=api_keys.WIDE)[1]
