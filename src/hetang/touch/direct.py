"""Direct channels: a claimed task is one batch, delivered and recorded message by message."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import F

from hetang.platform import clock
from hetang.platform.sealing import unseal
from hetang.touch import ledger, outcomes
from hetang.touch.channels import channel as channel_of
from hetang.touch.counting import SENDS
from hetang.touch.errors import ChannelMissing
from hetang.touch.links import address_of
from hetang.touch.models import CLAIMED, FAILED, PLANNED, SENT, UNKNOWN, SendTask, Variant
from hetang.touch.ports import DirectChannel, DirectOutcome, DirectRequest, OutcomeUnknown, Refused

log = logging.getLogger(__name__)

GRACE_S = 120.0
LOOK_S = 5.0
ATTEMPTS = 5


def send(task: SendTask) -> None:
    """Deliver a claimed batch. Its people become `claimed` before the call and are counted one by one after it."""
    from hetang.touch.dispatch import withdraw

    withdraw(task)
    with transaction.atomic():
        people = outcomes.move_task(task, PLANNED, CLAIMED, also="attempt = %(attempt)s", attempt=task.attempt)
    batch = requests(task, CLAIMED) if people else []
    try:
        done = _channel(task.channel).send(batch) if batch else []
    except OutcomeUnknown as problem:
        log.warning("batch %s: outcome unknown: %s", task.pk, problem)
        to_unknown(task)
    except (Refused, ChannelMissing) as refusal:
        _refused(task, refusal)
    else:
        SENDS.add(task.channel, "accepted")
        _complete(task, CLAIMED, done)


def requests(task: SendTask, state: str) -> list[DirectRequest]:
    """The batch's messages to the people in `state`, with addresses in the clear: for the call only."""
    plugged = _channel(task.channel)
    text = Variant.objects.values_list("text", flat=True).get(programme=task.programme_id, number=task.variant)
    body = f"{text}\n{address_of(task.link_id)}" if task.programme.target_url else text
    with connection.cursor() as cursor:
        cursor.execute(
            "select t.programme, t.step, t.customer, t.occurrence, t.address, coalesce(i.sealed, f.sealed)"
            " from touch_touch t left join customers_identity i on i.kind = %s and i.key = t.address"
            " left join customers_identity f on f.kind = %s and f.former_key = t.address"
            " where t.planned_at = %s and t.task = %s and t.state = %s order by t.id",
            [plugged.identity_kind, plugged.identity_kind, task.programme.planned_at, task.pk, state],
        )
        return [
            DirectRequest(f"{programme}-{step}-{customer}-{occurrence}", _plain(address, sealed), body)
            for programme, step, customer, occurrence, address, sealed in cursor.fetchall()
        ]


def _plain(address: str, sealed: bytes | None) -> str:
    return unseal(sealed).decode() if sealed else address


def _channel(name: str) -> DirectChannel:
    plugged = channel_of(name)
    if not isinstance(plugged, DirectChannel):
        raise TypeError(f"{name} does not deliver directly")
    return plugged


def _complete(task: SendTask, old: str, done: list[DirectOutcome]) -> int:
    """Record outcomes; people without one stay as they are. Returns how many were settled."""
    with transaction.atomic():
        owned = SendTask.objects.select_for_update().filter(
            pk=task.pk, attempt=task.attempt, state__in=[SendTask.CLAIMED, SendTask.UNKNOWN]
        )
        if not owned.exists():
            return 0
        sent = _settle(task, old, [outcome for outcome in done if outcome.state == "sent"], SENT, "")
        outcomes.tell(task, "touch.sent", sent)
        failed = 0
        for reason in sorted({outcome.reason[:24] or "failed" for outcome in done if outcome.state == "failed"}):
            chosen = [one for one in done if one.state == "failed" and (one.reason[:24] or "failed") == reason]
            people = _settle(task, old, chosen, FAILED, reason)
            outcomes.tell(task, "touch.failed", people, reason)
            failed += len(people)
        owned.update(sent=F("sent") + len(sent), failed=F("failed") + failed)
        _close(task)
    return len(sent) + failed


