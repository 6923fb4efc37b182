"""Changes to many customers at once (批量操作): whom it concerns is fixed first, a job writes one fact for each, undo.

A chunk is one transaction: facts, counts and the cursor change together, so a job that died goes on where it stopped,
and a second one beside it writes nothing twice. Every fact is stamped with the moment the change began and its undo
with the microsecond after: whatever anybody said of a customer since then stands above both, in whichever order they
are folded, so an undo takes back exactly what is still ours.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from pyroaring import BitMap

from hetang.customers import kept, queries
from hetang.customers.errors import BulkRefused
from hetang.customers.models import (
    BulkBefore,
    BulkChange,
    Customer,
    CustomerTag,
    DoNotDisturb,
    Tag,
)
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform import approvals, audit, clock, jobs, organisation
from hetang.platform.access import Actor, Forbidden, actor_for, own_customers
from hetang.platform.approvals import BULK, ApprovalRefused
from hetang.platform.models import Approval, JobRun, OrgNode, User
from hetang.platform.sealing import unseal

EDIT = "customers:edit"
JOB = "customers.bulk"
SOURCE = "console"
CHUNK = 500  # customers of one transaction: about a tenth of a second
_AFTER = timedelta(microseconds=1)  # an undo comes right after what it takes back
_OVER = (JobRun.DONE, JobRun.FAILED, JobRun.CANCELLED)
Before = tuple[str, datetime | None]  # tag (its code, or "") and until when it held

Progress = Callable[..., None]


@dataclass(frozen=True)
class Wanted:
    """What is to be done: a kind of `BulkChange`, the tag it is about, until when do-not-disturb holds."""

    kind: str
    tag: Tag | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Estimate:
    """How many of those concerned would change as things are, and for how many nothing would."""

    change: int
    already: int


FILTERS = ("store", "owner", "tag")  # by code, as `queries.listed` takes them


def preview(actor: Actor, wanted: Wanted, filters: dict[str, str]) -> BulkChange:
    """Fix whom a change is for: the actor's own company's customers whom the filters of the list choose. Writes no
    fact.

    Raises Forbidden, BulkRefused (nobody, until_past, tag_gone). Reads all numbers: about a second for a million.
    """
    actor.require(EDIT)
    _check(wanted)
    filters = {name: filters[name] for name in FILTERS if filters.get(name)}
    members = _numbers_of(chosen(actor, filters).order_by().values("pk"))
    if not members:
        raise BulkRefused("nobody")
    with transaction.atomic():
        change = BulkChange.objects.create(
            kind=wanted.kind,
            tag=wanted.tag,
            until=wanted.until,
            filters=filters,
            org_node=_place(actor),
            members=members.serialize(),
            people=len(members),
            untouched=BitMap().serialize(),
            user_id=actor.user_id,
            actor=actor.name,
            created_at=clock.now(),
        )
        _record(actor, "bulk.previewed", change)
    return change


def chosen(actor: Actor, filters: dict[str, str]) -> QuerySet[Customer]:
    """The customers whom the actor may change and the filters choose."""
    return queries.listed(own_customers(actor, EDIT), **filters, now=clock.now())


def estimate(change: BulkChange) -> Estimate:
    """What would change now. A second for a million; after the start the counts of the change say it."""
    members = BitMap.deserialize(bytes(change.members))
    already = len(members & _numbers_of(_settled(change)))
    if change.kind == BulkChange.TAG_OFF:
        already = len(members) - len(members & _numbers_of(_tagged(change)))
    return Estimate(len(members) - already, already)


def sample(change: BulkChange, size: int) -> list[int]:
    """Some of its people, spread over all of them."""
    members = BitMap.deserialize(bytes(change.members))
    return [members[place * len(members) // size] for place in range(size)] if len(members) > size else list(members)


def start(actor: Actor, change: BulkChange, title: str) -> None:
    """Begin to write; `title` is what the job is called. Raises Forbidden, BulkRefused (changed_meanwhile, tag_gone,
    until_past, approval_…)."""
    _authorise(actor, change)
    _check(Wanted(change.kind, change.tag, change.until))
    with transaction.atomic():
        held = _lock(change)
        if held.state != BulkChange.PREVIEW:
            raise BulkRefused("changed_meanwhile")
        _pass_approval(actor, held)
        values = {"state": BulkChange.RUNNING, "started_at": clock.now(), "job": _enqueue(actor, held, title)}
        BulkChange.objects.filter(pk=held.pk).update(**values)
        _record(actor, "bulk.started", change)
    change.refresh_from_db()


def go_on(actor: Actor, change: BulkChange, title: str) -> None:
    """Go on with what was cancelled or failed. Raises Forbidden, BulkRefused (changed_meanwhile, still_running)."""
    _authorise(actor, change)
    with transaction.atomic():
        held = _lock(change)
        if held.state not in {BulkChange.RUNNING, BulkChange.UNDOING}:
            raise BulkRefused("changed_meanwhile")
        _resting(held)
        BulkChange.objects.filter(pk=held.pk).update(job=_enqueue(actor, held, title))
        _record(actor, "bulk.continued", change)
    change.refresh_from_db()


def undo(actor: Actor, change: BulkChange, title: str) -> None:
    """Take back what was written, where nobody has said anything newer. Raises Forbidden, BulkRefused
    (changed_meanwhile, still_running, nothing_to_undo)."""
    _authorise(actor, change)
    with transaction.atomic():
        held = _lock(change)
        if held.state not in {BulkChange.RUNNING, BulkChange.DONE}:
            raise BulkRefused("changed_meanwhile")
        _resting(held)
        if not held.changed:
            raise BulkRefused("nothing_to_undo")
        BulkChange.objects.filter(pk=held.pk).update(state=BulkChange.UNDOING, job=_enqueue(actor, held, title))
        _record(actor, "bulk.undoing", change)
    change.refresh_from_db()


def discard(actor: Actor, change: BulkChange) -> None:
    """Throw away what was only looked at. Raises Forbidden, BulkRefused("changed_meanwhile")."""
    _authorise(actor, change)
    with transaction.atomic():
        if not BulkChange.objects.filter(pk=change.pk, state=BulkChange.PREVIEW).delete()[0]:
            raise BulkRefused("changed_meanwhile")
        approvals.void(actor, BULK, str(change.public_id))
        _record(actor, "bulk.discarded", change)


def seen_by(actor: Actor) -> QuerySet[BulkChange]:
    """Changes that the actor made, and those at the places where she may change or approve, newest last."""
    found = Q(user_id=actor.user_id) if actor.user_id is not None else Q(pk__in=[])
    for permission in (EDIT, approvals.KINDS[BULK].decides):
        if actor.can(permission):
            found |= Q(org_node__in=actor.scope(permission).org_nodes().values("pk"))
    rows = BulkChange.objects.filter(found).select_related("tag", "org_node", "job", "user")
    return rows.defer("members", "untouched")


def may_change(actor: Actor, change: BulkChange) -> bool:
    """Whether the actor may start, undo or discard it."""
    return actor.can(EDIT) and change.user_id is not None and change.user_id == actor.user_id


# approval -------------------------------------------------------------------------------------------------------------


def content_of(change: BulkChange) -> dict[str, Any]:
    """What an approval is for: exactly this for exactly these people."""
    return {
        "kind": change.kind,
        "tag": change.tag.code if change.tag else "",
        "tag_name": change.tag.name if change.tag else "",
        "until": change.until.isoformat() if change.until else None,
        "filters": change.filters,
        "members": hashlib.sha256(bytes(change.members)).hexdigest(),
    }


def rule_of(actor: Actor, change: BulkChange) -> approvals.Rule | None:
    """The rule by which the actor needs somebody else's approval for it; None when she needs none."""
    return approvals.rule_for(actor, BULK, change.people, change.org_node)


