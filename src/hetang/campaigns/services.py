"""Campaigns and broadcasts: compose, split before sending (预演), confirm, and steer what is running."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.audiences.queries import is_personal
from hetang.audiences.services import take_snapshot
from hetang.audiences.stored import read_members
from hetang.campaigns import approval, pictures, queries
from hetang.campaigns.errors import CampaignError, Problem
from hetang.campaigns.models import Broadcast, Campaign
from hetang.campaigns.rules import check_variants
from hetang.platform import audit, clock
from hetang.platform.access import Actor
from hetang.platform.models import OrgNode
from hetang.touch import governor, planning
from hetang.touch import services as touch
from hetang.touch.links import address_of, safe_target
from hetang.touch.models import Plan, Programme
from hetang.touch.rules import Request

EDIT, SEND, REMIND = "campaigns:edit", "campaigns:send", "campaigns:remind"
DRY_RUN_HOLDS = timedelta(minutes=30)  # a split older than this no longer says what would happen
MAX_CONTROL_BP = 5000
LINK_BYTES = len(address_of("x" * 16))


@dataclass(frozen=True)
class Composition:
    """A broadcast as the composer holds it; times aware, shares in hundredths of a per cent."""

    name: str
    audience_id: int
    variants: list[dict[str, Any]]
    target_url: str
    design: str = Broadcast.SINGLE
    channel: str = "wecom"
    message_class: str = "marketing"
    control_bp: int = 1000
    slot_at: datetime | None = None
    confirm_days: int = 3
    window_days: int = 7
    replan_after_quiet: bool = True


@dataclass(frozen=True)
class CampaignFields:
    """A campaign as the form holds it; the budget in minor units."""

    name: str
    starts_on: date
    ends_on: date
    org_node_id: int
    goal: str = ""
    budget: int | None = None
    owner_id: int | None = field(default=None)


def save_campaign(actor: Actor, fields: CampaignFields, campaign: Campaign | None = None) -> Campaign:
    """Make or change a campaign. Raises Forbidden, CampaignError."""
    node = OrgNode.objects.get(pk=fields.org_node_id)
    _authorise(actor, EDIT, node)
    if campaign is not None:
        _authorise(actor, EDIT, campaign.org_node)
    problems = []
    if not fields.name.strip():
        problems.append(Problem("name", "name_missing"))
    if fields.ends_on < fields.starts_on:
        problems.append(Problem("ends_on", "period_reversed"))
    if fields.budget is not None and fields.budget < 0:
        problems.append(Problem("budget", "budget_negative"))
    if problems:
        raise CampaignError(*problems)
    with transaction.atomic():
        kept = campaign or Campaign(created_at=clock.now())
        before = {name: getattr(kept, name) for name in fields.__dataclass_fields__} if campaign else {}
        for name in fields.__dataclass_fields__:
            setattr(kept, name, getattr(fields, name))
        kept.save()
        changes = {
            name: [before.get(name), getattr(kept, name)]
            for name in fields.__dataclass_fields__
            if before.get(name) != getattr(kept, name)
        }
        verb = "campaign.changed" if campaign else "campaign.created"
        audit.record(actor, verb, "campaign", kept.public_id, changes, node.pk)
    return kept


def set_state(actor: Actor, campaign: Campaign, state: str) -> None:
    """Close a campaign, or open it again. Running broadcasts go on."""
    _authorise(actor, EDIT, campaign.org_node)
    with transaction.atomic():
        if Campaign.objects.filter(pk=campaign.pk).exclude(state=state).update(state=state):
            audit.record(
                actor, f"campaign.{state}", "campaign", campaign.public_id, {"state": state}, campaign.org_node_id
            )


def save_broadcast(
    actor: Actor, campaign: Campaign, composition: Composition, broadcast: Broadcast | None = None
) -> Broadcast:
    """Keep a composition, complete or not; a change drops the split made before. Raises Forbidden, and
    CampaignError("already_sent") when it has been confirmed meanwhile."""
    _authorise(actor, EDIT, campaign.org_node)
    values = {name: getattr(composition, name) for name in composition.__dataclass_fields__}
    with transaction.atomic():
        if broadcast is None:
            kept = Broadcast.objects.create(
                campaign=campaign,
                created_at=clock.now(),
                created_by_id=actor.user_id,
                updated_at=clock.now(),
                **values,
            )
        else:
            drafts = Broadcast.objects.filter(pk=broadcast.pk, state=Broadcast.DRAFT)
            before = drafts.select_for_update().values(*values).first()
            if before is None:
                raise CampaignError(Problem("", "already_sent"))
            drafts.update(updated_at=clock.now(), dry_run=None, snapshot=None, **values)
            if before != values:
                approval.drop(actor, broadcast)
            kept = Broadcast.objects.get(pk=broadcast.pk)
        verb = "broadcast.changed" if broadcast else "broadcast.created"
        audit.record(actor, verb, "broadcast", kept.public_id, values | {"slot_at": kept.slot_at}, campaign.org_node_id)
    return kept


def discard(actor: Actor, broadcast: Broadcast) -> None:
    """Throw a draft away. Raises Forbidden, and CampaignError("already_sent") when it has been confirmed."""
    _authorise(actor, EDIT, broadcast.campaign.org_node)
    with transaction.atomic():
        if not Broadcast.objects.filter(pk=broadcast.pk, programme=None).delete()[0]:
            raise CampaignError(Problem("", "already_sent"))
        approval.drop(actor, broadcast)
        _forget(broadcast)
        name = {"name": broadcast.name}
        node = broadcast.campaign.org_node_id
        audit.record(actor, "broadcast.discarded", "broadcast", broadcast.public_id, name, node)
    pictures.sweep(clock.now() + timedelta(seconds=1), pictures.named_in(broadcast.variants))


def check(broadcast: Broadcast) -> list[Problem]:
    """Everything that keeps a composition from being sent."""
    problems = check_variants(broadcast.channel, broadcast.variants, broadcast.design, LINK_BYTES)
    now = clock.now()
    if not broadcast.name.strip():
        problems.append(Problem("name", "name_missing"))
    if not safe_target(broadcast.target_url):
        problems.append(Problem("target_url", "target_missing" if not broadcast.target_url else "target_invalid"))
    if broadcast.slot_at is not None and broadcast.slot_at < now:
        problems.append(Problem("slot_at", "slot_past"))
    if broadcast.slot_at is not None and broadcast.slot_at > now + timedelta(days=governor.PLANNED_AHEAD_DAYS - 2):
        problems.append(Problem("slot_at", "slot_too_far", {"days": governor.PLANNED_AHEAD_DAYS - 2}))
    ranges = {"control_bp": (0, MAX_CONTROL_BP), "confirm_days": (1, 14), "window_days": (1, 90)}
    for name, (low, high) in ranges.items():
        if not low <= getattr(broadcast, name) <= high:
            problems.append(Problem(name, "out_of_range", {"low": low, "high": high}))
    if Audience.objects.filter(pk=broadcast.audience_id, archived_at=None, pond_set=None).first() is None:
        problems.append(Problem("audience", "audience_gone"))
    return problems


def request_of(broadcast: Broadcast, slot_at: datetime, snapshot: AudienceSnapshot | None = None) -> Request:
    """What the planner is asked for, the same for the dry run and the plan. `snapshot`: of whom, if not the draft's."""
    chosen_by = snapshot or broadcast.snapshot
    node = broadcast.campaign.org_node
    return Request(
        channel=broadcast.channel,
        message_class=broadcast.message_class,
        slot_at=slot_at,
        seed=str(broadcast.public_id),
        control_bp=broadcast.control_bp,
        weights=tuple(int(variant.get("weight", 1)) for variant in broadcast.variants),
        design="cluster" if broadcast.design == Broadcast.CLUSTER else "person",
        org_path="" if node.parent_id is None else node.path,
        personalised=is_personal(broadcast.audience, chosen_by.version if chosen_by else broadcast.audience.version),
    )


