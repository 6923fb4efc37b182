"""People for the simulated WeCom out of what an installation holds, so that a first broadcast can be tried on one's own
customers. What is made up is labelled as simulated, as in the demo."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count

from hetang.commerce.models import CustomerMetric
from hetang.connectors.wecom.models import Corp
from hetang.connectors.wecom.sync import sync
from hetang.customers.models import Customer, Identity
from hetang.demo import simulated, world
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.platform import clock
from hetang.platform.brand import brand
from hetang.platform.environment import secrets_of_home
from hetang.platform.jobs import Work
from hetang.platform.sealing import unseal
from hetang.resources.models import Product, Staff, Store
from hetang.simulator.admin import SimulatorAdmin

PEOPLE = 5_000
STORES = 40
PRODUCTS = 300
FRIENDS = 0.7  # share of the people who have a friend among the staff
SOURCE = "trial"
_KINDS = ("member", "card", "phone", "email")  # by one of them her orders find her
_FIRST_DEPARTMENT = 1000
_CHUNK = 1000
_DEFAULT_BASKET = 5_000  # minor units, of somebody who has not bought yet
_DEFAULT_RATE = 0.02
_LONGEST_FRIENDSHIP_DAYS = 200


class NotATrial(Exception):
    """A real corp is connected: simulated friends never mix with it."""


@dataclass(frozen=True, slots=True)
class Person:
    """A customer as the simulator will know her. `known` says that Hetang has her unionid already."""

    identity: tuple[str, str]
    unionid: str
    known: bool
    name: str
    store: str
    basket: int
    daily_rate: float


def trial(work: Work) -> dict[str, Any]:
    """Found the simulated corp with staff and customers of this installation, and bring the friendships in.

    At most 5,000 customers, those with most orders first. Idempotent: rows are set, facts have the same keys. Raises
    NotATrial. Ten seconds or so.
    """
    if Corp.objects.filter(simulated=False).exists():
        raise NotATrial("a real corp is connected")
    address = os.environ["HETANG_SIMULATOR_URL"]
    with SimulatorAdmin(address, secrets_of_home().simulator) as simulator:
        simulator.wait_until_ready()
        simulator.settings(seed=world.SEED, time_zone=brand().time_zone, known_rate=simulated.KNOWN)
        simulator.clock(clock.offset().total_seconds())
        simulated.connect(simulator, address, brand().name or simulated.CORP_NAME)
        work.progress(1, 4, "staff")
        members = _staff(simulator)
        work.progress(2, 4, "customers")
        people = list(_people())
        _make_known(people)
        _befriend(simulator, people, members)
        simulator.products(_products())
        simulated.post_to_hetang(simulator)
    return sync(work) | {"people": len(people)}


def _staff(simulator: SimulatorAdmin) -> dict[str, list[str]]:
    """Members by code of their store: the staff that is here, or a made-up adviser at each of the busiest stores."""
    here = Staff.objects.filter(active=True).order_by("id").values_list("userid", "name", "store__code")
    members = [(userid, name, store or "") for userid, name, store in here]
    if not members:
        busiest = Store.objects.annotate(people=Count("customer")).order_by("-people", "id")[:STORES]
        codes = [store.code for store in busiest] or [""]
        members = [(f"trial-{code or 1}"[:64], world.person_name(f"staff {code}"), code) for code in codes]
    codes = sorted({code for _userid, _name, code in members if code})
    number = {code: _FIRST_DEPARTMENT + place for place, code in enumerate(codes)}
    simulator.departments(
        {"id": one, "name": code, "parentid": 1, "position": place} for place, (code, one) in enumerate(number.items())
    )
    simulator.staff(
        {"userid": userid, "name": name, "departments": [number.get(code, 1)], "store": code}
        for userid, name, code in members
    )
    found: dict[str, list[str]] = {}
    for userid, _name, code in members:
        found.setdefault(code, []).append(userid)
    return found


def _people() -> Iterator[Person]:
    """Customers who can be recognised by a number or address, best buyers first. Five queries."""
    buyers = CustomerMetric.objects.filter(orders__gt=0, customer__merged_into=None).order_by("-orders", "pk")
    numbers = list(buyers.values_list("pk", flat=True)[:PEOPLE])
    others = Customer.objects.filter(merged_into=None).exclude(number__in=numbers).order_by("number")
    numbers += others.values_list("number", flat=True)[: PEOPLE - len(numbers)]
    sums = CustomerMetric.objects.in_bulk(numbers)
    identities = _identities(numbers, _KINDS)
    unionids = _identities(numbers, ("unionid",))
    stores = dict(Customer.objects.filter(number__in=numbers).values_list("number", "home_store__code"))
    for number in numbers:
        if number not in identities:
            continue
        known = number in unionids
        basket, rate = _habits(sums.get(number))
        yield Person(
            identities[number],
            unionids[number][1] if known else f"trial-{number}",
            known,
            world.person_name(str(number)),
            stores.get(number) or "",
            basket,
            rate,
        )


def _identities(numbers: Sequence[int], kinds: Sequence[str]) -> dict[int, tuple[str, str]]:
    """One identity of each customer: the first of these kinds that is hers alone."""
    found: dict[int, tuple[str, str]] = {}
    rows = Identity.objects.filter(customer__in=numbers, kind__in=kinds, shared=False, placeholder=False)
    for row in sorted(rows, key=lambda row: (kinds.index(row.kind), row.id)):
        if row.customer_id not in found:
            found[row.customer_id] = (row.kind, unseal(row.sealed).decode() if row.sealed else row.key)
    return found


def _habits(sums: CustomerMetric | None) -> tuple[int, float]:
    """Her usual order in minor units, and her chance to buy on a day."""
    if sums is None or not sums.orders or sums.first_order_at is None:
        return _DEFAULT_BASKET, _DEFAULT_RATE
    days = max(30, (clock.now() - sums.first_order_at).days)
    return max(1, round(sums.gmv / sums.orders)), round(min(0.5, sums.orders / days), 5)


def _make_known(people: Iterable[Person]) -> None:
    """Tell Hetang the made-up unionids, as a log-in to the mini program would."""
    now = clock.now()
    drafts = [
        Draft("customer.described", f"known:{one.unionid}", now, [one.identity, ("unionid", one.unionid)], b"{}")
        for one in people
        if not one.known
    ]
    for start in range(0, len(drafts), _CHUNK):
        intake.record(SOURCE, drafts[start : start + _CHUNK])


def _befriend(simulator: SimulatorAdmin, people: Sequence[Person], members: dict[str, list[str]]) -> None:
    external = simulator.people(
        {
            "key": one.unionid,
            "name": one.name,
            "identities": [["unionid", one.unionid], list(one.identity)],
            "unionid": one.unionid,
            "store": one.store,
            "basket": one.basket,
            "daily_rate": one.daily_rate,
        }
        for one in people
    )
    simulator.relations(
        {"userid": userid, "external_userid": external[place], "createtime": since, "add_way": 1}
        for place, userid, since in _friendships(people, members)
    )


def _friendships(people: Sequence[Person], members: dict[str, list[str]]) -> Iterator[tuple[int, str, int]]:
    """(place of the person, member, Unix seconds): someone of her own store where there is one."""
    everybody = [userid for some in members.values() for userid in some]
    today = clock.now().replace(hour=4, minute=0, second=0, microsecond=0)
    for place, one in enumerate(people):
        chance = world.stream(f"trial friend {one.unionid}")
        if chance.random() >= FRIENDS:
            continue
        days = timedelta(days=1 + chance.randrange(_LONGEST_FRIENDSHIP_DAYS))
        yield place, chance.choice(members.get(one.store) or everybody), int((today - days).timestamp())


def _products() -> list[dict[str, object]]:
    rows = Product.objects.order_by("id").values_list("sku", "category", "price")[:PRODUCTS]
    return [{"sku": sku, "category": category, "price": price or _DEFAULT_BASKET} for sku, category, price in rows]
