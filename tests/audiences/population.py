"""Made-up people, the same in live sets, history tables and as single persons, and a plain reading of rules."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from pyroaring import BitMap

from hetang.audiences import history as asked
from hetang.audiences.buckets import Drawn
from hetang.audiences.district import Place
from hetang.audiences.first_source import Beginning, Code
from hetang.audiences.live import LiveSets
from hetang.audiences.moments import Moment
from hetang.audiences.people import Clicked, GroupStay, Line, Move, Noted, Person, Purchase, Received, Visit
from hetang.audiences.plans import Query, Ranked
from hetang.audiences.rules import (
    AttributeType,
    Catalogue,
    Named,
    OrgStores,
    PondRule,
    SavedRule,
    Sent,
    StageModel,
    StorePlace,
)
from hetang.audiences.standing_rules import Borders
from hetang.audiences.standings import Standings
from hetang.commerce.rhythm import Base
from hetang.customers.friendships import Known
from hetang.customers.life_stages import TEMPLATES, course_from
from hetang.customers.tag_words import Word
from hetang.platform import clickhouse

NO_DAYS = ("", "soon", "20260228")
TODAY = date(2026, 3, 1)
ZONE = ZoneInfo("Asia/Shanghai")
MOMENT = Moment(TODAY, "Asia/Shanghai")
STORES = ("s1", "s2", "s3")
CATEGORIES = ("tea", "milk", "it's % odd")
TAGS = ("gold", "baby", "lost")
STAFF = ("lin", "wang", "zhao")
POND_DAYS = ("2026-01-31", "2026-02-28")
GROUPS = {"g1": "s1", "g2": "s1", "g3": "s2", "g4": ""}  # with their stores
WORKS_AT = {"lin": "s1", "wang": "s2", "zhao": ""}
SAVED = {"version": 1, "rule": {"any": [{"type": "tag", "op": "any", "tags": ["gold"]},
                                        {"type": "metric", "metric": "orders", "op": "<", "value": 2}]}}  # fmt: skip
BABIES = {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["baby"]}}
KINDS = ("order.refunded", "tag.changed")
NINE = course_from(TEMPLATES["child"])
CODES = tuple(stage.code for stage in NINE.stages)
SPOTS = {"s1": (31_230_000, 121_470_000), "s2": (31_240_000, 121_480_000), "s3": (31_236_000, 121_476_000)}
CENTRES = {"d1": (31_225_000, 121_455_000), "d2": (31_250_000, 121_490_000), "d3": (31_200_000, 121_510_000)}
CATALOGUE = Catalogue(
    districts={code: Place(code, "east" if code == "d3" else "west", at) for code, at in CENTRES.items()},
    tags={code: Named(i, code) for i, code in enumerate(TAGS, 1)},
    attributes={
        "city": AttributeType("text", "城市", "City"),
        "score": AttributeType("number", "分数", "Score"),
        "born": AttributeType("date", "生日", "Birthday"),
        "member": AttributeType("boolean", "会员", "Member"),
        "level": AttributeType("choice", "等级", "Level", ("a", "b")),
        "spot": AttributeType("place", "位置", "Position"),
    },
    places={code: StorePlace(at, code != "s3") for code, at in SPOTS.items()},
    stores={code: Named(i, code) for i, code in enumerate((*STORES, "s4"), 1)},
    nodes={"north": OrgStores("North", ("s1", "s2")), "empty": OrgStores("Empty", ())},
    staff={userid: Named(i, userid) for i, userid in enumerate(STAFF, 1)},
    categories={code: (code, code) for code in CATEGORIES},
    products={"p1": "P1", "p2": "P2"},
    groups={code: Named(i, code) for i, code in enumerate(GROUPS, 1)},
    stage_models={
        "child": StageModel("Child", NINE, "", "child"),
        "age": StageModel("Age", NINE, "born", ""),
        "both": StageModel("Both", NINE, "born", "any"),
    },
    rhythm=Base(1000, 1000, 30),
    audiences={
        "regulars": SavedRule(1, "Regulars", SAVED),
        "babies": SavedRule(2, "Value·Babies", BABIES, of_pond=True),
    },
    campaigns={"c1": Sent("Spring", (1, 2)), "c2": Sent("Empty", ())},
    codes={"till": Code("Till", "c1"), "web": Code("Web"), "lost": Code("", "c1")},
    broadcasts={"b2": Sent("Second", (2,)), "b3": Sent("Third", (3,))},
    ponds={
        "p1": PondRule("Value", "Regulars", "regulars", ()),
        "p2": PondRule("Value", "Babies", "babies", ("regulars",)),
        "set": PondRule("Value", "", "", ("regulars", "babies")),
    },
)


@dataclass
class Human:
    """A made-up customer, in the terms of the facts, from which all three readings start."""

    number: int
    alive: bool
    tags: set[str]
    attributes: dict[str, str]
    home: str
    consents: set[tuple[str, str]]
    left_alone: bool
    friends: set[str]
    groups: list[tuple[str, date]] = field(default_factory=list)
    orders: list[tuple[datetime, str, list[tuple[str, str, int, Decimal]]]] = field(default_factory=list)
    refunded: int = 0
    visits: list[tuple[datetime, str]] = field(default_factory=list)
    received: list[tuple[datetime, str]] = field(default_factory=list)
    clicked: list[tuple[datetime, str]] = field(default_factory=list)
    noted: list[tuple[datetime, str]] = field(default_factory=list)
    friendships: list[Known] = field(default_factory=list)
    moves: list[tuple[datetime, bool, bool, bool]] = field(default_factory=list)  # in and out of "regulars"
    household: list[tuple[str, date]] = field(default_factory=list)
    tagged: dict[str, tuple[str, datetime]] = field(default_factory=dict)  # by which source, when
    everybody: list[Human] = field(default_factory=list, repr=False)  # among whom she stands, once they are stored


def day(at: datetime) -> date:
    return at.astimezone(ZONE).date()


def where(n: int) -> tuple[str, str]:
    """Source and channel of somebody's order."""
    return ("till", "shop")[n % 2], ("store", "online", "store")[n % 3]


