"""The fixed cast of the access tests: a brand with two stores, headquarters, the manager of store A, and nobody."""

from __future__ import annotations

from dataclasses import dataclass

from hetang.platform import clock, organisation
from hetang.platform.models import Brand, Grant, OrgNode, User
from hetang.platform.roles import ADMINISTRATOR, HEADQUARTERS, STORE_MANAGER
from hetang.resources.models import Staff, Store

PASSWORD = "a long password"


@dataclass(frozen=True)
class Cast:
    """Who is who. Users log in with `PASSWORD`."""

    root: OrgNode
    store_a: Store
    store_b: Store
    anna: Staff  # adviser of store A
    bela: Staff  # adviser of store B
    headquarters: User  # operates and administers, as the first user of an installation does
    manager_a: User
    nobody: User


def make() -> Cast:
    """The cast, in the test database."""
    Brand.objects.update_or_create(id=1, defaults={"name": "Lotus & Co", "currency": "CNY"})
    root = organisation.root()
    store_a, store_b = store("A", root), store("B", root)
    headquarters = user("headquarters", HEADQUARTERS, root)
    Grant.objects.create(user=headquarters, role=ADMINISTRATOR, org_node=root)
    return Cast(
        root=root,
        store_a=store_a,
        store_b=store_b,
        anna=adviser("anna", store_a),
        bela=adviser("bela", store_b),
        headquarters=headquarters,
        manager_a=user("manager_a", STORE_MANAGER, store_a.org_node),
        nobody=user("nobody"),
    )


def store(code: str, root: OrgNode) -> Store:
    node = organisation.add_node(root, OrgNode.STORE, f"store:{code}", f"Store {code}")
    return Store.objects.create(code=code, name=f"Store {code}", org_node=node)


def adviser(userid: str, at: Store) -> Staff:
    return Staff.objects.create(userid=userid, name=userid.title(), store=at, org_node=at.org_node)


def user(username: str, role: str = "", node: OrgNode | None = None, language: str = "en") -> User:
    made = User.objects.create_user(username, PASSWORD, language=language, created_at=clock.now())
    if node is not None:
        Grant.objects.create(user=made, role=role, org_node=node)
    return made
