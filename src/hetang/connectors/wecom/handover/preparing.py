"""Preparing a hand-over: a job writes down everything of the giver, with to whom it goes or why it cannot; then the
word.

Nothing is told to WeCom here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_noop

from hetang.connectors.wecom.client import default_app
from hetang.connectors.wecom.errors import NotConnected
from hetang.connectors.wecom.handover.errors import HandoverRefused
from hetang.connectors.wecom.models import Handover, HandoverItem
from hetang.platform import audit, clock, jobs
from hetang.platform.access import Actor
from hetang.platform.models import JobRun, User
from hetang.resources.models import Staff, Store

HAND_OVER = "customers:hand_over"
KIND = "wecom.handover"
PREPARE = "wecom.prepare_handover"


@dataclass(frozen=True)
class Wanted:
    """What is to be handed over and to whom: `takers` is one member, or those who share. With a `home_store` only the
    customers who are at home there: who moves to another store takes the others along."""

    giver: Staff
    takers: Sequence[Staff]
    rule: str = Handover.ONE
    customers: bool = True
    groups: bool = True
    message: str = ""
    home_store: Store | None = None


def ask(actor: Actor, wanted: Wanted) -> Handover:
    """Plan the job that writes down who goes to whom (`judging`). Nothing is handed over yet.

    Raises HandoverRefused where nobody fit to take over is named, and Forbidden when giver or a taker lies outside the
    part of the actor's own company where she may hand over. What only WeCom knows the job finds out, and says in
    `Handover.problem`.
    """
    actor.require_own_at(HAND_OVER, wanted.giver.org_node)
    for taker in wanted.takers:
        actor.require_own_at(HAND_OVER, taker.org_node)
    takers = _others(wanted)
    try:
        app = default_app()
    except NotConnected as problem:
        raise HandoverRefused("unreachable") from problem
    with transaction.atomic():
        kind = Handover.ON_JOB if wanted.giver.active else Handover.LEFT
        handover = Handover.objects.create(
            corp=app.corp,
            giver=wanted.giver,
            org_node_id=wanted.giver.org_node_id,
            kind=kind,
            rule=wanted.rule,
            state=Handover.PREPARING,
            message=wanted.message if kind == Handover.ON_JOB else "",
            actor=actor.name[:80],
            created_at=clock.now(),
            asked={
                "takers": [one.pk for one in takers],
                "customers": wanted.customers,
                "groups": wanted.groups,
                "home": wanted.home_store.pk if wanted.home_store else None,
            },
        )
        _plan_preparing(actor, handover)
        details = {"staff": wanted.giver.userid, "to": [one.userid for one in takers][:20], "rule": wanted.rule}
        audit.record(actor, "handover.prepared", "handover", handover.public_id, details, handover.org_node_id)
    return handover


def ask_again(actor: Actor, handover: Handover) -> None:
    """Go on preparing what was cancelled, failed or refused. Raises HandoverRefused."""
    actor.require_own_at(HAND_OVER, handover.org_node)
    with transaction.atomic():
        mine = Handover.objects.select_for_update().get(pk=handover.pk)
        if mine.state not in {Handover.PREPARING, Handover.REFUSED} or _under_way(mine):
            raise HandoverRefused("begun")
        mine.state, mine.problem = Handover.PREPARING, ""
        _plan_preparing(actor, mine)
        details = {"staff": mine.giver.userid}
        audit.record(actor, "handover.prepared", "handover", mine.public_id, details, mine.org_node_id)


def _plan_preparing(actor: Actor, handover: Handover) -> None:
    user = User.objects.filter(pk=actor.user_id or 0).first()
    title = gettext_noop("Preparing a hand-over")
    handover.job = jobs.enqueue(PREPARE, title, {"handover": handover.pk}, user)
    handover.save(update_fields=["job", "state", "problem"])


def start(actor: Actor, handover: Handover) -> None:
    """The word: a job begins to ask WeCom. Also goes on with one that was stopped or failed. Raises HandoverRefused."""
    actor.require_own_at(HAND_OVER, handover.org_node)
    with transaction.atomic():
        mine = Handover.objects.select_for_update().get(pk=handover.pk)
        if mine.state not in {Handover.PREPARED, Handover.RUNNING} or _under_way(mine):
            raise HandoverRefused("begun")
        first = mine.state == Handover.PREPARED
        mine.state, mine.started_at = Handover.RUNNING, mine.started_at or clock.now()
        mine.job = enqueue(mine)
        mine.save(update_fields=["state", "started_at", "job"])
        action = "handover.started" if first else "handover.continued"
        audit.record(actor, action, "handover", mine.public_id, {"staff": mine.giver.userid}, mine.org_node_id)


def enqueue(handover: Handover) -> JobRun:
    """Plan the job that asks for what is planned, in the caller's transaction."""
    return jobs.enqueue(KIND, gettext_noop("Handing over customers and groups"), {"handover": handover.pk})


def discard(actor: Actor, handover: Handover) -> None:
    """Throw away what was only prepared, or could not be. Raises HandoverRefused once it has begun, and while it is
    being prepared."""
    actor.require_own_at(HAND_OVER, handover.org_node)
    with transaction.atomic():
        early = (Handover.PREPARING, Handover.REFUSED, Handover.PREPARED)
        mine = Handover.objects.select_for_update(of=("self",)).filter(pk=handover.pk, state__in=early).first()
        if mine is None:
            raise HandoverRefused("begun")
        if _under_way(mine):
            raise HandoverRefused("running")
        details = {"staff": mine.giver.userid}
        audit.record(actor, "handover.discarded", "handover", mine.public_id, details, mine.org_node_id)
        HandoverItem.objects.filter(handover=mine).delete()
        mine.delete()


def give_up(actor: Actor, handover: Handover) -> None:
    """Leave what was not asked for yet where it is. What WeCom has taken goes on: it cannot be called back."""
    actor.require_own_at(HAND_OVER, handover.org_node)
    with transaction.atomic():
        mine = Handover.objects.select_for_update().get(pk=handover.pk)
        if mine.state != Handover.RUNNING or _under_way(mine):
            raise HandoverRefused("running")
        planned = HandoverItem.objects.filter(handover=mine, state=HandoverItem.PLANNED)
        count = planned.update(state=HandoverItem.LEFT_OUT, reason="given_up", settled_at=clock.now())
        Handover.objects.filter(pk=mine.pk).update(looked_at=None)
        details = {"staff": mine.giver.userid, "left_out": count}
        audit.record(actor, "handover.given_up", "handover", mine.public_id, details, mine.org_node_id)


def _under_way(handover: Handover) -> bool:
    return handover.job is not None and handover.job.state in {JobRun.WAITING, JobRun.RUNNING}


def _others(wanted: Wanted) -> list[Staff]:
    """Those of the takers who are in service and somebody else. Raises HandoverRefused."""
    if wanted.rule == Handover.ONE and any(one.pk == wanted.giver.pk for one in wanted.takers):
        raise HandoverRefused("same")
    others = [one for one in wanted.takers if one.active and one.pk != wanted.giver.pk]
    if not others:
        raise HandoverRefused("nobody")
    return others
