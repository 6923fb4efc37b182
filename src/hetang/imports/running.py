"""Checking and running an import: the same reading and parsing, with or without writing.

A run is cut into numbered chunks; each is written in one transaction of under a second together with its row in
`ImportChunk`. A run that died reads the file again, which is cheap, and writes only what has no such row.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
from django.db import IntegrityError, connection, transaction

from hetang.customers import minors
from hetang.facts import intake
from hetang.facts import rules as fact_rules
from hetang.facts.errors import Refusal
from hetang.facts.intake import Draft
from hetang.facts.kinds import check_body
from hetang.imports import households, orders, problems, reading, repeated, rows, rules, sources, vocabulary
from hetang.imports import mapping as mappings
from hetang.imports.columns import Decoder, Problem, Rows
from hetang.imports.errors import NotReady
from hetang.imports.models import Import, ImportChunk
from hetang.imports.targets import CUSTOMERS, DISTRICTS, ORDERS, RESOURCES, STAFF, STORES, TARGETS
from hetang.platform import clock, positions
from hetang.platform.brand import brand
from hetang.platform.environment import home
from hetang.platform.ids import fact_key_hash
from hetang.resources.models import Store

if TYPE_CHECKING:
    import numpy as np

ROWS_PER_CHUNK = 1_000  # a customer row makes some five facts
RESOURCE_ROWS_PER_CHUNK = 10_000
FIRST_PROBLEMS = 20


class Watch(Protocol):
    """What a job gives to work that reports (`platform.jobs.Work`)."""

    def progress(self, done: int, total: int | None = None, stage: str = "") -> None: ...
    def checkpoint(self) -> None: ...


@dataclass
class Tally:
    """What a check or a run has seen so far."""

    counts: Counter[str] = field(default_factory=Counter)
    problem_counts: Counter[str] = field(default_factory=Counter)
    first_problems: list[Problem] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)
    stores: set[str] = field(default_factory=set)
    seen: vocabulary.Seen = field(default_factory=vocabulary.Seen)
    odd_phones: set[str] = field(default_factory=set)
    children: int = 0  # members of households whom the law calls minors
    keys: list[Any] = field(default_factory=list)  # 64-bit hashes of row keys, to find repetitions
    first_at: Any = None
    last_at: Any = None

    def note(self, found: list[Problem]) -> None:
        self.problem_counts.update(problem.code for problem in found)
        if len(self.first_problems) < FIRST_PROBLEMS:
            self.first_problems += found[: FIRST_PROBLEMS - len(self.first_problems)]

    def note_times(self, drafts: list[Draft]) -> None:
        if drafts:
            times = [draft.occurred_at for draft in drafts]
            self.first_at = min(times) if self.first_at is None else min(self.first_at, *times)
            self.last_at = max(times) if self.last_at is None else max(self.last_at, *times)


class Reading:
    """An open import: its file readable, its mapping decoded, its rows parsed on demand."""

    def __init__(self, owner: Import, path: Path, scratch: Path) -> None:
        self.owner = owner
        self.target = TARGETS[owner.target]
        self.mapping = mappings.decode(owner.mapping)
        self.path, self.scratch = path, scratch
        self.country = positions.country_of(brand().time_zone)
        self.context = rows.Context(owner.as_of, self.mapping.legal_basis, self.country, vocabulary.tag_codes())
        self.minors_born_after = minors.born_after(clock.local_day(owner.as_of))
        self._decoder = Decoder(self.target, self.mapping, conventions(self.mapping))
        self.total = reading.total_of(path, owner.form)

    def blocks(self, watch: Watch, tally: Tally, stage: str) -> Iterator[Rows]:
        """Parsed blocks, with progress; counts rows read and refused, and remembers store codes."""
        choice = (self.mapping.encoding, self.mapping.delimiter, self.mapping.sheet)
        for block in reading.read(self.path, self.owner.form, *choice):
            parsed = self._decoder.decode(block)
            tally.counts["rows"] += len(parsed) + len(block.ragged)
            tally.note(parsed.problems)
            for name in ("store", "home_store", *(("code",) if self.target.name == STORES else ())):
                if name in parsed.columns:
                    tally.stores.update(value for value in parsed.columns[name].values if value is not None)
            tally.seen.look(parsed.columns)
            if self.country == "CN" and "phone" in parsed.columns:
                tally.odd_phones.update(filter(rules.is_odd_phone, parsed.columns["phone"].values[1:]))
            yield parsed
            watch.progress(block.done_bytes, self.total or None, stage)


def conventions(mapping: mappings.Mapping) -> rules.Conventions:
    """The mapping's conventions, completed by the brand's zone and currency."""
    return rules.Conventions(
        time_format=mapping.time_format,
        zone=ZoneInfo(mapping.time_zone) if mapping.time_zone else clock.zone(),
        shift=timedelta(days=mapping.shift_days),
        shift_zone=clock.zone(),
        minor=mapping.money.unit == "minor",
        digits=brand().currency_digits,
        decimal=mapping.money.decimal,
    )


@contextlib.contextmanager
def opened(owner: Import) -> Iterator[Reading]:
    """The import's file, unsealed into a scratch folder that is removed afterwards, whatever happens.

    One process at a time may work on an import: raises NotReady("busy").
    """
    with _only_one(owner):
        scratch = home() / "files" / "scratch" / f"import-{owner.pk}"
        shutil.rmtree(scratch, ignore_errors=True)  # what a killed run left
        scratch.mkdir(parents=True, mode=0o700)
        try:
            with sources.readable(owner, scratch) as path:
                yield Reading(owner, path, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _only_one(owner: Import) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(%s, %s)", [_LOCK_SPACE, owner.pk])
        if not cursor.fetchone()[0]:
            raise NotReady("busy")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s, %s)", [_LOCK_SPACE, owner.pk])


_LOCK_SPACE = 0x1A7  # of advisory locks taken by imports

# -- check ---------------------------------------------------------------------------------------------------------


def check(owner: Import, watch: Watch) -> dict[str, Any]:
    """Read and validate the whole file and say what a run would do. Writes nothing but the log of bad rows."""
    problems.clear(owner.public_id, "check")
    tally = Tally()
    with opened(owner) as work:
        if owner.target == ORDERS:
            _check_orders(work, watch, tally)
        else:
            _check_rows(work, watch, tally)
    return {
        "counts": dict(tally.counts),
        "problem_counts": dict(tally.problem_counts.most_common()),
        "first_problems": [_plain(problem) for problem in tally.first_problems],
        "warnings": _warnings(owner, tally),
        "attributes": tally.seen.types(tally.counts["rows"]),
        "first_at": tally.first_at.isoformat() if tally.first_at else None,
        "last_at": tally.last_at.isoformat() if tally.last_at else None,
    }


def _check_orders(work: Reading, watch: Watch, tally: Tally) -> None:
    with orders.Spool(work.scratch / "spool", work.owner.parts) as spool:
        for place, parsed in enumerate(work.blocks(watch, tally, "reading")):
            _log(work.owner, "check", f"a-{place:06d}", parsed.problems)
            _count_unspooled(parsed, tally)
            spool.add(parsed)
    for part in range(work.owner.parts):
        for number, chunk in enumerate(orders.chunks(spool.read(part))):
            facts = _of_chunk(chunk)
            foreseen = _foresee(work, facts, tally)
            _not_taken(facts, {problem.row for problem in foreseen})
            found = chunk.problems + foreseen
            tally.counts.update(facts.counts)
            tally.note(found)
            _log(work.owner, "check", f"b-{part:04d}-{number:06d}", found)
            watch.progress(part, work.owner.parts, "grouping")


def _count_unspooled(parsed: Rows, tally: Tally) -> None:
    """Rows that cannot be given to any order: ragged ones, and those without an order number."""
    lost = int((~parsed.columns["order"].present()).sum())
    tally.counts["rows_refused"] += lost + sum(one.code == "ragged_row" for one in parsed.problems)


def _check_rows(work: Reading, watch: Watch, tally: Tally) -> None:
    name = work.owner.target
    for place, parsed in enumerate(work.blocks(watch, tally, "reading")):
        found = list(parsed.problems)
        records = list(parsed.records())
        tally.keys.append(_hashes(name, records))
        if name in RESOURCES:
            misplaced = _without_a_place(work, records) if name == DISTRICTS else []
            tally.counts["rows_taken"] += len(records) - len(misplaced)
            tally.note(misplaced)
            found += misplaced
            if name == STORES:
                misplaced = [problem for row, record in records if (problem := _misplaced(row, record, work.country))]
                tally.places.update(problem.code for problem in misplaced)
                tally.note(misplaced)
                found += misplaced
        else:
            facts = _drafts(work, records)
            refused = facts.problems + _foresee(work, facts, tally)
            tally.children += households.minors_among(facts.drafts, work.minors_born_after)
            tally.counts["rows_taken"] += len(records) - len({problem.row for problem in refused})
            found += refused
            tally.note(refused)
        _log(work.owner, "check", f"a-{place:06d}", found)
    tally.counts["rows_refused"] = tally.counts["rows"] - tally.counts["rows_taken"]


def _misplaced(row: int, record: dict[str, Any], country: str) -> Problem | None:
    """What is wrong with the place of a store (which is taken without it) or of a district."""
    fault = rows.judge(record, record.get("country") or country)
    field = "datum" if fault == "no_datum" else "latitude"
    said = ", ".join(str(record.get(name, "")) for name in ("latitude", "longitude"))
    return Problem(row, field, said, fault) if fault else None


def _foresee(work: Reading, facts: _Facts, tally: Tally) -> list[Problem]:
    """What the door would say to these facts, without knocking: refusals as problems, known ones counted."""
    now = clock.now()
    good, found = [], []
    for draft, row in zip(facts.drafts, facts.rows, strict=True):
        try:
            fact_rules.check_key(draft.key)
            fact_rules.check_time(draft.occurred_at, now)
            fact_rules.normalise_identities(draft.who)
            body = draft.body if isinstance(draft.body, bytes) else msgspec.json.encode(draft.body)
            check_body(draft.kind, body)
        except Refusal as refusal:
            found.append(Problem(row, "", "", f"fact.{refusal.code}", dict(refusal.detail)))
        else:
            good.append(draft)
    tally.note_times(good)
    hashes = [fact_key_hash(work.mapping.source, draft.key) for draft in good]
    known = _known(hashes)
    tally.counts.update(new=len(set(hashes)) - known, known=known, facts=len(good))
    return found


def _known(hashes: list[str]) -> int:
    """How many of these facts the log holds already. One indexed lookup each, about 2 microseconds."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from facts_key where key_hash = any(%s::uuid[])", [hashes])
        return int(cursor.fetchone()[0])


