"""Is the audit log as it was sealed? Says which rows were altered, removed or slipped in, and which seals."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import connection
from pyroaring import BitMap64

from hetang.privacy import seals
from hetang.privacy.models import AuditRelease, AuditSeal
from hetang.privacy.seals import LEAF_BYTES, ROW_HASH

SHOWN = 200  # findings that are named; all are counted


@dataclass(frozen=True)
class Finding:
    """What is wrong. `what` is a code: altered, removed, added (an audit row); seal_altered, seal_missing,
    release_altered, head_differs, heads_ahead. `number` is the row's or the seal's."""

    what: str
    number: int
    seal: int
    detail: str = ""


@dataclass
class Report:
    """The outcome. `released` rows were removed by the retention schedule, which left a signed note."""

    seals: int = 0
    rows: int = 0
    released: int = 0
    unsealed: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.counts

    def add(self, what: str, number: int, seal: int, detail: str = "") -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        if len(self.findings) < SHOWN:
            self.findings.append(Finding(what, number, seal, detail))

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "sound": self.sound}


def verify(progress: Any = None) -> Report:
    """Check every seal and every sealed row. Read-only; about 100,000 rows a second.

    `progress(done, total)` is called after each seal.
    """
    report = Report()
    heads = {int(head["number"]): head for head in seals.heads()}
    released = _released(report)
    previous: AuditSeal | None = None
    total = AuditSeal.objects.count()
    for seal in AuditSeal.objects.order_by("number").iterator(chunk_size=50):
        _check_chain(report, seal, previous)
        _check_head(report, seal, heads)
        _check_rows(report, seal, released)
        previous = seal
        report.seals += 1
        if progress is not None:
            progress(report.seals, total)
    newest = previous.number if previous else 0
    for number in sorted(set(heads) - set(range(newest + 1))):
        report.add("heads_ahead", number, number)
    report.unsealed = seals.state().unsealed
    return report


def _check_chain(report: Report, seal: AuditSeal, previous: AuditSeal | None) -> None:
    expected = previous.number + 1 if previous else 1
    for missing in range(expected, min(seal.number, expected + SHOWN)):
        report.add("seal_missing", missing, missing)
    if seal.number != expected:
        return  # its signature cannot fit: the missing one is what is wrong
    fits = seal.first_id == (previous.last_id + 1 if previous else 1)
    if not fits or not hmac.compare_digest(seals.mac_of(seal, previous.mac if previous else ""), seal.mac):
        report.add("seal_altered", seal.number, seal.number)


def _check_head(report: Report, seal: AuditSeal, heads: dict[int, dict[str, Any]]) -> None:
    head = heads.get(seal.number)
    if head is not None and head["mac"] != seal.mac:
        report.add("head_differs", seal.number, seal.number)


def _check_rows(report: Report, seal: AuditSeal, released: BitMap64) -> None:
    sealed = dict(_leaves(bytes(seal.leaves)))
    present = dict(_leaves(_present(seal)))
    for number, digest in sealed.items():
        found = present.get(number)
        if found == digest:
            report.rows += 1
        elif found is not None:
            report.add("altered", number, seal.number)
        elif number in released:
            report.released += 1
        else:
            report.add("removed", number, seal.number)
    for number in present.keys() - sealed.keys():
        report.add("added", number, seal.number)


def _present(seal: AuditSeal) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(
            f"select coalesce(string_agg(int8send(id) || {ROW_HASH}, ''::bytea order by id), '')"
            " from platform_auditentry where id between %s and %s",
            [seal.first_id, seal.last_id],
        )
        return bytes(cursor.fetchone()[0])


def _leaves(packed: bytes) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(packed), LEAF_BYTES):
        yield int.from_bytes(packed[start : start + 8], "big"), packed[start + 8 : start + LEAF_BYTES]


def _released(report: Report) -> BitMap64:
    """Ids that the schedule removed; a note whose signature does not fit releases nothing."""
    found = BitMap64()
    for note in AuditRelease.objects.order_by("id"):
        ids = bytes(note.ids)
        signed = seals.sign(f"release:{note.partition}:{note.rows}:{hashlib.sha256(ids).hexdigest()}")
        if hmac.compare_digest(signed, note.mac):
            found |= BitMap64.deserialize(ids)
        else:
            report.add("release_altered", note.pk, 0, note.partition)
    return found
