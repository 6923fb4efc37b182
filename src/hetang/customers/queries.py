"""Reads of customers: one person's portrait and timeline, lists by keyset, search by exact identifier."""

from __future__ import annotations

import base64
import contextlib
import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db import connection
from django.db.models import Q, QuerySet

from hetang.customers import kept, minors
from hetang.customers.models import (
    AttributeDefinition,
    Consent,
    Customer,
    CustomerAttribute,
    CustomerTag,
    DoNotDisturb,
    Identity,
    KeptTag,
    Merge,
    Relation,
    Tag,
)
from hetang.customers.rules import name_to_match
from hetang.customers.wording import Money, message
from hetang.facts.errors import Refusal
from hetang.facts.rules import DIRECT_KINDS, IDENTITY_KINDS, normalise_identity
from hetang.platform import clock
from hetang.platform.masking import HIDDEN, mask
from hetang.platform.money import to_major
from hetang.platform.sealing import lookup_keys, unseal
from hetang.resources.queries import staff_names, store_names

_DIGITS = 10  # of a customer number (UInt32)
HISTORY = 50  # entries of the tag history in a portrait


@dataclass(frozen=True, slots=True)
class IdentityView:
    """An identity as people may see it: direct identifiers masked, of people under age all of them."""

    kind: str
    shown: str
    first_seen_at: datetime
    id: int
    masked: bool


@dataclass(frozen=True, slots=True)
class AttributeView:
    """The newest value of an attribute and who said it. Labels are the code where it has no definition."""

    code: str
    label_zh: str
    label_en: str
    value: Any
    occurred_at: datetime
    source: str
    hidden: bool = False  # sensitive: `value` is only a mask


@dataclass(frozen=True, slots=True)
class TagEvent:
    """A tag was put on or taken off."""

    code: str
    name: str
    on: bool
    occurred_at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Portrait:
    """All that the customers room knows of one person. `name` is masked; `tags` are those on her now, `kept_tags` those
    that rules keep on her."""

    number: int
    public_id: uuid.UUID
    created_at: datetime
    name: str
    home_store: str
    owner: str
    identities: tuple[IdentityView, ...]
    attributes: tuple[AttributeView, ...]
    tags: tuple[CustomerTag, ...]
    tag_history: tuple[TagEvent, ...]
    relations: tuple[Relation, ...]
    consents: tuple[Consent, ...]
    do_not_disturb: DoNotDisturb | None
    merges: tuple[Merge, ...]
    minor: bool = False
    kept_tags: tuple[Tag, ...] = ()


Place = tuple[datetime, int]  # (occurred_at, id): where an entry stands in a timeline


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a timeline, with its line in the current language. `id` orders events of one instant."""

    occurred_at: datetime
    id: int
    kind: str
    source: str
    key: str
    text: str
    body: dict[str, Any]

    @property
    def place(self) -> Place:
        return self.occurred_at, self.id


class Source(Protocol):
    """What another room adds to a timeline: entries of `kind` before a place, newest first."""

    kind: str

    def entries(self, numbers: Sequence[int], before: Place | None, limit: int) -> list[Entry]:
        """`numbers` are the customer's own and those absorbed by her."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of entries, newest first; `before` continues it, None at the end."""

    entries: tuple[Entry, ...]
    before: str | None


def current(public_id: uuid.UUID) -> Customer:
    """The customer of a public id: the survivor if she was merged. Raises Customer.DoesNotExist."""
    found = Customer.objects.select_related("merged_into").get(public_id=public_id)
    return found.merged_into or found


def portrait(public_id: uuid.UUID, now: datetime) -> Portrait:
    """Everything about one person; tags as of `now`. About ten small queries. Raises Customer.DoesNotExist."""
    customer = Customer.objects.select_related("home_store", "owner").get(pk=current(public_id).pk)
    number = customer.pk
    minor = bool(minors.among([number], clock.local_day(now)))
    tags = CustomerTag.objects.filter(customer=number, on=True).exclude(expires_at__lte=now)
    return Portrait(
        number=number,
        public_id=customer.public_id,
        created_at=customer.created_at,
        name=mask("name", unseal(customer.name).decode(), strict=minor) if customer.name else "",
        home_store=customer.home_store.name if customer.home_store else "",
        owner=customer.owner.name if customer.owner else "",
        identities=tuple(_identity(row, minor) for row in Identity.objects.filter(customer=number).order_by("id")),
        attributes=_attributes(number, minor),
        tags=tuple(tags.select_related("tag__group").order_by("tag__group__position", "tag__position", "tag_id")),
        tag_history=tag_history(number),
        relations=tuple(
            Relation.objects.filter(customer=number).select_related("staff").order_by("-occurred_at", "id")
        ),
        consents=tuple(Consent.objects.filter(customer=number).order_by("channel", "purpose")),
        do_not_disturb=DoNotDisturb.objects.filter(customer=number).first(),
        merges=tuple(Merge.objects.filter(absorbed__in=_aliases(number)).order_by("at", "id")),
        minor=minor,
        kept_tags=tuple(
            Tag.objects.filter(pk__in=kept.worn_by([number]).get(number, []), archived_at=None)
            .select_related("group")
            .order_by("group__position", "position", "pk")
        ),
    )


