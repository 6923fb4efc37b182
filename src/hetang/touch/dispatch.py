"""The dispatch loop: claims due tasks, hands them to their channel, and finds out what became of unknown ones.

A task is claimed (attempt id written, committed), then the provider is called, then the outcome is recorded.
Whoever dies in between leaves a claim that runs out: the task is then *unknown*, and it is looked for by its mark.
Only after the grace period, within which an accepted task must have shown up, may it be sent again. Leases and grace
are wall-clock times: the provider does not know that the demo turned our clock.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from hetang.customers import minors
from hetang.platform import clock
from hetang.touch import direct, ledger, outcomes, wishes
from hetang.touch.channels import channel as channel_of
from hetang.touch.channels import is_direct
from hetang.touch.counting import SENDS
from hetang.touch.errors import ChannelMissing
from hetang.touch.governor import quiet
from hetang.touch.links import address_of
from hetang.touch.models import CANCELLED, FAILED, PLANNED, TASKED, UNKNOWN, SendTask, Variant
from hetang.touch.ports import OutcomeUnknown, Refused, TaskChannel, TaskRequest

log = logging.getLogger(__name__)

CLAIM_S = 60.0  # how long a claim holds; a connector's time-outs must add up to less
GRACE_S = 120.0  # how long an accepted task may take to show up in the provider's list
LOOK_S = 5.0  # pause between two looks at an unknown task
ATTEMPTS = 5  # temporary refusals before a task is given up
IDLE_S = 0.5
_SLICE_S = 0.5  # how long one run of the loop works


def wall() -> datetime:
    """Real time, for leases and polling; decisions take `clock.now()`."""
    return datetime.now(UTC)


def run_once() -> float:
    """Reconcile what is unknown, then send what is due, for about half a second. Seconds until the next run."""
    busy = recover()
    busy |= reconcile()
    until = time.monotonic() + _SLICE_S
    while time.monotonic() < until:
        if not send_next():
            return 0.0 if busy else IDLE_S
    return 0.0


def send_next() -> bool:
    """Claim the next due task and send it; False when none is due."""
    task = claim()
    if task is None:
        return False
    if is_direct(task.channel):
        direct.send(task)
    else:
        send(task)
    return True


def claim() -> SendTask | None:
    """Take the next due task of a running programme, unless quiet hours hold it; committed before anything is sent."""
    now = clock.now()
    resting = [kind for kind in ("marketing",) if quiet(now, kind)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            update touch_sendtask k set state = 'claimed', attempt = %s, attempts = k.attempts + 1, claimed_at = %s,
                                        claim_expires = %s, next_look_at = %s
            where k.id = (
              select q.id from touch_sendtask q
              join touch_programme p on p.id = q.programme_id and p.state = 'running'
              where q.state = 'created' and q.slot_at <= %s
                and (q.next_look_at is null or q.next_look_at <= %s or q.next_look_at > %s)
                and not p.message_class = any(%s)
              order by q.slot_at, q.id limit 1 for update of q skip locked
            )
            returning k.id
            """,
            [uuid.uuid4(), now, wall() + timedelta(seconds=CLAIM_S), wall(), now, wall(), _far(), resting],
        )
        row = cursor.fetchone()
    return SendTask.objects.select_related("programme", "staff", "link").get(pk=row[0]) if row else None


def send(task: SendTask) -> None:
    """Hand a claimed task to its channel and record what came of it."""
    request = _request(task)
    if request is None:
        return
    try:
        plugged = _task_channel(task.channel)
        if _expired(task):
            return  # too late to be sure that nobody else took over: `recover` will look for it
        provider_id = plugged.create_task(request)
    except Refused as refusal:
        _refused(task, refusal)
    except ChannelMissing as missing:
        _refused(task, Refused(missing.code, task.channel, permanent=False))
    except OutcomeUnknown as problem:
        log.warning("task %s: outcome unknown: %s", task.pk, problem)
        _to_unknown(task)
    else:
        accept(task, provider_id)