def dry_run(actor: Actor, broadcast: Broadcast, *, wait: bool = False) -> Plan:
    """Split the audience as it is now without sending anything (预演).

    The planning loop does the work; `wait` does it here. Raises Forbidden, CampaignError, and whatever
    `take_snapshot` raises.
    """
    _authorise(actor, EDIT, broadcast.campaign.org_node)
    problems = check(broadcast)
    if problems:
        raise CampaignError(*problems)
    snapshot = take_snapshot(broadcast.audience_id)
    now = clock.now()
    with transaction.atomic():
        request = request_of(broadcast, broadcast.slot_at or now, snapshot)
        plan = planning.begin(read_members(snapshot.pk).serialize(), request)
        changed = Broadcast.objects.filter(pk=broadcast.pk, state=Broadcast.DRAFT).update(
            dry_run=plan, snapshot=snapshot
        )
        if not changed:
            raise CampaignError(Problem("", "already_sent"))
        _forget(broadcast)
    broadcast.refresh_from_db()
    return planning.run(plan) if wait else plan


def _forget(broadcast: Broadcast) -> None:
    """A split that was replaced is of no use to anybody."""
    if broadcast.dry_run_id is not None:
        Plan.objects.filter(pk=broadcast.dry_run_id, programme=None).delete()


