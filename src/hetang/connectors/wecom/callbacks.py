"""The loop that applies stored events. Runs in the worker, under its lease, and needs PostgreSQL and WeCom only.

An event says that something changed; what it is now, WeCom is asked: so it does not matter in which order or how often
events come. Without an answer a new friend counts all the same, and what needs one waits for it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from hetang.connectors.wecom import asking, events
from hetang.connectors.wecom.applying import DirectoryEvents, GroupEvents, Outcome, PairEvents, note
from hetang.connectors.wecom.events import CHAT, CONTACT, DIRECTORY, TAG
from hetang.connectors.wecom.models import App, CallbackMessage
from hetang.platform import clock
from hetang.platform.loops import Loop
from hetang.platform.sealing import unseal

log = logging.getLogger(__name__)
BATCH = 200
MOST_TRIES = 6
_IDLE_S = 0.25
_PAUSE = timedelta(seconds=5)  # doubled with each try
_NOTED = frozenset({"customer_acquisition", "upload_media_job_finish", "batch_job_result", "kf_msg_or_event"})


def run_once() -> float:
    """Apply one batch of waiting events. Returns seconds until the next look: of few at a time each would cost what a
    whole batch does (twenty statements here, and more in what follows facts), so that some are let come together."""
    due = Q(again_at=None) | Q(again_at__lte=Now())
    rows = CallbackMessage.objects.select_related("app__corp").filter(due, state=CallbackMessage.WAITING)
    waiting = list(rows.order_by("id")[:BATCH])
    if not waiting:
        return _IDLE_S
    by_app: dict[int, list[CallbackMessage]] = defaultdict(list)
    for message in waiting:
        by_app[message.app_id].append(message)
    for messages in by_app.values():
        _apply(messages[0].app, messages)
    return 0.0 if len(waiting) == BATCH else _IDLE_S


def apply_again(messages_ids: list[int]) -> int:
    """Let events be applied once more (they may have failed, or been ignored by an older version). Harmless for those
    that were applied: facts count once. Returns how many."""
    again = CallbackMessage.objects.filter(pk__in=messages_ids).exclude(state=CallbackMessage.WAITING)
    return again.update(state=CallbackMessage.WAITING, tries=0, again_at=None, error="", applied_at=None)


def _apply(app: App, messages: list[CallbackMessage]) -> None:
    """One app's events: read them, ask WeCom with no transaction open, then write everything at once."""
    outcome = Outcome()
    read: dict[str, list[tuple[CallbackMessage, dict[str, str]]]] = defaultdict(list)
    for message in messages:
        fields = events.fields_of(unseal(message.body).decode())
        read[fields.get("Event", "")].append((message, fields))
    pairs = PairEvents(app, read[CONTACT], outcome)
    groups = GroupEvents(app, read[CHAT], outcome)
    directory = DirectoryEvents(app, read[DIRECTORY], read[TAG], outcome)
    asked = asking.Asked(app)
    pairs.ask(asked)
    groups.ask(asked)
    directory.ask(asked)
    with transaction.atomic():
        pairs.write()
        groups.write()
        directory.write()
        for event, some in read.items():
            if event in _NOTED:
                note(app, some, outcome)
        _settle(messages, outcome)


def _settle(messages: list[CallbackMessage], outcome: Outcome) -> None:
    """What became of each: applied, waiting for WeCom, or nothing of ours."""
    by_state: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        if message.pk in outcome.waiting:
            last = message.tries + 1 >= MOST_TRIES
            CallbackMessage.objects.filter(pk=message.pk, state=CallbackMessage.WAITING).update(
                state=CallbackMessage.FAILED if last else CallbackMessage.WAITING,
                tries=F("tries") + 1,
                again_at=Now() + _PAUSE * 2**message.tries,
                error=outcome.waiting[message.pk][:200],
            )
        else:
            done = message.pk in outcome.applied
            by_state[CallbackMessage.APPLIED if done else CallbackMessage.IGNORED].append(message.pk)
    for state, ids in by_state.items():
        CallbackMessage.objects.filter(id__in=ids, state=CallbackMessage.WAITING).update(
            state=state, applied_at=clock.now()
        )


loop = Loop("wecom.callbacks", run_once)
