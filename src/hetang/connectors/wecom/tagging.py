"""Our tags to WeCom: what differs is queued once per pair of member and customer, and marked with at most five in
flight.

The person's tags are what our facts say. A pair differs when a tag that was put on here is missing in it, or when one
that was taken off (here, or by a colleague in WeCom) is still there; tags that colleagues put on are left to their own
pair. A bulk change is one statement that queues pairs; however often a customer changes before her turn comes, she is
one call. A tag that a rule keeps (`customers.kept`) is on exactly those pairs whose customer wears it.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import connection, transaction
from django.db.models import QuerySet
from pyroaring import BitMap

from hetang.connectors.wecom.client import Client, app_of, client_of
from hetang.connectors.wecom.errors import (
    NO_RELATION,
    Action,
    NotConnected,
    NotSent,
    RateLimited,
    Unanswered,
    WeComError,
)
from hetang.connectors.wecom.models import App, Corp, CorpTag
from hetang.connectors.wecom.protocol.tags import MARK, MARKS_AT_ONCE, Mark
from hetang.customers.kept import FEW, PUT_ON, TAKEN_OFF
from hetang.facts.staging import stage
from hetang.facts.subscriptions import Subscription, Window
from hetang.platform import clock
from hetang.platform.loops import Loop
from hetang.platform.metrics import Counter

log = logging.getLogger(__name__)

BATCH = 200
PAIRS_AT_ONCE = 50_000
MOST_TRIES = 5
_IDLE_S = 1.0
_AWAY_S = 10.0
_LONGEST_S = 60.0
STREAM = "wecom_tags"

MARKED = Counter("hetang_wecom_marks_total", "Pairs whose tags were put right in WeCom, by outcome.", ("outcome",))

_pool: ThreadPoolExecutor | None = None


@dataclass(frozen=True)
class Due:
    """A pair in the queue, and what its tags in WeCom lack or have too many."""

    pair_id: int
    corp_id: int
    asked: int
    tries: int
    userid: str
    external_userid: str
    add: list[str]
    remove: list[str]


@dataclass(frozen=True)
class _Done:
    due: Due
    outcome: str  # marked, nothing, gone, refused, later


def handle(window: Window) -> None:
    """Queue the pairs of customers whose tags changed in a window of facts, and new pairs that lack what they have."""
    counts = stage(window, ["tag.changed", "relation.changed"])
    with connection.cursor() as cursor:
        if counts["tag.changed"]:
            cursor.execute(_QUEUE)
        if counts["relation.changed"]:
            cursor.execute(_QUEUE_NEW_PAIRS, {"now": clock.now()})
            if _kept_ones().exists():  # few brands have any, and a first sync comes by here with everybody
                cursor.execute(_QUEUE_NEW_PAIRS_KEPT)
    if counts[PUT_ON] or counts[TAKEN_OFF]:
        _queue_kept(window)


def _queue_kept(window: Window) -> None:
    """The pairs of those whom a rule put a tag on or took it off. Of many, `tag_catalogue` looks for them in pieces."""
    changed: dict[int, BitMap] = {}
    with connection.cursor() as cursor:
        cursor.execute(_KEPT_FACTS.format(where=window.where), {**window.params, "kinds": [PUT_ON, TAKEN_OFF]})
        for tag, members in cursor.fetchall():
            changed[tag] = changed.get(tag, BitMap()) | BitMap.deserialize(bytes(members))
        for tag, some in changed.items():
            if len(some) <= FEW:
                cursor.execute(_QUEUE_KEPT, {"tag": tag, "numbers": some.to_array().tolist()})
    many = [tag for tag, some in changed.items() if len(some) > FEW]
    CorpTag.objects.filter(ours__in=many, outgoing=True, deleted_at=None).update(queue_anew=True)


def queue_differing(corp: Corp) -> int:
    """Queue every pair of a corp that differs from what our facts say; returns how many. One statement, which looks at
    each mark of a tag that goes out once: people who became one, or whose identity came later, are found here. Tags
    that rules keep are looked through in ranges of pairs."""
    with connection.cursor() as cursor:
        cursor.execute(_QUEUE_DIFFERING, {"corp": corp.pk, "now": clock.now()})
        found = int(cursor.rowcount)
        tags = list(_kept_ones().filter(corp=corp).values_list("pk", flat=True))
        for first, last in ranges(corp) if tags else ():
            cursor.execute(_QUEUE_KEPT_DIFFERING, {"corp": corp.pk, "tags": tags, "first": first, "last": last})
            found += int(cursor.rowcount)
    return found


def _kept_ones() -> QuerySet[CorpTag]:
    """Tags of corps that go out and that rules keep."""
    return CorpTag.objects.filter(outgoing=True, deleted_at=None, ours__kept__isnull=False)


def queue_tags(corp: Corp, tags: list[int], first: int, last: int) -> None:
    """Queue those of the pairs from `first` to before `last` that differ in some of the corp's tags (by row)."""
    params: dict[str, Any] = {"corp": corp.pk, "tags": tags, "first": first, "last": last, "now": clock.now()}
    with connection.cursor() as cursor:
        cursor.execute(_QUEUE_TAGS, params)
        cursor.execute(_QUEUE_KEPT_DIFFERING, params)