def send(actor: Actor, broadcast: Broadcast, *, wait: bool = False) -> Programme:
    """Confirm what the dry run showed: plan the same people at the same slot. Twice is once.

    The planning loop does the work (`wait` does it here), the dispatch loop sends from the slot on. Raises Forbidden
    and CampaignError: "dry_run_needed", "dry_run_old", "nobody_left" (with the people under each reason),
    "approval_…" or what `check` finds.
    """
    _authorise(actor, SEND, broadcast.campaign.org_node)
    if broadcast.programme is not None:
        return broadcast.programme
    _confirmable(broadcast, broadcast.dry_run)
    with transaction.atomic():
        held = _as_confirmed(broadcast)
        if held.programme is not None:
            return held.programme
        approval.pass_with(actor, held)
        plan = held.dry_run
        assert plan is not None and held.snapshot is not None  # noqa: S101
        request = Request.from_json(plan.parameters)
        programme = touch.launch(_draft(held, request), read_members(held.snapshot.pk).serialize(), request)
        Broadcast.objects.filter(pk=held.pk).update(programme=programme, state=Broadcast.SCHEDULED)
        audit.record(
            actor,
            "broadcast.sent",
            "broadcast",
            held.public_id,
            {"people": plan.people, "slot_at": request.slot_at},
            held.campaign.org_node_id,
        )
    broadcast.refresh_from_db()
    if wait:
        planning.run(programme.plan)
        programme.refresh_from_db()
    return programme


def _as_confirmed(broadcast: Broadcast) -> Broadcast:
    """The broadcast, locked. Raises CampaignError when its text or split changed since it was confirmed."""
    rows = Broadcast.objects.select_for_update(of=("self",)).select_related(
        "campaign__org_node", "audience", "snapshot", "dry_run", "programme"
    )
    held = rows.filter(pk=broadcast.pk).first()
    if held is None or (held.programme is None and held.dry_run_id != broadcast.dry_run_id):
        raise CampaignError(Problem("", "dry_run_needed"))
    return held


def _confirmable(broadcast: Broadcast, plan: Plan | None) -> None:
    problems = check(broadcast)
    if plan is None or plan.state != Plan.DONE:
        problems.append(Problem("", "dry_run_needed"))
    elif clock.now() - plan.at > DRY_RUN_HOLDS:
        problems.append(Problem("", "dry_run_old", {"minutes": int(DRY_RUN_HOLDS.total_seconds() // 60)}))
    elif (nobody := nobody_left(plan)) is not None:
        problems.append(nobody)
    if problems:
        raise CampaignError(*problems)


def nobody_left(plan: Plan) -> Problem | None:
    """Why a split leaves nobody to send to: `reasons` with their people, and until when quiet hours hold, which then
    stand as "quiet_hours" in place of the quiet that people asked for. None while somebody is left."""
    parts = queries.split(plan)
    if parts.to_send:
        return None
    request = Request.from_json(plan.parameters)
    until = governor.quiet(request.slot_at, request.message_class)
    reasons = [("quiet_hours" if until and code == "quiet" else code, people) for code, people in parts.reasons]
    return Problem("", "nobody_left", {"audience": parts.audience, "reasons": reasons, "quiet_until": until})


def _draft(broadcast: Broadcast, request: Request) -> touch.Draft:
    return touch.Draft(
        public_id=broadcast.public_id,
        name=broadcast.name,
        expires_at=request.slot_at + timedelta(days=broadcast.confirm_days),
        variants=tuple(
            (variant["text"], list(variant.get("attachments", [])), int(variant.get("weight", 1)))
            for variant in broadcast.variants
        ),
        target_url=broadcast.target_url,
        window_days=broadcast.window_days,
        campaign_id=broadcast.campaign_id,
        org_node_id=broadcast.campaign.org_node_id,
        replan_after_quiet=broadcast.replan_after_quiet,
    )


def pause(actor: Actor, broadcast: Broadcast) -> None:
    """Hold what is not handed over. Raises Forbidden, TouchError."""
    touch.pause(actor, _steer(actor, broadcast))


def resume(actor: Actor, broadcast: Broadcast) -> None:
    """Go on after a pause. Raises Forbidden, TouchError."""
    touch.resume(actor, _steer(actor, broadcast))


def cancel(actor: Actor, broadcast: Broadcast) -> None:
    """Stop for good what is not sent. Raises Forbidden, TouchError."""
    touch.cancel(actor, _steer(actor, broadcast))


def remind(actor: Actor, broadcast: Broadcast, node: OrgNode | None = None) -> touch.Reminded:
    """Remind who has not confirmed, at `node` and below; without one, wherever the actor may. Raises Forbidden."""
    actor.require(REMIND)
    scope = actor.own_scope(REMIND)
    if node is not None:
        _authorise(actor, REMIND, node)
    programme = _programme_of(broadcast)
    if node is None and scope.everything and not scope.without:
        return touch.remind(actor, programme)
    below = scope.org_nodes().filter(path__startswith=node.path if node else "")
    return touch.remind(actor, programme, list(below.values_list("pk", flat=True)))


def _steer(actor: Actor, broadcast: Broadcast) -> Programme:
    _authorise(actor, SEND, broadcast.campaign.org_node)
    return _programme_of(broadcast)


def _programme_of(broadcast: Broadcast) -> Programme:
    if broadcast.programme is None:
        raise CampaignError(Problem("", "not_sent_yet"))
    return broadcast.programme


def _authorise(actor: Actor, permission: str, node: OrgNode) -> None:
    actor.require(permission)
    actor.require_own_at(permission, node)