def _hashes(target: str, records: list[tuple[int, dict[str, Any]]]) -> np.ndarray:
    import numpy as np

    keys = (rows.key_of(target, record) for _, record in records)
    digests = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys if key]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _warnings(owner: Import, tally: Tally) -> list[dict[str, Any]]:
    """What an operator must have read before the run. Each has a code and the parameters of its message."""
    found: list[dict[str, Any]] = []

    def warn(code: str, **parameters: Any) -> None:
        found.append({"code": code, "parameters": parameters})

    spaced = rules.headers_with_spaces([column["header"] for column in owner.columns])
    if spaced:
        warn("header_spaces", count=len(spaced), first=spaced[0])
    repeated = [column["header"] for column in owner.columns if column.get("duplicate")]
    if repeated:
        warn("duplicate_headers", count=len(repeated), first=repeated[0])
    if again := _repetitions(tally):
        warn("duplicate_keys", count=again)
    for fault in positions.FAULTS:
        if tally.places[fault]:
            warn(fault, count=tally.places[fault])
    found += _store_warnings(owner, tally)
    found += _tag_warnings(tally)
    if tally.children:
        warn("children", count=tally.children)
    if tally.odd_phones:
        warn("odd_phones", count=len(tally.odd_phones))
    if tally.counts["rows"] and not tally.counts["rows_taken"]:
        warn("nothing_usable")
    return found


