"""After a restore: what may have been sent since the backup is looked up, and nothing leaves until somebody resumes it.

The ledger has lost what happened since. A task that waited in the backup may long be with its adviser. So every
such task becomes *unknown*: the dispatch loop looks for its mark at the provider, as after a crash, and only what the
provider never saw goes back into the queue. What was planned after the backup is known to nobody here; therefore
running programmes are paused, and the operations page says why.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hetang.platform import audit
from hetang.touch import outcomes
from hetang.touch.channels import channel, is_direct
from hetang.touch.errors import ChannelMissing
from hetang.touch.models import PLANNED, UNKNOWN, Programme, SendTask


def hold_sending(taken_at: datetime) -> None:
    """Pause what runs and mark open tasks as unknown since `taken_at` (wall clock). In the caller's transaction."""
    _pause()
    for task in SendTask.objects.select_related("programme").filter(state=SendTask.CREATED).order_by("id").iterator():
        if _may_have_left(task.channel):
            _doubt(task, taken_at)


def _pause() -> None:
    open_states = [Programme.RUNNING, Programme.PLANNING]
    for programme in Programme.objects.select_for_update().filter(state__in=open_states).order_by("pk"):
        changes = {"state": [programme.state, Programme.PAUSED], "why": "restored"}
        Programme.objects.filter(pk=programme.pk).update(state=Programme.PAUSED)
        audit.record("restore", "programme.paused", "programme", programme.public_id, changes, programme.org_node_id)


def _may_have_left(name: str) -> bool:
    """Whether a second call might send twice: not where the provider takes a key once."""
    try:
        return not (is_direct(name) and channel(name).idempotent)  # type: ignore[union-attr]
    except ChannelMissing:
        return True


def _doubt(task: SendTask, taken_at: datetime) -> None:
    attempt = uuid.uuid4()
    now = datetime.now(UTC)
    SendTask.objects.filter(pk=task.pk).update(
        state=SendTask.UNKNOWN,
        attempt=attempt,
        claimed_at=taken_at - timedelta(hours=1),
        claim_expires=now,
        next_look_at=now,
    )
    outcomes.move_task(task, PLANNED, UNKNOWN)
