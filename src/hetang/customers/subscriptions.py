"""The stream that folds facts into customers: who they are, what is known of them, what they agreed to.

Every statement works on a whole window. A fact is applied as far as it can be; what names an unknown store, member
of staff or tag is held with its reason, and a replay of the fact applies the rest, since every fold is idempotent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import connection

from hetang.customers import latest, people
from hetang.customers.evidence import DECISION_KINDS
from hetang.customers.refold import refold
from hetang.facts.services import Unapplied, hold
from hetang.facts.staging import stage
from hetang.facts.subscriptions import Subscription, Window
from hetang.platform.sealing import seal, unseal

STREAM = "customers"


def handle(window: Window) -> None:
    """Apply one window of facts, in the caller's transaction."""
    with connection.cursor() as cursor:
        # A replay and the stream may meet: one at a time.
        cursor.execute("select pg_advisory_xact_lock(hashtext('hetang.customers'))")
    counts = stage(window, _BODIES)
    divided = people.recognise()
    for kind, fold in _FOLDS.items():
        if counts[kind]:
            fold()
    _hold(counts)
    if divided:
        refold(divided, _FOLDS, _fold_all)


def _fold_all() -> None:
    for fold in _FOLDS.values():
        fold()


def _describe() -> None:
    _execute(_NEW_PLACES)
    latest.ATTRIBUTES.fold(_ATTRIBUTES)
    latest.HOME_STORE.fold(_HOME_STORES)
    latest.OWNER.fold(_OWNERS)
    _names("customer.described")


def _identify() -> None:
    _names("customer.identified")


def _relate() -> None:
    _execute(_RELATIONS)
    _execute(_BEGINNINGS)
    _names("relation.changed")


def _consent() -> None:
    latest.CONSENTS.fold(_CONSENTS)
    latest.state_bases(_WHO_SPOKE)


def _state_basis() -> None:
    latest.CONSENT_BASES.fold(_CONSENT_BASES)
    latest.state_bases(_WHO_SPOKE)


def _disturb() -> None:
    latest.DO_NOT_DISTURB.fold(_DO_NOT_DISTURB)


def _tag() -> None:
    latest.TAGS.fold(_TAGS)


def _describe_member() -> None:
    """Members of households, with their names sealed anew: about 10 us each."""
    found = _execute(_MEMBERS)
    if not found:
        return
    names = [json.loads(unseal(row[-1])).get("name") if row[-1] else None for row in found]
    customers, ats, facts, bodies, origins, _ = zip(*found, strict=True)
    latest.HOUSEHOLD.fold(
        _FOLDED_MEMBERS,
        {
            "numbers": list(customers),
            "ats": list(ats),
            "facts": list(facts),
            "bodies": list(bodies),
            "origins": list(origins),
            "names": [seal(name.encode()) if name else None for name in names],
        },
    )


def _remove_member() -> None:
    latest.HOUSEHOLD.fold(_REMOVED_MEMBERS)


def _names(kind: str) -> None:
    """Names travel sealed in the fact; each is sealed anew for its customer. Per fact that has one: about 10 us."""
    newest: dict[int, tuple[datetime, str, bytes]] = {}
    for number, at, fact_key, sealed in _execute(_SEALED, {"kind": kind}):
        name = json.loads(unseal(sealed)).get("name")
        if name and (number not in newest or (at, fact_key) > newest[number][:2]):
            newest[number] = (at, fact_key, name.encode())
    if not newest:
        return
    latest.NAME.fold(
        "select * from unnest(%(numbers)s::bigint[], %(names)s::bytea[], %(ats)s::timestamptz[], %(facts)s::text[])"
        " as n(customer_id, value, occurred_at, fact_key)",
        {
            "numbers": list(newest),
            "ats": [at for at, _, _ in newest.values()],
            "facts": [fact for _, fact, _ in newest.values()],
            "names": [seal(name) for _, _, name in newest.values()],
        },
    )


def _hold(counts: Counter[str]) -> None:
    """Hold what could not be applied: one reason for each fact, the first."""
    held: dict[tuple[datetime, int], Unapplied] = {}
    for kind, reason, statement in _UNAPPLIED:
        if counts[kind]:
            for received_at, fact_id, code in _execute(statement):
                detail: dict[str, str | int] = {"code": code}
                held.setdefault((received_at, fact_id), Unapplied(received_at, fact_id, reason, detail))
    hold(STREAM, held.values())


