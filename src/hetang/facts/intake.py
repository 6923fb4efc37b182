"""The one door: every fact is validated, its identities are hashed and sealed, and it is written once for ever.

A batch is one transaction: the raw body (compressed, sealed), the keys, the facts, and what was refused with its
reason. Acknowledged means committed. A thousand facts cost about 15 ms of PostgreSQL and 5 ms of Python.
"""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from django.db import connection, transaction

from hetang.facts import kinds, references, refusals, rules
from hetang.facts.errors import MalformedBatch, Refusal
from hetang.facts.models import HeldFact
from hetang.platform import clock
from hetang.platform.ids import fact_key_hash
from hetang.platform.metrics import Counter
from hetang.platform.sealing import lookup_key, seal

log = logging.getLogger(__name__)

TAKEN = Counter("hetang_facts_total", "Facts that came in, by door and what became of them.", ("door", "outcome"))

MAX_FACTS = 1000  # of one API request
MAX_NAME = 120
_OF_TWO = ("customer.identified", "customer.joined", "customer.kept_apart")


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A fact on its way in. `who` holds (kind, plain value); `body` is a dict or its JSON bytes.

    `name` is a person's name, sealed with the direct identifiers; `members` is a roaring bitmap of customer numbers.
    """

    kind: str
    key: str
    occurred_at: datetime
    who: Sequence[tuple[str, str]] = ()
    body: dict[str, Any] | bytes = b"{}"
    members: bytes | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A fact that was refused and held (or is remarked on): its place in the batch, key, code, message parameters."""

    index: int
    key: str
    code: str
    detail: dict[str, str | int]


@dataclass(slots=True)
class Outcome:
    """What became of a batch; the three counts add up to its size. `remarks` are on facts that were taken."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    remarks: list[Rejection] = field(default_factory=list)


class Who(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    kind: str
    value: str


class Envelope(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A fact as the API takes it."""

    kind: str
    key: str
    occurred_at: datetime
    body: msgspec.Raw = msgspec.Raw(b"{}")
    who: list[Who] = []
    name: str | None = None


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """A batch as the API takes it."""

    source: str
    facts: list[Envelope]


class LooseRequest(msgspec.Struct):
    """The same batch when one of its facts is malformed: each is then read by itself."""

    source: str
    facts: list[msgspec.Raw]


class _Row(msgspec.Struct, gc=False):
    """One row for `jsonb_to_recordset`; short names because they are repeated in every row.

    None of these objects can be part of a cycle, so the collector need not track them: a third of a batch's time.
    """

    h: str
    t: datetime
    k: str
    i: str
    sk: str | None
    sv: str | None
    w: list[tuple[str, str]] | None
    b: msgspec.Raw
    s: str | None
    m: str | None


# What the decoder raises for bytes that are no JSON: its own, for broken UTF-8 and for brackets without end.
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encode = msgspec.json.Encoder().encode
_ENVELOPE = msgspec.json.Decoder(Envelope)
_REQUEST = msgspec.json.Decoder(Request)
_LOOSE_REQUEST = msgspec.json.Decoder(LooseRequest)

_WRITE = """
with incoming as materialized (
  select * from jsonb_to_recordset(%(rows)s::jsonb)
    as r(h uuid, t timestamptz, k text, i text, sk text, sv text, w jsonb, b jsonb, s text, m text)
), fresh as (
  insert into facts_key (key_hash) select distinct h from incoming order by h
  on conflict do nothing returning key_hash
), first_of_batch as (
  select distinct on (h) * from incoming
), written as (
  insert into facts_fact (epoch, received_at, occurred_at, kind, source, key,
                          subject_kind, subject_key, who, body, sealed, members)
  select (select epoch from facts_epoch), %(now)s, t, k, %(source)s, i, sk, sv, w, b,
         decode(s, 'base64'), decode(m, 'base64')
  from first_of_batch join fresh on fresh.key_hash = first_of_batch.h
  order by t, i
  returning 1
)
select count(*) from written
"""