def _far() -> datetime:
    """No lease or pause reaches so far: what lies beyond was written before the machine's clock went back."""
    return wall() + timedelta(seconds=10 * CLAIM_S)


def _task_channel(name: str) -> TaskChannel:
    plugged = channel_of(name)
    if not isinstance(plugged, TaskChannel):
        raise TypeError(f"{name} does not take tasks")
    return plugged


def _expired(task: SendTask) -> bool:
    return task.claim_expires is not None and wall() + timedelta(seconds=CLAIM_S / 2) > task.claim_expires


def _request(task: SendTask) -> TaskRequest | None:
    """The task as the channel takes it, after dropping who withdrew since the plan; None when nobody is left."""
    withdraw(task)
    variant = Variant.objects.get(programme=task.programme, number=task.variant)
    with connection.cursor() as cursor:
        cursor.execute(
            "select address from touch_touch where planned_at = %s and task = %s and state = 'planned' order by id",
            [task.programme.planned_at, task.pk],
        )
        recipients = [row[0] for row in cursor.fetchall()]
    if not recipients:
        _owned(task).update(state=SendTask.CANCELLED, next_look_at=None)
        return None
    assert task.staff is not None  # noqa: S101 - task channels always have a sender
    link = address_of(task.link_id)
    text, attachments = with_link(variant.text, variant.attachments, link)
    return TaskRequest(task.staff.userid, recipients, text, link, attachments)


def with_link(text: str, attachments: list[dict[str, str]], link: str) -> tuple[str, list[dict[str, str]]]:
    """Put the task's mark where it belongs: into its link attachments, else on a line of its own below the text."""
    marked = [item | {"url": link} if item["type"] == "link" else item for item in attachments]
    if any(item["type"] == "link" for item in marked):
        return text, marked
    return f"{text}\n{link}" if text else link, marked


def withdraw(task: SendTask) -> int:
    """Release the people of an unsent task who may not be written to any more: since the plan was made they withdrew
    consent, asked to be left alone, objected to being chosen, or proved to be under fourteen."""
    programme = task.programme
    if programme.message_class == "transaction":
        return 0
    values: dict[str, Any] = {"planned": programme.planned_at, "task": task.pk, "now": clock.now()}
    unwanted = [
        "exists (select 1 from customers_donotdisturb d where d.customer_id = t.customer and d.on"
        " and (d.until is null or d.until > %(now)s))"
    ]
    if wishes.applies(programme.message_class):
        unwanted += [
            "not exists (select 1 from customers_consent c where c.customer_id = t.customer and c.counts"
            " and c.purpose = t.message_class and c.channel = t.channel)",
            f"exists ({minors.WITHOUT_GUARDIAN} and a.customer_id = t.customer)",
        ]
        values["born_after"] = minors.born_after(clock.today())
        values["programme"] = programme.pk
        unwanted.append(f"(exists ({wishes.OBJECTED} and o.customer_id = t.customer) and not exists ({_IMPERSONAL}))")
    where = f"t.planned_at = %(planned)s and t.task = %(task)s and ({' or '.join(unwanted)})"
    with transaction.atomic():
        return len(ledger.move(PLANNED, CANCELLED, where, values, reason="withdrawn"))


# Asked once a statement: it names no person of it. A programme has one plan; dry runs have no programme.
_IMPERSONAL = """
select 1 from touch_plan n where n.programme_id = %(programme)s and n.parameters->'personalised' = 'false'
"""


def accept(task: SendTask, provider_id: str) -> bool:
    """The provider has the task: its people now wait for the sender's tap. False when somebody else settled it."""
    with transaction.atomic():
        changed = _owned(task, SendTask.CLAIMED, SendTask.UNKNOWN).update(
            state=SendTask.WAITING, provider_id=provider_id, tasked_at=clock.now(), next_look_at=wall(), looks=0
        )
        if changed:
            for old in (PLANNED, UNKNOWN):
                outcomes.move_task(task, old, TASKED, also="attempt = %(attempt)s", attempt=task.attempt)
    if changed:
        SENDS.add(task.channel, "accepted")
    return bool(changed)


