"""Accounts of members: made when they sign on, given the roles of their departments, locked when they leave.

What WeCom says of a member (an event, a listing, the answer at sign-on) stands in `Member`; `settle` makes accounts
follow it. It is idempotent, and whoever was missed is settled by the nightly reconciliation.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_noop

from hetang.connectors.wecom.accounts import places
from hetang.connectors.wecom.accounts.rules import Rule, Tree, roles_of
from hetang.connectors.wecom.models import App, Corp, Member, RoleRule
from hetang.platform import audit, clock, jobs, sessions, two_factor, users
from hetang.platform.access import Actor, actor_for, system
from hetang.platform.jobs import Work, job
from hetang.platform.models import Grant, OrgNode, User
from hetang.platform.roles import ADVISER, STORE_MANAGER, roles
from hetang.platform.users import UserRefused
from hetang.resources.models import Staff, Store

log = logging.getLogger(__name__)
KIND = "wecom.accounts"
LEFT, DISABLED = "wecom_left", "wecom_disabled"
BY_HAND_ONLY = frozenset({"users:manage", "keys:manage"})
_ACTOR = "wecom"


class SignOnRefused(Exception):
    """A member may not sign on; `code` for the surface.

    unknown_member, not_active, left, switched_off, no_role, second_factor.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class RuleRefused(Exception):
    """A rule cannot be written so. `code`: role_unknown, by_hand_only, department_unknown, twice."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Said:
    """A rule as somebody wrote it."""

    department: int
    members: str
    role: str
    node: OrgNode | None


def account_of(corp: Corp, userid: str) -> User:
    """The account of a member who signs on, made if there is none; her roles follow her departments.

    `Member` was asked for just before. Raises SignOnRefused.
    """
    settle(corp, [userid])  # who was disabled a moment ago is locked, although she is refused
    with transaction.atomic():
        staff = Staff.objects.select_for_update().filter(userid=userid).first()
        if staff is None:
            raise SignOnRefused("unknown_member")
        member = Member.objects.filter(corp=corp, userid=userid).first()
        if member is None or member.status not in {Member.ACTIVE, Member.LEFT}:
            raise SignOnRefused("not_active")
        if member.status == Member.LEFT or not staff.active:
            raise SignOnRefused("left")
        user = staff.user or _made(corp, staff, member)
        if not user.is_active:
            raise SignOnRefused("switched_off")
        if actor_for(user).permissions & BY_HAND_ONLY and not two_factor.is_on(user):
            # Whoever keeps WeCom's address book could give her userid to somebody else.
            raise SignOnRefused("second_factor")
        User.objects.filter(pk=user.pk).update(signed_on_at=clock.now())
    settle(corp, [userid])
    if not Grant.objects.filter(user=user).exists():
        raise SignOnRefused("no_role")
    return User.objects.get(pk=user.pk)


def _made(corp: Corp, staff: Staff, member: Member) -> User:
    """A new account, if a rule gives the member a role: an account without one opens nothing."""
    if not roles_of(places.membership(member), _rules(corp), places.tree(corp)):
        raise SignOnRefused("no_role")
    user = users.create_signing_on(system(_ACTOR), staff.userid, staff.name)
    Staff.objects.filter(pk=staff.pk).update(user=user)
    audit.record(_ACTOR, "user.linked", "user", user.pk, {"staff": ["", staff.userid]})
    return user


def settle(corp: Corp, userids: Collection[str] | None = None) -> int:
    """Let the accounts of members (None: of all) follow what WeCom says: locked when they left or are disabled, open
    again when they are no longer disabled, with the roles of their departments. Returns how many changed.

    Who comes back after she left stays locked: the account name may be somebody else's now; a person opens it. A few
    queries, and some more for each account that changes, each in a transaction of its own.
    """
    rows = Staff.objects.filter(user__isnull=False)
    if userids is not None:
        rows = rows.filter(userid__in=list(userids))
    linked = {one.userid: one.user for one in rows.select_related("user") if one.user is not None}
    members = list(Member.objects.filter(corp=corp, userid__in=list(linked)))
    changed = sum(_lock_or_open(linked[one.userid], one.status) for one in members)
    signing_on = [one for one in members if linked[one.userid].signed_on_at is not None]
    return changed + _give_roles(corp, [(linked[one.userid], one) for one in signing_on])


def _lock_or_open(user: User, status: int) -> bool:
    reason = {Member.LEFT: LEFT, Member.DISABLED: DISABLED}.get(status)
    if reason and user.is_active:
        return _lock(user, reason)
    if reason == LEFT and user.locked_for == DISABLED:
        User.objects.filter(pk=user.pk).update(locked_for=LEFT)
    if status == Member.ACTIVE and not user.is_active and user.locked_for == DISABLED:
        return users.set_active(system(_ACTOR), user, True)
    return False


def _lock(user: User, reason: str) -> bool:
    """Lock an account and end its sessions. The last administrator who can log in with a password stays: she loses her
    sessions, and by WeCom she comes in no more."""
    try:
        return users.set_active(system(_ACTOR), user, False, reason=reason)
    except UserRefused as refused:
        log.warning("the account %s stays open: %s", user.pk, refused)
        if sessions.end_all(user):
            audit.record(_ACTOR, "user.lock_refused", "user", user.pk, {"reason": reason})
        return False


def _give_roles(corp: Corp, accounts: Collection[tuple[User, Member]]) -> int:
    if not accounts:
        return 0
    tree, rules = places.tree(corp), _rules(corp)
    wanted = {user.pk: roles_of(places.membership(member), rules, tree) for user, member in accounts}
    nodes = _nodes({place for found in wanted.values() for _role, place in found})
    held: dict[int, set[tuple[str, int]]] = {}
    by_hand: dict[int, set[tuple[str, int]]] = {}
    for user_id, role, node, by_rule in Grant.objects.filter(user__in=list(wanted)).values_list(
        "user_id", "role", "org_node_id", "by_rule"
    ):
        (held if by_rule else by_hand).setdefault(user_id, set()).add((role, node))
    changed = 0
    for user, member in accounts:
        found = wanted[user.pk] if member.status == Member.ACTIVE else set()
        places_of = {(role, nodes[place]) for role, place in found if place in nodes}
        keys = {(role, node.pk) for role, node in places_of}
        if keys - by_hand.get(user.pk, set()) != held.get(user.pk, set()):
            changed += users.give_by_rule(system(_ACTOR), user, places_of)
    return changed


def _nodes(wanted: Collection[int | str]) -> dict[int | str, OrgNode]:
    """Nodes by their own id and by the code of the store that they are."""
    found: dict[int | str, OrgNode] = {}
    for node in OrgNode.objects.filter(pk__in=[one for one in wanted if isinstance(one, int)]):
        found[node.pk] = node
    codes = [one for one in wanted if isinstance(one, str)]
    for store in Store.objects.select_related("org_node").filter(code__in=codes):
        found[store.code] = store.org_node
    return found


def _rules(corp: Corp) -> list[Rule]:
    """The rules in order, without those whose role is gone or was given the management of users since."""
    known = roles()
    return [
        Rule(row.department, row.members, row.role, row.org_node_id)
        for row in RoleRule.objects.filter(corp=corp).order_by("position", "id")
        if row.role in known and not known[row.role].permissions & BY_HAND_ONLY
    ]


def shipped_rules(corp: Corp) -> None:
    """The rules of a new corp: whoever leads a store's department manages the store, the others are advisers there."""
    if RoleRule.objects.filter(corp=corp).exists():
        return
    RoleRule.objects.bulk_create(
        [
            RoleRule(corp=corp, position=1, members=RoleRule.LEADERS, role=STORE_MANAGER),
            RoleRule(corp=corp, position=2, members=RoleRule.ALL, role=ADVISER),
        ],
        ignore_conflicts=True,
    )


