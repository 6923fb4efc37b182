"""Adding somebody who may log in."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from hetang.platform import audit, clock, organisation
from hetang.platform.access import ROLES
from hetang.platform.models import Grant, OrgNode, User


class UserRefused(Exception):
    """The user cannot be added as asked; the message says why."""


@transaction.atomic
def add(username: str, password: str, *, role: str, node_code: str = "", display_name: str = "") -> User:
    """Create a user who has `role` at the place `node_code` and below (empty: the whole brand). Raises UserRefused."""
    if role not in ROLES:
        raise UserRefused(f"there is no role {role!r}; choose one of {', '.join(ROLES)}")
    if User.objects.filter(username=username).exists():
        raise UserRefused(f"{username} exists already")
    try:
        validate_password(password)
    except ValidationError as problem:
        raise UserRefused(" ".join(problem.messages)) from problem
    node = _node(node_code)
    user = User.objects.create_user(username, password, display_name=display_name or username, created_at=clock.now())
    Grant.objects.create(user=user, role=role, org_node=node)
    audit.record(
        "cli", "user.created", "user", str(user.id), {"username": username, "role": role, "node": node.code}, node.id
    )
    return user


def _node(code: str) -> OrgNode:
    if not code:
        return organisation.root()
    node = OrgNode.objects.filter(code=code).first()
    if node is None:
        raise UserRefused(f"there is no place with the code {code!r} in the organisation")
    return node