def ranges(corp: Corp) -> list[tuple[int, int]]:
    """The rows of a corp's pairs in pieces: from each first to before its last."""
    with connection.cursor() as cursor:
        cursor.execute(_ENDS, [corp.pk])
        first, last = cursor.fetchone()
    return [(start, min(start + PAIRS_AT_ONCE, last + 1)) for start in range(first, last + 1, PAIRS_AT_ONCE)]


def waiting() -> int:
    """How many pairs wait for their turn."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from wecom_tagwait")
        return int(cursor.fetchone()[0])


def run_once() -> float:
    """Put one batch right. Returns seconds until the next look."""
    due = _due()
    if not due:
        return _IDLE_S
    pause = 0.0
    for corp_id in sorted({one.corp_id for one in due}):
        some = [one for one in due if one.corp_id == corp_id]
        app = app_of(corp_id)
        if app is None:
            _drop(some)
            continue
        pause = max(pause, _mark_all(app, some))
    return pause


def _mark_all(app: App, due: list[Due]) -> float:
    """Mark side by side, note what became of it at once; returns the seconds to wait if WeCom wants that."""
    try:
        client = client_of(app)
    except NotConnected:
        _drop(due)
        return 0.0
    pauses: list[float] = [0.0]
    at_once = min(MARKS_AT_ONCE, app.corp.concurrency)
    if at_once <= 1:
        done = [_mark(client, one, pauses) for one in due]
    else:
        parts = [due[number::at_once] for number in range(at_once)]
        done = [one for some in _threads().map(lambda part: _mark_part(client, part, pauses), parts) for one in some]
    _note(done)
    return max(pauses)


def _threads() -> ThreadPoolExecutor:
    global _pool  # noqa: PLW0603 - threads keep their database connections from one batch to the next
    if _pool is None:
        _pool = ThreadPoolExecutor(MARKS_AT_ONCE, thread_name_prefix="marks")
    return _pool


def _mark_part(client: Client, part: list[Due], pauses: list[float]) -> list[_Done]:
    try:
        return [_mark(client, one, pauses) for one in part]
    except BaseException:
        connection.close()
        raise


def _mark(client: Client, one: Due, pauses: list[float]) -> _Done:
    if not one.add and not one.remove:
        return _Done(one, "nothing")
    return _Done(one, "later" if max(pauses) > 0 else _outcome(client, one, pauses))


def _outcome(client: Client, one: Due, pauses: list[float]) -> str:
    request = Mark(userid=one.userid, external_userid=one.external_userid, add_tag=one.add, remove_tag=one.remove)
    try:
        client.call(MARK, request)
    except RateLimited as problem:
        pauses.append(min(problem.wait_s, _LONGEST_S))
        return "later"
    except (NotSent, Unanswered) as problem:
        log.warning("tags wait for WeCom: %s", problem)
        pauses.append(_AWAY_S)
        return "later"
    except WeComError as problem:
        log.info("a mark was refused: %s", problem)
        if problem.code == NO_RELATION:
            return "gone"
        return "later" if problem.action is Action.WAIT and one.tries < MOST_TRIES else "refused"
    return "marked"


def _due() -> list[Due]:
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"batch": BATCH, "now": clock.now()})
        return [Due(*row) for row in cursor.fetchall()]


@transaction.atomic
def _note(done: list[_Done]) -> None:
    """Write what WeCom has now into the mirror, and take off the queue what was not asked for again meanwhile."""
    for one in done:
        MARKED.add(one.outcome)
    marked = [one.due for one in done if one.outcome == "marked"]
    gone = [one.due.pair_id for one in done if one.outcome == "gone"]
    later = [one.due.pair_id for one in done if one.outcome == "later"]
    with connection.cursor() as cursor:
        if marked:
            rows = [{"id": due.pair_id, "add": due.add, "remove": due.remove} for due in marked]
            cursor.execute(_MIRROR, {"rows": msgspec.json.encode(rows).decode(), "now": clock.now()})
        if gone:
            cursor.execute(_GONE, [gone])
        if later:
            cursor.execute("update wecom_tagwait set tries = tries + 1 where pair_id = any(%s)", [later])
    _drop([one.due for one in done if one.outcome != "later"])


def _drop(due: list[Due]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from wecom_tagwait w using unnest(%s::bigint[], %s::int[]) as d(pair_id, asked)"
            " where w.pair_id = d.pair_id and w.asked = d.asked",
            [[one.pair_id for one in due], [one.asked for one in due]],
        )


# Whether a rule keeps a tag (`c.ours_id`) on a customer.
_WORN = """coalesce((select get_bit(b.bits, ({number} & 8191)::int) from customers_keptchunk b
  where b.tag_id = c.ours_id and b.chunk = ({number} >> 13)::int), 0) = 1"""
# What a pair should have of the tags that go out, against what it has. Words of WeCom itself put nothing on other
# pairs.
_WANTED = f"""
select p.id as pair_id, p.corp_id, p.userid, p.external_userid,
  array(select c.tag_id from wecom_corptag c
        join customers_customertag ct on ct.tag_id = c.ours_id and ct.customer_id = i.customer_id
        where c.corp_id = p.corp_id and c.outgoing and c.deleted_at is null and ct."on" and ct.source <> 'wecom'
          and (ct.expires_at is null or ct.expires_at > %(now)s) and c.tag_id <> all(p.tags)
        union select c.tag_id from customers_kepttag k join wecom_corptag c on c.ours_id = k.tag_id
        where c.corp_id = p.corp_id and c.outgoing and c.deleted_at is null and c.tag_id <> all(p.tags)
          and {_WORN.format(number="i.customer_id")}
        order by 1) as missing,
  array(select c.tag_id from wecom_corptag c
        join customers_customertag ct on ct.tag_id = c.ours_id and ct.customer_id = i.customer_id
        where c.corp_id = p.corp_id and c.outgoing and c.deleted_at is null and c.tag_id = any(p.tags)
          and (not ct."on" or ct.expires_at <= %(now)s)
        union select c.tag_id from customers_kepttag k join wecom_corptag c on c.ours_id = k.tag_id
        where c.corp_id = p.corp_id and c.outgoing and c.deleted_at is null and c.tag_id = any(p.tags)
          and i.customer_id is not null and not {_WORN.format(number="i.customer_id")}
        order by 1) as surplus
