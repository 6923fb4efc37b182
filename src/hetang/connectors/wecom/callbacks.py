"""The loop that applies stored events: friendships become facts. Runs in the worker, under its lease."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db import transaction

from hetang.connectors.wecom import events, protocol
from hetang.connectors.wecom.client import client_of
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.models import CallbackMessage
from hetang.connectors.wecom.relations import ensure_staff, relation_draft
from hetang.connectors.wecom.webhook import SOURCE
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.platform import clock
from hetang.platform.loops import Loop
from hetang.platform.sealing import unseal

log = logging.getLogger(__name__)
BATCH = 200
_IDLE_S = 0.5


@dataclass
class _Applied:
    message: CallbackMessage
    event: events.RelationEvent | None
    draft: Draft | None


class _Asked:
    """Asks WeCom who new friends are; when it does not answer once, nobody is asked for in this batch any more."""

    def __init__(self) -> None:
        self._silent = False

    def details(self, message: CallbackMessage, event: events.RelationEvent) -> protocol.Contact | None:
        """The new friend's details. Without them the event counts all the same; the next sync fills the rest."""
        if self._silent:
            return None
        try:
            return client_of(message.app).call(protocol.CUSTOMER, {"external_userid": event.external_userid})
        except (NotConnected, NotSent, Unanswered) as problem:
            self._silent = True
            log.warning("no details of new friends: %s", problem)
        except WeComError as problem:
            log.info("no details of a new friend: %s", problem)
        return None


def run_once() -> float:
    """Apply one batch of waiting events in order. Returns seconds until the next look."""
    waiting = list(
        CallbackMessage.objects.select_related("app__corp").filter(state=CallbackMessage.WAITING).order_by("id")[:BATCH]
    )
    if not waiting:
        return _IDLE_S
    asked = _Asked()
    applied = [_read(message, asked) for message in waiting]  # may ask WeCom: no transaction is open
    with transaction.atomic():
        ensure_staff(
            (one.event.userid for one in applied if one.event is not None),
            simulated=any(one.message.app.corp.simulated for one in applied),
        )
        intake.record(SOURCE, [one.draft for one in applied if one.draft is not None], "callback")
        for state, ids in _by_state(applied).items():
            CallbackMessage.objects.filter(id__in=ids, state=CallbackMessage.WAITING).update(
                state=state, applied_at=clock.now()
            )
    return 0.0


def _by_state(applied: list[_Applied]) -> dict[str, list[int]]:
    states: dict[str, list[int]] = {CallbackMessage.APPLIED: [], CallbackMessage.IGNORED: []}
    for one in applied:
        state = CallbackMessage.APPLIED if one.draft is not None else CallbackMessage.IGNORED
        states[state].append(one.message.pk)
    return states


def _read(message: CallbackMessage, asked: _Asked) -> _Applied:
    event = events.relation_event(events.fields_of(unseal(message.body).decode()))
    if event is None:
        return _Applied(message, None, None)
    contact = asked.details(message, event) if event.state == "active" else None
    draft = relation_draft(
        key=f"event:{message.dedupe_key}",
        event=event,
        contact=contact,
        simulated=message.app.corp.simulated,
    )
    return _Applied(message, event, draft)


loop = Loop("wecom.callbacks", run_once)
