"""People as all that is known of them says: for those whom a window concerns in ways that may take evidence away.

What is read is closed: everybody whom a link that may count connects with them. So the outcome depends on the facts
and decisions about these people, never on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hetang.customers import decisions, evidence
from hetang.customers.evidence import LINKS_OF, rows
from hetang.customers.merges import gather, new_customers, note_merges, tell
from hetang.customers.models import Customer, Merge, Unmerge
from hetang.customers.rules import (
    CONTACT_KINDS,
    Evidence,
    IdentityKey,
    Link,
    MergeStep,
    Numbering,
    absorptions,
    divide,
    number,
    rank,
)
from hetang.facts.intake import Draft
from hetang.platform import clock


@dataclass(frozen=True, slots=True)
class Member:
    """An identity of the region; `customer` and `founded` are 0 while it has none."""

    id: int
    identity: IdentityKey
    customer: int
    founded: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """The fact behind a link."""

    occurred_at: datetime
    source: str
    key: str


@dataclass(slots=True)
class Region:
    """Everybody concerned, with the links that count."""

    members: dict[int, Member]
    links: list[Link[int]]
    behind: dict[tuple[int, int], Provenance]

    @property
    def numbers(self) -> set[int]:
        """The customers that they are, or whose number one of them brought in."""
        return {one for member in self.members.values() for one in (member.customer, member.founded) if one}

    @property
    def held(self) -> dict[int, list[int]]:
        """The identities of each customer before."""
        found: dict[int, list[int]] = {}
        for member in sorted(self.members.values(), key=lambda one: one.id):
            if member.customer:
                found.setdefault(member.customer, []).append(member.id)
        return found


@dataclass(slots=True)
class Outcome:
    """Who the people of a region are. `owner` is the number of each identity's person, `aliases` what each number was
    an alias of before (None: a customer)."""

    region: Region
    people: list[set[int]]
    used: list[Link[int]]
    founder: dict[int, int]
    numbering: Numbering
    aliases: dict[int, int | None]
    owner: dict[int, int]

    def final(self, one: int) -> int:
        """The customer whom a number names now."""
        return self.numbering.alias_of.get(one, one)

    @property
    def living(self) -> set[int]:
        return set(self.owner.values())

    @property
    def restored(self) -> set[int]:
        """Customers who were an alias, or a part of somebody else, before."""
        known = {self.owner[one.id] for one in self.region.members.values() if one.customer}
        return {one for one in known if self.aliases.get(one, one) is not None}


def divide_anew(seeds: Collection[int], decided: Collection[int]) -> set[int]:
    """Work out again who the people around these identities are; returns the customers whose identities changed.

    `decided` are identities that decisions of this window speak of. Cost: all that is known of who they are, a few
    milliseconds for most people.
    """
    decisions.mark_void(seeds)
    changed = decisions.weigh({*seeds, *decided}, evidence.contact_limit(), clock.now())
    outcome = _outcome(_region({*seeds, *decided, *changed}))
    _move(outcome)
    _rename(outcome)
    _note_absorbed(outcome)
    _note_divided(outcome, _cause(changed))
    return _changed(outcome)


def foresee(left: Collection[int], right: Collection[int]) -> list[tuple[int | None, set[int]]]:
    """Who the people around these identities would be if both sides were kept apart: each with her number (None: a
    fresh one) and her identities. Changes nothing; that a contact might stop being a shared one is not looked at.
    """
    region = _region({*left, *right})
    cut = {(min(one, other), max(one, other)) for one in left for other in right}
    links = [link for link in region.links if (link.one, link.other) not in cut]
    apart = [*decisions.in_force_among(region.members), (set(left), set(right))]
    people, _used = divide(region.members, links, apart)
    numbering = number(people, _founders(region.members.values()))
    return list(zip(numbering.owner, people, strict=True))


def _outcome(region: Region) -> Outcome:
    people, used = divide(region.members, region.links, decisions.in_force_among(region.members))
    founder = _founders(region.members.values())
    numbering = number(people, founder)
    aliases = dict(Customer.objects.filter(number__in=region.numbers).values_list("number", "merged_into"))
    fresh = iter(new_customers(numbering.owner.count(None)))
    owner = {}
    for person, one in zip(people, numbering.owner, strict=True):
        owner.update(dict.fromkeys(person, next(fresh) if one is None else one))
    return Outcome(region, people, used, founder, numbering, aliases, owner)


def _region(seeds: set[int]) -> Region:
    """The closure of the seeds over shared numbers and over links that may count."""
    ids = seeds
    while True:
        members = {
            row[0]: Member(row[0], (row[1], row[2]), row[3], row[4]) for row in rows(_MEMBERS, {"ids": list(ids)})
        }
        links, behind = _links(members)
        ids = {end for link in links for end in (link.one, link.other)} | members.keys()
        if ids == members.keys():
            return Region(members, links, behind)


def _links(members: Mapping[int, Member]) -> tuple[list[Link[int]], dict[tuple[int, int], Provenance]]:
    links, behind = [], {}
    for low, high, one, other, at, fact, by_hand in rows(_LINKS, {"ids": list(members)}):
        links.append(Link(low, high, rank((one[0], one[1]), (other[0], other[1]), at, fact, by_hand=by_hand)))
        source, _, key = fact.partition("\x1f")
        behind[(low, high)] = Provenance(at or clock.now(), source or "console", key or "by hand")
    return links, behind


def _founders(members: Iterable[Member]) -> dict[int, int]:
    """Of each number the identity that it stays with: the one that brought it, an account rather than a contact."""
    found: dict[int, int] = {}
    for member in sorted(members, key=lambda one: (one.identity[0] in CONTACT_KINDS, one.id)):
        if member.founded:
            found.setdefault(member.founded, member.id)
    for member in sorted(members, key=lambda one: one.id):
        if member.customer:  # whoever brought it was erased
            found.setdefault(member.customer, member.id)
    return found


def _move(outcome: Outcome) -> None:
    """Write to whom each identity belongs. One that leaves the person of the number it brought in brings another."""
    moved = []
    for member in outcome.region.members.values():
        target = outcome.owner[member.id]
        stays = member.founded and outcome.owner[outcome.founder[member.founded]] == target
        founded = member.founded if stays else target
        if (member.customer, member.founded) != (target, founded):
            moved.append((member.id, target, founded))
    if moved:
        ids, targets, founded_numbers = zip(*moved, strict=True)
        rows(_MOVE, {"ids": list(ids), "targets": list(targets), "founded": list(founded_numbers)})


def _rename(outcome: Outcome) -> None:
    """Write which numbers are people and which only aliases."""
    living, alias_of = sorted(outcome.living), outcome.numbering.alias_of
    targets = [*([None] * len(living)), *alias_of.values()]
    rows(_RENAME, {"numbers": [*living, *alias_of], "targets": targets})


def _note_absorbed(outcome: Outcome) -> None:
    """Keep each new merge with its evidence, and close those that are no more.

    A number that was absorbed by one that was absorbed in turn may stay an alias of the last of them, though the one
    between has become a person again: its merge is another one then."""
    rows_of = Merge.objects.filter(absorbed__in=outcome.aliases, undone_at=None).values_list("absorbed", "survivor")
    stands = {one for one, survivor in rows_of if outcome.final(survivor) == outcome.numbering.alias_of.get(one)}
    Merge.objects.filter(absorbed__in=outcome.aliases.keys() - stands, undone_at=None).update(undone_at=clock.now())
    steps = [
        MergeStep(survivor, absorbed, _evidence(outcome.region, link), _pair(outcome.region, link))
        for survivor, absorbed, link in absorptions(outcome.used, outcome.founder)
        if absorbed not in stands
    ]
    if steps:
        note_merges(steps, gather(steps, outcome.region.held))


def _note_divided(outcome: Outcome, cause: str) -> None:
    """Keep who was divided, and tell the other rooms whom they have to look at again."""
    now, all_restored = clock.now(), outcome.restored
    divided = []
    for one, held in sorted(outcome.region.held.items()):
        people = {outcome.owner[member] for member in held}
        if len(people) > 1:
            restored = sorted(people & all_restored)
            divided.append(Unmerge(at=now, survivor=one, people=sorted(people | {one}), restored=restored, cause=cause))
    made = Unmerge.objects.bulk_create(divided)
    tell([Draft("customer.unmerged", f"unmerge-{one.pk}", now, body=_body(one)) for one in made])


def _body(one: Unmerge) -> dict[str, object]:
    return {"survivor": one.survivor, "people": one.people, "restored": one.restored, "cause": one.cause}


def _changed(outcome: Outcome) -> set[int]:
    """The numbers whose identities are others than before."""
    before = {one: set(held) for one, held in outcome.region.held.items()}
    after = {outcome.owner[next(iter(person))]: person for person in outcome.people}
    return {one for one in {*before, *after} if before.get(one) != after.get(one)}


def _evidence(region: Region, link: Link[int]) -> Evidence:
    fact = region.behind[(link.one, link.other)]
    return Evidence(fact.source, fact.key, fact.occurred_at, _pair(region, link))


def _pair(region: Region, link: Link[int]) -> tuple[IdentityKey, IdentityKey]:
    return region.members[link.one].identity, region.members[link.other].identity


def _cause(changed: Collection[int]) -> str:
    """The newest decision of the window, or the identity that proved to be shared."""
    found = rows(_CAUSE)
    if found:
        return str(found[0][0])
    return f"identity:{min(changed)}" if changed else ""


_MEMBERS = """
with numbers as (select distinct customer_id from customers_identity where id = any(%(ids)s) and customer_id <> 0)
select i.id, i.kind, i.key, i.customer_id, i.evidence_number from customers_identity i
where i.id = any(%(ids)s) or i.customer_id in (select customer_id from numbers)
"""
_LINKS = f"""
select distinct least(t.id, l.other), greatest(t.id, l.other),
       case when t.id < l.other then array[a.kind, a.key] else array[b.kind, b.key] end,
       case when t.id < l.other then array[b.kind, b.key] else array[a.kind, a.key] end,
       l.occurred_at, l.fact_key, l.by_hand
from unnest(%(ids)s::bigint[]) as t(id) cross join lateral ({LINKS_OF}) l
join customers_identity a on a.id = t.id join customers_identity b on b.id = l.other
where not l.void and (l.by_hand or (l.occurred_at is not null and not a.shared and not b.shared))
"""
_MOVE = """
update customers_identity i set customer_id = n.target, evidence_number = n.founded
from unnest(%(ids)s::bigint[], %(targets)s::bigint[], %(founded)s::bigint[]) as n(id, target, founded) where i.id = n.id
"""
_RENAME = """
update customers_customer c set merged_into_id = n.target
from unnest(%(numbers)s::bigint[], %(targets)s::bigint[]) as n(number, target)
where c.number = n.number and c.merged_into_id is distinct from n.target
"""
_CAUSE = """
select case kind when 'customer.decision_lifted' then body->>'decision' else fact_key end from window_fact
where kind in ('customer.joined', 'customer.kept_apart', 'customer.decision_lifted', 'identity.judged')
order by occurred_at desc, fact_key desc limit 1
"""