from wecom_pair p
left join customers_identity i on i.kind = 'external_userid' and i.key = p.external_userid
"""
_ENDS = "select coalesce(min(id), 0), coalesce(max(id), -1) from wecom_pair where corp_id = %s"
_DUE = f"""
with next as (select pair_id, asked, tries from wecom_tagwait order by tries, id limit %(batch)s)
select next.pair_id, w.corp_id, next.asked, next.tries, w.userid, w.external_userid, w.missing, w.surplus
from next join ({_WANTED}) w on w.pair_id = next.pair_id
"""
_ASK = """
on conflict (pair_id) do update set asked = wecom_tagwait.asked + 1
"""
_QUEUE = f"""
insert into wecom_tagwait (pair_id, asked, tries)
select distinct p.id, 1, 0 from window_fact f
join customers_identity named on named.kind = f.subject_kind and named.key = f.subject_key
join customers_identity hers on hers.customer_id = named.customer_id and hers.kind = 'external_userid'
join wecom_pair p on p.external_userid = hers.key and p.standing in ('listed', 'lost_by_customer')
join customers_tag t on t.code = f.body->>'tag'
join wecom_corptag c on c.ours_id = t.id and c.corp_id = p.corp_id and c.outgoing and c.deleted_at is null
where f.kind = 'tag.changed' and (f.source <> 'wecom' or not (f.body->>'on')::boolean)
{_ASK}
"""
# A mark that was put on here and is missing in a pair, or was taken off and is still there.
_DIFFERS = """
join customers_customertag ct on ct.customer_id = hers.customer_id
join wecom_corptag c on c.ours_id = ct.tag_id and c.corp_id = p.corp_id and c.outgoing and c.deleted_at is null
  and (ct."on" and (ct.expires_at is null or ct.expires_at > %(now)s)) is distinct from (c.tag_id = any(p.tags))
  and not (ct."on" and ct.source = 'wecom' and c.tag_id <> all(p.tags))