def tag_history(number: int, limit: int = HISTORY) -> tuple[TagEvent, ...]:
    """The newest words on the tags of a customer, from the log."""
    names = dict(Tag.objects.values_list("code", "name"))
    rows = _facts_of(number, None, ["tag.changed"], limit)
    return tuple(
        TagEvent(body["tag"], names.get(body["tag"], body["tag"]), bool(body["on"]), at, source)
        for at, _, _, source, _, body in rows
    )


def timeline(
    number: int,
    before: str | None = None,
    kinds: Collection[str] | None = None,
    limit: int = 50,
    money: Money | None = None,
    *,
    sources: Sequence[Source] = (),
) -> Timeline:
    """What happened with a customer, newest first: her facts, by whatever identity, and what the `sources` add.

    `money` writes amounts of minor units. A `before` that cannot be read starts at the newest. Cost: `limit` rows of
    an index for each of her identities.
    """
    place = _read_place(before)
    found = _fact_entries(number, place, kinds, limit + 1, money or _plain_money)
    numbers = [number, *_aliases(number)] if sources else []
    for source in sources:
        if kinds is None or source.kind in kinds:
            found += source.entries(numbers, place, limit + 1)
    found.sort(key=lambda entry: entry.place, reverse=True)
    return Timeline(tuple(found[:limit]), _cursor_of(found[limit - 1].place) if len(found) > limit else None)


def find(text: str, among: QuerySet[Customer]) -> QuerySet[Customer]:
    """Customers that an exact identifier names: phone, e-mail, member or card number, WeCom or WeChat id, public id,
    customer number. Two index probes."""
    text = text.strip()
    named = Q(pk__in=[])
    for kind in sorted(IDENTITY_KINDS):
        if keys := _keys(kind, text):
            named |= Q(kind=kind, key__in=keys)
    numbers = set(Identity.objects.filter(named).values_list("customer_id", flat=True)) if text else set()
    if text.isascii() and text.isdecimal() and len(text) <= _DIGITS:
        numbers.add(int(text))
    with contextlib.suppress(ValueError, Customer.DoesNotExist):
        numbers.add(current(uuid.UUID(text)).pk)
    return among.filter(pk__in=numbers)


def listed(
    among: QuerySet[Customer], store: str = "", owner: str = "", tag: str = "", now: datetime | None = None
) -> QuerySet[Customer]:
    """Customers by home store (code), owner (userid) and tag (code); for pages by key over `-number`."""
    if store:
        among = among.filter(home_store__code=store)
    if owner:
        among = among.filter(owner__userid=owner)
    if tag and (row := KeptTag.objects.filter(tag__code=tag).first()):
        among = kept.wearing(among, row)
    elif tag:
        tagged = CustomerTag.objects.filter(tag__code=tag, on=True)
        if now is not None:
            tagged = tagged.exclude(expires_at__lte=now)
        among = among.filter(pk__in=tagged.values("customer"))
    return among.select_related("home_store", "owner")


def names_of(numbers: Sequence[int], under_age: Collection[int] | None = None) -> dict[int, str]:
    """Masked names of customers that have one; of those under age (asked for if not given) nothing but that."""
    if under_age is None:
        under_age = minors.among(numbers, clock.today())
    rows = Customer.objects.filter(pk__in=list(numbers)).exclude(name=None).values_list("pk", "name")
    return {
        number: mask("name", unseal(sealed).decode(), strict=number in under_age)
        for number, sealed in rows
        if sealed is not None
    }


def shown_identity(number: int) -> str:
    """One identity by which staff recognise a customer without a name: member, card, masked phone, else any."""
    order = {"member": 0, "card": 1, "phone": 2, "email": 3}
    rows = sorted(Identity.objects.filter(customer=number)[:20], key=lambda row: (order.get(row.kind, 9), row.pk))
    minor = bool(minors.among([number], clock.today()))
    return _identity(rows[0], minor).shown if rows else ""


def same_name(one: int, other: int) -> bool:
    """Whether two customers have a name that says enough and is the same."""
    sealed = Customer.objects.filter(pk__in=[one, other]).exclude(name=None).values_list("name", flat=True)
    names = [name_to_match(unseal(bytes(name or b"")).decode()) for name in sealed]
    return len(names) == 2 and names[0] == names[1] != ""


def shared_by_both(one: int, other: int) -> list[tuple[str, str]]:
    """Contacts that facts name with both of these customers and that are too shared to join them: (kind, masked)."""
    minor = bool(minors.among([one, other], clock.today()))
    with connection.cursor() as cursor:
        cursor.execute(_SHARED_BY_BOTH, {"one": one, "other": other})
        rows = Identity.objects.filter(pk__in=[number for (number,) in cursor.fetchall()]).order_by("pk")[:10]
    return [(row.kind, _identity(row, minor).shown) for row in rows]