def receive(body: bytes, door: str = "api", admit: Callable[[int], None] | None = None) -> Outcome:
    """Take a batch as JSON: `{"source": ..., "facts": [...]}` with 1 to 1,000 facts.

    Raises MalformedBatch when it cannot be read at all; a fact that cannot be taken is held and reported, and the
    others go through. `admit` is told how many facts there are before any is taken (none of a batch that cannot be
    read), and may raise.
    """
    try:
        source, drafts, malformed = _read(body)
    except MalformedBatch:
        if admit is not None:
            admit(0)
        raise
    if admit is not None:
        admit(len(drafts) + len(malformed))
    outcome = Outcome(rejected=list(malformed.values()))
    kept = body
    try:
        with transaction.atomic():
            if malformed:
                _hold(
                    source,
                    door,
                    [(rejection, _raw_item(body, index)) for index, rejection in malformed.items()],
                )
            objected = _take(source, drafts, door, outcome)
            if objected:
                kept = _without(body, objected)
            store_raw(source, kept, door, outcome)
    except Exception:
        # Not acknowledged, so the sender repeats it; the body is kept all the same, for whoever looks into it.
        store_raw(source, kept, door, Outcome())
        raise
    _count(door, outcome)
    return outcome


def record(source: str, drafts: Sequence[Draft], door: str = "internal") -> Outcome:
    """Take facts made in this house (imports, connectors, the console), in the caller's transaction or an own one."""
    rules.check_source(source)
    outcome = Outcome()
    with transaction.atomic():
        _take(source, list(enumerate(drafts)), door, outcome)
    _count(door, outcome)
    return outcome


def take_again(source: str, envelope: Envelope, door: str) -> Outcome:
    """Take one held fact under today's rules, without holding it a second time when it is refused again."""
    outcome = Outcome()
    with transaction.atomic():
        point = transaction.savepoint()
        _take(source, [(0, _draft(envelope))], door, outcome)
        if outcome.rejected:
            transaction.savepoint_rollback(point)
    return outcome


def store_raw(source: str, body: bytes, door: str, outcome: Outcome | None = None) -> None:
    """Keep a body as it came, compressed and sealed, with what became of its facts as far as that is known."""
    result = outcome or Outcome()
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into facts_intake (received_at, door, source, body, body_bytes, accepted, duplicates, rejected)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                *(clock.now(), door, source, seal(zlib.compress(body, 1)), len(body)),
                *(result.accepted, result.duplicates, len(result.rejected)),
            ],
        )


def _count(door: str, outcome: Outcome) -> None:
    counts = {"accepted": outcome.accepted, "duplicate": outcome.duplicates, "rejected": len(outcome.rejected)}
    for name, number in counts.items():
        if number:
            TAKEN.add(door, name, by=number)


def _read(body: bytes) -> tuple[str, list[tuple[int, Draft]], dict[int, Rejection]]:
    malformed: dict[int, Rejection] = {}
    try:
        request = _REQUEST.decode(body)
        source, envelopes = request.source, list(enumerate(request.facts))
    except _NOT_JSON:
        source, envelopes, malformed = _read_loosely(body)
    count = len(envelopes) + len(malformed)
    if not 1 <= count <= MAX_FACTS:
        raise MalformedBatch("batch_size", {"limit": MAX_FACTS, "count": count})
    try:
        rules.check_source(source)
    except Refusal as refusal:
        raise MalformedBatch(refusal.code, refusal.detail) from None
    return source, [(index, _draft(envelope)) for index, envelope in envelopes], malformed