def seller(n: int) -> str:
    """Who sold somebody's order; nobody knows of every third."""
    return ("", "lin", "wang")[n % 3]


def of_message(n: int) -> tuple[int, str]:
    """Programme and class of a message to somebody."""
    return 1 + n % 3, ("marketing", "service")[n % 2]


def came(h: Human) -> list[tuple[datetime, int, Any, dict[str, Any]]]:
    """How somebody came, each with its properties, the first one first."""
    found: list[tuple[datetime, int, Any, dict[str, Any]]] = [
        (one.at, 0, n, {"by": "friendship", "staff": one.staff, "ways": one.way, "stores": WORKS_AT[one.staff],
                        "channel_states": one.channel_state}) for n, one in enumerate(h.friendships)]  # fmt: skip
    for n, (code, on) in enumerate(h.groups):
        of = {"by": "group_chat", "groups": code, "stores": GROUPS[code], "channel_states": "till" * (code == "g1")}
        found.append((datetime.combine(on, time(12), ZONE), 1, n, of))
    for n, (at, store, _items) in enumerate(h.orders):
        source, channel = where(n)
        of = {"by": "order", "stores": store, "channels": channel, "sources": source, "staff": seller(n)}
        found.append((at, 2, (source, f"{h.number}-{n}"), of))
    return sorted(found, key=lambda one: one[:3])


