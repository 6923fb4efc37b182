"""Four eyes: from a size on, one person asks for exactly this and another one decides.

What is asked for is kept with the approval and named by its hash: whoever changes it afterwards voids the approval, and
it is compared again, under the lock of the thing itself, when the approval is used. Every change of state is one
conditional update, so that of two deciders at once one wins and the other is told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hetang.platform import audit, clock
from hetang.platform.access import Actor, Forbidden
from hetang.platform.models import Approval, ApprovalRule, OrgNode
from hetang.platform.roles import HEADQUARTERS, REGION, SYSTEM

HOLDS = timedelta(days=3)  # a question that nobody answers, and an approval that nobody uses, are over by then
GROWTH = 1.10  # an audience moves between question and use: so much more than was approved is still covered
_ENDLESS = 1 << 62
ALIVE = (Approval.OPEN, Approval.APPROVED)


@dataclass(frozen=True)
class Kind:
    """Something that may need approval. `does` is the permission to do it, `decides` the one to approve it.

    `unit` says what its size counts. `limits` are the shipped thresholds by role; "" is everybody else's, and a role
    with None never needs approval.
    """

    code: str
    label: str | Promise
    unit: str | Promise
    does: str
    decides: str
    limits: dict[str, int | None]


BROADCAST = "broadcast.send"
EXPORT, AUDIT_EXPORT, REGISTER_EXPORT = "export.customers", "export.audit", "export.registers"
BULK = "customers.bulk"
KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind(
            BROADCAST,
            _("Send a broadcast"),
            _("people"),
            "campaigns:send",
            "campaigns:approve",
            {HEADQUARTERS: 100_000, REGION: 10_000, "": 1_000},
        ),
        Kind(
            EXPORT,
            _("Export customers"),
            _("customers"),
            "customers:export",
            "exports:approve",
            {HEADQUARTERS: 1_000, "": 100},
        ),
        Kind(
            BULK,
            _("Change many customers at once"),
            _("customers"),
            "customers:edit",
            "customers:approve",
            {HEADQUARTERS: 100_000, REGION: 10_000, "": 1_000},
        ),
        Kind(AUDIT_EXPORT, _("Export the audit log"), _("rows"), "audit:view", "exports:approve", {"": None}),
        Kind(
            REGISTER_EXPORT,
            _("Export privacy registers"),
            _("rows"),
            "privacy:view",
            "exports:approve",
            {"": 1_000},
        ),
    )
}


@dataclass(frozen=True)
class Rule:
    """The threshold that demands an approval: people with this role need one above `over`."""

    role: str
    over: int


@dataclass(frozen=True)
class Question:
    """What somebody asks for. `content` is JSON that says exactly what; `involved` made it and may not decide."""

    kind: str
    target_id: str
    title: str
    org_node: OrgNode
    content: dict[str, Any]
    size: int
    note: str = ""
    involved: Collection[int | None] = field(default=())


class ApprovalRefused(Exception):
    """It cannot be so now. `code`: needed, waiting, refused, changed, too_many, asked_already, not_needed, own_request,
    over, answer_missing; `detail` fills the message."""

    def __init__(self, code: str, **detail: Any) -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


def hash_of(content: dict[str, Any]) -> str:
    """The name of a content: equal content has an equal hash, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def rule_for(actor: Actor, kind: str, size: int, node: OrgNode) -> Rule | None:
    """The rule by which the actor needs approval for something of this size at this node; None when she needs none.

    Of several roles that allow it, the most generous counts. The installation itself needs none. One query.
    """
    does = KINDS[kind].does
    roles = {held.role for held in actor.held if held.allows(does) and node.path.startswith(held.path)}
    if not roles or roles == {SYSTEM}:
        return None
    limits = limits_of(kind)
    over = {role: limits.get(role, limits[""]) for role in roles}
    known = {role: limit for role, limit in over.items() if limit is not None}
    if len(known) < len(over):
        return None
    role = max(known, key=lambda one: known[one])
    return Rule(role, known[role]) if size > known[role] else None


def free_up_to(actor: Actor, kind: str, node: OrgNode) -> int | None:
    """Up to which size the actor needs no approval at this node; None: she never needs one."""
    rule = rule_for(actor, kind, _ENDLESS, node)
    return rule.over if rule else None