def ask(actor: Actor, change: BulkChange, title: str, note: str) -> Approval:
    """Ask for approval of exactly this. Raises Forbidden, ApprovalRefused."""
    _authorise(actor, change)
    question = approvals.Question(
        kind=BULK,
        target_id=str(change.public_id),
        title=title,
        org_node=change.org_node,
        content=content_of(change),
        size=change.people,
        note=note,
        involved=(change.user_id,),
    )
    return approvals.ask(actor, question)


def _pass_approval(actor: Actor, change: BulkChange) -> None:
    try:
        approvals.use(
            actor,
            BULK,
            str(change.public_id),
            content=content_of(change),
            size=change.people,
            node=change.org_node,
        )
    except ApprovalRefused as refused:
        raise BulkRefused(f"approval_{refused.code}", **refused.detail) from refused


# writing --------------------------------------------------------------------------------------------------------------


def carry_out(change_id: int, progress: Progress) -> BulkChange:
    """Write (or undo) to the end, chunk by chunk; may be repeated. Raises Forbidden when whoever made it may not change
    customers any more, and what `progress` raises."""
    change = BulkChange.objects.select_related("user").get(pk=change_id)
    if change.state in {BulkChange.RUNNING, BulkChange.UNDOING}:
        while (done := step(change_id)) is not None:
            progress(done, change.people, "writing")
    change.refresh_from_db()
    return change


