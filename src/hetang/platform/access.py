"""Who may do what, and for which part of the organisation. The only place that decides it.

A *permission* is a code `area:verb`. A *role* is a named set of permissions. A *grant* gives a user a role at a node
of the organisation: it holds for that node and everything below. What an `Actor` may do is the sum of her grants.

Every view declares what it needs (`@needs("customers:view")`, `@signed_in`, or Django's `@login_not_required`);
`hetang.console.middleware` refuses a view that declares nothing, and a test walks every address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from hetang.platform.models import Grant, OrgNode, User

PERMISSIONS: dict[str, str | Promise] = {
    "facts:view": _("See what the fact log holds"),
    "facts:replay": _("Replay or dismiss held facts"),
    "customers:view": _("See customers"),
    "customers:edit": _("Change tags, consents and do-not-disturb of customers"),
    "imports:run": _("Import files"),
    "audiences:view": _("See audiences"),
    "audiences:edit": _("Make and change audiences"),
    "campaigns:view": _("See campaigns and broadcasts"),
    "campaigns:edit": _("Prepare campaigns and broadcasts"),
    "campaigns:send": _("Send broadcasts"),
    "reports:view": _("See reports"),
    "board:view": _("See the board"),
    "operations:view": _("See the state of the system"),
    "settings:edit": _("Change settings, users and API keys"),
    "simulator:use": _("Play with the simulator"),
}

HEADQUARTERS, STORE_MANAGER = "headquarters", "store_manager"


@dataclass(frozen=True)
class Role:
    """A named set of permissions."""

    code: str
    label: str | Promise
    permissions: frozenset[str]


ROLES: dict[str, Role] = {
    HEADQUARTERS: Role(HEADQUARTERS, _("Headquarters"), frozenset(PERMISSIONS)),
    STORE_MANAGER: Role(
        STORE_MANAGER,
        _("Store manager"),
        frozenset(
            {
                "customers:view",
                "customers:edit",
                "audiences:view",
                "campaigns:view",
                "reports:view",
                "board:view",
            }
        ),
    ),
}


class Forbidden(PermissionDenied):
    """The actor lacks a permission; `permission` names it."""

    def __init__(self, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission


@dataclass(frozen=True)
class Scope:
    """The part of the organisation that a permission reaches. `everything` is the whole brand."""

    paths: tuple[str, ...]
    everything: bool = False

    @property
    def nothing(self) -> bool:
        return not self.everything and not self.paths

    def covers(self, path: str) -> bool:
        """Whether the node with this path lies inside the scope."""
        return self.everything or any(path.startswith(prefix) for prefix in self.paths)

    def org_node_ids_sql(self) -> tuple[str, list[Any]]:
        """A subselect of the ids of all nodes inside, with its parameters: `... in (<sql>)`."""
        if self.everything:
            return "select id from platform_orgnode", []
        return "select id from platform_orgnode where path like any(%s)", [[f"{path}%" for path in self.paths]]

    def org_nodes(self) -> QuerySet[OrgNode]:
        """The nodes inside."""
        if self.everything:
            return OrgNode.objects.all()
        inside = Q(pk__in=[])
        for path in self.paths:
            inside |= Q(path__startswith=path)
        return OrgNode.objects.filter(inside)


@dataclass(frozen=True)
class Held:
    """One grant as the actor holds it: the role's permissions at a node's path."""

    role: str
    path: str
    whole_brand: bool

    def allows(self, permission: str) -> bool:
        role = ROLES.get(self.role)
        return role is not None and permission in role.permissions


@dataclass(frozen=True)
class Actor:
    """Somebody (or a job of the system) who acts. `name` is what the audit log says."""

    name: str
    user_id: int | None
    held: tuple[Held, ...]

    def can(self, permission: str) -> bool:
        """Whether any grant allows it, wherever."""
        _known(permission)
        return any(held.allows(permission) for held in self.held)

    def require(self, permission: str) -> None:
        """Raises `Forbidden` when no grant allows it."""
        if not self.can(permission):
            raise Forbidden(permission)

    def scope(self, permission: str) -> Scope:
        """Where the permission holds; an empty scope when it holds nowhere."""
        _known(permission)
        return self._scopes(permission)

    def _scopes(self, permission: str) -> Scope:
        allowing = [held for held in self.held if held.allows(permission)]
        return Scope(
            paths=_outermost(held.path for held in allowing),
            everything=any(held.whole_brand for held in allowing),
        )

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
    return Actor(name=name, user_id=None, held=(Held(HEADQUARTERS, "", whole_brand=True),))


def actor_for(user: User) -> Actor:
    """The actor behind a user; one query. An inactive user may do nothing."""
    if not user.is_active:
        return Actor(name=user.username, user_id=user.pk, held=())
    grants = Grant.objects.filter(user=user).values_list("role", "org_node__path", "org_node__kind")
    held = tuple(Held(role, path, kind == OrgNode.BRAND) for role, path, kind in grants)
    return Actor(name=user.username, user_id=user.pk, held=held)


def actor_of(request: HttpRequest) -> Actor:
    """The actor behind a request, read once per request; nobody has no permission."""
    known: Actor | None = getattr(request, "_actor", None)
    if known is None:
        user = request.user
        known = actor_for(user) if isinstance(user, User) else Actor("", None, ())
        request._actor = known  # type: ignore[attr-defined]
    return known


def visible_customers(actor: Actor, permission: str) -> QuerySet[Any]:
    """Customers (not merged away) that the actor may see: home store or an active relation inside her scope.

    The customers room says what that means (settings.VISIBLE_CUSTOMERS); every list and every lookup starts here.
    """
    visible: Callable[[Scope], QuerySet[Any]] = import_string(settings.VISIBLE_CUSTOMERS.replace(":", "."))
    return visible(actor.scope(permission))


View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def needs(permission: str) -> Callable[[View], View]:
    """Declare (and enforce) the permission that a view needs."""
    _known(permission)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            actor_of(request).require(permission)
            return view(request, *args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def signed_in(view: View) -> View:
    """Declare that anybody who is signed in may call the view; it decides about its objects itself."""
    view.permission = ""  # type: ignore[attr-defined]
    return view


def declared(view: Any) -> bool:
    """Whether a view says what it needs: a permission, signed in, or public."""
    return hasattr(view, "permission") or not getattr(view, "login_required", True)