def _repetitions(tally: Tally) -> int:
    import numpy as np

    if not tally.keys:
        return 0
    keys = np.concatenate(tally.keys)
    return len(keys) - len(np.unique(keys))


def _store_warnings(owner: Import, tally: Tally) -> list[dict[str, Any]]:
    if not tally.stores:
        return []
    known = set(Store.objects.values_list("code", flat=True))
    both = known & tally.stores
    counts = {"known": len(known), "in_file": len(tally.stores), "both": len(both)}
    if rules.nearly_all_changed(len(known), len(tally.stores), len(both)):
        return [{"code": "stores_changed", "parameters": counts}]
    unknown = sorted(tally.stores - known)
    if owner.target != STORES and unknown:
        return [{"code": "unknown_stores", "parameters": {"count": len(unknown), "first": ", ".join(unknown[:5])}}]
    return []


def _tag_warnings(tally: Tally) -> list[dict[str, Any]]:
    unknown = vocabulary.unknown_tags(tally.seen.tags)
    if not unknown:
        return []
    told = {"count": len(unknown), "first": "、".join(unknown[:5])}
    if len(unknown) > vocabulary.MAX_NEW_TAGS:
        return [{"code": "too_many_tags", "parameters": told}]
    return [{"code": vocabulary.UNKNOWN_TAGS, "parameters": {**told, "names": unknown}}]


