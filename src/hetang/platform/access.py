"""Who may do what, and for which part of the organisation. The only place that decides it.

A *permission* is a code `area:verb`, a *role* a named set of permissions (`hetang.platform.roles`). A *grant* gives a
user a role at a node of the organisation: it holds for that node and everything below, until it expires. What an
`Actor` may do is the sum of her grants. Permissions about what belongs to no place (settings, keys, the fact log) come
from grants at the brand only.

A node that names a *legal entity* is another company's (a franchisee's), with everything below it. A grant from outside
reaches in, but only for counts and for customers without their identity; `Actor.own_scope` is the part in which the
grant's own company keeps the customers. See docs/access.md.

Every view declares what it needs (`@needs("customers:view")`, `@signed_in`, or Django's `@login_not_required`);
`hetang.console.middleware` refuses a view that declares nothing, and a test walks every address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.module_loading import import_string

from hetang.platform import clock
from hetang.platform.models import OrgNode, User
from hetang.platform.roles import PERMISSIONS, ROLES, SYSTEM, WHOLE_BRAND


class Forbidden(PermissionDenied):
    """The actor lacks a permission; `permission` names it."""

    def __init__(self, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission


@dataclass(frozen=True)
class Scope:
    """A part of the organisation: what lies below one of `paths`, less what lies below a `without` that is deeper.

    `everything` adds the whole brand to the paths. Only scopes that leave out other companies have a `without`.
    """

    paths: tuple[str, ...]
    everything: bool = False
    without: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        return not self.everything and not self.paths

    def covers(self, path: str) -> bool:
        """Whether the node with this path lies inside the scope."""
        return any(
            path.startswith(inside) and not any(path.startswith(one) for one in left_out)
            for inside, left_out in self._parts()
        )

    def org_node_ids_sql(self) -> tuple[str, list[Any]]:
        """A subselect of the ids of all nodes inside, with its parameters: `... in (<sql>)`."""
        if self.everything and not self.without:
            return "select id from platform_orgnode", []
        if not self.without:
            return "select id from platform_orgnode where path like any(%s)", [[f"{path}%" for path in self.paths]]
        params: list[Any] = []
        for inside, left_out in self._parts():
            params += [f"{inside}%", [f"{path}%" for path in left_out]]
        condition = " or ".join("(path like %s and path not like all(%s::text[]))" for _part in self._parts())
        return f"select id from platform_orgnode where {condition or 'false'}", params

    def org_nodes(self) -> QuerySet[OrgNode]:
        """The nodes inside."""
        if self.everything and not self.without:
            return OrgNode.objects.all()
        found = Q(pk__in=[])
        for inside, left_out in self._parts():
            outside = Q(pk__in=[])
            for path in left_out:
                outside |= Q(path__startswith=path)
            found |= Q(path__startswith=inside) & ~outside
        return OrgNode.objects.filter(found)

    def _parts(self) -> list[tuple[str, list[str]]]:
        """Each path with what is left out below it."""
        paths = (*self.paths, "") if self.everything else self.paths
        return [
            (path, [one for one in self.without if one.startswith(path) and len(one) > len(path)]) for path in paths
        ]


@dataclass(frozen=True)
class Held:
    """One grant as the actor holds it: permissions at a node's path. `foreign` are the paths of other legal entities
    below it. Without `permissions` they are those of the shipped role."""

    role: str
    path: str
    whole_brand: bool
    permissions: frozenset[str] | None = None
    foreign: tuple[str, ...] = ()

    def allows(self, permission: str) -> bool:
        if permission in WHOLE_BRAND and not self.whole_brand:
            return False
        if self.permissions is not None:
            return permission in self.permissions
        role = ROLES.get(self.role)
        return role is not None and permission in role.permissions


@dataclass(frozen=True)
class Actor:
    """Somebody (or a job of the system) who acts. `name` is what the audit log says. `seen_as`: whose eyes she looks
    through (`platform.view_as`); then the name is hers and all else is theirs."""

    name: str
    user_id: int | None
    held: tuple[Held, ...]
    seen_as: str = ""

    def can(self, permission: str) -> bool:
        """Whether any grant allows it, wherever."""
        _known(permission)
        return any(held.allows(permission) for held in self.held)

    def require(self, permission: str) -> None:
        """Raises `Forbidden` when no grant allows it."""
        if not self.can(permission):
            raise Forbidden(permission)

    def require_at(self, permission: str, node: OrgNode) -> None:
        """Raises `Forbidden` when no grant allows it at this node."""
        if not self.scope(permission).covers(node.path):
            raise Forbidden(permission)

    def require_own_at(self, permission: str, node: OrgNode) -> None:
        """Raises `Forbidden` when no grant of the node's own company allows it at this node."""
        if not self.own_scope(permission).covers(node.path):
            raise Forbidden(permission)

    def require_everywhere(self, permission: str) -> None:
        """Raises `Forbidden` unless a grant allows it for the whole brand."""
        if not self.scope(permission).everything:
            raise Forbidden(permission)

    def scope(self, permission: str) -> Scope:
        """Where the permission holds; an empty scope when it holds nowhere. Counts and sums may be shown for it."""
        allowing = self._allowing(permission)
        return Scope(
            paths=_outermost(held.path for held in allowing),
            everything=any(held.whole_brand for held in allowing),
        )

    def own_scope(self, permission: str) -> Scope:
        """The part of the scope whose customers belong to the company for which the permission was granted.

        Identities are shown, data are changed and exported only there. The same as `scope` where the organisation has
        one company.
        """
        allowing = self._allowing(permission)
        if not any(held.foreign for held in allowing):
            return self.scope(permission)
        return Scope(
            paths=tuple(sorted({held.path for held in allowing if not held.whole_brand})),
            everything=any(held.whole_brand for held in allowing),
            without=_outermost(path for held in allowing for path in held.foreign),
        )

    def _allowing(self, permission: str) -> list[Held]:
        _known(permission)
        return [held for held in self.held if held.allows(permission)]

    @cached_property
    def permissions(self) -> frozenset[str]:
        return frozenset(code for code in PERMISSIONS if self.can(code))