def limits_of(kind: str) -> dict[str, int | None]:
    """Thresholds by role: the shipped ones, changed by the brand's. The role "" is everybody else's."""
    return KINDS[kind].limits | dict(ApprovalRule.objects.filter(kind=kind).values_list("role", "over"))


def set_limits(actor: Actor, kind: str, limits: dict[str, int | None]) -> None:
    """Set thresholds by role (None: never). Raises Forbidden."""
    if not actor.scope("users:manage").everything:
        raise Forbidden("users:manage")
    before = limits_of(kind)
    changed = {role: over for role, over in limits.items() if role not in before or before[role] != over}
    with transaction.atomic():
        for role, over in changed.items():
            ApprovalRule.objects.update_or_create(kind=kind, role=role, defaults={"over": over})
        if changed:
            changes = {role or "others": [before.get(role, before[""]), over] for role, over in changed.items()}
            audit.record(actor, "approval.rules", "approval_rule", kind, changes)


def ask(actor: Actor, question: Question) -> Approval:
    """Ask for approval. Raises Forbidden, ApprovalRefused (not_needed, asked_already)."""
    known = KINDS[question.kind]
    actor.require_own_at(known.does, question.org_node)
    rule = rule_for(actor, question.kind, question.size, question.org_node)
    if rule is None:
        raise ApprovalRefused("not_needed")
    now, named = clock.now(), hash_of(question.content)
    try:
        with transaction.atomic():
            _end_old(question, named)
            made = Approval.objects.create(
                kind=question.kind,
                target_id=question.target_id,
                title=question.title[:120],
                org_node=question.org_node,
                content_hash=named,
                content=question.content,
                size=question.size,
                rule={"role": rule.role, "over": rule.over},
                note=question.note.strip()[:300],
                asked_by_id=actor.user_id,
                asked_at=now,
                involved=sorted({one for one in (*question.involved, actor.user_id) if one is not None}),
                expires_at=now + HOLDS,
            )
            _record(actor, "approval.asked", made, size=made.size, over=rule.over)
    except IntegrityError as clash:
        raise ApprovalRefused("asked_already") from clash
    return made


def decide(actor: Actor, approval: Approval, approve: bool, answer: str = "") -> None:
    """Approve or refuse what `approval` says, as the decider read it.

    Raises Forbidden, and ApprovalRefused: own_request, answer_missing (a refusal needs a reason), over (it was decided,
    changed, withdrawn or too old meanwhile).
    """
    actor.require_own_at(KINDS[approval.kind].decides, approval.org_node)
    if actor.user_id is None or actor.user_id in approval.involved:
        raise ApprovalRefused("own_request")
    if not approve and not answer.strip():
        raise ApprovalRefused("answer_missing")
    now = clock.now()
    with transaction.atomic():
        open_still = Approval.objects.filter(
            pk=approval.pk, state=Approval.OPEN, content_hash=approval.content_hash, expires_at__gt=now
        )
        changed = open_still.update(
            state=Approval.APPROVED if approve else Approval.REFUSED,
            decided_by_id=actor.user_id,
            decided_at=now,
            answer=answer.strip()[:300],
            expires_at=now + HOLDS,
        )
        if not changed:
            raise ApprovalRefused("over")
        _record(actor, "approval.approved" if approve else "approval.refused", approval, answer=answer.strip()[:300])


def withdraw(actor: Actor, approval: Approval) -> None:
    """Take one's own question back. Raises Forbidden, ApprovalRefused("over")."""
    if actor.user_id is None or actor.user_id != approval.asked_by_id:
        raise Forbidden(KINDS[approval.kind].decides)
    with transaction.atomic():
        if not Approval.objects.filter(pk=approval.pk, state__in=ALIVE).update(state=Approval.WITHDRAWN):
            raise ApprovalRefused("over")
        _record(actor, "approval.withdrawn", approval)


@transaction.atomic
def void(actor: Actor, kind: str, target_id: str) -> None:
    """What was asked for changes, in the caller's transaction: questions and approvals of it end."""
    alive = Approval.objects.filter(kind=kind, target_id=target_id, state__in=ALIVE)
    for approval in list(alive.select_for_update()):
        Approval.objects.filter(pk=approval.pk).update(state=Approval.VOID)
        _record(actor, "approval.void", approval)