# -- run -----------------------------------------------------------------------------------------------------------


def run(owner: Import, watch: Watch) -> dict[str, Any]:
    """Write the file. Continues behind what an earlier attempt wrote; the result counts all attempts together."""
    tally = Tally()
    vocabulary.make_tags(owner)
    with opened(owner) as work:
        vocabulary.define_attributes(owner, work.mapping)
        if not _written(owner):
            problems.clear(owner.public_id, "run")
        if owner.target == ORDERS:
            _run_orders(work, watch, tally)
        else:
            _run_rows(work, watch, tally)
    for counts in ImportChunk.objects.filter(owner=owner).values_list("counts", flat=True):
        tally.counts.update(counts)
    tally.counts["rows_refused"] = tally.counts["rows"] - tally.counts["rows_taken"] - tally.counts["rows_ignored"]
    reasons = Counter(problem.code for problem in problems.read(owner.public_id, "run"))
    return {"counts": dict(tally.counts), "problem_counts": dict(reasons.most_common())}


def _run_orders(work: Reading, watch: Watch, tally: Tally) -> None:
    with orders.Spool(work.scratch / "spool", work.owner.parts) as spool:
        for place, parsed in enumerate(work.blocks(watch, tally, "reading")):
            _log(work.owner, "run", f"a-{place:06d}", parsed.problems)
            spool.add(parsed)
    total, done = tally.counts["rows"], 0
    written = _written(work.owner)
    for part in range(work.owner.parts):
        for number, chunk in enumerate(orders.chunks(spool.read(part))):
            watch.progress(done, total, "writing")
            done += chunk.counts["rows_taken"] + chunk.counts["rows_ignored"] + chunk.counts["rows_refused"]
            if (part, number) not in written:
                watch.checkpoint()
                _write_facts(work, part, number, _of_chunk(chunk))


def _run_rows(work: Reading, watch: Watch, tally: Tally) -> None:
    written = _written(work.owner)
    size = RESOURCE_ROWS_PER_CHUNK if work.owner.target in RESOURCES else ROWS_PER_CHUNK
    number = 0
    for place, parsed in enumerate(work.blocks(watch, tally, "writing")):
        _log(work.owner, "run", f"a-{place:06d}", parsed.problems)
        records = list(parsed.records())
        for begin in range(0, len(records), size):
            watch.checkpoint()
            if (0, number) not in written:
                _write_rows(work, number, records[begin : begin + size])
            number += 1


def _written(owner: Import) -> set[tuple[int, int]]:
    return set(ImportChunk.objects.filter(owner=owner).values_list("part", "number"))


def _write_rows(work: Reading, number: int, records: list[tuple[int, dict[str, Any]]]) -> None:
    if work.owner.target not in RESOURCES:
        facts = _drafts(work, records)
        facts.counts["rows_taken"] = len(records) - len({problem.row for problem in facts.problems})
        _write_facts(work, 0, number, facts)
        return
    refused = _without_a_place(work, records) if work.owner.target == DISTRICTS else []
    wrong = {problem.row for problem in refused}
    records = [(row, record) for row, record in records if row not in wrong]
    if work.owner.target == STAFF:
        records, refused = _without_unknown_stores(records)
    with _chunk(work.owner, 0, number) as counts:
        done = rows.upsert(work.owner.target, [record for _, record in records], work.country)
        unchanged = len(records) - done.created - done.changed
        counts.update(rows_taken=len(records), new=done.created, changed=done.changed, known=unchanged)
        _log(work.owner, "run", f"c-0000-{number:06d}", refused)


