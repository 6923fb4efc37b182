"""What the data lack and the demo draws: regions, advisers, who is whose friend, who consented, who only looked,
when children were born. Pure.

Every draw comes from a named stream of a fixed seed, so adding one never changes another.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from hetang.demo.source import LAST_DAY

SEED = 20170101
REGIONS = ("模拟东区", "模拟南区", "模拟西区", "模拟北区", "模拟中区")
CITIES = ((39.96, -82.99), (33.75, -84.39), (39.10, -84.51), (42.33, -83.05), (35.23, -80.84))  # one for each region
STORE_SPREAD, HOME_SPREAD = 0.06, 0.02  # degrees: about 6 and 2 km
STAFFED_STORES = 40
PAIRED_STORES = 20  # the busiest of them have two advisers
CONSENT_SHARE, QUIET_SHARE, FRIEND_SHARE, SECOND_FRIEND_SHARE = 0.85, 0.02, 0.82, 0.06
EXPECTED_SHARE = 0.1  # households with children whose youngest is still to come
CHILDHOOD_DAYS = 5000  # so that all stay under fourteen for some months after the year of the data
LOOKING_SHARE = 0.3  # visits without a purchase, per day with one
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹"
_GIVEN = (
    *("晓雯", "佳怡", "思远", "梓涵", "雨桐", "欣然", "婉清", "子墨", "静怡", "一诺"),
    *("书瑶", "明哲", "若曦", "嘉宁", "语嫣", "俊熙", "可欣", "文博", "悦然", "心怡"),
)


@dataclass(frozen=True, slots=True)
class Adviser:
    """A simulated adviser of a store."""

    userid: str
    name: str
    store: str


@dataclass(frozen=True, slots=True)
class Shopper:
    """A household of the data: its stores with baskets (most first), its orders and its money in cents."""

    member: str
    stores: tuple[tuple[str, int], ...]
    orders: int
    net: int


@dataclass(frozen=True, slots=True)
class Person:
    """A shopper with what was drawn for her. `advisers` are her simulated friends, the owner first."""

    shopper: Shopper
    unionid: str
    consent: bool
    quiet: bool
    advisers: tuple[str, ...]
    friends_since: tuple[date, ...]


def stream(name: str) -> random.Random:
    """A source of chance of its own for each purpose."""
    return random.Random(f"{SEED}/{name}")  # noqa: S311 - reproducible on purpose


def region_of(store: str) -> str:
    """The simulated region of a store."""
    return REGIONS[zlib.crc32(store.encode()) % len(REGIONS)]


def store_place(store: str) -> tuple[float, float]:
    """A simulated position (latitude, longitude) in the city of its region; the data know of no place."""
    chance = stream(f"place of store {store}")
    latitude, longitude = CITIES[REGIONS.index(region_of(store))]
    return latitude + chance.gauss(0, STORE_SPREAD), longitude + chance.gauss(0, STORE_SPREAD)


def home_place(member: str, store: str) -> tuple[float, float]:
    """A simulated position of a household, around the store where it buys most."""
    chance = stream(f"place of {member}")
    latitude, longitude = store_place(store)
    return latitude + chance.gauss(0, HOME_SPREAD), longitude + chance.gauss(0, HOME_SPREAD)


def store_name(store: str) -> str:
    """What a store is called; the data know only its number."""
    return f"门店 {store}"


def person_name(member: str) -> str:
    """A made-up name for a household, the same each time; the data know only its number."""
    chance = stream(f"name of {member}")
    return chance.choice(_SURNAMES) + chance.choice(_GIVEN)


def children(member: str, told: str | None) -> list[date]:
    """Simulated days of birth of the children that the data tell of (`1`, `2`, `3+`), the eldest first; all under 14.

    The data know no day, and may count older children. The young are more frequent than the old; some are due after
    the year of the data.
    """
    count = {"1": 1, "2": 2, "3+": 3}.get(told or "", 0)
    chance = stream(f"children of {member}")
    if chance.random() < EXPECTED_SHARE:
        day = LAST_DAY + timedelta(days=chance.randrange(10, 270))
    else:
        day = LAST_DAY - timedelta(days=int(CHILDHOOD_DAYS * chance.random() ** 3))
    found = []
    for _ in range(count):
        if (LAST_DAY - day).days < CHILDHOOD_DAYS:
            found.append(day)
        day -= timedelta(days=chance.randrange(500, 1500))
    return found[::-1]


def advisers(stores_by_traffic: Sequence[str]) -> list[Adviser]:
    """Sixty advisers: two at each of the twenty busiest stores, one at each of the next twenty."""
    chance = stream("advisers")
    names = [surname + given for surname in _SURNAMES for given in _GIVEN]
    chance.shuffle(names)
    found: list[Adviser] = []
    for place, store in enumerate(stores_by_traffic[:STAFFED_STORES]):
        for number in range(1, 3 if place < PAIRED_STORES else 2):
            found.append(Adviser(f"adviser-{store}-{number}", names[len(found)], store))
    return found


def people(shoppers: Sequence[Shopper], staff: Sequence[Adviser]) -> list[Person]:
    """Consent, do-not-disturb and friends of every shopper, in the given order."""
    by_store: dict[str, list[Adviser]] = {}
    for adviser in staff:
        by_store.setdefault(adviser.store, []).append(adviser)
    consents, quiet, friends = stream("consents"), stream("quiet"), stream("friends")
    found = []
    for shopper in shoppers:
        chosen = _friends(shopper, by_store, friends)
        since = tuple(date(2017, 1, 2) + timedelta(days=friends.randrange(300)) for _ in chosen)
        found.append(
            Person(
                shopper,
                f"demo-unionid-{shopper.member}",
                consents.random() < CONSENT_SHARE,
                quiet.random() < QUIET_SHARE,
                tuple(adviser.userid for adviser in chosen),
                since,
            )
        )
    return found


def _friends(shopper: Shopper, by_store: dict[str, list[Adviser]], chance: random.Random) -> list[Adviser]:
    """An adviser of her most visited staffed store; now and then one more, of that store or the next one."""
    nearby = [adviser for store, _ in shopper.stores for adviser in by_store.get(store, ())]
    befriends, second, pick = chance.random(), chance.random(), chance.random()
    if not nearby or befriends >= FRIEND_SHARE:
        return []
    at_first = [adviser for adviser in nearby if adviser.store == nearby[0].store]
    owner = at_first[int(pick * len(at_first))]
    others = [adviser for adviser in nearby if adviser is not owner]
    return [owner, others[0]] if others and second < SECOND_FRIEND_SHARE else [owner]


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody came to a store, at a naive UTC time like the data's own."""

    member: str
    store: str
    at: datetime


def visits(first_baskets: Sequence[tuple[str, str, datetime]]) -> list[Visit]:
    """A visit before the first basket of each household and day, and some visits without a purchase.

    `first_baskets` holds (member, store, naive UTC time), one per household and local day. No visit leaves the
    minute range of its basket by more than twenty minutes, so it stays on the same local day but for a handful
    just after midnight, which is harmless: they are simulated.
    """
    before, looking = stream("visits"), stream("looking")
    found = []
    for member, store, at in first_baskets:
        found.append(Visit(member, store, at - timedelta(seconds=before.randrange(60, 1200))))
        if looking.random() < LOOKING_SHARE:
            day = date(2017, 1, 1) + timedelta(days=looking.randrange(365))
            found.append(Visit(member, store, _some_time(day, looking)))
    return found


def _some_time(day: date, chance: random.Random) -> datetime:
    """A moment between 9:00 and 19:00 of the shops' winter day, as naive UTC."""
    return datetime(day.year, day.month, day.day, 14) + timedelta(seconds=chance.randrange(36_000))  # noqa: DTZ001
