"""Scopes, companies, grants that end, own roles, and that an administrator always remains."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections
from hypothesis import given, settings
from hypothesis import strategies as st

from hetang.platform import clock, organisation, own_roles, users
from hetang.platform.access import Actor, Forbidden, Held, Scope, actor_for, system
from hetang.platform.models import AuditEntry, Grant, OrgNode, OwnRole, User
from hetang.platform.own_roles import RoleRefused
from hetang.platform.roles import ADMINISTRATOR, HEADQUARTERS, PERMISSIONS, REGION, ROLES, SENSITIVE, STORE_MANAGER
from hetang.platform.users import UserRefused

NOW = datetime(2026, 5, 4, 3, tzinfo=UTC)


def person(name: str, role: str = "", node: OrgNode | None = None) -> User:
    user = User.objects.create(username=name, created_at=clock.now())
    if node is not None:
        Grant.objects.create(user=user, role=role, org_node=node)
    return user


@pytest.fixture
def tree(db: None) -> dict[str, OrgNode]:
    """brand > east > {e1, e2}; brand > acme (a franchisee) > a1; brand > west."""
    brand = organisation.root()
    east = organisation.add_node(brand, OrgNode.REGION, "east", "East")
    acme = organisation.add_node(brand, OrgNode.REGION, "acme", "Acme")
    OrgNode.objects.filter(pk=acme.pk).update(legal_entity="Acme Ltd")
    return {
        "brand": brand,
        "east": east,
        "e1": organisation.add_node(east, OrgNode.STORE, "e1", "E1"),
        "e2": organisation.add_node(east, OrgNode.STORE, "e2", "E2"),
        "acme": acme,
        "a1": organisation.add_node(acme, OrgNode.STORE, "a1", "A1"),
        "west": organisation.add_node(brand, OrgNode.REGION, "west", "West"),
    }


def inside(scope: Scope) -> set[str]:
    return set(scope.org_nodes().values_list("code", flat=True))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_three_readings_of_a_scope_agree(django_db_blocker: object, data: st.DataObject) -> None:
    paths = ["1.", "1.2.", "1.2.4.", "1.2.5.", "1.3.", "1.3.6.", "1.3.6.7."]
    chosen = st.lists(st.sampled_from(paths), unique=True, max_size=3).map(tuple)
    scope = Scope(data.draw(chosen), data.draw(st.booleans()), data.draw(chosen))
    with django_db_blocker.unblock(), connection.cursor() as cursor:  # type: ignore[attr-defined]
        sql, params = scope.org_node_ids_sql()
        rows = "select * from unnest(%s::int[], %s::text[]) as platform_orgnode(id, path)"
        cursor.execute(f"with platform_orgnode as ({rows}) {sql}", [list(range(len(paths))), paths, *params])
        by_sql = {paths[row[0]] for row in cursor.fetchall()}
    assert by_sql == {path for path in paths if scope.covers(path)}


def test_a_grant_reaches_into_another_company_but_its_own_scope_does_not(tree: dict[str, OrgNode]) -> None:
    actor = actor_for(person("hq", HEADQUARTERS, tree["brand"]))
    assert actor.scope("customers:view").everything
    assert inside(actor.own_scope("customers:view")) == {"brand", "east", "e1", "e2", "west"}
    franchisee = actor_for(person("acme", REGION, tree["acme"]))
    assert (
        inside(franchisee.own_scope("customers:view")) == inside(franchisee.scope("customers:view")) == {"acme", "a1"}
    )
    manager = actor_for(person("a1", STORE_MANAGER, tree["a1"]))
    assert inside(manager.own_scope("customers:view")) == {"a1"}


def test_a_grant_inside_the_other_company_gives_its_part_back(tree: dict[str, OrgNode]) -> None:
    user = person("both", HEADQUARTERS, tree["brand"])
    Grant.objects.create(user=user, role=STORE_MANAGER, org_node=tree["a1"])
    actor = actor_for(user)
    assert inside(actor.own_scope("customers:view")) == {"brand", "east", "e1", "e2", "west", "a1"}
    assert inside(actor.own_scope("campaigns:send")) == {"brand", "east", "e1", "e2", "west"}
    for code, node in tree.items():
        assert actor.own_scope("customers:view").covers(node.path) == (code != "acme")


def test_a_company_inside_a_company_is_foreign_to_both(tree: dict[str, OrgNode]) -> None:
    OrgNode.objects.filter(code="a1").update(legal_entity="Bolt Ltd")
    assert inside(actor_for(person("acme", REGION, tree["acme"])).own_scope("customers:view")) == {"acme"}
    assert "a1" not in inside(actor_for(person("hq", HEADQUARTERS, tree["brand"])).own_scope("customers:view"))


def test_without_another_company_the_own_scope_is_the_scope(tree: dict[str, OrgNode]) -> None:
    OrgNode.objects.update(legal_entity="")
    actor = actor_for(person("hq", HEADQUARTERS, tree["brand"]))
    own = actor.own_scope("customers:view")
    assert own == actor.scope("customers:view") == Scope((tree["brand"].path,), everything=True)


def test_a_grant_ends_at_its_time(tree: dict[str, OrgNode]) -> None:
    user = person("stand-in", STORE_MANAGER, tree["e1"])
    Grant.objects.update(expires_at=NOW)
    clock.freeze(NOW - timedelta(seconds=1))
    try:
        assert actor_for(user).can("customers:view")
        clock.freeze(NOW)
        assert actor_for(user).held == ()
    finally:
        clock.freeze(None)


def test_an_own_role_allows_what_it_says_and_no_unknown_word(tree: dict[str, OrgNode]) -> None:
    row = own_roles.create(system("test"), " Night desk ", "", ["customers:view", "customers:veiw"])
    assert (row.name, row.permissions) == ("Night desk", ["customers:view"])
    user = person("night", row.code, tree["e1"])
    assert actor_for(user).permissions == {"customers:view"}
    own_roles.change(system("test"), row, "Night desk", "", ["customers:view", "reports:view"])
    assert actor_for(user).permissions == {"customers:view", "reports:view"}
    entry = AuditEntry.objects.get(action="role.changed")
    assert entry.changes == {"permissions": [["customers:view"], ["customers:view", "reports:view"]]}


def test_own_roles_are_refused_for_cause(tree: dict[str, OrgNode]) -> None:
    row = own_roles.create(system("test"), "Night desk", "", ["customers:view"])
    for name, permissions, code in (
        (" ", ["customers:view"], "name_missing"),
        ("Night desk", ["customers:view"], "name_taken"),
        (str(ROLES[HEADQUARTERS].label), ["customers:view"], "name_taken"),
        ("Day desk", [], "nothing_allowed"),
    ):
        with pytest.raises(RoleRefused) as refused:
            own_roles.create(system("test"), name, "", permissions)
        assert refused.value.code == code
    seen = OwnRole.objects.get()
    own_roles.change(system("a"), row, "Night desk", "first", ["customers:view"])
    with pytest.raises(RoleRefused, match="changed_meanwhile"):
        own_roles.change(system("b"), seen, "Night desk", "second", ["customers:view"])
    grant = users.give(system("test"), person("night"), row.code, tree["e1"])
    with pytest.raises(RoleRefused, match="held"):
        own_roles.delete(system("test"), row)
    users.take(system("test"), grant)
    own_roles.delete(system("test"), row)
    assert not OwnRole.objects.exists()


def test_roles_are_made_only_by_who_manages_the_whole_brand(tree: dict[str, OrgNode]) -> None:
    regional = Actor("east", None, (Held("own", tree["east"].path, False, frozenset({users.MANAGE, users.VIEW})),))
    with pytest.raises(Forbidden):
        own_roles.create(regional, "Mine", "", ["customers:view"])
    with pytest.raises(Forbidden):
        organisation.change_place(regional, tree["e1"], "E1", "Me Ltd")


def test_who_manages_a_region_gives_roles_there_only(tree: dict[str, OrgNode]) -> None:
    regional = Actor("east", None, (Held("own", tree["east"].path, False, frozenset({users.MANAGE, users.VIEW})),))
    mine, other, mixed = person("mine", STORE_MANAGER, tree["e1"]), person("w", REGION, tree["west"]), person("mixed")
    for node in ("e1", "west"):
        Grant.objects.create(user=mixed, role=STORE_MANAGER, org_node=tree[node])
    users.give(regional, mine, STORE_MANAGER, tree["e2"])
    with pytest.raises(Forbidden):
        users.give(regional, mine, STORE_MANAGER, tree["west"])
    with pytest.raises(Forbidden):
        users.take(regional, Grant.objects.get(user=other))
    assert users.set_active(regional, mine, False)
    for protected in (other, mixed):
        with pytest.raises(Forbidden):
            users.set_active(regional, protected, False)
    assert set(users.seen_by(regional).distinct().values_list("username", flat=True)) == {"mine", "mixed"}


def test_nobody_changes_her_own_rights(tree: dict[str, OrgNode]) -> None:
    user = person("admin", ADMINISTRATOR, tree["brand"])
    person("other", ADMINISTRATOR, tree["brand"])
    actor = actor_for(user)
    for attempt in (
        lambda: users.give(actor, user, HEADQUARTERS, tree["brand"]),
        lambda: users.take(actor, Grant.objects.get(user=user)),
        lambda: users.set_active(actor, user, False),
    ):
        with pytest.raises(UserRefused, match="her own rights"):
            attempt()


def test_the_last_administrator_stays(tree: dict[str, OrgNode]) -> None:
    one, two = person("one", ADMINISTRATOR, tree["brand"]), person("two", ADMINISTRATOR, tree["brand"])
    assert users.set_active(actor_for(one), two, False)
    for attempt in (
        lambda: users.set_active(system("cli"), one, False),
        lambda: users.take(system("cli"), Grant.objects.get(user=one)),
        lambda: users.give(system("cli"), one, ADMINISTRATOR, tree["brand"], clock.now() + timedelta(days=1)),
    ):
        with pytest.raises(UserRefused) as refused:
            attempt()
        assert refused.value.code == "last_administrator"


@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_remove_each_other_at_once_do_not_both_succeed() -> None:
    brand = organisation.root()
    one, two = person("one", ADMINISTRATOR, brand), person("two", ADMINISTRATOR, brand)
    results: list[str] = []
    barrier = threading.Barrier(2)

    def remove(actor: Actor, other: User) -> None:
        barrier.wait()
        try:
            users.set_active(actor, other, False)
            results.append("done")
        except UserRefused as refused:
            results.append(refused.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=remove, args=pair) for pair in ((actor_for(one), two), (actor_for(two), one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done", "last_administrator"]
    assert User.objects.filter(is_active=True).count() == 1


def test_every_permission_says_what_it_is_and_the_bulk_ones_are_sensitive() -> None:
    assert all(str(one.label) and one.area for one in PERMISSIONS.values())
    assert {"imports:run", "campaigns:send", "users:manage", "audit:view"} <= SENSITIVE
    assert "customers:view" not in SENSITIVE


def test_the_command_line_makes_the_first_user(db: None) -> None:
    user = users.add("ann", "a long password", role=STORE_MANAGER)
    assert Grant.objects.get(user=user).org_node == organisation.root()
    for role, node, code in (("boss", "", "role_unknown"), (REGION, "mars", "node_unknown")):
        with pytest.raises(UserRefused) as refused:
            users.add("bob", "a long password", role=role, node_code=node)
        assert refused.value.code == code
    assert not User.objects.filter(username="bob").exists()