def invent(rng: random.Random, number: int) -> Human:
    def moment() -> datetime:
        days = rng.choice([0, 1, 6, 7, 8, 29, 30, 31, 89, 90, 200, 364, 365, 800])
        return datetime(2026, 3, 1, rng.randrange(24), 30, tzinfo=UTC) - timedelta(days=days + 1)

    attributes = {
        "city": rng.choice(["", "上海", "北京", "O'Hare \\ %"]),
        "score": rng.choice(["", "0", "0.1", "7", "-3.5", "12"]),
        "born": rng.choice(
            ["", "1990-02-28", "2026-02-27", "2026-03-04", "2012-03-01", "2023-02-28", "2026-12-06", *NO_DAYS[1:]]
        ),
        "member": rng.choice(["", "true", "false"]),
        "level": rng.choice(["", "a", "b"]),
    }
    human = Human(
        number,
        rng.random() > 0.1,
        {tag for tag in TAGS if rng.random() < 0.4},
        {code: value for code, value in attributes.items() if value},
        rng.choice(["", *STORES]),
        {("marketing", channel) for channel in ("wecom", "sms") if rng.random() < 0.5},
        rng.random() < 0.2,
        {userid for userid in STAFF if rng.random() < 0.4},
    )
    human.groups = [(code, TODAY - timedelta(days=rng.choice([0, 6, 7, 400]))) for code in GROUPS if rng.random() < 0.3]
    for _ in range(rng.choice([0, 0, 1, 2, 3, 6])):
        lines = [
            (
                rng.choice(CATEGORIES),
                rng.choice(["p1", "p2"]),
                rng.choice([0, 100, 250, 999]),
                Decimal(rng.choice(["1", "0.5", "2.125"])),
            )
            for _ in range(rng.randrange(1, 4))
        ]
        human.orders.append((moment(), rng.choice(["", *STORES]), lines))
    human.refunded = rng.choice([0, 0, 0, 100, 5000])
    human.visits = [(moment(), rng.choice(STORES)) for _ in range(rng.choice([0, 0, 1, 3]))]
    human.received = [(moment(), rng.choice(["wecom", "sms"])) for _ in range(rng.choice([0, 0, 1, 2]))]
    human.clicked = [(moment(), rng.choice(["wecom", "sms"])) for _ in range(rng.choice([0, 0, 1, 3]))]
    states = ("active", "half", "lost_by_customer", "lost_by_staff")
    human.friendships = [
        Known(rng.choice(STAFF), rng.choice(states), rng.choice([0, 1, 202]), rng.choice(["", "till", "web"]), moment())
        for _ in range(rng.choice([0, 1, 2]))
    ]
    human.noted = [(moment(), rng.choice(KINDS)) for _ in range(rng.choice([0, 0, 1, 2, 3]))]
    human.moves = moves(rng)
    days = [date(2024, 2, 29), date(2026, 3, 1), date(2026, 12, 6), date(2012, 3, 1), date(2012, 3, 2)]
    days += [TODAY + timedelta(days=rng.randrange(-5200, 300)) for _ in range(5)]
    human.tagged = {tag: (rng.choice(["console", "wecom", "crm"]), moment()) for tag in sorted(human.tags)}
    if rng.random() < 0.8:
        human.attributes["spot"] = rng.choice([f"geo:{rng.uniform(31.19, 31.28):.6f},{rng.uniform(121.43, 121.52):.6f}",
                                               "geo:31.230000,121.470000", "geo:-33.868800,151.209300;from=gcj02",
                                               "geo:-0.000001,-0.000001", "near the park"])  # fmt: skip
    human.household = [(rng.choice(["child", "pet"]), rng.choice(days)) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
    return human


MOVED_AT = (datetime(2026, 2, 1, 1, tzinfo=UTC), datetime(2026, 2, 22, 15, 59, tzinfo=UTC),
            datetime(2026, 2, 22, 16, tzinfo=UTC), datetime(2026, 2, 28, 20, tzinfo=UTC))  # fmt: skip


def moves(rng: random.Random) -> list[tuple[datetime, bool, bool, bool]]:
    """Snapshots of "regulars", the first of which came after its time: she may have been in before."""
    inside = rng.random() < 0.3
    found = [(MOVED_AT[0], False, False, True)] if inside else []
    for at in MOVED_AT[1:]:
        if rng.random() < 0.4:
            inside = not inside
            found.append((at, inside, not inside, inside))
    return found


def favourite(values: list[str]) -> str:
    return max(sorted(set(values)), key=values.count, default="")


def gmv(human: Human) -> int:
    return sum(line[2] for _, _, lines in human.orders for line in lines) - human.refunded


class Population:
    """The people, in the live sets and in the history tables."""

    def __init__(self, people: list[Human]) -> None:
        self.people = people
        self.universe = BitMap(h.number for h in people if h.alive)
        self.known: dict[Query, BitMap] = {}
        self.drawn = Drawn()
        self.standings = Standings()
        self.households = LiveSets()
        for h in people:
            for kind, born in h.household if h.alive else ():
                known = self.households.families["household"]
                known[kind, born.isoformat()] = known.get((kind, born.isoformat()), BitMap()) | BitMap([h.number])

    def live(self, family: str, keys: tuple[Any, ...]) -> BitMap:
        living = [h for h in self.people if h.alive or family == "bucket"]  # a draw knows numbers only
        if family == "friends":
            number, staff = keys
            named = {STAFF[i - 1] for i in staff} or set(STAFF)
            return BitMap(h.number for h in living if len(h.friends & named) >= number)
        if family == "groups":
            return BitMap(h.number for h in living if self._in_groups(h, *keys))
        if family == "tagged":
            ids, sources, since = keys
            return BitMap(
                h.number
                for h in living
                for tag, (source, at) in h.tagged.items()
                if TAGS.index(tag) + 1 in ids and source in (sources or [source]) and (since is None or at >= since)
            )
        if family == "friendship":
            return BitMap(h.number for h in living if any(self._is_such(one, *keys) for one in h.friendships))
        if family == "first_source":
            return BitMap(h.number for h in living if self._came_first(h, *keys))
        if family == "household":
            return self.households.household(*keys)
        fits = {
            "tag": lambda h: any(TAGS[i - 1] in h.tags for i in keys),
            "consent": lambda h: keys[0] in h.consents,
            "left_alone": lambda h: h.left_alone,
            "was_member": lambda h: [(0, 0, 0, False), *(m for m in h.moves if m[0].isoformat() <= keys[1])][-1][3],
            "was_in_pond": lambda h: pond_on(h, keys[0]) in keys[1:],
            "moved": lambda h: any(
                m[0].isoformat() >= keys[2] and m[1 if keys[1] == "entered" else 2] for m in h.moves
            ),
            "home_store": lambda h: any(STORES[i - 1] == h.home for i in keys),
            "bucket": lambda h: h.number in self.drawn.between(*keys, highest=len(self.people)),
        }[family]
        return BitMap(h.number for h in living if fits(h))

    @staticmethod
    def _is_such(one: Known, state: str, staff: Any, ways: Any, states: Any, since: datetime | None) -> bool:
        named = {STAFF[i - 1] for i in staff} or set(STAFF)
        there = {"active": one.state == "active", "lost": "lost" in one.state, "any": one.state != "half"}[state]
        begun = one.way in (ways or [one.way]) and one.channel_state in (states or [one.channel_state])
        return there and begun and one.staff in named and (since is None or one.at >= since)

    @staticmethod
    def _came_first(h: Human, by: str, since: datetime | None, *wanted: tuple[str, Any]) -> bool:
        names = {"stores": STORES, "staff": STAFF, "groups": tuple(GROUPS)}
        at, _rank, _n, of = (*came(h), (MOMENT.instant(TODAY), 9, 0, {"by": ""}))[0]
        chosen = [
            of.get(key) in [names[key][int(one) - 1] if key in names else one for one in values]
            for key, values in wanted
        ]
        return of["by"] == by and (since is None or at >= since) and all(chosen)

    @staticmethod
    def _in_groups(h: Human, number: int, groups: Any, stores: Any, since: date | None, until: date) -> bool:
        codes = {code for i, code in enumerate(GROUPS, 1) if not groups or i in groups}
        of = {STORES[i - 1] for i in stores}
        held = [code for code, on in h.groups if code in codes and (since is None or since <= on <= until)]
        return len([code for code in held if not of or GROUPS[code] in of]) >= number

    def prepare(self, queries: Sequence[Query]) -> None:
        self.known |= asked.members([query for query in queries if query not in self.known])

    def query(self, query: Query) -> BitMap:
        return self.known[query]

    def ranked(self, step: Ranked) -> tuple[BitMap, Borders]:
        return self.standings.answer(step, 1, lambda one: asked.values(one, self.universe))


def store_history(people: list[Human]) -> None:
    orders, lines, visits, touches, clicks, profiles, noted = [], [], [], [], [], [], []
    for h in people:
        h.everybody = people
        for n, (at, store, items) in enumerate(h.orders):
            key = f"{h.number}-{n}"
            net, (source, channel) = sum(item[2] for item in items), where(n)
            orders.append([h.number, at, day(at), source, key, store, channel, net, 0, len(items)])
            for category, sku, amount, quantity in items:
                lines.append([h.number, at, day(at), source, key, store, channel, sku, category, quantity, amount])
        noted += [[h.number, at, kind, "till", f"{h.number}-{n}"] for n, (at, kind) in enumerate(h.noted)]
        visits += [[h.number, at, day(at), store, "store"] for at, store in h.visits]
        for n, (at, channel) in enumerate(h.received):
            touches.append([h.number, at, day(at), channel, *of_message(n), "sent"])
        clicks += [[h.number, at, day(at), channel, *of_message(n)] for n, (at, channel) in enumerate(h.clicked)]
        touches.append(
            [h.number, datetime(2026, 2, 28, tzinfo=UTC), date(2026, 2, 28), "wecom", 1, "marketing", "failed"]
        )
        times = [at for at, _, _ in h.orders]
        if h.orders or h.visits or h.attributes or h.refunded:
            profiles.append([
                *(h.number, 1, h.home, "", min(times, default=None), max(times, default=None), len(times), gmv(h)),
                *(h.refunded, len(h.visits), max((at for at, _ in h.visits), default=None)),
                favourite([s for _, s, _ in h.orders if s]),
                favourite([i[0] for _, _, items in h.orders for i in items]),
                *(h.attributes, int(h.alive)),
            ])  # fmt: skip
    anonymous = [0, orders[0][1], TODAY, "till", "anonymous", "s1", "store", 5, 0, 1]
    for table, rows in (
        ("orders", [*orders, anonymous]), ("order_lines", lines), ("visits", visits), ("touches", touches),
        ("clicks", clicks),
        ("customer_profile", profiles), ("facts", noted),
    ):  # fmt: skip
        described = clickhouse.rows(f"describe table {table}")
        columns = list(dict.fromkeys(str(row[0]) for row in described if not row[2] or row[0] == "attributes"))
        clickhouse.insert(table, columns, rows, token=f"test-{table}-{uuid4()}")


def person(h: Human) -> Person:
    purchases, lines = [], []
    for n, (at, store, items) in enumerate(h.orders):
        source, channel = where(n)
        order = (source, f"{h.number}-{n}")
        purchases.append(Purchase(order, day(at), store, channel, sum(item[2] for item in items), at))
        lines += [Line(order, day(at), store, channel, *item, at) for item in items]
    return Person(
        h.number, h.alive, frozenset(h.tags), h.attributes, h.home,
        favourite([s for _, s, _ in h.orders if s]), favourite([i[0] for _, _, items in h.orders for i in items]),
        gmv(h), h.refunded, len(h.orders), len(h.visits),
        min((day(at) for at, _, _ in h.orders), default=None), max((day(at) for at, _, _ in h.orders), default=None),
        max((day(at) for at, _ in h.visits), default=None),
        frozenset(h.consents), h.left_alone, frozenset(h.friends), tuple(purchases), tuple(lines),
        tuple(Visit(day(at), store, "store", at) for at, store in h.visits),
        tuple(Received(day(at), channel, at, *of_message(n)) for n, (at, channel) in enumerate(h.received)),
        tuple(Clicked(day(at), channel, at, *of_message(n)) for n, (at, channel) in enumerate(h.clicked)),
        tuple(Noted(kind, day(at), at) for at, kind in h.noted),
        tuple(h.friendships),
        tuple(Word(tag, *said) for tag, said in h.tagged.items()),
        {"regulars": tuple(Move(*move) for move in h.moves)},
        {(pond, on): on for on in POND_DAYS if (pond := pond_on(h, on))},
        tuple(GroupStay(code, code, GROUPS[code], on) for code, on in h.groups),
        tuple(h.household),
        tuple(
            Beginning(of["by"], at, of["stores"], of["channel_states"], of.get("ways", 0), of.get("staff", ""),
                      of.get("groups", "")) for at, _rank, _n, of in came(h) if of["by"] != "order"
        ),
        next((of["staff"] for *_when, of in came(h) if of["by"] == "order"), ""),
    )  # fmt: skip


# The third reading: straight from the JSON and the made-up people, sharing nothing with the product ------------------


def fits(rule: dict[str, Any], h: Human) -> bool:
    if "all" in rule:
        return all(fits(part, h) for part in rule["all"])
    if "any" in rule:
        return any(fits(part, h) for part in rule["any"])
    if "not" in rule:
        return not fits(rule["not"], h)
    return globals()[f"fits_{rule['type']}"](rule, h)


def relates(found: Any, op: str, value: Any) -> bool:
    if op == "between":
        return value[0] <= found <= value[1]
    return {"=": found == value, "!=": found != value, "<": found < value, "<=": found <= value, ">": found > value,
            ">=": found >= value}[op]  # fmt: skip


def fits_tag(rule: dict[str, Any], h: Human) -> bool:
    has = []
    for tag in rule["tags"]:
        source, at = h.tagged.get(tag, ("", None))
        named = "sources" not in rule or source in rule["sources"]
        has.append(tag in h.tags and named and (at is None or (TODAY - day(at)).days < rule.get("days", 10**6)))
    return not any(has) if rule["op"] == "none" else (all(has) if rule["op"] == "all" else any(has))


def fits_consent(rule: dict[str, Any], h: Human) -> bool:
    return ((rule["purpose"], rule["channel"]) in h.consents) is rule["given"]


def fits_do_not_disturb(rule: dict[str, Any], h: Human) -> bool:
    return h.left_alone is rule["on"]


def fits_relation(rule: dict[str, Any], h: Human) -> bool:
    return sum(1 for f in h.friends if not rule["staff"] or f in rule["staff"]) >= rule["number"]


def fits_friendship(rule: dict[str, Any], h: Human) -> bool:
    way = {"qr_code": 1, "unknown": 0, "assigned": 202}
    states = {"active": ["active"], "lost": ["lost_by_customer", "lost_by_staff"]}
    states["any"] = states["active"] + states["lost"]
    for one in h.friendships:
        wanted = one.state in states[rule["state"]] and one.staff in rule.get("staff", STAFF)
        wanted = wanted and one.way in [way[name] for name in rule.get("ways", way)]
        wanted = wanted and one.channel_state in rule.get("channel_states", ["", "till", "web"])
        if rule.get("campaigns"):
            wanted = wanted and {"till": "c1", "lost": "c1"}.get(one.channel_state) in rule["campaigns"]
        if wanted and (TODAY - day(one.at)).days < rule.get("days", 10**6):
            return True
    return False


def fits_first_source(rule: dict[str, Any], h: Human) -> bool:
    way = {"qr_code": 1, "unknown": 0, "assigned": 202}
    known = came(h)
    if not known:
        return False
    at, _rank, _n, of = known[0]
    for key in ("stores", "channel_states", "ways", "staff", "groups", "channels", "sources"):
        values = [way[one] for one in rule.get(key, [])] if key == "ways" else rule.get(key, [])
        if values and of.get(key) not in values:
            return False
    belongs = {"till": "c1", "lost": "c1"}.get(of.get("channel_states", ""))
    if rule.get("campaigns") and belongs not in rule["campaigns"]:
        return False
    return rule["by"] in ("any", of["by"]) and (TODAY - day(at)).days < rule.get("days", 10**6)


def fits_group_chat(rule: dict[str, Any], h: Human) -> bool:
    count = 0
    for code, on in h.groups:
        named = code in (rule.get("groups") or GROUPS)
        placed = GROUPS[code] in (rule.get("stores") or GROUPS.values())
        count += named and placed and (TODAY - on).days < rule.get("days", 10**6)
    return count >= rule["number"]


def fits_audience(rule: dict[str, Any], h: Human) -> bool:
    return "gold" in h.tags or len(h.orders) < 2


def fits_pond(rule: dict[str, Any], h: Human) -> bool:
    """Regulars first, then children's parents by tag, then everybody else."""
    regular, baby = fits_audience({}, h), "baby" in h.tags
    where = "p1" if regular else "p2" if baby else "set"
    return where in rule["ponds"]


def fits_pond_at(rule: dict[str, Any], h: Human) -> bool:
    return pond_on(h, rule["date"]) in rule["ponds"]


def pond_on(h: Human, day: str) -> str:
    """Where somebody was when one of `POND_DAYS` began; empty for nowhere."""
    return ("p1", "p2", "set", "")[(h.number + POND_DAYS.index(day)) % 4]


def fits_audience_at(rule: dict[str, Any], h: Human) -> bool:
    then = datetime.fromisoformat(f"{rule['date']}T{rule['time']}:00+08:00")
    inside = False
    for at, _came, _went, after in h.moves:
        inside = after if at <= then else inside
    return inside


def fits_audience_moved(rule: dict[str, Any], h: Human) -> bool:
    recent = [m for m in h.moves if (TODAY - day(m[0])).days < rule["days"]]
    return any(came if rule["way"] == "entered" else went for _at, came, went, _inside in recent)


def fits_life_stage(rule: dict[str, Any], h: Human) -> bool:
    """By ages walked day by day and month by month, without a look at how the product counts."""
    dates = [] if rule["whose"] == "own" or rule["model"] == "age" else list(h.household)
    if rule["model"] == "child":
        dates = [pair for pair in dates if pair[0] == "child"]
    found = [born for _kind, born in dates]
    text = h.attributes.get("born", "")
    if rule["whose"] != "member" and rule["model"] != "child" and text and text not in NO_DAYS:
        found.append(date.fromisoformat(text))
    return any(_stage_fits(rule, born) for born in found)


def _starts(born: date) -> list[date]:
    def after(months: int) -> date:
        year, month = born.year + (born.month - 1 + months) // 12, (born.month - 1 + months) % 12 + 1
        try:
            return date(year, month, born.day)
        except ValueError:
            return date(year, month + 1, 1)

    return [born - timedelta(days=280), born, *(after(n) for n in (3, 6, 12, 24, 36, 72, 96, 168))]


def _stage_fits(rule: dict[str, Any], born: date) -> bool:
    starts = _starts(born)
    wanted = [CODES.index(code) for code in rule["stages"]] or range(9)
    if rule["op"] == "enters_within":
        return any(TODAY < starts[n] <= TODAY + timedelta(days=rule["days"]) for n in wanted)
    recent = TODAY - timedelta(days=rule["days"]) if rule["op"] == "entered_within" else date.min
    return any(recent < starts[n] <= TODAY < starts[n + 1] for n in wanted)


def fits_bucket(rule: dict[str, Any], h: Human) -> bool:
    seed = hashlib.blake2b(b"bucket\0" + rule.get("draw", "").encode(), digest_size=8).digest()
    x = (h.number + int.from_bytes(seed, "big") + 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ x // 2**30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x // 2**27) * 0x94D049BB133111EB % 2**64
    place = (x ^ x // 2**31) // 2**32
    return rule["from"] <= 1 + place * 100 // 2**32 <= rule["to"]


def fits_store(rule: dict[str, Any], h: Human) -> bool:
    codes = rule.get("stores") or {"north": ["s1", "s2"], "empty": []}[rule["node"]]
    if rule["op"] == "bought_at":
        return any(store in codes for _, store, _ in h.orders)
    return (h.home if rule["op"] == "home" else favourite([s for _, s, _ in h.orders if s])) in codes


def away(h: Human, places: dict[str, tuple[int, int]]) -> dict[str, float]:
    """How many metres her position is from places, by vectors to points on a sphere, not by haversines."""

    def vector(north: float, east: float) -> tuple[float, float, float]:
        north, east = math.radians(north), math.radians(east)
        return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)

    text = h.attributes.get("spot", "")
    if not text.startswith("geo:"):
        return {}
    spot = vector(*map(float, text[4:].partition(";")[0].split(",")))
    return {code: 2 * 6_371_008.8 * math.asin(math.dist(spot, vector(*(one / 1e6 for one in at))) / 2)
            for code, at in places.items()}  # fmt: skip


def fits_place(rule: dict[str, Any], h: Human) -> bool:
    far = away(h, SPOTS)
    if rule["op"] == "within":
        return any(far[code] <= rule["km"] * 1000 for code in rule["stores"] if far)
    near = min(("s1", "s2"), key=lambda code: far.get(code, math.inf))  # s3 is not open
    return near in rule["stores"] and far.get(near, math.inf) <= 50_000


def fits_district(rule: dict[str, Any], h: Human) -> bool:
    far = away(h, CENTRES)
    near = min(CENTRES, key=lambda code: far.get(code, math.inf))
    named = near in rule.get("districts", []) or ("east" if near == "d3" else "west") in rule.get("parents", [])
    return named and far.get(near, math.inf) <= 50_000


def fits_attribute(rule: dict[str, Any], h: Human) -> bool:
    text, op, value = h.attributes.get(rule["code"], ""), rule["op"], rule.get("value")
    if rule["code"] == "spot" and not text.startswith("geo:"):
        text = ""
    if rule["code"] == "born" and text in NO_DAYS:
        text = ""
    if op in ("empty", "not_empty"):
        return (text == "") == (op == "empty")
    if op == "in":
        return text in value
    if op == "contains":
        return value in text
    if rule["code"] == "member":
        return text == ("true" if value else "false")
    if rule["code"] == "score":
        return op == "!=" if text == "" else relates(float(text), op, value)
    if rule["code"] == "born":
        return op == "!=" if text == "" else relates(date.fromisoformat(text), op, _dates(value))
    return relates(text, op, value)


def _dates(value: Any) -> Any:
    return [date.fromisoformat(v) for v in value] if isinstance(value, list) else date.fromisoformat(value)


def rhythm_of(h: Human) -> tuple[int, date] | None:
    """The percent of times in which she had bought by now, and the day of the fiftieth percentile: of gaps of
    shape one, with a base that counts as one of thirty days, so that there is a closed form."""
    days = sorted({day(at) for at, _, _ in h.orders})
    if len(days) < 2:
        return None
    total, weight = 30 + (days[-1] - days[0]).days, len(days)

    def quantile(share: float) -> int:
        return max(1, math.ceil(total * ((1 - share) ** (-1 / weight) - 1)))

    since = (TODAY - days[-1]).days
    late = max(percent for percent in range(100) if percent == 0 or since >= quantile(percent / 100))
    return late, days[-1] + timedelta(days=quantile(0.5))


def fits_metric(rule: dict[str, Any], h: Human) -> bool:
    name, op, value = rule["metric"], rule["op"], rule.get("value")
    if name == "lateness":
        known = rhythm_of(h)
        if op in ("empty", "not_empty"):
            return (known is None) == (op == "empty")
        return op == "!=" if known is None else relates(known[0], op, value)
    if name.startswith("favourite"):
        values = (
            [s for _, s, _ in h.orders if s]
            if name.endswith("store")
            else [i[0] for _, _, items in h.orders for i in items]
        )
        found = favourite(values)
        return {"empty": found == "", "not_empty": found != "", "in": found in (value or [])}[op]
    if name.startswith("days_since"):
        times = [at for at, _ in h.visits] if name.endswith("visit") else [at for at, _, _ in h.orders]
        if op in ("empty", "not_empty"):
            return (not times) == (op == "empty")
        if not times:
            return op == "!="
        at = min(times) if name.endswith("first_order") else max(times)
        return relates((TODAY - day(at)).days, op, value)
    if name == "average_order_value":
        if not h.orders:
            return op == "!="
        return relates(Fraction(gmv(h), len(h.orders)), op, value)
    if name.startswith("orders_"):
        since = TODAY - timedelta(days=int(name[7:]))
        return relates(sum(1 for at, _, _ in h.orders if since < day(at) <= TODAY), op, value)
    found = {"orders": len(h.orders), "visits": len(h.visits), "gmv": gmv(h), "refunded": h.refunded}[name]
    if not (h.orders or h.visits or h.attributes or h.refunded):
        found = 0
    return relates(found, op, value)


def fits_date(rule: dict[str, Any], h: Human) -> bool:
    times = [at for at, _ in h.visits] if rule["of"] == "last_visit" else [at for at, _, _ in h.orders]
    if rule["of"] == "attribute:born":
        text = h.attributes.get("born", "")
        if text in NO_DAYS:
            return False
        found = date.fromisoformat(text)
    elif rule["of"] == "expected_order":
        known = rhythm_of(h)
        if known is None:
            return False
        found = known[1]
    elif not times:
        return False
    else:
        found = day(min(times) if rule["of"] == "first_order" else max(times))
    ago = (TODAY - found).days
    match rule["op"]:
        case "within_last":
            return 0 <= ago < rule["days"]
        case "within_next":
            return 0 <= -ago < rule["days"]
        case "more_than_ago":
            return ago > rule["days"]
        case "anniversary_within":
            coming = [TODAY + timedelta(days=step) for step in range(rule["days"])][:366]
            return any((found.month, found.day) == (one.month, one.day) for one in coming)
        case "before":
            return found < date.fromisoformat(rule["date"])
    return found > date.fromisoformat(rule["date"])


def in_period(rule: dict[str, Any], on: date) -> bool:
    ago = (TODAY - on).days
    if "from" in rule or "to" in rule:
        return rule.get("from", "") <= on.isoformat() <= rule.get("to", "9")
    if "days" in rule and not 0 <= ago < rule["days"]:
        return False
    return "before_days" not in rule or ago > rule["before_days"]


def deeds(rule: dict[str, Any], h: Human) -> list[dict[str, Any]]:
    """What she did of an event, each with its properties; of orders their lines."""
    event = rule["event"]
    found: list[dict[str, Any]]
    if event in ("bought", "spent"):
        found = [
            {"at": at, "store": store, "channel": where(n)[1], "source": where(n)[0], "order": n, "category": c,
             "sku": s, "amount": a, "pieces": q}
            for n, (at, store, items) in enumerate(h.orders) for c, s, a, q in items
        ]  # fmt: skip
    elif event == "visited":
        found = [{"at": at, "store": store, "channel": "store"} for at, store in h.visits]
    elif event in ("received", "clicked"):
        found = [
            {"at": at, "channel": channel, "programme": of_message(n)[0], "message_class": of_message(n)[1]}
            for n, (at, channel) in enumerate(h.received if event == "received" else h.clicked)
        ]
    else:
        found = [{"at": at, "kind": kind} for at, kind in h.noted]
    found = [one | {"day": day(one["at"])} for one in found if in_period(rule, day(one["at"]))]
    for key, ids in (("campaigns", {"c1": [1, 2], "c2": []}), ("broadcasts", {"b2": [2], "b3": [3]})):
        if rule.get(key):
            sent = {one for code in rule[key] for one in ids[code]}
            found = [one for one in found if one["programme"] in sent]
    found = [one for one in found if not rule.get("sources") or one["source"] in rule["sources"]]
    for name in ("category", "sku", "channel", "kind", "message_class"):
        found = [one for one in found if rule.get(name) in (None, one.get(name))]
    if wanted := rule.get("weekdays"):
        found = [one for one in found if (one["day"].weekday() >= 5) == (wanted == "weekend")]
    if hours := rule.get("hours"):
        first, end = hours
        inside = {hour % 24 for hour in range(first, end if first < end else end + 24)}
        found = [one for one in found if one["at"].astimezone(ZONE).hour in inside]
    return [one for one in found if not rule.get("stores") or one["store"] in rule["stores"]]


def fits_behaviour(rule: dict[str, Any], h: Human) -> bool:
    done, event = deeds(rule, h), rule["event"]
    measure = rule.get("measure", "sum" if event == "spent" else "times")
    orders = {one.get("order") for one in done}
    quantity: Any
    if measure == "average":
        if not done:
            return False
        quantity = Fraction(sum(one["amount"] for one in done), len(orders))
    elif measure == "sum":
        quantity = sum(one["amount" if event == "spent" else "pieces"] for one in done)
    elif measure == "distinct":
        quantity = len({one[rule["of"]] for one in done if one[rule["of"]]})
    else:
        quantity = len(orders) if event == "bought" and rule.get("count") != "lines" else len(done)
    return {"at_least": quantity >= rule["value"], "at_most": quantity <= rule["value"],
            "exactly": quantity == rule["value"]}[rule["op"]]  # fmt: skip


def fits_behaviour_at(rule: dict[str, Any], h: Human) -> bool:
    days = [one["day"] for one in deeds({k: v for k, v in rule.items() if k != "days"}, h)]
    if not days:
        return False
    found = min(days) if rule["end"] == "first" else max(days)
    ago = (TODAY - found).days
    if rule["op"] in ("before", "after"):
        on = date.fromisoformat(rule["date"])
        return found < on if rule["op"] == "before" else found > on
    return 0 <= ago < rule["days"] if rule["op"] == "within_last" else ago > rule["days"]


def fits_behaviour_then(rule: dict[str, Any], h: Human) -> bool:
    wait = timedelta(**{rule.get("unit", "days"): rule["within"]})
    midnight = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=ZONE)
    laters = [one["at"] for one in deeds(rule["then"], h)]
    for first in deeds(rule["first"], h):
        after = any(first["at"] < later <= first["at"] + wait for later in laters)
        if after if rule["happened"] else (not after and first["at"] + wait <= midnight):
            return True
    return False


def measured(rule: dict[str, Any], h: Human) -> Any:
    """What she is compared by; None: she is not among those who are."""
    by, days, category, store = (rule.get(name) for name in ("by", "days", "category", "store"))
    orders = [
        (at, place, [line for line in lines if not category or line[0] == category])
        for at, place, lines in h.orders
        if (days is None or 0 <= (TODAY - day(at)).days < days) and (not store or place == store)
    ]
    orders = [one for one in orders if one[2]]
    visits = [
        at
        for at, place in h.visits
        if (days is None or 0 <= (TODAY - day(at)).days < days) and (not store or place == store)
    ]
    if by == "attribute:score":
        return float(h.attributes["score"]) if h.attributes.get("score") else None
    if by == "refunded":
        return h.refunded or None
    if by in ("visits", "days_since_last_visit"):
        found = len(visits) if by == "visits" else (TODAY - day(max(visits))).days if visits else None
        return found if visits else None
    if not orders:
        return None
    times = [at for at, _, _ in orders]
    return {
        "spent": sum(line[2] for _, _, lines in orders for line in lines), "orders": len(orders), "gmv": gmv(h),
        "average_order_value": Fraction(gmv(h), len(orders)), "days_since_last_order": (TODAY - day(max(times))).days,
        "days_since_first_order": (TODAY - day(min(times))).days,
    }[by]  # fmt: skip


def among_all(rule: dict[str, Any], h: Human, work_out: Any) -> Any:
    """What is worked out of a rule for all living customers at once; remembered, for it is asked for each of them."""
    key = id(h.everybody), json.dumps(rule, sort_keys=True)
    if key not in _WORKED_OUT:
        _WORKED_OUT[key] = work_out(rule, [one for one in h.everybody if one.alive])
    return _WORKED_OUT[key]


_WORKED_OUT: dict[tuple[int, str], Any] = {}


def fits_percentile(rule: dict[str, Any], h: Human) -> bool:
    return h.number in among_all(rule, h, _best)


def _best(rule: dict[str, Any], people: list[Human]) -> set[int]:
    """One after the other, best first; whoever is equal to the last one who fits in is in, too."""
    values = {one.number: measured(rule, one) for one in people}
    sign = -1 if rule.get("side", "top") == "top" else 1
    order = sorted((sign * value, number) for number, value in values.items() if value is not None)
    taken, place, last = set(), Fraction(str(rule["percent"])) * len(order) / 100, None
    for before, (value, number) in enumerate(order):
        if before < place or value == last:
            taken.add(number)
            last = value
    return taken


def fits_rfm(rule: dict[str, Any], h: Human) -> bool:
    if not h.orders:
        return False
    scores, means = among_all({"days": rule.get("days")}, h, _scores)
    mine = scores[h.number]
    if rule.get("segments"):
        weight, worth = ("important" if mine[2] > means[2] else "general"), (mine[0] > means[0], mine[1] > means[1])
        what = {(True, True): "value", (True, False): "develop", (False, True): "keep", (False, False): "win_back"}
        return f"{weight}_{what[worth]}" in rule["segments"]
    ranges = [rule.get(letter) or [1, 5] for letter in ("recency", "frequency", "money")]
    return all(low <= score <= high for score, (low, high) in zip(mine, ranges, strict=True))


def _scores(rule: dict[str, Any], people: list[Human]) -> tuple[dict[int, list[int]], list[Fraction]]:
    """By counting, for each buyer and letter, how many buyers have less."""
    buyers = [one for one in people if one.orders]
    values = {
        one.number: (
            -measured({"by": "days_since_last_order"}, one),
            measured({"by": "orders", **rule}, one) or 0,
            measured({"by": "spent", **rule}, one) or 0,
        )
        for one in buyers
    }
    scores = {
        number: [1 + 5 * sum(other[n] < mine[n] for other in values.values()) // len(buyers) for n in range(3)]
        for number, mine in values.items()
    }
    return scores, [Fraction(sum(one[n] for one in scores.values()), len(buyers)) for n in range(3)]
