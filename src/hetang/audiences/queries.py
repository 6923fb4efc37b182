"""Reads: previews, members, one person as the rules see her, and why she is in."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from pyroaring import BitMap

from hetang.audiences import first_source_sets, history, nearness, past, stored
from hetang.audiences.catalogues import catalogue
from hetang.audiences.matching import Verdict, matches
from hetang.audiences.matching import explain as explain_person
from hetang.audiences.models import Audience, AudienceSnapshot, AudienceVersion, PondSet
from hetang.audiences.moments import Moment
from hetang.audiences.naming import naming
from hetang.audiences.people import GroupStay, Move, Person
from hetang.audiences.reading import every_condition, parse
from hetang.audiences.rules import (
    Catalogue,
    InvalidRule,
    Moved,
    Node,
    Path,
    WasInPond,
    WasMember,
    position_of,
)
from hetang.audiences.rules import is_personal as personal_rule
from hetang.audiences.standing_rules import Borders, Standing
from hetang.customers import friendships, kept, tag_words
from hetang.customers.access import visible as visible_customers
from hetang.customers.models import Customer, CustomerAttribute, Tag
from hetang.platform import clock, engine_client, positions
from hetang.platform.access import Scope


@dataclass(frozen=True)
class Overlap:
    """`pairs[i][j]`: people who are in both audiences (in the one, where i is j); `union`: people in any of them."""

    pairs: list[list[int]]
    union: int


@dataclass(frozen=True)
class Preview:
    """How many fit (of how many in scope), some of them, the size of every part by its path in the rule, and how many
    more would fit without each part of the outermost `all`."""

    count: int
    of: int
    sample: list[int]
    sizes: dict[Path, int] = field(default_factory=dict)
    removes: dict[Path, int] = field(default_factory=dict)


def visible(scope: Scope) -> QuerySet[Audience]:
    """Audiences that somebody with this scope may see: her nodes', and those of the nodes above."""
    return Audience.objects.filter(placed(scope), archived_at=None, pond_set=None).select_related("org_node")


def seen_rules(scope: Scope) -> set[int]:
    """Ids of the saved audiences, and of the rules of ponds, that somebody with this scope may see. One query."""
    return set(Audience.objects.filter(placed(scope), archived_at=None).values_list("pk", flat=True))


def placed(scope: Scope) -> Q:
    """That something belongs to a node in scope, or to one above."""
    if scope.everything:
        return Q()
    inside = Q(pk__in=[])
    for path in scope.paths:
        ids = [int(node) for node in path.strip(".").split(".")]
        inside |= Q(org_node__path__startswith=path) | Q(org_node_id__in=ids)
    return inside


def is_personal(audience: Audience, version: int) -> bool:
    """Whether a version of an audience chooses people by what is known of them: see `rules.is_personal`. A rule that
    cannot be read any more counts as such."""
    saved = AudienceVersion.objects.filter(audience=audience, version=version).values_list("rule", flat=True).first()
    known = catalogue(saved or audience.rule)

    def rule_of(public_id: str) -> Node | None:
        inner = known.audiences.get(public_id)
        return parse(inner.rule, known) if inner else None

    try:
        return personal_rule(parse(saved or audience.rule, known), rule_of)
    except InvalidRule:
        return True


def archived(scope: Scope) -> QuerySet[Audience]:
    """Archived audiences of the nodes of a scope."""
    found = Audience.objects.filter(pond_set=None).exclude(archived_at=None).select_related("org_node")
    return found if scope.everything else found.filter(org_node__in=scope.org_nodes())


def preview(rule: dict[str, Any], scope: Scope, sample: int = 8, cached: bool = True) -> Preview:
    """Evaluate a rule over the people in scope. `cached` false asks the history afresh (benchmarks).

    Raises `engine_client.EngineUnavailable`, or `ServiceError` (`invalid_rule`, `history_unavailable`).
    """
    payload = {"rule": rule, "scope": paths_of(scope), "sample": sample, "cached": cached}
    answer = engine_client.call("sets", "preview", payload, timeout_s=30)
    return Preview(
        answer["count"],
        answer["of"],
        answer["sample"],
        {tuple(path): size for path, size in answer["sizes"]},
        {tuple(path): size for path, size in answer["removes"]},
    )