def use(actor: Actor, kind: str, target_id: str, *, content: dict[str, Any], size: int, node: OrgNode) -> None:
    """Pass the check before doing it, in the transaction that does it and holds the lock of the thing itself.

    Does nothing when no approval is needed; uses up the one that covers it otherwise. Raises ApprovalRefused: needed,
    waiting, refused, changed, too_many, over.
    """
    rule = rule_for(actor, kind, size, node)
    if rule is None:
        return
    approval = latest(kind, target_id)
    if approval is None:
        raise ApprovalRefused("needed", over=rule.over, size=size)
    problem = obstacle(approval, hash_of(content), size)
    if problem:
        raise ApprovalRefused(problem, over=rule.over, size=size, approved=approval.size)
    if not Approval.objects.filter(pk=approval.pk, state=Approval.APPROVED).update(state=Approval.USED):
        raise ApprovalRefused("over")
    _record(actor, "approval.used", approval, size=size)


def obstacle(approval: Approval, content_hash: str, size: int) -> str:
    """Why this approval does not cover a content of a size now: a code of ApprovalRefused, empty when it does."""
    if approval.content_hash != content_hash or approval.state == Approval.VOID:
        return "changed"
    if approval.state in {Approval.WITHDRAWN, Approval.USED, Approval.EXPIRED}:
        return "needed"
    if approval.state == Approval.REFUSED:
        return "refused"
    if approval.expires_at <= clock.now():
        return "needed"
    if approval.state == Approval.OPEN:
        return "waiting"
    return "too_many" if size > approval.size * GROWTH else ""


def end_late() -> int:
    """Note as too old what nobody answered or used in time; they could not be used before either."""
    late = Approval.objects.filter(state__in=ALIVE, expires_at__lte=clock.now())
    return late.update(state=Approval.EXPIRED)


def latest(kind: str, target_id: str) -> Approval | None:
    """The newest question about a thing, whatever became of it."""
    asked = Approval.objects.filter(kind=kind, target_id=target_id).select_related("asked_by", "decided_by", "org_node")
    return asked.order_by("-id").first()


def seen_by(actor: Actor) -> QuerySet[Approval]:
    """Approvals whose kind and place the actor may decide or do, and those that she asked for."""
    found = Q(asked_by_id=actor.user_id)
    for kind in KINDS.values():
        for permission in (kind.decides, kind.does):
            if actor.can(permission):
                found |= Q(kind=kind.code, org_node__in=actor.scope(permission).org_nodes().values("pk"))
    return Approval.objects.filter(found).select_related("asked_by", "decided_by", "org_node")


def waiting_for(actor: Actor) -> QuerySet[Approval]:
    """Questions that the actor may decide now."""
    mine = Q(pk__in=[])
    for kind in KINDS.values():
        if actor.can(kind.decides):
            mine |= Q(kind=kind.code, org_node__in=actor.own_scope(kind.decides).org_nodes().values("pk"))
    still_open = Approval.objects.filter(mine, state=Approval.OPEN, expires_at__gt=clock.now())
    if actor.user_id is not None:
        still_open = still_open.exclude(involved__contains=[actor.user_id])
    return still_open.select_related("asked_by", "decided_by", "org_node")


def answered_to(actor: Actor) -> QuerySet[Approval]:
    """What the actor asked for that was approved and waits for her to go on, newest first."""
    return Approval.objects.filter(
        asked_by_id=actor.user_id, state=Approval.APPROVED, expires_at__gt=clock.now()
    ).order_by("-id")


def _end_old(question: Question, content_hash: str) -> None:
    """What is too old, about something that has changed, or approved for too few makes room for a new question."""
    alive = Approval.objects.filter(kind=question.kind, target_id=question.target_id, state__in=ALIVE)
    alive.filter(expires_at__lte=clock.now()).update(state=Approval.EXPIRED)
    alive.exclude(content_hash=content_hash).update(state=Approval.VOID)
    alive.filter(state=Approval.APPROVED, size__lt=question.size / GROWTH).update(state=Approval.VOID)


def _record(actor: Actor, action: str, approval: Approval, **details: Any) -> None:
    details |= {"kind": approval.kind, "title": approval.title, "content": approval.content_hash[:16]}
    audit.record(actor, action, "approval", approval.public_id, details, approval.org_node_id)
