"""Verbs on the log apart from the door itself: hold what a stream could not apply, replay it, set it aside."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection, transaction

from hetang.facts import intake
from hetang.facts.intake import Outcome
from hetang.facts.models import HeldFact
from hetang.facts.subscriptions import all_subscriptions, pass_one, window_of_fact
from hetang.platform import clock
from hetang.platform.sealing import seal, unseal


@dataclass(frozen=True, slots=True)
class Unapplied:
    """A fact of the log that a stream could not apply: its place, a code of `facts.messages`, message parameters."""

    received_at: datetime
    fact_id: int
    reason: str
    detail: dict[str, str | int]


def hold(stage: str, facts: Iterable[Unapplied]) -> int:
    """Keep facts that the stream `stage` could not apply, for the operations page. In the caller's transaction."""
    rows = [
        (one.received_at, one.fact_id, stage, one.reason, json.dumps(one.detail), seal(b"{}"), clock.now())
        for one in facts
    ]
    if not rows:
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into facts_heldfact (received_at, door, source, kind, key, stage, reason, detail, body, state)
            select f.received_at, 'log', f.source, f.kind, f.key, %s, %s,
                   %s::jsonb || jsonb_build_object('fact_id', f.id), %s, 'open'
            from facts_fact f where f.received_at = %s and f.id = %s
            """,
            [(stage, reason, detail, body, at, number) for at, number, stage, reason, detail, body, _ in rows],
        )
    return len(rows)


def hold_once(stage: str, facts: Iterable[Unapplied]) -> int:
    """The same for a stream that may see a window again: what it holds already stays as it is."""
    rows = list(facts)
    held = set(
        HeldFact.objects.filter(stage=stage, received_at__in={one.received_at for one in rows})
        .exclude(state=HeldFact.REPLAYED)
        .values_list("received_at", "detail__fact_id")
    )
    return hold(stage, [one for one in rows if (one.received_at, one.fact_id) not in held])


def replay(held_id: int) -> Outcome:
    """Try a held fact again. It closes when the fact is taken (or turns out to be known); else the reason is renewed.

    Raises HeldFact.DoesNotExist if it is not open.
    """
    with transaction.atomic():
        held = HeldFact.objects.select_for_update().get(id=held_id, state=HeldFact.OPEN)
        outcome = _replay_to_log(held) if held.stage == "validate" else _replay_to_stream(held)
        if outcome.rejected:
            refusal = outcome.rejected[0]
            held.reason, held.detail = refusal.code, refusal.detail
            held.save(update_fields=["reason", "detail"])
        else:
            held.state, held.replayed_at = HeldFact.REPLAYED, clock.now()
            held.save(update_fields=["state", "replayed_at"])
    return outcome


def dismiss(held_id: int) -> None:
    """Set a held fact aside: it stays readable and is no longer counted as open. Raises HeldFact.DoesNotExist."""
    changed = HeldFact.objects.filter(id=held_id, state=HeldFact.OPEN).update(
        state=HeldFact.DISMISSED, replayed_at=clock.now()
    )
    if changed != 1:
        raise HeldFact.DoesNotExist


def set_aside_next(name: str) -> bool:
    """Let a stopped stream pass the one fact that it cannot apply; that fact is held. False if there is none."""
    with transaction.atomic():
        passed = pass_one(name)
        if passed is None:
            return False
        hold(name, [Unapplied(passed.received_at, passed.fact_id, "handler_failed", {"problem": passed.error[:200]})])
    return True


def _replay_to_log(held: HeldFact) -> Outcome:
    """Read the envelope again; the fact is validated under today's rules."""
    try:
        envelope = msgspec.json.decode(unseal(held.body), type=intake.Envelope)
    except msgspec.DecodeError:
        return Outcome(rejected=[intake.Rejection(0, held.key, held.reason, held.detail)])
    return intake.take_again(held.source, envelope, held.door)


def _replay_to_stream(held: HeldFact) -> Outcome:
    detail: dict[str, Any] = held.detail
    subscription = next(one for one in all_subscriptions() if one.name == held.stage)
    before = HeldFact.objects.filter(stage=held.stage, key=held.key, source=held.source).count()
    subscription.handle(window_of_fact(held.received_at, int(detail["fact_id"])))
    again = HeldFact.objects.filter(stage=held.stage, key=held.key, source=held.source).order_by("-id")
    if again.count() == before:
        return Outcome(accepted=1)
    newest = again[0]
    newest.delete()
    return Outcome(rejected=[intake.Rejection(0, held.key, newest.reason, newest.detail)])