def overlap(audiences: Sequence[Audience], scope: Scope) -> Overlap:
    """How many people at most ten audiences have in common now, of those in the scope. Raises like `preview`."""
    parts = [{"rule": one.rule, "scope": paths_of(common(scope_of(one), scope))} for one in audiences]
    answer = engine_client.call("sets", "overlap", {"parts": parts}, timeout_s=120)
    return Overlap(answer["pairs"], answer["union"])


def evaluate(rule: dict[str, Any], scope: Scope) -> BitMap:
    """Everybody in scope who fits, counting all that is committed by now. Raises like `preview`."""
    payload = {"rule": rule, "scope": paths_of(scope), "members": True, "fresh": True}
    answer = engine_client.call("sets", "evaluate", payload, timeout_s=120)
    return BitMap.deserialize(base64.b64decode(answer["members"]))


def scope_of(audience: Audience | PondSet) -> Scope:
    """Whose people an audience or a pond set counts: those of its node; at the root, everybody."""
    node = audience.org_node
    return Scope(paths=(node.path,), everything=node.parent_id is None)


def common(left: Scope, right: Scope) -> Scope:
    """What lies in both scopes."""
    if left.everything or right.everything:
        return right if left.everything else left
    paths = {path for path in left.paths if right.covers(path)} | {path for path in right.paths if left.covers(path)}
    return Scope(tuple(sorted(paths)))


def members(audience_id: int) -> BitMap:
    """The people of the newest snapshot; empty before the first one."""
    newest = AudienceSnapshot.objects.filter(audience_id=audience_id).order_by("-sequence")
    pk = newest.values_list("pk", flat=True).first()
    return BitMap() if pk is None else stored.read_members(pk)


def used_by(audience: Audience) -> list[Audience]:
    """Other saved audiences whose rule names this one."""
    others = naming("audience", str(audience.public_id))
    return [other for other in others if other.pond_set is None and other.pk != audience.pk]


def naming_district(code: str, city: str) -> list[str]:
    """Names of the audiences whose rule names a district by its code, or (unless it is empty) this city."""
    asking = {one.pk: one for one in (*naming("districts", code), *naming("parents", city))}
    return sorted(one.title for one in asking.values())


def coming_by(campaign: str) -> list[str]:
    """Names of the audiences whose rule asks who came by codes of a campaign (its public id), first or at all."""
    asking = naming("campaigns", campaign)
    return [one.title for one in asking if any(campaign in part["campaigns"] for part in _by_codes(one.rule))]


def _by_codes(rule: Any) -> Iterator[dict[str, Any]]:
    """The conditions of a rule document on how people came that name campaigns."""
    if isinstance(rule, list):
        for part in rule:
            yield from _by_codes(part)
    elif isinstance(rule, dict):
        if rule.get("type") in {"first_source", "friendship"} and "campaigns" in rule:
            yield rule
        for part in rule.values():
            yield from _by_codes(part)


def ponds_of(audience: Audience) -> list[PondSet]:
    """Pond sets one of whose ponds is this audience, or has a rule of its own that names it; by name."""
    asking = {one.pond_set_id for one in naming("audience", str(audience.public_id))}
    are_it = Q(ponds__audience=audience, ponds__removed_at=None)
    found = PondSet.objects.filter(are_it | Q(pk__in=asking - {None}), archived_at=None)
    return list(found.distinct().order_by("name"))


def tag_sizes() -> dict[int, int]:
    """How many customers wear each tag, exactly, by its id. Raises EngineUnavailable."""
    return {int(tag): size for tag, size in engine_client.call("sets", "tags", {})["sizes"]}