def _known(permission: str) -> None:
    if permission not in PERMISSIONS:
        raise KeyError(f"unknown permission {permission!r}")


def _outermost(paths: Any) -> tuple[str, ...]:
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(outer) for outer in kept):
            kept.append(path)
    return tuple(kept)


def system(name: str) -> Actor:
    """The installation itself acting (a job, the command line): every permission for the whole brand."""
    return Actor(name=name, user_id=None, held=(Held(SYSTEM, "", True, frozenset(PERMISSIONS)),))


def actor_for(user: User) -> Actor:
    """The actor behind a user; one query. An inactive user may do nothing, an expired grant gives nothing."""
    if not user.is_active:
        return Actor(name=user.username, user_id=user.pk, held=())
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [user.pk, clock.now()])
        held = tuple(
            Held(role, path, kind == OrgNode.BRAND, _permissions_of(role, own), tuple(foreign))
            for role, path, kind, own, foreign in cursor.fetchall()
        )
    return Actor(name=user.username, user_id=user.pk, held=held)


def held_at(role: str, node: OrgNode) -> Held:
    """What a grant of a role at a node would give; two queries."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD_AT, [role, node.pk])
        own, foreign = cursor.fetchone()
    return Held(role, node.path, node.kind == OrgNode.BRAND, _permissions_of(role, own), tuple(foreign))


def _permissions_of(role: str, own: str | None) -> frozenset[str]:
    """Of a shipped role, or of the brand's own (its JSON); a role that is gone allows nothing."""
    if role in ROLES:
        return ROLES[role].permissions
    return frozenset(json.loads(own)) & frozenset(PERMISSIONS) if own else frozenset()


# The outermost nodes below a node that belong to another company than the node itself.
_FOREIGN = """array(
  select f.path from platform_orgnode f
  where f.legal_entity <> '' and f.path like n.path || '%%' and f.path <> n.path and f.legal_entity <> entity.name
)"""
_ENTITY = """cross join lateral (
  select coalesce((
    select a.legal_entity from platform_orgnode a
    where a.legal_entity <> '' and n.path like a.path || '%%' order by length(a.path) desc limit 1
  ), '') as name
) entity"""
_HELD = f"""
select g.role, n.path, n.kind, r.permissions::text, {_FOREIGN}
from platform_grant g
join platform_orgnode n on n.id = g.org_node_id
left join platform_ownrole r on r.code = g.role
{_ENTITY}
where g.user_id = %s and (g.expires_at is null or g.expires_at > %s)
order by g.id
"""
_HELD_AT = f"""
select r.permissions::text, {_FOREIGN}
from platform_orgnode n left join platform_ownrole r on r.code = %s {_ENTITY} where n.id = %s
"""


def actor_of(request: HttpRequest) -> Actor:
    """The actor behind a request, read once per request; nobody has no permission."""
    known: Actor | None = getattr(request, "_actor", None)
    if known is None:
        user = request.user
        known = actor_for(user) if isinstance(user, User) else Actor("", None, ())
        setattr(request, "_actor", known)  # noqa: B010 - Django's requests carry what belongs to them
    return known


def act_as(request: Any, actor: Actor) -> None:
    """Let this actor stand behind a request: for the middleware that lets one look through another's eyes."""
    setattr(request, "_actor", actor)  # noqa: B010 - the field of `actor_of`


def visible_customers(actor: Actor, permission: str) -> QuerySet[Any]:
    """Customers (not merged away) that the actor may see: home store or an active relation inside her scope.

    The customers room says what that means (settings.VISIBLE_CUSTOMERS); every list and every lookup starts here. Those
    of another company among them are shown without identity: ask `foreign_among` before drawing anybody.
    """
    return _customers_within(actor.scope(permission))


def own_customers(actor: Actor, permission: str) -> QuerySet[Any]:
    """Customers that belong to the actor's own company: those whom she may identify, search, change and export.

    A customer belongs to every company in which her home store or an active relation lies.
    """
    return _customers_within(actor.own_scope(permission))


def foreign_among(actor: Actor, permission: str, numbers: Collection[int]) -> set[int]:
    """Those of the (visible) customers who are another company's. No query where the organisation has one company."""
    if not numbers or not actor.own_scope(permission).without:
        return set()
    own = own_customers(actor, permission).filter(pk__in=list(numbers)).values_list("pk", flat=True)
    return set(numbers) - set(own)


def _customers_within(scope: Scope) -> QuerySet[Any]:
    visible: Callable[[Scope], QuerySet[Any]] = import_string(settings.VISIBLE_CUSTOMERS.replace(":", "."))
    return visible(scope)


View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def needs(permission: str, whole_brand: bool = False) -> Callable[[View], View]:
    """Declare (and enforce) the permission that a view needs; `whole_brand`: for the whole brand, not for a part."""
    _known(permission)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            actor = actor_of(request)
            actor.require_everywhere(permission) if whole_brand else actor.require(permission)
            return view(request, *args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        guarded.whole_brand = whole_brand  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def signed_in(view: View) -> View:
    """Declare that anybody who is signed in may call the view; it decides about its objects itself."""
    view.permission = ""  # type: ignore[attr-defined]
    return view


def declared(view: Any) -> bool:
    """Whether a view says what it needs: a permission, signed in, or public."""
    return hasattr(view, "permission") or not getattr(view, "login_required", True)