def settle_later(corp: Corp) -> None:
    """Settle all accounts of a corp as a job: thousands may change."""
    jobs.enqueue(KIND, gettext_noop("Accounts follow their departments"), {"corp": corp.pk})


@job(KIND)
def _settle_all(work: Work) -> dict[str, int]:
    return {"changed": settle(Corp.objects.get(pk=work.arguments["corp"]))}


@transaction.atomic
def add_rule(actor: Actor, corp: Corp, said: Said) -> RoleRule:
    """A rule ahead of the others. Roles that manage users or keys are given by hand only.

    Raises Forbidden, RuleRefused.
    """
    actor.require_everywhere("users:manage")
    role = roles().get(said.role)
    if role is None:
        raise RuleRefused("role_unknown")
    if role.permissions & BY_HAND_ONLY:
        raise RuleRefused("by_hand_only")
    if said.department and said.department not in places.tree(corp).departments:
        raise RuleRefused("department_unknown")
    first = RoleRule.objects.filter(corp=corp).order_by("position").values_list("position", flat=True).first()
    row, made = RoleRule.objects.get_or_create(
        corp=corp,
        department=said.department,
        members=said.members,
        role=said.role,
        defaults={"org_node": said.node, "position": (first or 1) - 1},
    )
    if not made:
        raise RuleRefused("twice")
    audit.record(actor, "wecom.role_rule_added", "wecom", corp.corpid, _told(row))
    settle_later(corp)
    return row


