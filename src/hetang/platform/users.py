"""People who may log in: made, given roles and taken them, switched off and on. Each step audited.

Who manages users does so for her part of the organisation: she gives roles there, and changes only people all of whose
roles lie there. Nobody changes her own roles, and somebody who manages users for the whole brand and logs in with a
password of this installation always remains: no other system that fails, or is lost, locks everybody out.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet

from hetang.platform import audit, clock, organisation, sessions, two_factor
from hetang.platform.access import Actor, Forbidden, system
from hetang.platform.models import Grant, OrgNode, OwnRole, User
from hetang.platform.roles import ROLES

VIEW, MANAGE = "users:view", "users:manage"
_LOCK = 0x68657475  # advisory lock: whoever may take the last administrator away does it alone


class UserRefused(Exception):
    """The user cannot be made or changed as asked. `code` for surfaces, the message for the command line."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def add(username: str, password: str, *, role: str, node_code: str = "", display_name: str = "") -> User:
    """From the command line: a user with `role` at the place `node_code` and below (empty: the whole brand).

    Raises UserRefused.
    """
    check(username, role, node_code)
    with transaction.atomic():
        user = create(system("cli"), username, password, display_name=display_name)
        give(system("cli"), user, role, _node(node_code))
    return user


def check(username: str, role: str, node_code: str = "") -> None:
    """Whether somebody could be added so; before a password is asked for. Raises UserRefused."""
    _check_name(username)
    if role not in ROLES and not OwnRole.objects.filter(code=role).exists():
        raise UserRefused("role_unknown", f"there is no role {role!r}; choose one of {', '.join(ROLES)}")
    if User.objects.filter(username=username).exists():
        raise UserRefused("name_taken", f"{username} exists already")
    _node(node_code)


def create(actor: Actor, username: str, password: str, *, display_name: str = "", must_change: bool = False) -> User:
    """A user without any role. `must_change`: somebody else chose the password.

    Raises Forbidden, UserRefused (name_unusable, name_taken, password_weak).
    """
    actor.require(MANAGE)
    _check_name(username.strip())
    user = User(
        username=username.strip(),
        display_name=display_name.strip(),
        language="",  # the one in which she first logs in
        must_change_password=must_change,
        created_at=clock.now(),
    )
    try:
        validate_password(password, user)
    except ValidationError as problem:
        raise UserRefused("password_weak", " ".join(problem.messages)) from problem
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
            audit.record(actor, "user.created", "user", user.pk, {"username": user.username})
    except IntegrityError as clash:
        raise UserRefused("name_taken", f"{username} exists already") from clash
    return user


def create_signing_on(actor: Actor, username: str, display_name: str) -> User:
    """A user without role and password, whom another system vouches for; `username-2` … where the name is taken.

    Raises Forbidden, UserRefused (name_unusable).
    """
    actor.require(MANAGE)
    for number in range(1, 100):
        name = username if number == 1 else f"{username}-{number}"
        _check_name(name)
        user = User(username=name, display_name=display_name[:80], language="", created_at=clock.now())
        user.set_unusable_password()
        try:
            with transaction.atomic():
                user.save()
                audit.record(actor, "user.created", "user", user.pk, {"username": name})
        except IntegrityError:
            continue
        return user
    raise UserRefused("name_taken", f"{username} exists already")


@transaction.atomic
def give(actor: Actor, user: User, role: str, node: OrgNode, expires_at: datetime | None = None) -> Grant:
    """Give a role at a node, or set the expiry of one that she has there. Raises Forbidden, UserRefused."""
    actor.require_at(MANAGE, node)
    _not_herself(actor, user)
    if role not in ROLES and not OwnRole.objects.select_for_update(no_key=True).filter(code=role).exists():
        raise UserRefused("role_unknown", f"there is no role {role!r}")
    if expires_at is not None and expires_at <= clock.now():
        raise UserRefused("expiry_past", "the role would have expired already")
    with rights_change():
        values = {
            "expires_at": expires_at,
            "granted_at": clock.now(),
            "granted_by_id": actor.user_id,
            "by_rule": False,
        }
        grant, _made = Grant.objects.update_or_create(user=user, role=role, org_node=node, defaults=values)
        changes = {"role": role, "org_node": node.code, "expires_at": expires_at}
        audit.record(actor, "grant.added", "user", user.pk, changes, org_node_id=node.pk)
        sessions.end_all(user)
    return grant


@transaction.atomic
def take(actor: Actor, grant: Grant) -> None:
    """Take a role away. Raises Forbidden, UserRefused (herself, last_administrator)."""
    actor.require_at(MANAGE, grant.org_node)
    _not_herself(actor, grant.user)
    with rights_change():
        Grant.objects.filter(pk=grant.pk).delete()
        changes = {"role": grant.role, "org_node": grant.org_node.code}
        audit.record(actor, "grant.removed", "user", grant.user_id, changes, org_node_id=grant.org_node_id)
        sessions.end_all(grant.user)


