"""The demo's logins: an operator at headquarters and the manager of a real store. Made once per home."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.db import transaction

from hetang.demo import world
from hetang.platform import clock, organisation
from hetang.platform.environment import home
from hetang.platform.models import Grant, OrgNode, User
from hetang.platform.roles import ADMINISTRATOR, HEADQUARTERS, STORE_MANAGER
from hetang.resources.models import Store
from hetang.resources.rules import StoreRow
from hetang.resources.services import upsert_stores

MANAGED_STORE = "367"  # the busiest store of the data


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who can sign in to the demo."""

    username: str
    password: str
    role: str
    place: str


def create() -> list[Login]:
    """The logins of this home, made on first use. Passwords are drawn then and kept in `home/demo-logins.json`."""
    path = home() / "demo-logins.json"
    logins = _read(path) or _draw(path)
    with transaction.atomic():
        _ensure(logins[0], "演示 · 总部运营", organisation.root(), also=ADMINISTRATOR)
        _ensure(logins[1], f"演示 · {world.store_name(MANAGED_STORE)}店长", _store_node())
    return logins


def _draw(path: Path) -> list[Login]:
    logins = [
        Login("operator", secrets.token_urlsafe(9), HEADQUARTERS, ""),
        Login(f"store{MANAGED_STORE}", secrets.token_urlsafe(9), STORE_MANAGER, world.store_name(MANAGED_STORE)),
    ]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump([asdict(login) for login in logins], stream, ensure_ascii=False, indent=1)
    return logins


def _read(path: Path) -> list[Login]:
    try:
        return [Login(**entry) for entry in json.loads(path.read_text())]
    except FileNotFoundError:
        return []


def _ensure(login: Login, display_name: str, node: OrgNode, also: str = "") -> None:
    user = User.objects.filter(username=login.username).first()
    if user is None:
        user = User(username=login.username, display_name=display_name, language="", created_at=clock.now())
    if not user.check_password(login.password):
        user.set_password(login.password)
        user.save()
    for role in filter(None, (login.role, also)):
        Grant.objects.get_or_create(user=user, role=role, org_node=node)


def _store_node() -> OrgNode:
    """The store is made here, as its row in the import file will describe it, since logins come before the data."""
    row = StoreRow(MANAGED_STORE, world.store_name(MANAGED_STORE), world.region_of(MANAGED_STORE))
    upsert_stores([row])
    return Store.objects.select_related("org_node").get(code=MANAGED_STORE).org_node