_SHARED_BY_BOTH = """
with beside as (
  select case when i.id = l.low then l.high else l.low end as contact, i.customer_id
  from customers_identity i join customers_identitylink l on l.low = i.id or l.high = i.id
  where i.customer_id in (%(one)s, %(other)s) and l.occurred_at is not null and not l.void
)
select t.id from customers_identity t join beside b on b.contact = t.id
where t.shared group by t.id having count(distinct b.customer_id) = 2
"""


def _identity(row: Identity, minor: bool = False) -> IdentityView:
    plain = unseal(row.sealed).decode() if row.sealed else row.key
    readable = row.sealed or row.kind not in DIRECT_KINDS
    shown = mask(row.kind, plain, strict=minor) if readable else HIDDEN
    return IdentityView(row.kind, shown, row.first_seen_at, row.pk, shown != plain and bool(readable))


def _attributes(number: int, minor: bool) -> tuple[AttributeView, ...]:
    """Sensitive values are hidden, and of somebody under age all that tells the date of birth."""
    definitions = {one.code: one for one in AttributeDefinition.objects.all()}
    secret = _hidden(definitions.values(), minor)
    found = []
    for row in CustomerAttribute.objects.filter(customer=number).exclude(value=None).order_by("code"):
        known = definitions.get(row.code)
        labels = (known.label_zh, known.label_en) if known else (row.code, row.code)
        source = row.fact_key.partition("\x1f")[0]
        hidden = row.code in secret
        value = HIDDEN if hidden else row.value
        found.append(AttributeView(row.code, *labels, value, row.occurred_at, source, hidden))
    return tuple(found)


def hidden_attributes(number: int) -> set[str]:
    """Codes of attributes whose value is not shown of a customer before a reasoned look. Two small queries."""
    return _hidden(AttributeDefinition.objects.all(), bool(minors.among([number], clock.today())))


def _hidden(definitions: Iterable[AttributeDefinition], minor: bool) -> set[str]:
    known = list(definitions)
    birth = {minors.USUAL, *(one.code for one in known if one.birth_date)} if minor else set()
    return birth | {one.code for one in known if one.sensitive}


def _aliases(number: int) -> QuerySet[Customer, int]:
    return Customer.objects.filter(merged_into=number).values_list("pk", flat=True)


def _fact_entries(
    number: int, place: Place | None, kinds: Collection[str] | None, limit: int, money: Money
) -> list[Entry]:
    rows = _facts_of(number, place, kinds, limit)
    names = {
        "stores": store_names(),
        "staff": staff_names(),
        "tags": dict(Tag.objects.values_list("code", "name")),
    }
    return [
        Entry(at, fact_id, kind, source, key, message(kind, body, names, money), body)
        for at, fact_id, kind, source, key, body in rows
    ]


def _facts_of(number: int, place: Place | None, kinds: Collection[str] | None, limit: int) -> list[tuple[Any, ...]]:
    """(occurred_at, id, kind, source, key, body), newest first."""
    conditions = "true"
    params: dict[str, Any] = {"number": number, "limit": limit}
    if place is not None:
        conditions += " and f.occurred_at <= %(at)s and (f.occurred_at, f.id) < (%(at)s, %(id)s)"
        params |= {"at": place[0], "id": place[1]}
    if kinds is not None:
        conditions += " and f.kind = any(%(kinds)s)"
        params["kinds"] = sorted(kinds)
    with connection.cursor() as cursor:
        cursor.execute(_FACTS.format(conditions=conditions), params)
        return [(*row[:5], json.loads(row[5])) for row in cursor.fetchall()]


_FACTS = """
select f.occurred_at, f.id, f.kind, f.source, f.key, f.body::text
from customers_identity i cross join lateral (
  select * from facts_fact f
  where f.subject_kind = i.kind and f.subject_key = i.key and {conditions}
  order by f.occurred_at desc, f.id desc limit %(limit)s
) f
where i.customer_id = %(number)s
order by f.occurred_at desc, f.id desc limit %(limit)s
"""


def _keys(kind: str, text: str) -> list[str]:
    """The keys under which an identity may be known; none if it cannot be one of this kind."""
    try:
        value = normalise_identity(kind, text)
    except Refusal:
        return []
    return lookup_keys(kind, value) if kind in DIRECT_KINDS else [value]


def _cursor_of(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place[0].isoformat()}|{place[1]}".encode()).decode().rstrip("=")


def _read_place(cursor: str | None) -> Place | None:
    if not cursor:
        return None
    try:
        at, _, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("|")
        return datetime.fromisoformat(at), int(number)
    except ValueError:
        return None


def _plain_money(minor: int | None) -> str:
    from hetang.platform.brand import brand

    own = brand()
    return "" if minor is None else f"{to_major(minor, own.currency_digits):,} {own.currency}"