@transaction.atomic
def give_by_rule(actor: Actor, user: User, wanted: Collection[tuple[str, OrgNode]]) -> bool:
    """Make the roles that rules give a user exactly these; what a person gave her stays. True when anything changed:
    then her sessions end. Raises Forbidden, UserRefused."""
    actor.require_everywhere(MANAGE)
    with rights_change():
        held = list(Grant.objects.select_related("org_node").filter(user=user))
        keys = {(grant.role, grant.org_node_id) for grant in held}
        target = {(role, node.pk) for role, node in wanted}
        gone = [grant for grant in held if grant.by_rule and (grant.role, grant.org_node_id) not in target]
        new = {(role, node.pk): node for role, node in wanted if (role, node.pk) not in keys}
        Grant.objects.filter(pk__in=[grant.pk for grant in gone]).delete()
        Grant.objects.bulk_create(
            Grant(user=user, role=role, org_node_id=node, by_rule=True, granted_at=clock.now()) for role, node in new
        )
        for action, role, node in (
            *(("grant.removed", grant.role, grant.org_node) for grant in gone),
            *(("grant.added", role, node) for (role, _pk), node in new.items()),
        ):
            changes = {"role": role, "org_node": node.code, "by_rule": True}
            audit.record(actor, action, "user", user.pk, changes, org_node_id=node.pk)
        if gone or new:
            sessions.end_all(user)
    return bool(gone or new)


@transaction.atomic
def set_active(actor: Actor, user: User, active: bool, *, reason: str = "") -> bool:
    """Switch a user off or on; False when she was so already. `reason`: why another system locks her.

    Raises Forbidden, UserRefused.
    """
    require_whole(actor, user)
    _not_herself(actor, user)
    with rights_change():
        values = {"is_active": active, "locked_for": "" if active else reason}
        changed = User.objects.filter(pk=user.pk, is_active=not active).update(**values)
        if changed:
            why = {"reason": reason} if reason else {}
            audit.record(actor, "user.switched", "user", user.pk, {"active": [not active, active], **why})
            sessions.end_all(user)
    return changed == 1


@transaction.atomic
def reset_password(actor: Actor, user: User) -> str:
    """A first password anew, which she must change when she logs in; shown once. Raises Forbidden, UserRefused."""
    require_whole(actor, user)
    _not_herself(actor, user)
    plain = secrets.token_urlsafe(12)
    user.set_password(plain)
    user.must_change_password = True
    user.save(update_fields=["password", "must_change_password"])
    two_factor.forget_devices(user)
    audit.record(actor, "password.reset", "user", user.pk)
    sessions.end_all(user)
    return plain


@transaction.atomic
def reset_two_factor(actor: Actor, user: User) -> bool:
    """For who has lost her phone and her codes; False when there was nothing. Raises Forbidden, UserRefused."""
    require_whole(actor, user)
    _not_herself(actor, user)
    sessions.end_all(user)
    return two_factor.turn_off(actor, user)


@transaction.atomic
def end_sessions(actor: Actor, user: User) -> int:
    """Log somebody out everywhere; how many sessions there were. Raises Forbidden."""
    require_whole(actor, user)
    ended = sessions.end_all(user)
    if ended:
        audit.record(actor, "session.ended", "user", user.pk, {"sessions": ended})
    return ended


@transaction.atomic
def choose_password(user: User, password: str, session: int | None = None) -> None:
    """Her own new password (validated by the caller): her other sessions and remembered devices end."""
    user.set_password(password)
    user.must_change_password = False
    user.save(update_fields=["password", "must_change_password"])
    two_factor.forget_devices(user)
    audit.record(user.username, "password.changed", "user", user.pk)
    sessions.end_all(user, but=session)


def seen_by(actor: Actor) -> QuerySet[User]:
    """Users with a role in the part of the organisation that the actor sees, and those without any role."""
    scope = actor.scope(VIEW)
    if scope.everything:
        return User.objects.all()
    inside = Grant.objects.filter(org_node__in=scope.org_nodes().values("pk")).values("user")
    return User.objects.filter(Q(pk__in=inside) | Q(grants=None))


def may_manage(actor: Actor, user: User) -> bool:
    """Whether all of a user's roles lie where the actor manages users: only then she may change the user herself."""
    scope = actor.scope(MANAGE)
    nodes = user.grants.values_list("org_node__path", flat=True)
    return actor.can(MANAGE) and all(scope.covers(path) for path in nodes)


def require_whole(actor: Actor, user: User) -> None:
    """Raises Forbidden unless the actor may change the user herself."""
    if not may_manage(actor, user):
        raise Forbidden(MANAGE)


@contextmanager
def rights_change() -> Iterator[None]:
    """Within the caller's transaction: one change of rights at a time, and none takes the last administrator away who
    logs in with a password."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    before = local_administrators().exists()
    yield
    if before and not local_administrators().exists():
        raise UserRefused(
            "last_administrator", "nobody with a password would be left who manages users for the whole brand"
        )


def local_administrators() -> QuerySet[User]:
    """Who manages users for the whole brand, without an end and not by a rule, and logs in with a password."""
    managing = [role.code for role in ROLES.values() if MANAGE in role.permissions]
    managing += OwnRole.objects.filter(permissions__contains=[MANAGE]).values_list("code", flat=True)
    lasting = Grant.objects.filter(role__in=managing, org_node__kind=OrgNode.BRAND, expires_at=None, by_rule=False)
    active = User.objects.filter(is_active=True, pk__in=lasting.values("user"))
    return active.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX).order_by("username")


def _not_herself(actor: Actor, user: User) -> None:
    if actor.user_id == user.pk:
        raise UserRefused("herself", "nobody changes her own rights")


def _check_name(username: str) -> None:
    limit = User._meta.get_field("username").max_length
    if not username.isprintable() or username != username.strip() or not 1 <= len(username) <= (limit or 80):
        said = f"a user name has 1 to {limit} printable characters, without spaces around them"
        raise UserRefused("name_unusable", said)


def _node(code: str) -> OrgNode:
    if not code:
        return organisation.root()
    node = OrgNode.objects.filter(code=code).first()
    if node is None:
        raise UserRefused("node_unknown", f"there is no place with the code {code!r} in the organisation")
    return node