def _without_a_place(work: Reading, records: list[tuple[int, dict[str, Any]]]) -> list[Problem]:
    """Districts whose centre is wrong: they are left as they are. Those without any are taken out of use."""
    return [problem for row, record in records if (problem := _misplaced(row, record, work.country))]


def _without_unknown_stores(
    records: list[tuple[int, dict[str, Any]]],
) -> tuple[list[tuple[int, dict[str, Any]]], list[Problem]]:
    """Staff of a store that does not exist cannot be placed in the organisation."""
    known = set(Store.objects.values_list("code", flat=True))
    good = [(row, record) for row, record in records if record.get("store", "") in known or not record.get("store")]
    kept = {row for row, _ in good}
    return good, [Problem(row, "store", record["store"], "unknown_store") for row, record in records if row not in kept]


@dataclass
class _Facts:
    """Facts of a chunk, the (first) row behind each and how many they are, rows refused before, and counts."""

    drafts: list[Draft] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def _drafts(work: Reading, records: list[tuple[int, dict[str, Any]]]) -> _Facts:
    facts, found = _Facts(), list[tuple[int, list[Draft]]]()
    timeless: list[list[Draft]] = []
    for row, record in records:
        try:
            made = rows.drafts_of(work.owner.target, row, record, work.context)
        except rules.BadValue as fault:
            facts.problems.append(Problem(row, fault.field, "", fault.code))
            continue
        found.append((row, made))
        timeless += [made] if work.owner.target == CUSTOMERS and not record.get("updated_at") else []
    if timeless:
        repeated.restate(work.mapping.source, timeless)
    for row, made in found:
        facts.drafts += made
        facts.rows += [row] * len(made)
        facts.widths += [1] * len(made)
    return facts


def _of_chunk(chunk: orders.Chunk) -> _Facts:
    first, widths = [int(behind[0]) for behind in chunk.rows], [len(behind) for behind in chunk.rows]
    return _Facts(chunk.drafts, first, widths, chunk.problems, dict(chunk.counts))


def _not_taken(facts: _Facts, refused: set[int]) -> None:
    """Rows behind facts that the door refuses were not taken after all."""
    lost = {row: width for row, width in zip(facts.rows, facts.widths, strict=True) if row in refused}
    facts.counts["rows_taken"] -= sum(lost.values())
    if "rows_refused" in facts.counts:
        facts.counts["rows_refused"] += sum(lost.values())


def _write_facts(work: Reading, part: int, number: int, facts: _Facts) -> None:
    """Give a chunk to the door. What the door refuses is held there and reported here as a problem of its row."""
    with _chunk(work.owner, part, number) as counts:
        outcome = intake.record(work.mapping.source, facts.drafts, door="file")
        _not_taken(facts, {facts.rows[one.index] for one in outcome.rejected})
        counts.update(facts.counts)
        counts.update(new=outcome.accepted, known=outcome.duplicates, held=len(outcome.rejected))
        counts["facts"] = outcome.accepted + outcome.duplicates
        refused = [
            Problem(facts.rows[one.index], "", "", f"fact.{one.code}", dict(one.detail)) for one in outcome.rejected
        ]
        _log(work.owner, "run", f"c-{part:04d}-{number:06d}", facts.problems + refused)


@contextlib.contextmanager
def _chunk(owner: Import, part: int, number: int) -> Iterator[dict[str, int]]:
    """One transaction for a chunk's writing and its row. If another process wrote it meanwhile, ours is undone."""
    counts: dict[str, int] = {}
    try:
        with transaction.atomic():
            yield counts
            ImportChunk.objects.create(owner=owner, part=part, number=number, counts=counts)
    except IntegrityError as clash:
        if "chunk_once" not in str(clash):
            raise


def _log(owner: Import, stage: str, piece: str, found: list[Problem]) -> None:
    problems.write(owner.public_id, stage, piece, found)


def _plain(problem: Problem) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(problem)
    return value