def _refused(task: SendTask, refusal: Refused) -> None:
    """Nothing happened at the provider: give up, or try again later with growing pauses."""
    log.warning("task %s refused: %s", task.pk, refusal)
    SENDS.add(task.channel, "refused")
    final = refusal.permanent or task.attempts >= ATTEMPTS
    pause = timedelta(seconds=2**task.attempts)
    with transaction.atomic():
        changed = _owned(task).update(
            state=SendTask.DONE if final else SendTask.CREATED,
            error=str(refusal)[:200],
            next_look_at=None if final else wall() + pause,
        )
        if changed and final:
            gone = outcomes.move_task(task, PLANNED, FAILED, reason="refused")
            SendTask.objects.filter(pk=task.pk).update(failed=len(gone))
            outcomes.tell(task, "touch.failed", gone, "refused")


def _to_unknown(task: SendTask) -> None:
    SENDS.add(task.channel, "unknown")
    with transaction.atomic():
        soon = wall() + timedelta(seconds=CLAIM_S)
        expires = min(
            task.claim_expires or soon, soon
        )  # else a clock that went back would put off the grace by as much
        changed = _owned(task).update(state=SendTask.UNKNOWN, next_look_at=wall(), claim_expires=expires)
        if changed:
            outcomes.move_task(task, PLANNED, UNKNOWN)


def _owned(task: SendTask, *states: str) -> QuerySet[SendTask]:
    """The task's row if this attempt still holds it: every change of a claim is conditional on it."""
    return SendTask.objects.filter(pk=task.pk, attempt=task.attempt, state__in=states or (SendTask.CLAIMED,))


def recover() -> bool:
    """Claims whose holder died: their outcome is unknown. True when there were any."""
    over = Q(claim_expires__lt=wall()) | Q(claim_expires__gt=_far())
    expired = SendTask.objects.select_related("programme").filter(over, state=SendTask.CLAIMED)
    found = list(expired.order_by("id")[:20])
    for task in found:
        if is_direct(task.channel):
            direct.recover(task)
        else:
            _to_unknown(task)
    return bool(found)


def reconcile() -> bool:
    """Look for tasks of unknown outcome by their mark. True when one was settled."""
    turn = Q(next_look_at__lte=wall()) | Q(next_look_at__gt=_far())
    due = SendTask.objects.select_related("programme", "link").filter(turn, state=SendTask.UNKNOWN)
    settled = [_look_for(task) for task in due.order_by("next_look_at")[:20]]
    return any(settled)


def _look_for(task: SendTask) -> bool:
    if is_direct(task.channel):
        return direct.reconcile(task)
    assert task.claimed_at is not None and task.claim_expires is not None  # noqa: S101
    sure_after = task.claim_expires + timedelta(seconds=GRACE_S)
    asked_at = wall()
    try:
        found = _task_channel(task.channel).find_task(address_of(task.link_id), task.claimed_at - timedelta(minutes=5))
    except (OutcomeUnknown, Refused, ChannelMissing) as problem:
        log.warning("task %s cannot be looked for: %s", task.pk, problem)
        found, asked_at = None, datetime.min.replace(tzinfo=UTC)
    if found is not None:
        return accept(task, found)
    if asked_at > sure_after:
        return _release(task)
    _owned(task, SendTask.UNKNOWN).update(next_look_at=wall() + timedelta(seconds=LOOK_S))
    return False


def _release(task: SendTask) -> bool:
    """The provider never took it: back into the queue, to be sent again under the same mark."""
    with transaction.atomic():
        changed = _owned(task, SendTask.UNKNOWN).update(state=SendTask.CREATED, next_look_at=None, attempt=None)
        if changed:
            outcomes.move_task(task, UNKNOWN, PLANNED)
    return bool(changed)


def drain(done: Callable[[], bool], timeout_s: float) -> None:
    """Run the loop in this process until `done()` (tests, `demo --check`). Raises TimeoutError."""
    until = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > until:
            raise TimeoutError("the dispatch did not come to an end")
        time.sleep(min(run_once(), 0.05))