def _settle(task: SendTask, old: str, chosen: list[DirectOutcome], new: str, reason: str) -> list[int]:
    if not chosen:
        return []
    customers = [int(outcome.key.split("-")[2]) for outcome in chosen]
    return ledger.move(
        old,
        new,
        "t.planned_at = %(planned)s and t.task = %(task)s and t.customer = any(%(customers)s)",
        {
            "planned": task.programme.planned_at,
            "task": task.pk,
            "customers": customers,
            "now": clock.now(),
        },
        reason=reason,
        also="sent_at = %(now)s" if new == SENT else "",
    )


def _close(task: SendTask) -> None:
    """The batch is done when nobody in it is open; otherwise its rest stays unknown and is looked for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from touch_touch where planned_at = %s and task = %s"
            " and state in ('planned', 'claimed', 'unknown')",
            [task.programme.planned_at, task.pk],
        )
        left = cursor.fetchone()[0]
    if left == 0:
        SendTask.objects.filter(pk=task.pk).update(state=SendTask.DONE, next_look_at=None)
    else:
        outcomes.move_task(task, CLAIMED, UNKNOWN)
        SendTask.objects.filter(pk=task.pk).update(state=SendTask.UNKNOWN, next_look_at=datetime.now(UTC))


def _refused(task: SendTask, refusal: Refused | ChannelMissing) -> None:
    SENDS.add(task.channel, "refused")
    final = getattr(refusal, "permanent", False) or task.attempts >= ATTEMPTS
    with transaction.atomic():
        changed = SendTask.objects.filter(pk=task.pk, attempt=task.attempt, state=SendTask.CLAIMED).update(
            state=SendTask.DONE if final else SendTask.CREATED,
            error=str(refusal)[:200],
            next_look_at=None if final else datetime.now(UTC) + timedelta(seconds=2**task.attempts),
        )
        if changed and final:
            gone = outcomes.move_task(task, CLAIMED, FAILED, reason="refused")
            SendTask.objects.filter(pk=task.pk).update(failed=F("failed") + len(gone))
            outcomes.tell(task, "touch.failed", gone, "refused")
        elif changed:
            outcomes.move_task(task, CLAIMED, PLANNED)


def to_unknown(task: SendTask) -> None:
    """The batch may or may not have gone out."""
    SENDS.add(task.channel, "unknown")
    with transaction.atomic():
        changed = SendTask.objects.filter(pk=task.pk, attempt=task.attempt, state=SendTask.CLAIMED).update(
            state=SendTask.UNKNOWN, next_look_at=datetime.now(UTC)
        )
        if changed:
            outcomes.move_task(task, CLAIMED, UNKNOWN)


def recover(task: SendTask) -> None:
    """A claim whose holder died. If it died before its people were claimed, nothing had been called."""
    to_unknown(task)


def reconcile(task: SendTask) -> bool:
    """Settle an unknown batch: an idempotent provider is simply asked again under the same keys; another is asked what
    it has, and the rest goes back into the queue once the grace period is over."""
    plugged = _channel(task.channel)
    try:
        if plugged.idempotent:
            return _complete(task, UNKNOWN, plugged.send(requests(task, UNKNOWN))) > 0 or _release(task)
        asked_at = datetime.now(UTC)
        known = plugged.find([request.key for request in requests(task, UNKNOWN)])
    except (OutcomeUnknown, Refused) as problem:
        log.warning("batch %s cannot be settled yet: %s", task.pk, problem)
        _later(task)
        return False
    if known:
        _complete(task, UNKNOWN, known)
    if task.claim_expires is None or asked_at > task.claim_expires + timedelta(seconds=GRACE_S):
        return _release(task)
    _later(task)
    return bool(known)


def _later(task: SendTask) -> None:
    SendTask.objects.filter(pk=task.pk, state=SendTask.UNKNOWN).update(
        next_look_at=datetime.now(UTC) + timedelta(seconds=LOOK_S)
    )


def _release(task: SendTask) -> bool:
    """What the provider never saw goes back into the queue."""
    with transaction.atomic():
        changed = SendTask.objects.filter(pk=task.pk, attempt=task.attempt, state=SendTask.UNKNOWN).update(
            state=SendTask.CREATED, next_look_at=None, attempt=uuid.uuid4()
        )
        if changed:
            outcomes.move_task(task, UNKNOWN, PLANNED)
    return bool(changed)