def step(change_id: int, chunk: int = CHUNK) -> int | None:
    """Write or undo the next chunk in one transaction. Returns how many people are decided; None when it is over."""
    with transaction.atomic():
        change = (
            BulkChange.objects.select_for_update(of=("self",)).select_related("user", "tag__group").get(pk=change_id)
        )
        members = BitMap.deserialize(bytes(change.members))
        if change.state == BulkChange.RUNNING:
            return _write(change, members, chunk)
        return _take_back(change, members, chunk) if change.state == BulkChange.UNDOING else None


def _write(change: BulkChange, members: BitMap, chunk: int) -> int | None:
    actor = _maker(change)
    numbers = _next(members, change.cursor, chunk)
    if not numbers:
        _end(actor, change, BulkChange.DONE)
        return None
    own = set(own_customers(actor, EDIT).filter(pk__in=numbers).values_list("pk", flat=True))
    known = _identities(own)
    state = _State.read(change, known)
    wanted = {number: identity for number, identity in known.items() if not state.settled(change, number)}
    refused = _record_facts(change, wanted, "bulk", lambda _number: _body(change), change.started_at)
    written = wanted.keys() - refused
    _keep_before(change, state, written)
    change.untouched = (BitMap.deserialize(bytes(change.untouched)) | BitMap(set(numbers) - written)).serialize()
    change.cursor = numbers[-1]
    change.changed += len(written)
    change.already += len(known) - len(wanted)
    change.left_out += len(numbers) - len(known) + len(refused)
    change.save(update_fields=["untouched", "cursor", "changed", "already", "left_out"])
    return change.changed + change.already + change.left_out


def _take_back(change: BulkChange, members: BitMap, chunk: int) -> int | None:
    actor = _maker(change)
    written = members - BitMap.deserialize(bytes(change.untouched))
    numbers = [number for number in _next(written, change.undo_cursor, chunk) if number <= change.cursor]
    if not numbers:
        _end(actor, change, BulkChange.UNDONE)
        return None
    newer = _newer(change, numbers)
    known = _identities(set(numbers) - newer)
    before = _before(change, numbers)
    started = _moment(change)
    refused = _record_facts(
        change, known, "bulk-undo", lambda number: _undo_body(change, before.get(number)), started + _AFTER
    )
    change.undo_cursor = numbers[-1]
    change.undone += len(known) - len(refused)
    change.kept += len(numbers) - len(known) + len(refused)
    change.save(update_fields=["undo_cursor", "undone", "kept"])
    return change.undone + change.kept


def _end(actor: Actor, change: BulkChange, state: str) -> None:
    """Nobody is left."""
    change.state, change.finished_at = state, clock.now()
    change.save(update_fields=["state", "finished_at"])
    _record(actor, f"bulk.{state}", change)


def _record_facts(
    change: BulkChange,
    people: dict[int, tuple[str, str]],
    prefix: str,
    body: Callable[[int], dict[str, Any]],
    at: datetime | None,
) -> set[int]:
    """One fact for each, keyed by the change and the customer; returns those whose fact was refused."""
    numbers = sorted(people)
    kind = "do_not_disturb.changed" if change.kind == BulkChange.DISTURB else "tag.changed"
    moment = at or _moment(change)
    drafts = [
        Draft(kind, f"{prefix}:{change.public_id}:{number}", moment, [people[number]], body(number))
        for number in numbers
    ]
    outcome = intake.record(SOURCE, drafts, door="console") if drafts else intake.Outcome()
    return {numbers[one.index] for one in outcome.rejected}