def below(paths: Iterable[str]) -> tuple[list[int], list[int]]:
    """Ids of the stores and of the members of staff below organisation paths."""
    below_node = "(select id from platform_orgnode where path like any(%s))"
    prefixes = [[f"{path}%" for path in paths]]
    with connection.cursor() as cursor:
        cursor.execute(f"select id from resources_store where org_node_id in {below_node}", prefixes)
        stores = [row[0] for row in cursor.fetchall()]
        cursor.execute(f"select id from resources_staff where org_node_id in {below_node}", prefixes)
        return stores, [row[0] for row in cursor.fetchall()]


def explain(rule: dict[str, Any], number: int) -> Verdict:
    """Why a customer is in or not, down to the conditions with the value each found.

    Raises `InvalidRule`, `LookupError` for an unknown number, and errors of which `errors.history_is_away` says yes.
    """
    known = catalogue(rule, fresh=True)
    node = parse(rule, known)
    found = person(number, past_asked([(node, known)]))
    known = replace(known, borders=borders_asked([(rule, node, known)]))
    return explain_person(node, found, known, Moment(clock.today(), clock.zone().key))


@dataclass
class Asked:
    """What rules ask about earlier times: audiences (public ids), and (pond, ISO day)."""

    audiences: set[str] = field(default_factory=set)
    pond_days: set[tuple[str, str]] = field(default_factory=set)


def past_asked(rules: Iterable[tuple[Node, Catalogue]]) -> Asked:
    """What these rules ask about earlier times, themselves or through other audiences."""
    found = Asked()
    for node, known in rules:
        for one in every_condition([node], known):
            if isinstance(one, WasMember | Moved):
                found.audiences.add(one.audience)
            elif isinstance(one, WasInPond):
                found.pond_days |= {(code, one.day) for code in one.ponds}
    return found


def borders_asked(read: Iterable[tuple[dict[str, Any], Node, Catalogue]]) -> dict[Standing, Borders]:
    """The borders that decide who stands where among all, for these rules (document, tree, what it was read with). Asks
    the engine where any rule needs them. Raises like `preview`."""
    wanted: dict[str, Standing] = {}
    rules = []
    for rule, node, known in read:
        mine = {repr(one): one for one in every_condition([node], known) if isinstance(one, Standing)}
        rules += [rule] if mine else []
        wanted |= mine
    answer = engine_client.call("sets", "borders", {"rules": rules}, timeout_s=120) if rules else {"borders": []}
    return {
        wanted[name]: Borders(people, tuple(tuple(one) for one in at), tuple(sums))
        for name, people, at, sums in answer["borders"]
        if name in wanted
    }


def person(number: int, asked: Asked | None = None) -> Person:
    """One customer as rules see her: PostgreSQL for what is folded there, the history for what she did, snapshots and
    days of ponds for what is `asked` about earlier times.

    Raises LookupError for an unknown number. About ten small queries, and a scan of the changes of each audience and of
    the people of each pond that are asked for.
    """
    asked = asked or Asked()
    with connection.cursor() as cursor:
        cursor.execute(_PERSON, {"number": number, "now": clock.now()})
        row = cursor.fetchone()
    if row is None:
        raise LookupError(f"no customer {number}")
    alive, home_store, tags, consents, left_alone, friends, household = row
    worn = Tag.objects.filter(pk__in=kept.worn_by([number]).get(number, [])).values_list("code", flat=True)
    did = history.of_person(number)
    return Person(
        number=number,
        alive=alive,
        home_store=home_store or "",
        tags=frozenset(tags) | frozenset(worn),
        consents=frozenset((purpose, channel) for purpose, channel in consents),
        left_alone=left_alone,
        friends=frozenset(friends),
        moves=_moves(number, asked.audiences),
        pond_days=past.pond_days_of(numbers_of(number), asked.pond_days) if asked.pond_days else {},
        groups=stays_of(number),
        friendships=friendships.of_customer(number),
        beginnings=first_source_sets.beginnings_of(number),
        sold_by=first_source_sets.seller_of_first(number),
        tag_words=tag_words.of_customer(number),
        household=tuple((kind, date.fromisoformat(day)) for kind, day in household),
        **did,
    )


