"""Erasing one person everywhere, with proof.

The order: she is put on the list that survives a restore; she becomes a tombstone, after which nobody finds her; then
every holding is emptied, in transactions of under a second, until none finds anything; then the proof is signed. Each
step may die and is done again. A store that is away delays the end, never the beginning.

Facts that come later under the same identity make a new person, unless she objected: then they are refused.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from hetang.customers import erasing as customers
from hetang.customers.models import Customer
from hetang.facts import refusals
from hetang.facts.holdings import sources_of
from hetang.platform import audit, clock, jobs
from hetang.platform.access import Actor
from hetang.platform.holdings import Checkpoint, Named, NotNow, Person
from hetang.platform.models import JobRun, User
from hetang.platform.sealing import erasure_key, seal, unseal
from hetang.privacy import certificates, erasure_list
from hetang.privacy.erasure_list import Entry
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.holdings import all_holdings
from hetang.privacy.models import Erasure

JOB = "privacy.erase"
PASSES = 5  # what a process wrote while it was being erased is found by the next pass
REASONS = ("asked", "withdrawn", "purpose_over", "unlawful", "law")


def order(actor: Actor, customer: Customer, reason: str, *, objects: bool, asked_at: datetime | None = None) -> Erasure:
    """Order that somebody is erased; a job does it. With its audit row. Raises PrivacyRefused."""
    actor.require("customers:erase")
    if reason not in REASONS:
        raise PrivacyRefused("bad_reason")
    user = User.objects.filter(pk=actor.user_id).first() if actor.user_id else None
    with transaction.atomic():
        erasure = _order(customer, reason, objects, asked_at or clock.now(), user)
        erasure.job = jobs.enqueue(JOB, str(erasure.public_id), {"erasure": erasure.pk}, user)
        erasure.save(update_fields=["job"])
        details = {"erasure": str(erasure.public_id), "reason": reason, "objects": objects}
        audit.record(actor, "customer.erasure_ordered", "customer", customer.public_id, details)
    return erasure


def _order(customer: Customer, reason: str, objects: bool, asked_at: datetime, user: User | None) -> Erasure:
    if customer.erased_at is not None or customer.merged_into_id is not None:
        raise PrivacyRefused("erased_already")
    try:
        with transaction.atomic():
            return Erasure.objects.create(
                customer=customer.pk,
                customer_id_shown=customer.public_id,
                objects_to_return=objects,
                reason=reason,
                asked_at=asked_at,
                ordered_at=clock.now(),
                ordered_by=user,
            )
    except IntegrityError as clash:
        raise PrivacyRefused("erasing_already") from clash


def order_again(customer: Customer, entry: Entry) -> Erasure:
    """Order the erasure of somebody whom a restored backup knows again. Raises PrivacyRefused. No job is started."""
    with transaction.atomic():
        erasure = _order(customer, "restored", entry.objects, entry.when, None)
        erasure.replays = entry.id
        erasure.save(update_fields=["replays"])
        details = {"erasure": str(erasure.public_id), "replays": entry.id}
        audit.record("restore", "customer.erasure_ordered", "customer", customer.public_id, details)
    return erasure


def carry_out(erasure_id: int, checkpoint: Checkpoint = lambda: None, *, engine: bool = True) -> Erasure:
    """Erase as far as the stores are there; may be repeated. The state says whether it is done.

    Without `engine` what lies there is left for later (a restore).
    """
    erasure = Erasure.objects.get(pk=erasure_id)
    if erasure.state == Erasure.WAITING:
        _begin(erasure)
    if erasure.state == Erasure.RUNNING:
        _empty(erasure, checkpoint, engine)
    return erasure


def unfinished() -> list[Erasure]:
    """Erasures that began and whose job has ended: a store was away, or the job failed."""
    rows = Erasure.objects.filter(state__in=(Erasure.WAITING, Erasure.RUNNING)).select_related("job").order_by("pk")
    ended = (JobRun.DONE, JobRun.FAILED, JobRun.CANCELLED)
    return [row for row in rows if row.job is None or row.job.state in ended]


def go_on() -> int:
    """Start a job for every unfinished erasure; returns how many."""
    found = unfinished()
    for erasure in found:
        with transaction.atomic():
            job = jobs.enqueue(JOB, str(erasure.public_id), {"erasure": erasure.pk})
            Erasure.objects.filter(pk=erasure.pk, job=erasure.job_id).update(job=job)
    return len(found)


def hashes_of(person: Person) -> list[tuple[str, str]]:
    """How the list knows her."""
    return [(one.kind, erasure_key(one.kind, one.value)) for one in person.identities]


def _begin(erasure: Erasure) -> None:
    """The list first, then the tombstone: a crash between leaves an entry that is written again."""
    try:
        person = customers.person_of(erasure.customer)
    except Customer.DoesNotExist:
        Erasure.objects.filter(pk=erasure.pk, state=Erasure.WAITING).update(state=Erasure.CANCELLED)
        erasure.refresh_from_db()
        return
    if erasure.objects_to_return:
        refusals.refuse((one.kind, one.value) for one in person.identities)
        time.sleep(refusals.TTL_S * 1.5)  # until every process knows
    sources = sources_of(person)
    hashes = hashes_of(person)
    if erasure.replays is None:  # else it is on the list already
        entry = Entry(str(erasure.public_id), person.at.isoformat(), erasure.objects_to_return, tuple(hashes))
        erasure_list.append(entry)
    with transaction.atomic():
        person = customers.begin(erasure.customer)
        first = customers.stand_in(len(person.numbers))
        began = Erasure.objects.filter(pk=erasure.pk, state=Erasure.WAITING).update(
            state=Erasure.RUNNING,
            began_at=person.at,
            hashes=hashes_of(person),
            sealed=seal(_packed(person, first)),
            report={"sources": sources, "holdings": {}},
        )
        if began != 1:
            raise RuntimeError(f"erasure {erasure.pk} was begun by somebody else")
    erasure.refresh_from_db()


def _empty(erasure: Erasure, checkpoint: Checkpoint, engine: bool) -> None:
    person = _unpacked(unseal(erasure.sealed or b""))
    removed: dict[str, int] = erasure.report["holdings"]
    left: dict[str, int] = {}
    away: list[str] = []
    for number in range(PASSES):
        left, away = {}, []
        for one in all_holdings():
            try:
                if one.in_engine and not engine:
                    raise NotNow(one.code)
                if number == 0 or one.count(person):
                    removed[one.code] = removed.get(one.code, 0) + one.erase(person, checkpoint)
                left[one.code] = one.count(person)
            except NotNow:
                away.append(one.code)
        Erasure.objects.filter(pk=erasure.pk).update(report=erasure.report, waits_for=away)
        if not any(left.values()):
            break
    if not away and not any(left.values()):
        _finish(erasure, person, left)
    erasure.refresh_from_db()


def _finish(erasure: Erasure, person: Person, left: dict[str, int]) -> None:
    now = clock.now()
    proof = certificates.make(erasure, person, left, now)
    with transaction.atomic():
        done = Erasure.objects.filter(pk=erasure.pk, state=Erasure.RUNNING).update(
            state=Erasure.DONE, done_at=now, sealed=None, waits_for=[], certificate=proof
        )
        if done == 1:
            details = {"erasure": str(erasure.public_id), "removed": sum(erasure.report["holdings"].values())}
            audit.record("privacy", "customer.erased", "customer", erasure.customer_id_shown, details)


def _packed(person: Person, stand_in: int) -> bytes:
    identities = [[one.kind, one.value, list(one.keys)] for one in person.identities]
    values: dict[str, Any] = {
        "public_ids": person.public_ids,
        "numbers": person.numbers,
        "identities": identities,
        "until": person.until,
        "at": person.at.isoformat(),
        "stand_in": stand_in,
    }
    return json.dumps(values).encode()


def _unpacked(packed: bytes) -> Person:
    values = json.loads(packed)
    return Person(
        public_ids=tuple(values["public_ids"]),
        numbers=tuple(values["numbers"]),
        identities=tuple(Named(kind, value, tuple(keys)) for kind, value, keys in values["identities"]),
        until=tuple(values["until"]),
        at=datetime.fromisoformat(values["at"]),
        stand_in=values["stand_in"],
    )


def erasure_of(public_id: UUID) -> Erasure:
    """The erasure of a public id. Raises Erasure.DoesNotExist."""
    return Erasure.objects.get(public_id=public_id)