def _body(change: BulkChange) -> dict[str, Any]:
    if change.kind == BulkChange.DISTURB:
        return {"on": True, "until": change.until}
    return {"tag": _code(change), "on": change.kind == BulkChange.TAG_ON, "expires_at": None}


def _undo_body(change: BulkChange, before: Before | None) -> dict[str, Any]:
    """What held before; nothing did for those who are not in `BulkBefore`."""
    if change.kind == BulkChange.DISTURB:
        return {"on": before is not None, "until": before[1] if before else None}
    if before is None:
        return {"tag": _code(change), "on": False, "expires_at": None}
    return {"tag": before[0], "on": True, "expires_at": before[1]}


@dataclass
class _State:
    """What holds of a chunk's customers before anything is written: by customer, the tags on (of the group, where it is
    exclusive) or do-not-disturb, with the time until which each holds."""

    held: dict[int, dict[str, datetime | None]] = field(default_factory=lambda: defaultdict(dict))

    @classmethod
    def read(cls, change: BulkChange, people: dict[int, tuple[str, str]]) -> _State:
        found = cls()
        now = clock.now()
        if change.kind == BulkChange.DISTURB:
            disturb = DoNotDisturb.objects.filter(customer__in=people, on=True).exclude(until__lte=now)
            for number, until in disturb.values_list("customer", "until"):
                found.held[number][""] = until
            return found
        tags = CustomerTag.objects.filter(customer__in=people, on=True).exclude(expires_at__lte=now)
        tags = tags.filter(Q(tag=change.tag_id) | Q(tag__group=_exclusive_group(change)))
        for number, code, until in tags.values_list("customer", "tag__code", "expires_at"):
            found.held[number][code] = until
        return found

    def settled(self, change: BulkChange, number: int) -> bool:
        """Whether the change would change nothing for this customer."""
        held = self.held.get(number, {})
        if change.kind == BulkChange.TAG_OFF:
            return _code(change) not in held
        if change.kind == BulkChange.TAG_ON:
            return _code(change) in held and held[_code(change)] is None
        return "" in held and (held[""] is None or (change.until is not None and held[""] >= change.until))

    def before(self, number: int) -> Before | None:
        """What an undo has to bring back."""
        held = self.held.get(number)
        return next(iter(held.items())) if held else None


def _keep_before(change: BulkChange, state: _State, written: set[int]) -> None:
    groups: dict[Before, BitMap] = defaultdict(BitMap)
    for number in written:
        before = state.before(number)
        if before is not None:
            groups[before].add(number)
    if not groups:
        return
    known = {(row.tag, row.until): row for row in change.before.filter(tag__in={tag for tag, _until in groups})}
    rows = []
    for (tag, until), members in groups.items():
        row = known.get((tag, until)) or BulkBefore(change=change, tag=tag, until=until, members=BitMap().serialize())
        row.members = (BitMap.deserialize(bytes(row.members)) | members).serialize()
        rows.append(row)
    BulkBefore.objects.bulk_create([row for row in rows if row.pk is None])
    BulkBefore.objects.bulk_update([row for row in rows if row.pk is not None], ["members"])


def _before(change: BulkChange, numbers: Sequence[int]) -> dict[int, Before]:
    chunk = BitMap(numbers)
    found: dict[int, Before] = {}
    for tag, until, packed in change.before.values_list("tag", "until", "members"):
        found |= dict.fromkeys(BitMap.deserialize(bytes(packed)) & chunk, (tag, until))
    return found


def _newer(change: BulkChange, numbers: Sequence[int]) -> set[int]:
    """Those of whom somebody has said something since."""
    since = _moment(change) + _AFTER
    if change.kind == BulkChange.DISTURB:
        rows = DoNotDisturb.objects.filter(customer__in=numbers, occurred_at__gt=since)
        return set(rows.values_list("customer", flat=True))
    tags = CustomerTag.objects.filter(customer__in=numbers, tag=change.tag_id, occurred_at__gt=since)
    return set(tags.values_list("customer", flat=True))


