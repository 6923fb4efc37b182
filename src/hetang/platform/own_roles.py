"""The roles that a brand makes itself: copied or made from nothing, changed, deleted; each step audited."""

from __future__ import annotations

import secrets
from collections.abc import Collection

from django.db import IntegrityError, transaction

from hetang.platform import audit, clock, users
from hetang.platform.access import Actor, Forbidden
from hetang.platform.models import Grant, OwnRole
from hetang.platform.roles import PERMISSIONS, ROLES

MANAGE = "users:manage"


class RoleRefused(Exception):
    """The role cannot be written so. `code`: name_missing, name_taken, nothing_allowed, changed_meanwhile, held."""

    def __init__(self, code: str, **detail: object) -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


def create(actor: Actor, name: str, description: str, permissions: Collection[str]) -> OwnRole:
    """A new role that nobody holds yet. Raises Forbidden, RoleRefused."""
    authorise(actor)
    name, chosen = _checked(name, permissions)
    try:
        with transaction.atomic():
            row = OwnRole.objects.create(
                code=f"own_{secrets.token_hex(6)}",
                name=name,
                description=description.strip(),
                permissions=chosen,
                created_at=clock.now(),
                created_by_id=actor.user_id,
            )
            audit.record(actor, "role.created", "role", row.code, {"role": name, "permissions": chosen})
    except IntegrityError as clash:
        raise RoleRefused("name_taken") from clash
    return row


def change(actor: Actor, row: OwnRole, name: str, description: str, permissions: Collection[str]) -> None:
    """Change a role for everybody who holds it, from the next click on. `row` is as the editor saw it.

    Raises Forbidden, RoleRefused ("changed_meanwhile" when somebody saved it since), UserRefused("last_administrator").
    """
    authorise(actor)
    name, chosen = _checked(name, permissions)
    before = {"role": row.name, "description": row.description, "permissions": row.permissions}
    after = {"role": name, "description": description.strip(), "permissions": chosen}
    try:
        with transaction.atomic(), users.rights_change():
            changed = OwnRole.objects.filter(pk=row.pk, version=row.version).update(
                name=name,
                description=after["description"],
                permissions=chosen,
                version=row.version + 1,
            )
            if not changed:
                raise RoleRefused("changed_meanwhile")
            changes = {field: [before[field], after[field]] for field in after if before[field] != after[field]}
            audit.record(actor, "role.changed", "role", row.code, changes)
    except IntegrityError as clash:
        raise RoleRefused("name_taken") from clash


def delete(actor: Actor, row: OwnRole) -> None:
    """Delete a role that nobody holds. Raises Forbidden, RoleRefused("held")."""
    authorise(actor)
    with transaction.atomic():
        OwnRole.objects.select_for_update().get(pk=row.pk)  # nobody is given it meanwhile: see `users.give`
        if Grant.objects.filter(role=row.code).exists():
            raise RoleRefused("held")
        OwnRole.objects.filter(pk=row.pk).delete()
        audit.record(actor, "role.deleted", "role", row.code, {"role": row.name, "permissions": row.permissions})


def authorise(actor: Actor) -> None:
    """A role holds for everybody, so whoever writes it manages users for the whole brand. Raises Forbidden."""
    if not actor.scope(MANAGE).everything:
        raise Forbidden(MANAGE)


def _checked(name: str, permissions: Collection[str]) -> tuple[str, list[str]]:
    name = name.strip()
    chosen = [code for code in PERMISSIONS if code in permissions]
    if not name:
        raise RoleRefused("name_missing")
    if name.casefold() in {str(role.label).casefold() for role in ROLES.values()}:
        raise RoleRefused("name_taken")
    if not chosen:
        raise RoleRefused("nothing_allowed")
    return name, chosen