def _read_loosely(body: bytes) -> tuple[str, list[tuple[int, Envelope]], dict[int, Rejection]]:
    try:
        request = _LOOSE_REQUEST.decode(body)
    except _NOT_JSON as fault:
        raise MalformedBatch("bad_json", kinds.body_refusal(fault).detail) from None
    good: list[tuple[int, Envelope]] = []
    malformed: dict[int, Rejection] = {}
    for index, raw in enumerate(request.facts):
        try:
            good.append((index, _ENVELOPE.decode(raw)))
        except _NOT_JSON as fault:
            malformed[index] = Rejection(index, _key_of(raw), "bad_fact", kinds.body_refusal(fault).detail)
    return request.source, good, malformed


def _without(body: bytes, places: set[int]) -> bytes:
    """The batch as it came, less the facts at these places."""
    batch = _LOOSE_REQUEST.decode(body)
    rest = [fact for place, fact in enumerate(batch.facts) if place not in places]
    return msgspec.json.encode({"source": batch.source, "facts": rest})


def _key_of(raw: msgspec.Raw) -> str:
    """The key of a fact that is otherwise malformed, if it has a usable one."""

    class Keyed(msgspec.Struct):
        key: str = ""

    try:
        return msgspec.json.decode(raw, type=Keyed).key[: rules.MAX_KEY]
    except _NOT_JSON:
        return ""


def _raw_item(body: bytes, index: int) -> bytes:
    return bytes(_LOOSE_REQUEST.decode(body).facts[index])


def _draft(envelope: Envelope) -> Draft:
    who = [(one.kind, one.value) for one in envelope.who]
    return Draft(envelope.kind, envelope.key, envelope.occurred_at, who, bytes(envelope.body), None, envelope.name)


def _take(source: str, drafts: list[tuple[int, Draft]], door: str, outcome: Outcome) -> set[int]:
    """Write the drafts that can be taken and hold the others; returns the places of those that nobody may keep."""
    now = clock.now()
    rows: list[_Row] = []
    held: list[tuple[Rejection, bytes]] = []
    objected = refusals.objected(drafts)
    known = references.known(drafts)
    for index, draft in drafts:
        kind = kinds.KINDS.get(draft.kind)
        if index in objected and (kind is None or kind.subject != "optional"):
            outcome.rejected.append(Rejection(index, "", refusals.OBJECTED, {}))
            continue
        # A sale counts, for nobody.
        taken = msgspec.structs.replace(draft, who=(), name=None) if index in objected else draft
        try:
            rows.append(_row(source, taken, now, door, known))
        except Refusal as refusal:
            rejection = Rejection(index, draft.key[: rules.MAX_KEY], refusal.code, refusal.detail)
            held.append((rejection, envelope_json(taken)))
        else:
            if taken.kind in kinds.REMARKED and (code := kinds.remark(taken.kind, rows[-1].b)):
                outcome.remarks.append(Rejection(index, taken.key, code, {}))
    if held:
        _hold(source, door, held)
        outcome.rejected.extend(rejection for rejection, _ in held)
    if rows:
        accepted = _write(source, rows, now)
        outcome.accepted += accepted
        outcome.duplicates += len(rows) - accepted
    return objected


def _row(source: str, draft: Draft, now: datetime, door: str, known: dict[str, references.Known]) -> _Row:
    kind = kinds.KINDS.get(draft.kind)
    if kind is None or (door == "api" and not kind.external):
        raise Refusal("unknown_kind", {"kind": draft.kind[:60]})
    rules.check_key(draft.key)
    rules.check_time(draft.occurred_at, now)
    body = draft.body if isinstance(draft.body, bytes) else _encode(draft.body)
    kinds.check_body(draft.kind, body)
    body = references.completed(draft.kind, kinds.settled(draft.kind, body), known)
    limit = rules.MAX_DECIDED if draft.kind == "customer.kept_apart" else rules.MAX_IDENTITIES
    who = rules.normalise_identities(draft.who, limit) if draft.who else []
    _check_subject(kind, who, draft)
    keys, plain = _keyed(who)
    if draft.name:
        plain["name"] = draft.name
    subject_kind, subject_key = rules.subject_of(keys) or (None, None)
    return _Row(
        h=fact_key_hash(source, draft.key),
        t=draft.occurred_at,
        k=draft.kind,
        i=draft.key,
        sk=subject_kind,
        sv=subject_key,
        w=keys if len(keys) > 1 else None,
        b=msgspec.Raw(body),
        s=base64.b64encode(seal(_encode(plain))).decode() if plain else None,
        m=base64.b64encode(draft.members).decode() if draft.members is not None else None,
    )