def _identities(numbers: set[int]) -> dict[int, tuple[str, str]]:
    """One identity of each that names her in a fact: a pseudonym if she has one, else what is sealed, in the plain."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select distinct on (customer_id) customer_id, kind, key, sealed from customers_identity"
            " where customer_id = any(%s) and (sealed is not null or kind <> all(%s))"
            " order by customer_id, kind = any(%s), id",
            [list(numbers), list(DIRECT_KINDS), list(DIRECT_KINDS)],
        )
        return {
            number: (kind, unseal(bytes(sealed)).decode() if kind in DIRECT_KINDS else key)
            for number, kind, key, sealed in cursor.fetchall()
        }


# small things ---------------------------------------------------------------------------------------------------------


def _check(wanted: Wanted) -> None:
    if wanted.kind == BulkChange.DISTURB:
        if wanted.until is not None and wanted.until <= clock.now():
            raise BulkRefused("until_past")
    elif wanted.tag is None or not Tag.objects.filter(kept.NOT_KEPT, pk=wanted.tag.pk, archived_at=None).exists():
        raise BulkRefused("tag_gone")


def _authorise(actor: Actor, change: BulkChange) -> None:
    if not may_change(actor, change):
        raise Forbidden(EDIT)


def _maker(change: BulkChange) -> Actor:
    """Whoever made it, with what she may do now."""
    actor = actor_for(change.user) if change.user else None
    if actor is None or not actor.can(EDIT):
        raise Forbidden(EDIT)
    return actor


def _lock(change: BulkChange) -> BulkChange:
    rows = BulkChange.objects.select_for_update(of=("self",)).select_related("tag", "org_node", "job")
    held = rows.filter(pk=change.pk).first()
    if held is None:
        raise BulkRefused("changed_meanwhile")
    return held


def _resting(change: BulkChange) -> None:
    if change.job is not None and change.job.state not in _OVER:
        raise BulkRefused("still_running")


def _enqueue(actor: Actor, change: BulkChange, title: str) -> JobRun:
    user = User.objects.filter(pk=actor.user_id or 0).first()
    return jobs.enqueue(JOB, title, {"change": change.pk}, user)


def _place(actor: Actor) -> OrgNode:
    """Where it is kept and approved: the outermost place that the actor holds; of several, the first."""
    scope = actor.own_scope(EDIT)
    if scope.everything or not scope.paths:
        return organisation.root()
    return OrgNode.objects.get(path=scope.paths[0])


def _next(members: BitMap, after: int, size: int) -> list[int]:
    first = members.rank(after) if after >= 0 else 0
    return list(members[first : first + size])


def _numbers_of(rows: QuerySet[Any, Any]) -> BitMap:
    """The first column of a query as a set."""
    sql, params = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return BitMap(row[0] for row in cursor)


def _settled(change: BulkChange) -> QuerySet[Any, Any]:
    """Customers for whom putting on would change nothing."""
    if change.kind == BulkChange.DISTURB:
        lasting = Q(until=None) if change.until is None else Q(until=None) | Q(until__gte=change.until)
        return DoNotDisturb.objects.filter(lasting, on=True).values("customer")
    return CustomerTag.objects.filter(tag=change.tag_id, on=True, expires_at=None).values("customer")


def _tagged(change: BulkChange) -> QuerySet[Any, Any]:
    tagged = CustomerTag.objects.filter(tag=change.tag_id, on=True).exclude(expires_at__lte=clock.now())
    return tagged.values("customer")


def _code(change: BulkChange) -> str:
    assert change.tag is not None  # noqa: S101 - of these kinds a tag is checked before
    return change.tag.code


def _exclusive_group(change: BulkChange) -> int | None:
    """The group whose other tags go off when the tag is put on."""
    exclusive = change.kind == BulkChange.TAG_ON and change.tag is not None and change.tag.group.exclusive
    return change.tag.group_id if exclusive and change.tag else None


def _moment(change: BulkChange) -> datetime:
    assert change.started_at is not None  # noqa: S101 - set by `start`
    return change.started_at


def _record(actor: Actor, action: str, change: BulkChange) -> None:
    values: dict[str, Any] = {"kind": change.kind, "people": change.people, "filter": change.filters}
    if change.tag:
        values["tag"] = change.tag.code
    if change.state not in {BulkChange.PREVIEW, BulkChange.RUNNING}:
        values |= {"changed": change.changed, "undone": change.undone}
    audit.record(actor, action, "bulk_change", change.public_id, values, change.org_node_id)
