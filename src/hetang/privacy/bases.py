"""Stating the legal basis of all consents of a source at once, that came without one: by a job, with its audit rows.

A statement holds for what was given until the moment it is made: what the source sends without a basis afterwards shows
up in the register again. A chunk is one transaction (facts, counts, cursor), so a job that died goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import IntegrityError, transaction

from hetang.customers import bases
from hetang.customers.bases import Lot, Statement
from hetang.customers.models import NEEDS_BASIS
from hetang.platform import audit, clock, jobs
from hetang.platform.access import Actor, Forbidden, actor_for
from hetang.platform.models import JobRun, User
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import BasisStatement

JOB = "privacy.state_basis"
MANAGE = "privacy:manage"
CHUNK = 500  # consents of one transaction: about a tenth of a second
_OVER = (JobRun.DONE, JobRun.FAILED, JobRun.CANCELLED)
Progress = Callable[..., None]


def waiting(lot: Lot) -> int:
    """How many consents of it do not count now."""
    return bases.waiting(lot, clock.now())


def begin(actor: Actor, lot: Lot, *, basis: str, text_version: str, reason: str, title: str) -> BasisStatement:
    """State it and start the job. Raises Forbidden, PrivacyRefused: bad_basis, basis_text_missing,
    basis_reason_missing, nothing_to_state, stating_already."""
    actor.require(MANAGE)
    text_version, reason = text_version.strip(), reason.strip()
    if basis not in bases.STATED or lot.purpose not in NEEDS_BASIS:
        raise PrivacyRefused("bad_basis")
    if basis == "consent" and not text_version:
        raise PrivacyRefused("basis_text_missing")
    if not reason:
        raise PrivacyRefused("basis_reason_missing")
    people = waiting(lot)
    if not people:
        raise PrivacyRefused("nothing_to_state")
    made = BasisStatement(source=lot.source, purpose=lot.purpose, channel=lot.channel, people=people)
    made.basis, made.text_version, made.reason = basis, text_version, reason
    made.user_id, made.actor, made.started_at = actor.user_id, actor.name, clock.now()
    try:
        with transaction.atomic():
            made.save(force_insert=True)
            _start(actor, made, title)
            _record(actor, "consents.basis_stated", made)
    except IntegrityError as clash:
        raise PrivacyRefused("stating_already") from clash
    return made


def go_on(actor: Actor, statement: BasisStatement, title: str) -> None:
    """Go on with what was cancelled or failed. Raises Forbidden, PrivacyRefused("stating_already")."""
    actor.require(MANAGE)
    with transaction.atomic():
        held = BasisStatement.objects.select_for_update(of=("self",)).select_related("job").get(pk=statement.pk)
        if held.state != BasisStatement.RUNNING or (held.job is not None and held.job.state not in _OVER):
            raise PrivacyRefused("stating_already")
        _start(actor, held, title)
        _record(actor, "consents.basis_continued", held)


def carry_out(statement_id: int, progress: Progress) -> BasisStatement:
    """Write facts to the end, chunk by chunk; may be repeated. Raises Forbidden when whoever stated it may not any
    more, and what `progress` raises."""
    while (done := step(statement_id)) is not None:
        progress(*done, "writing")
    return BasisStatement.objects.get(pk=statement_id)


def step(statement_id: int, chunk: int = CHUNK) -> tuple[int, int] | None:
    """Write the next chunk in one transaction. Returns (how far, of how many); None when it is over."""
    with transaction.atomic():
        made = BasisStatement.objects.select_for_update(of=("self",)).select_related("user").get(pk=statement_id)
        if made.state != BasisStatement.RUNNING:
            return None
        actor = _maker(made)
        meant = bases.next_of(lot_of(made), made.started_at, made.cursor, chunk)
        if not meant:
            made.state, made.finished_at = BasisStatement.DONE, clock.now()
            made.save(update_fields=["state", "finished_at"])
            _record(actor, "consents.basis_done", made)
            return None
        refused = bases.record(meant, _said(made))
        nameless = sum(1 for one in meant if one.identity is None)
        made.cursor = meant[-1].customer
        made.stated += len(meant) - nameless - len(refused)
        made.left_out += nameless + len(refused)
        made.save(update_fields=["cursor", "stated", "left_out"])
        return made.stated + made.left_out, made.people


def lot_of(statement: BasisStatement) -> Lot:
    """What it is about."""
    return Lot(statement.source, statement.purpose, statement.channel)


def newest(limit: int = 20) -> list[BasisStatement]:
    """The newest statements first, with who made them."""
    return list(BasisStatement.objects.select_related("user", "job").order_by("-id")[:limit])


def is_stopped(statement: BasisStatement) -> bool:
    """Whether its job ended before it was done: somebody has to go on with it."""
    return statement.state == BasisStatement.RUNNING and (statement.job is None or statement.job.state in _OVER)


def _said(made: BasisStatement) -> Statement:
    return Statement(str(made.public_id), made.basis, made.text_version, made.actor, made.reason, made.started_at)


def _start(actor: Actor, made: BasisStatement, title: str) -> None:
    user = User.objects.filter(pk=actor.user_id or 0).first()
    made.job = jobs.enqueue(JOB, title, {"statement": made.pk}, user)
    made.save(update_fields=["job"])


def _maker(made: BasisStatement) -> Actor:
    actor = actor_for(made.user) if made.user else None
    if actor is None or not actor.can(MANAGE):
        raise Forbidden(MANAGE)
    return actor


def _record(actor: Actor, action: str, made: BasisStatement) -> None:
    values = {
        **{"source": made.source, "purpose": made.purpose, "channel": made.channel, "basis": made.basis},
        **{"text_version": made.text_version, "reason": made.reason, "people": made.people},
    }
    if action == "consents.basis_done":
        values |= {"changed": made.stated, "left_out": made.left_out}
    audit.record(actor, action, "basis_statement", made.public_id, values)