def _execute(statement: str, params: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


_OF_WHOM = """
from window_fact w join customers_identity i on i.kind = w.subject_kind and i.key = w.subject_key"""
_WORD = "i.customer_id, w.occurred_at, w.fact_key"
_TYPE_FITS = """(d.code is null or jsonb_typeof(a.value) = 'null' or jsonb_typeof(a.value) =
  case d.type when 'number' then 'number' when 'boolean' then 'boolean' else 'string' end
  and (d.type <> 'place' or a.value #>> '{}' like 'geo:%%'))"""
_DEFINED = "left join customers_attributedefinition d on d.code = a.code"

_WHO_SPOKE = f"select i.customer_id {_OF_WHOM} where w.kind in ('consent.changed', 'consent.basis_stated')"
_ATTRIBUTES = f"""
select {_WORD}, a.code, nullif(a.value, 'null') as value {_OF_WHOM}
cross join lateral jsonb_each(w.body->'attributes') as a(code, value) {_DEFINED}
where w.kind = 'customer.described' and {_TYPE_FITS}
"""
# A position is defined by its first value: where somebody lives is sensitive, whoever sends it.
_NEW_PLACES = """
insert into customers_attributedefinition (code, type, label_zh, label_en, choices, sensitive, birth_date)
select distinct a.code, 'place', case a.code when 'place' then '位置' else a.code end,
       case a.code when 'place' then 'Position' else a.code end, '[]'::jsonb, true, false
from window_fact w cross join lateral jsonb_each_text(w.body->'attributes') as a(code, value)
where w.kind = 'customer.described' and a.value like 'geo:%%'
  and not exists (select from customers_attributedefinition d where d.code = a.code)
on conflict do nothing
"""
_HOME_STORES = f"""
select {_WORD}, s.id as value {_OF_WHOM} join resources_store s on s.code = w.body->>'home_store'
where w.kind = 'customer.described'
"""
_OWNERS = f"""
select {_WORD}, s.id as value {_OF_WHOM} join resources_staff s on s.userid = w.body->>'owner'
where w.kind = 'customer.described'
"""
_SEALED = f"""
select {_WORD}, w.sealed {_OF_WHOM} where w.kind = %(kind)s and w.sealed is not null
"""
_CONSENTS = f"""
select {_WORD}, w.body->>'purpose' as purpose, w.body->>'channel' as channel, (w.body->>'given')::boolean as given,
       coalesce(w.body->>'basis', 'unknown') as basis, coalesce(w.body->>'text_version', '') as text_version,
       false as stated, w.source, coalesce((w.body->>'simulated')::boolean, false) as simulated
{_OF_WHOM} where w.kind = 'consent.changed'
"""
_CONSENT_BASES = f"""
select {_WORD}, w.body->>'purpose' as purpose, w.body->>'channel' as channel,
       (w.body->>'given_at')::timestamptz as given_at, w.body->>'basis' as basis,
       coalesce(w.body->>'text_version', '') as text_version
{_OF_WHOM} where w.kind = 'consent.basis_stated'
"""
_DO_NOT_DISTURB = f"""
select {_WORD}, (w.body->>'on')::boolean as "on", (w.body->>'until')::timestamptz as "until", w.source
{_OF_WHOM} where w.kind = 'do_not_disturb.changed'
"""
_ORIGIN = "coalesce(w.body->>'origin', w.source) as origin"
_MEMBERS = f"""
select {_WORD}, w.body::text, {_ORIGIN}, w.sealed {_OF_WHOM} where w.kind = 'household.member_described'
"""
_FOLDED_MEMBERS = """
select n.customer_id, n.occurred_at, n.fact_key, n.origin, b->>'member' as member, b->>'kind' as kind, n.name,
       (b->>'born_on')::date as born_on, (b->>'due_on')::date as due_on, coalesce(b->>'sex', '') as sex,
       false as removed
from unnest(%(numbers)s::bigint[], %(ats)s::timestamptz[], %(facts)s::text[], %(bodies)s::jsonb[], %(origins)s::text[],
            %(names)s::bytea[]) as n(customer_id, occurred_at, fact_key, b, origin, name)
"""
_REMOVED_MEMBERS = f"""
select {_WORD}, {_ORIGIN}, w.body->>'member' as member, '' as kind, null::bytea as name, null::date as born_on,
       null::date as due_on, '' as sex, true as removed {_OF_WHOM} where w.kind = 'household.member_removed'
"""
# In an exclusive group, "on" for one tag is "off" for its siblings, by the same word. No word counts on a tag that a
# rule keeps.
_TAGS = f"""
select {_WORD}, t.id as tag_id, (w.body->>'on')::boolean as "on",
       (w.body->>'expires_at')::timestamptz as expires_at, w.source
{_OF_WHOM} join customers_tag t on t.code = w.body->>'tag'
where w.kind = 'tag.changed' and not exists (select from customers_kepttag k where k.tag_id = t.id)
union all
select {_WORD}, sibling.id, false, null, w.source
{_OF_WHOM} join customers_tag t on t.code = w.body->>'tag'
join customers_taggroup g on g.id = t.group_id and g.exclusive
join customers_tag sibling on sibling.group_id = g.id and sibling.id <> t.id
where w.kind = 'tag.changed' and (w.body->>'on')::boolean
  and not exists (select from customers_kepttag k where k.tag_id in (t.id, sibling.id))
"""
_EXTERNAL_USERID = """coalesce(
  (select p.pair->>1 from jsonb_array_elements(w.who) as p(pair) where p.pair->>0 = 'external_userid' limit 1),
  case when w.subject_kind = 'external_userid' then w.subject_key end)"""
_FRIENDS = f"""
select i.customer_id, s.id as staff_id, i.key as external_userid, w.body->>'state' as state,
       coalesce((w.body->>'since')::timestamptz, w.occurred_at) as since, w.occurred_at, w.fact_key,
       coalesce((w.body->>'add_way')::int, 0) as add_way, coalesce(w.body->>'channel_state', '') as channel_state,
       coalesce((w.body->>'simulated')::boolean, false) as simulated,
       w.body->>'since' is not null or w.body->>'state' in ('active', 'half') as tells
from window_fact w join customers_identity i on i.kind = 'external_userid' and i.key = {_EXTERNAL_USERID}
join resources_staff s on s.userid = w.body->>'staff' where w.kind = 'relation.changed'
"""
_RELATIONS = f"""
insert into customers_relation as r (customer_id, staff_id, external_userid, state, since, occurred_at, fact_key,
                                     add_way, channel_state, simulated)
select distinct on (staff_id, external_userid) customer_id, staff_id, external_userid, state, since, occurred_at,
       fact_key, add_way, channel_state, simulated
from ({_FRIENDS}) n
order by staff_id, external_userid, occurred_at desc, fact_key desc
on conflict (staff_id, external_userid) do update set
  customer_id = excluded.customer_id, state = excluded.state, since = excluded.since,
  occurred_at = excluded.occurred_at, fact_key = excluded.fact_key, add_way = excluded.add_way,
  channel_state = excluded.channel_state, simulated = excluded.simulated
where (excluded.occurred_at, excluded.fact_key) > (r.occurred_at, r.fact_key)
"""
# The earliest word on a beginning counts. An event and a listing tell of the same one, each perhaps without its way or
# its code: what one of them knows stands, in whichever order they come.
_BEGINNINGS = f"""
update customers_relation r set begun_at = b.at,
  begun_way = case when r.begun_at = b.at then greatest(r.begun_way, b.way) else b.way end,
  begun_state = case when r.begun_at = b.at then greatest(r.begun_state, b.state) else b.state end
from (
  select distinct on (staff_id, external_userid) staff_id, external_userid, since as at,
         max(add_way) as way, max(channel_state) as state
  from ({_FRIENDS}) n where tells group by staff_id, external_userid, since
  order by staff_id, external_userid, since
) b
where r.staff_id = b.staff_id and r.external_userid = b.external_userid and (
  r.begun_at is null or b.at < r.begun_at
  or b.at = r.begun_at and (b.way > r.begun_way or b.state > r.begun_state))
"""

_FOLDS: dict[str, Callable[[], None]] = {
    "customer.described": _describe,
    "customer.identified": _identify,
    "relation.changed": _relate,
    "consent.changed": _consent,
    "consent.basis_stated": _state_basis,
    "do_not_disturb.changed": _disturb,
    "tag.changed": _tag,
    "household.member_described": _describe_member,
    "household.member_removed": _remove_member,
}
_BODIES = (*_FOLDS, *DECISION_KINDS)


def _names_unknown(kind: str, path: str, table: str, column: str) -> str:
    """Facts of a kind whose body names something that the table does not have."""
    return f"""
    select w.received_at, w.id, w.body->>'{path}' from window_fact w
    where w.kind = '{kind}' and w.body->>'{path}' is not null
      and not exists (select from {table} k where k.{column} = w.body->>'{path}')
    """


_UNAPPLIED: list[tuple[str, str, str]] = [
    (
        "customer.described",
        "unknown_store",
        _names_unknown("customer.described", "home_store", "resources_store", "code"),
    ),
    (
        "customer.described",
        "unknown_staff",
        _names_unknown("customer.described", "owner", "resources_staff", "userid"),
    ),
    (
        "customer.described",
        "attribute_type",
        f"""
        select w.received_at, w.id, min(a.code) from window_fact w
        cross join lateral jsonb_each(w.body->'attributes') as a(code, value) {_DEFINED}
        where w.kind = 'customer.described' and not {_TYPE_FITS} group by w.received_at, w.id
        """,
    ),
    (
        "relation.changed",
        "unknown_staff",
        _names_unknown("relation.changed", "staff", "resources_staff", "userid"),
    ),
    (
        "relation.changed",
        "no_external_userid",
        f"select w.received_at, w.id, '' from window_fact w"
        f" where w.kind = 'relation.changed' and {_EXTERNAL_USERID} is null",
    ),
    ("tag.changed", "unknown_tag", _names_unknown("tag.changed", "tag", "customers_tag", "code")),
    (
        "tag.changed",
        "kept_tag",
        """
        select w.received_at, w.id, t.code from window_fact w
        join customers_tag t on t.code = w.body->>'tag' join customers_kepttag k on k.tag_id = t.id
        where w.kind = 'tag.changed'
        """,
    ),
]

# A window of which each fact merges two people stays below a second.
customers = Subscription(STREAM, handle, batch=2500)