"""
_QUEUE_NEW_PAIRS = f"""
insert into wecom_tagwait (pair_id, asked, tries)
select distinct p.id, 1, 0 from window_fact f
join customers_identity hers on hers.kind = f.subject_kind and hers.key = f.subject_key
join wecom_pair p on p.external_userid = hers.key and p.userid = f.body->>'staff'
  and p.standing in ('listed', 'lost_by_customer')
{_DIFFERS}
where f.kind = 'relation.changed' and f.subject_kind = 'external_userid' and f.body->>'state' = 'active'
{_ASK}
"""
_QUEUE_DIFFERING = f"""
insert into wecom_tagwait (pair_id, asked, tries)
select distinct p.id, 1, 0 from wecom_pair p
join customers_identity hers on hers.kind = 'external_userid' and hers.key = p.external_userid
{_DIFFERS}
where p.corp_id = %(corp)s and p.standing in ('listed', 'lost_by_customer')
{_ASK}
"""
_QUEUE_TAGS = f"""
insert into wecom_tagwait (pair_id, asked, tries)
select distinct p.id, 1, 0 from wecom_pair p
join customers_identity hers on hers.kind = 'external_userid' and hers.key = p.external_userid
{_DIFFERS} and c.id = any(%(tags)s)
where p.corp_id = %(corp)s and p.id >= %(first)s and p.id < %(last)s and p.standing in ('listed', 'lost_by_customer')
{_ASK}
"""
_KEPT_FACTS = """
select t.id, f.members from facts_fact f join customers_tag t on t.code = f.body->>'tag'
where {where} and f.kind = any(%(kinds)s) and f.members is not null and exists
  (select 1 from wecom_corptag c where c.ours_id = t.id and c.outgoing and c.deleted_at is null)
"""
_QUEUE_KEPT = f"""
insert into wecom_tagwait (pair_id, asked, tries)
select distinct p.id, 1, 0 from unnest(%(numbers)s::bigint[]) as n(number)
join customers_identity hers on hers.customer_id = n.number and hers.kind = 'external_userid'
join wecom_pair p on p.external_userid = hers.key and p.standing in ('listed', 'lost_by_customer')
join wecom_corptag c on c.ours_id = %(tag)s and c.corp_id = p.corp_id and c.outgoing and c.deleted_at is null
{_ASK}
"""
_KEPT_DIFFERS = f"""
join wecom_corptag c on c.corp_id = p.corp_id and c.outgoing and c.deleted_at is null
join customers_kepttag k on k.tag_id = c.ours_id
  and {_WORN.format(number="hers.customer_id")} is distinct from (c.tag_id = any(p.tags))
"""
_QUEUE_NEW_PAIRS_KEPT = f"""
insert into wecom_tagwait (pair_id, asked, tries)
select distinct p.id, 1, 0 from window_fact f
join customers_identity hers on hers.kind = f.subject_kind and hers.key = f.subject_key
join wecom_pair p on p.external_userid = hers.key and p.userid = f.body->>'staff'
  and p.standing in ('listed', 'lost_by_customer')
{_KEPT_DIFFERS}
where f.kind = 'relation.changed' and f.subject_kind = 'external_userid' and f.body->>'state' = 'active'
{_ASK}
"""
_QUEUE_KEPT_DIFFERING = f"""
insert into wecom_tagwait (pair_id, asked, tries)
select distinct p.id, 1, 0 from wecom_pair p
join customers_identity hers on hers.kind = 'external_userid' and hers.key = p.external_userid
{_KEPT_DIFFERS} and c.id = any(%(tags)s)
where p.corp_id = %(corp)s and p.id >= %(first)s and p.id < %(last)s and p.standing in ('listed', 'lost_by_customer')
{_ASK}
"""
# She who deleted the member stays what she is: as `gone` she would come back as a friend with the next listing.
_GONE = """
update wecom_pair set tags = '{}', standing = case standing when 'lost_by_customer' then standing else 'gone' end
where id = any(%s)
"""
_MIRROR = """
update wecom_pair p set marked_at = greatest(marked_at, %(now)s),
  tags = array(select distinct t from unnest(tags || r.add) as t where t <> all(r.remove) order by t)
from jsonb_to_recordset(%(rows)s::jsonb) as r(id bigint, add varchar[], remove varchar[])
where p.id = r.id
"""

subscription = Subscription(
    STREAM,
    handle,
    kinds=frozenset({"tag.changed", "relation.changed", PUT_ON, TAKEN_OFF}),
    after="customers",
    patient=True,
)
loop = Loop("wecom.tags", run_once)