def nearest_store(number: int) -> tuple[str, float] | None:
    """The open store nearest to a customer's position, its name, and how many metres away it is; None where nobody
    knows, or none is near. One small query; every store is measured, some milliseconds for thousands."""
    known = catalogue()
    code = position_of(known)
    said = CustomerAttribute.objects.filter(customer=number, code=code).values_list("value", flat=True).first()
    position = positions.read(said) if isinstance(said, str) else None
    if position is None:
        return None
    stores = [(code, one.at) for code, one in known.places.items() if one.open]
    found = nearness.nearest(nearness.micro(position), stores)
    return found and (known.stores[found[0]].name, found[1])


def numbers_of(number: int) -> list[int]:
    """Her own number and those that she absorbed."""
    return [number, *Customer.objects.filter(merged_into=number).values_list("pk", flat=True)]


def _moves(number: int, audiences: set[str]) -> dict[str, tuple[Move, ...]]:
    if not audiences:
        return {}
    ids = Audience.objects.filter(public_id__in=audiences).values_list("public_id", "id")
    numbers = numbers_of(number)
    return {str(public_id): past.moves_of(pk, numbers) for public_id, pk in ids}


def stays_of(number: int) -> tuple[GroupStay, ...]:
    """The group chats that a customer is in now, by all her accounts. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_STAYS, [number])
        return tuple(GroupStay(*row) for row in cursor.fetchall())


def audiences_of(number: int, scope: Scope, limit: int = 100) -> list[Audience]:
    """The saved audiences whose rule and part of the organisation a customer fits now, by name.

    Looks at the newest `limit` audiences. Raises like `explain`. Cost: one person read
    once, and one small query for each audience of a part of the organisation.
    """
    moment = Moment(clock.today(), clock.zone().key)
    read = []
    for audience in visible(scope).filter(archived_at=None).order_by("-id")[:limit]:
        known = catalogue(audience.rule)
        try:
            read.append((audience, parse(audience.rule, known), known))
        except InvalidRule:  # names something that is gone: its own page says so
            continue
    found = person(number, past_asked((node, known) for _audience, node, known in read))
    borders = borders_asked((audience.rule, node, known) for audience, node, known in read)
    fitting = [
        audience
        for audience, node, known in read
        if matches(node, found, replace(known, borders=borders), moment) and in_scope(number, scope_of(audience))
    ]
    return sorted(fitting, key=lambda one: one.name)


def in_scope(number: int, scope: Scope) -> bool:
    """Whether a customer is visible within a scope."""
    return visible_customers(scope).filter(number=number).exists()


def paths_of(scope: Scope) -> list[str] | None:
    """A scope as the engine's verbs take it."""
    return None if scope.everything else list(scope.paths)


_PERSON = """
select c.merged_into_id is null and c.erased_at is null,
  (select code from resources_store where id = c.home_store_id),
  array(select t.code from customers_customertag ct join customers_tag t on t.id = ct.tag_id
        where ct.customer_id = c.number and ct."on" and (ct.expires_at is null or ct.expires_at > %(now)s)),
  array(select array[purpose, channel]::text[] from customers_consent where customer_id = c.number and counts),
  exists(select from customers_donotdisturb
         where customer_id = c.number and "on" and (until is null or until > %(now)s)),
  array(select distinct s.userid from customers_relation r join resources_staff s on s.id = r.staff_id
        where r.customer_id = c.number and r.state = 'active'),
  array(select array[h.kind, h.day::text] from customers_householdmember h
        where h.customer_id = c.number and h.day is not null order by h.id)
from customers_customer c where c.number = %(number)s
"""
_STAYS = """
select g.public_id::text, g.name, coalesce(s.code, ''), m.joined_on
from customers_identity i join communities_groupmember m on m.member = i.key
join communities_groupchat g on g.id = m.group_id left join resources_store s on s.id = g.store_id
where i.customer_id = %s and i.kind = 'external_userid' and m.left_at is null and not m.is_staff
"""
