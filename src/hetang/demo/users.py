"""The demo's logins: an operator at headquarters, the manager of a real store, one of its simulated advisers. Made once
per home."""

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
from hetang.platform.roles import ADMINISTRATOR, ADVISER, HEADQUARTERS, STORE_MANAGER
from hetang.resources.models import Staff, Store
from hetang.resources.rules import StoreRow
from hetang.resources.services import upsert_stores

MANAGED_STORE = "367"  # the busiest store of the data
ADVISER_USERID = f"adviser-{MANAGED_STORE}-1"  # the first simulated adviser there: see `world.advisers`


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
    logins = _complete(path, _read(path))
    place = world.store_name(MANAGED_STORE)
    with transaction.atomic():
        _ensure(logins[0], "演示 · 总部运营", organisation.root(), also=ADMINISTRATOR)
        _ensure(logins[1], f"演示 · {place}店长", _store_node())
        _ensure(logins[2], f"演示 · {place}导购", _store_node())
    return logins


def tie_adviser() -> bool:
    """Tie the adviser's login to her account, once the simulated staff are there. Repeating it is harmless."""
    user = User.objects.filter(grants__role=ADVISER, username=_adviser_name()).first()
    return user is not None and bool(Staff.objects.filter(userid=ADVISER_USERID, user=None).update(user=user))


def _adviser_name() -> str:
    return f"adviser{MANAGED_STORE}"


def _complete(path: Path, known: list[Login]) -> list[Login]:
    """What is kept, and what an older home lacks, kept from now on."""
    place = world.store_name(MANAGED_STORE)
    wanted = [
        ("operator", HEADQUARTERS, ""),
        (f"store{MANAGED_STORE}", STORE_MANAGER, place),
        (_adviser_name(), ADVISER, place),
    ]
    missing = [Login(name, secrets.token_urlsafe(9), role, at) for name, role, at in wanted[len(known) :]]
    if not missing:
        return known
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump([asdict(login) for login in known + missing], stream, ensure_ascii=False, indent=1)
    return known + missing


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
