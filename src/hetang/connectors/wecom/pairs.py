"""The mirror of friendships (`Pair`) and the facts that its changes are, written by the thousand.

A page of WeCom is compared with the mirror in one statement; facts are written only for what is new or changed, so
that a sync of friendships that are all known costs a comparison. Mirror and facts change in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from hetang.connectors.wecom.models import Corp, Pair
from hetang.connectors.wecom.protocol.contacts import ContactOfMember, ExternalContact, Follow
from hetang.connectors.wecom.relations import name_of, ranked, tag_drafts, who
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.refusals import OBJECTED

SOURCE = "wecom"
FACTS_AT_ONCE = 1000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass
class Kept:
    """What became of a page. `refused` are the keys of facts that could not be taken, with the reason."""

    listed: int = 0
    new: int = 0
    back: int = 0
    changed: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Before:
    """A pair as the mirror has it: `standing` is empty for one that is not there."""

    standing: str
    friends_since: datetime | None
    told_at: datetime | None
    marked_at: datetime | None
    same_person: bool
    tags: list[str]


def keep_listed(  # noqa: PLR0917 - all of it is about one page
    corp: Corp,
    run_id: int,
    listed: Sequence[ContactOfMember],
    asked_at: datetime,
    codes: dict[str, str],
    likely_new: bool = True,
) -> Kept:
    """Compare friendships that WeCom listed at `asked_at` with the mirror, in the caller's transaction.

    `codes`: our tag's code by the corp tag's id. `likely_new`: try first whether all of them are new, as in a first
    sync, where looking each of them up would find nothing. Up to some thousand at once.
    """
    rows = list({(one.follow_info.userid, one.external_contact.external_userid): one for one in listed}.values())
    kept = Kept(listed=len(rows))
    params: dict[str, Any] = {"corp": corp.pk, "run": run_id, "at": asked_at}
    drafts: list[Draft] = []
    with connection.cursor() as cursor:
        _stage(cursor, rows)
        if likely_new and _are_new(cursor, len(rows), params):
            kept.new = len(rows)
            for one in rows:
                drafts += _drafts_of_new(corp, one, codes)
        else:
            cursor.execute(_MIRROR, params)
            for number, *before in cursor.fetchall():
                drafts += _drafts(corp, run_id, rows[number], _Before(*before), asked_at, codes, kept)
    _record(drafts, kept)
    return kept


def note_gone(corp: Corp, run_id: int, members: Sequence[str], asked_at: datetime) -> int:
    """Pairs of these members that a whole sync did not see: the friendship had ended by `asked_at`. Up to a thousand at
    a time; returns how many, 0 when there are none left."""
    with connection.cursor() as cursor:
        params: dict[str, Any] = {"corp": corp.pk, "run": run_id, "members": list(members), "at": asked_at}
        params["most"] = FACTS_AT_ONCE
        cursor.execute(_GONE, params)
        gone = cursor.fetchall()
    drafts = [
        Draft(
            "relation.changed",
            f"gone:{corp.corpid}:{userid}:{external}:{run_id}",
            asked_at,
            [("external_userid", external)],
            {"staff": userid, "state": "lost_by_staff", "simulated": corp.simulated},
        )
        for userid, external in gone
    ]
    _record(drafts, Kept())
    return len(gone)


def told_pairs(corp: Corp, told: Sequence[tuple[str, str, str, datetime, datetime]]) -> None:
    """What events said of pairs: (userid, external_userid, standing, when with its rank, when in WeCom's seconds). The
    newest word on each counts, also against what the mirror has."""
    newest: dict[tuple[str, str], tuple[str, datetime, datetime]] = {}
    for userid, external, standing, at, since in sorted(told, key=lambda one: one[3]):
        newest[userid, external] = (standing, at, since)
    if not newest:
        return
    keys = sorted(newest)
    with connection.cursor() as cursor:
        cursor.execute(
            _TOLD,
            {
                "corp": corp.pk,
                "userids": [userid for userid, _ in keys],
                "externals": [external for _, external in keys],
                "standings": [newest[key][0] for key in keys],
                "ats": [newest[key][1] for key in keys],
                "since": [newest[key][2] for key in keys],
            },
        )


def _record(drafts: Sequence[Draft], kept: Kept) -> None:
    for start in range(0, len(drafts), FACTS_AT_ONCE):
        some = drafts[start : start + FACTS_AT_ONCE]
        rejected = intake.record(SOURCE, some, "callback").rejected
        kept.refused += [(one.key, one.code) for one in rejected if one.code != OBJECTED]
        # Who was erased and does not want to be known again is not mirrored either.
        objected = [some[one.index].who[0][1] for one in rejected if one.code == OBJECTED]
        if objected:
            Pair.objects.filter(external_userid__in=objected).delete()


def _are_new(cursor: Any, count: int, params: dict[str, Any]) -> bool:
    """Put what is staged into the mirror, if none of it is there. Otherwise nothing is done, and nothing locked: what
    is there and what is not must be written in one order, or two writers wait for each other."""
    mine = transaction.savepoint()
    cursor.execute(_NEW, params)
    if cursor.rowcount == count:
        transaction.savepoint_commit(mine)
        return True
    transaction.savepoint_rollback(mine)
    return False


def _stage(cursor: Any, rows: Sequence[ContactOfMember]) -> None:
    cursor.execute(_TABLE)
    cursor.execute("delete from wecom_listed")
    with cursor.copy("copy wecom_listed from stdin") as copy:
        copy.write("".join(_line(number, one) for number, one in enumerate(rows)))


def _line(number: int, one: ContactOfMember) -> str:
    """A row in COPY's text format: made here, it costs a quarter of what the driver takes for it."""
    follow, person = one.follow_info, one.external_contact
    userid, external = _text(follow.userid), _text(person.external_userid)
    told = digest(person, follow).hex()
    return f"{number}\t{userid}\t{external}\t{follow.createtime}\t\\\\x{told}\t{_array(follow.tag_ids)}\n"


def _text(value: str) -> str:
    return value if value.isprintable() and "\\" not in value else value.translate(_ESCAPES)


def _array(values: Sequence[str]) -> str:
    if not values:
        return "{}"
    quoted = ['"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in sorted(values)]
    return ("{" + ",".join(quoted) + "}").translate(_ESCAPES)


def digest(person: ExternalContact, follow: Follow) -> bytes:
    """Eight bytes that differ when what WeCom tells of a pair does, tags apart."""
    told = f"{person.name}\0{person.unionid}\0{person.type}\0{follow.remark}\0{follow.state}\0{follow.add_way}"
    return hashlib.blake2b(told.encode(), digest_size=8).digest()


def _drafts_of_new(corp: Corp, one: ContactOfMember, codes: dict[str, str]) -> Iterable[Draft]:
    follow, person = one.follow_info, one.external_contact
    yield listed_draft(corp, one)
    if follow.tag_ids:
        yield from tag_drafts(
            corp,
            who(person.external_userid, person),
            before=(),
            after=follow.tag_ids,
            codes=codes,
            at=datetime.fromtimestamp(follow.createtime, UTC),
            key=f"{follow.userid}:{person.external_userid}:{follow.createtime}",
        )


def _drafts(  # noqa: PLR0917 - all of it is about one pair
    corp: Corp,
    run_id: int,
    one: ContactOfMember,
    before: _Before,
    asked_at: datetime,
    codes: dict[str, str],
    kept: Kept,
) -> Iterable[Draft]:
    follow, person = one.follow_info, one.external_contact
    since = datetime.fromtimestamp(follow.createtime, UTC)
    anew = before.friends_since is None or since > before.friends_since
    # What an event said while this page was under way is newer than the page, and so are our own marks.
    if not _newer(before.told_at, asked_at):
        if not before.standing:
            kept.new += 1
            yield from _drafts_of_new(corp, one, codes)
            return
        elif before.standing in {Pair.HALF, Pair.GONE} or (before.standing == Pair.LOST and anew):
            kept.back += 1
            # Where the mirror said otherwise of this very friendship, the listing is the newer word.
            yield listed_draft(corp, one, at=None if anew else asked_at)
        elif not before.same_person:
            kept.changed += 1
            # She who deleted the member stays listed: her details are taken over, and her loss stays the newer word.
            at = since if before.standing == Pair.LOST else max(asked_at, since)
            yield listed_draft(corp, one, told=f"{run_id}:{digest(person, follow).hex()}", at=at)
    if _newer(before.told_at, asked_at) or _newer(before.marked_at, asked_at):
        return
    yield from tag_drafts(
        corp,
        who(person.external_userid, person),
        before=before.tags,
        after=follow.tag_ids,
        codes=codes,
        at=asked_at,
        key=f"{follow.userid}:{person.external_userid}:{run_id}",
    )


def _newer(word: datetime | None, asked_at: datetime) -> bool:
    return word is not None and word > asked_at


def listed_draft(corp: Corp, listed: ContactOfMember, told: str = "", at: datetime | None = None) -> Draft:
    """The fact of a friendship that WeCom lists; the same friendship gives the same key every time.

    `told` and `at`: a newer word on the same friendship, with its mark and time.
    """
    follow, person = listed.follow_info, listed.external_contact
    since = datetime.fromtimestamp(follow.createtime, UTC)
    body = {
        "staff": follow.userid,
        "state": "active",
        "since": since.isoformat(),
        "add_way": follow.add_way,
        "channel_state": follow.state[:64],
        "simulated": corp.simulated,
    }
    key = f"relation:{corp.corpid}:{follow.userid}:{person.external_userid}:{follow.createtime}"
    if at is not None:
        key += f":{told or int(at.timestamp())}"
    when = at or ranked(since, "active")
    return Draft("relation.changed", key, when, who(person.external_userid, person), body, name=name_of(person))


_TABLE = """
create temporary table if not exists wecom_listed (
  number int not null, userid text not null, external_userid text not null, createtime bigint not null,
  digest bytea not null, tags text[] not null
) on commit delete rows
"""
_NEW = """
insert into wecom_pair (corp_id, userid, external_userid, standing, friends_since, digest, tags, told_at, run)
select %(corp)s, userid, external_userid, 'listed', to_timestamp(createtime), digest, tags, %(at)s, %(run)s
from wecom_listed order by userid, external_userid
on conflict (corp_id, userid, external_userid) do nothing
"""
# What stood in the mirror before, of those that are new or differ, and the mirror brought up to date. Each pair is
# looked up by itself: a join would read the whole mirror for each page of a large corp. What an event said after this
# page was asked for stays; that the pair was seen is noted all the same. One who deleted the member stays listed, so
# only a newer friendship ends that.
_MIRROR = """
with before as materialized (
  select l.number, p.* from wecom_listed l left join lateral (
    select p.id, p.standing, p.friends_since, p.told_at, p.marked_at, p.digest = l.digest as same_person,
      p.tags::text[] as tags
    from wecom_pair p
    where p.corp_id = %(corp)s and p.userid = l.userid and p.external_userid = l.external_userid limit 1
  ) p on true
  where p.id is null or p.standing <> 'listed' or not p.same_person or p.tags <> l.tags
     or p.friends_since <> to_timestamp(l.createtime)
), mirrored as (
  insert into wecom_pair as p (corp_id, userid, external_userid, standing, friends_since, digest, tags, told_at, run)
  select %(corp)s, userid, external_userid, 'listed', to_timestamp(createtime), digest, tags, %(at)s, %(run)s
  from wecom_listed order by userid, external_userid
  on conflict (corp_id, userid, external_userid) do update set
    run = excluded.run,
    standing = case when p.told_at > excluded.told_at
                      or (p.standing = 'lost_by_customer' and excluded.friends_since <= p.friends_since)
               then p.standing else 'listed' end,
    friends_since = case when p.told_at > excluded.told_at then p.friends_since else excluded.friends_since end,
    digest = case when p.told_at > excluded.told_at then p.digest else excluded.digest end,
    tags = case when greatest(p.told_at, p.marked_at) > excluded.told_at then p.tags else excluded.tags end
)
select number, coalesce(standing, '') as standing, friends_since, told_at, marked_at,
  coalesce(same_person, false) as same_person, coalesce(tags, '{}') as tags
from before
"""
_TOLD = """
insert into wecom_pair as p (corp_id, userid, external_userid, standing, friends_since, digest, tags, told_at, run)
select %(corp)s, userid, external_userid, standing, since, '', '{}', at, 0
from unnest(%(userids)s::text[], %(externals)s::text[], %(standings)s::text[], %(ats)s::timestamptz[],
            %(since)s::timestamptz[]) as n(userid, external_userid, standing, at, since)
on conflict (corp_id, userid, external_userid) do update set
  standing = excluded.standing, told_at = excluded.told_at,
  friends_since = case when excluded.standing in ('listed', 'half') then excluded.friends_since
                       else p.friends_since end,
  tags = case when excluded.standing = 'gone' or excluded.friends_since > p.friends_since and p.standing = 'gone'
         then '{}' else p.tags end
where p.told_at <= excluded.told_at
"""
_GONE = """
with gone as (
  select id from wecom_pair where corp_id = %(corp)s and userid = any(%(members)s) and run <> %(run)s
    and standing in ('listed', 'lost_by_customer') and greatest(told_at, marked_at) < %(at)s
  order by id limit %(most)s for update
)
update wecom_pair p set standing = 'gone', told_at = %(at)s, tags = '{}'
from gone where p.id = gone.id returning p.userid, p.external_userid
"""