def _check_subject(kind: kinds.FactKind, who: list[tuple[str, str]], draft: Draft) -> None:
    if kind.subject == "required" and not who:
        raise Refusal("nobody_named")
    if kind.subject == "none" and who:
        raise Refusal("somebody_named")
    if kind.set_fact != (draft.members is not None):
        raise Refusal("members_missing" if kind.set_fact else "members_unexpected")
    if draft.kind in _OF_TWO and len(who) < 2:
        raise Refusal("two_identities_needed")
    if draft.name is not None and len(draft.name) > MAX_NAME:
        raise Refusal("name_too_long", {"limit": MAX_NAME})


def subject_in_log(who: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """Under which subject (kind, key) the log has a fact of these identities. Raises Refusal."""
    return rules.subject_of(_keyed(rules.normalise_identities(who))[0])


def _keyed(who: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """The identities with direct ones as keyed hashes, and the direct values that are to be sealed,
    `{"phone:<key>": value}`: several of a kind keep apart."""
    plain: dict[str, str] = {}
    keys = who
    if not rules.DIRECT_KINDS.isdisjoint([kind for kind, _ in who]):
        keys = []
        for kind, value in who:
            key = value
            if kind in rules.DIRECT_KINDS:
                key = lookup_key(kind, value)
                plain[f"{kind}:{key}"] = value
            keys.append((kind, key))
    return keys, plain


def _write(source: str, rows: list[_Row], now: datetime) -> int:
    connection.ensure_connection()
    # Bound by the server: as a literal in the statement's text the rows would be quoted here and parsed twice there.
    with psycopg.Cursor(connection.connection) as cursor:
        found = cursor.execute(
            _WRITE, {"rows": msgspec.json.encode(rows).decode(), "now": now, "source": source}
        ).fetchone()
    return int(found[0]) if found else 0


def _hold(source: str, door: str, held: list[tuple[Rejection, bytes]]) -> None:
    now = clock.now()
    HeldFact.objects.bulk_create(
        HeldFact(
            received_at=now,
            door=door,
            source=source,
            kind=_storable(_kind_of(body)),
            key=_storable(rejection.key),
            stage="validate",
            reason=rejection.code,
            detail={name: _storable(said) for name, said in rejection.detail.items()},
            body=seal(body),
        )
        for rejection, body in held
    )


def _storable(said: Any) -> Any:
    """What a refusal repeats of the sender's words, without NUL, which PostgreSQL cannot hold."""
    return said.replace("\x00", "\ufffd") if isinstance(said, str) else said


def _kind_of(body: bytes) -> str:
    class Kinded(msgspec.Struct):
        kind: str = ""

    try:
        return msgspec.json.decode(body, type=Kinded).kind[:60]
    except _NOT_JSON:
        return ""


def envelope_json(draft: Draft) -> bytes:
    """A draft as the API would have sent it, for keeping it whole. Set members travel as base64."""
    body = draft.body if isinstance(draft.body, bytes) else msgspec.json.encode(draft.body)
    envelope: dict[str, Any] = {
        "kind": draft.kind,
        "key": draft.key,
        "occurred_at": draft.occurred_at,
        "who": [{"kind": kind, "value": value} for kind, value in draft.who],
        "body": msgspec.Raw(body),
    }
    if draft.name is not None:
        envelope["name"] = draft.name
    if draft.members is not None:
        envelope["members"] = base64.b64encode(draft.members).decode()
    return msgspec.json.encode(envelope)