@transaction.atomic
def remove_rule(actor: Actor, row: RoleRule) -> None:
    """Take a rule away, and what it gave. Raises Forbidden."""
    actor.require_everywhere("users:manage")
    if RoleRule.objects.filter(pk=row.pk).delete()[0]:
        audit.record(actor, "wecom.role_rule_removed", "wecom", row.corp.corpid, _told(row))
        settle_later(row.corp)


@transaction.atomic
def move_rule(actor: Actor, row: RoleRule, *, up: bool) -> None:
    """Change places with the neighbour: the first rule that fits counts. Positions are written anew, so that doubled
    ones do no harm. Raises Forbidden."""
    actor.require_everywhere("users:manage")
    order = list(RoleRule.objects.select_for_update().filter(corp=row.corp).order_by("position", "id"))
    place = next((number for number, one in enumerate(order) if one.pk == row.pk), None)
    other = None if place is None else place - 1 if up else place + 1
    if place is None or other is None or not 0 <= other < len(order):
        return
    order[place], order[other] = order[other], order[place]
    for number, one in enumerate(order):
        one.position = number
    RoleRule.objects.bulk_update(order, ["position"])
    audit.record(actor, "wecom.role_rule_moved", "wecom", row.corp.corpid, _told(row) | {"to": other + 1})
    settle_later(row.corp)


@transaction.atomic
def switch(actor: Actor, app: App, on: bool) -> None:
    """Let members sign on by this app, or no more; nobody who is logged in is logged out. Raises Forbidden."""
    actor.require_everywhere("users:manage")
    if App.objects.filter(pk=app.pk, sign_on=not on).update(sign_on=on):
        shipped_rules(app.corp)
        audit.record(actor, "wecom.sign_on_switched", "wecom", app.corp.corpid, {"on": [not on, on]})


def _told(row: RoleRule) -> dict[str, object]:
    node = row.org_node.code if row.org_node else ""
    return {"department": row.department, "members": row.members, "role": row.role, "org_node": node}


def unmatched(corp: Corp, tree: Tree) -> list[int]:
    """Departments with active members whose store nobody knows: neither by a name nor by a person's word, and no rule
    names them. One query besides the tree."""
    ruled = set(RoleRule.objects.filter(corp=corp).exclude(department=0).values_list("department", flat=True))
    found = set()
    for departments in Member.objects.filter(corp=corp, status=Member.ACTIVE).values_list("departments", flat=True):
        found |= set(departments)
    return sorted(
        number
        for number in found & set(tree.departments)
        if not tree.store_of(number)
        and not any(tree.departments[at].decided for at in tree.above(number))
        and not set(tree.above(number)) & ruled
    )
