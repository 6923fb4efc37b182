"""Default deny, and the scope of a store manager: address by address, person by person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from hetang.customers.models import Customer, Relation
from hetang.platform import access, clock
from hetang.platform.access import Forbidden, Scope, actor_for, visible_customers
from hetang.platform.models import User
from hetang.platform.roles import PERMISSIONS, ROLES
from hetang.resources.models import Staff, Store
from tests.console.cast import Cast

PUBLIC = {
    "console:login",
    "console:login-code",  # the steps between password and session look for themselves
    "console:login-enrol",
    "console:login-password",
    "console:setup",
    "console:login-wecom",  # the way to WeCom's log-in page, and back with its code
    "console:login-wecom-back",
    "console:language",
    "console:appearance",
    "console:theme",
    "wecom-callback",  # WeCom signs its calls
    "wecom-verification",  # the file that shows WeCom whose domain it is
    # the customer's own page: whoever holds her link
    *(f"own-page:{name}" for name in ("page", "theme", "know", "choose", "ask", "copy", "leave", "arrive")),
    "short-link",  # the short link of a message: whoever holds it may follow it
}
ENDS_SESSION = {"console:logout", "me:sessions-end"}
SAMPLE: dict[str, Any] = {
    "int": 999_999,
    "uuid": "00000000-0000-4000-8000-000000000000",
    "str": "none",
    "slug": "none",
    "verification": "WW_verify_abcdefgh12345678.txt",
}


def _views(resolver: URLResolver, prefix: str = "", spaces: tuple[str, ...] = ()) -> Iterator[tuple[str, str, Any]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = (*spaces, entry.namespace) if entry.namespace else spaces
            yield from _views(entry, route, inner)
        elif isinstance(entry, URLPattern):
            yield ":".join([*spaces, entry.name or ""]), route, entry


def _all() -> list[tuple[str, str, Any]]:
    return [view for view in _views(get_resolver()) if not view[1].startswith("api/")]


VIEWS = _all()


@pytest.mark.parametrize(("name", "route", "entry"), VIEWS, ids=[view[0] for view in VIEWS])
def test_every_view_declares_what_it_needs(name: str, route: str, entry: URLPattern) -> None:
    assert access.declared(entry.callback), f"{route} declares no permission: see docs/design-system.md"
    public = not getattr(entry.callback, "login_required", True)
    assert public == (name in PUBLIC)


def test_every_view_refuses_whoever_lacks_its_permission(cast: Cast) -> None:
    wrong = []
    for user in (None, cast.nobody, cast.manager_a):  # `scope.test_every_url` asks for every role
        client = Client(raise_request_exception=False)
        if user is not None:
            client.force_login(user)
        for name, route, entry in VIEWS:
            if name not in PUBLIC | ENDS_SESSION:
                wrong += _misjudged(client, user, _address(route, entry), entry.callback)
    assert wrong == []


def _misjudged(client: Client, user: User | None, address: str, view: Any) -> list[str]:
    """Methods of an address that let in whom they must not, or refuse whom they must let in."""
    statuses = {method: getattr(client, method)(address).status_code for method in ("get", "post")}
    if user is None:
        expected = {302}
    elif _may(user, view):
        expected = {200, 204, 302, 404, 405, 422}
    else:
        expected = {403, 405}
    found = [f"{user} {method} {address}: {status}" for method, status in statuses.items() if status not in expected]
    if expected == {403, 405} and set(statuses.values()) == {405}:
        found.append(f"{user} {address}: neither GET nor POST")
    return found


def _may(user: User, view: Any) -> bool:
    actor, needed = actor_for(user), view.permission
    if not needed:
        return True
    return actor.can(needed) and (not getattr(view, "whole_brand", False) or actor.scope(needed).everything)


def _address(route: str, entry: URLPattern) -> str:
    for name, converter in entry.pattern.converters.items():
        kind = type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")
        kind = kind.removesuffix("name")  # our own
        route = route.replace(f"<{kind}:{name}>", str(SAMPLE.get(kind, "none")))
    return "/" + route


def test_no_view_outside_the_api_escapes_the_walk() -> None:
    assert {"console:home", "operations:held", "settings:keys", "audit:list"} <= {view[0] for view in VIEWS}


def test_roles_hold_known_permissions_and_operating_is_apart_from_administering() -> None:
    assert all(role.permissions <= frozenset(PERMISSIONS) for role in ROLES.values())
    together = ROLES["headquarters"].permissions | ROLES["administrator"].permissions
    assert together == frozenset(PERMISSIONS)
    assert "users:manage" not in ROLES["headquarters"].permissions
    assert not {"customers:view", "campaigns:send"} & ROLES["administrator"].permissions
    assert "campaigns:send" not in ROLES["store_manager"].permissions


def test_scopes_are_the_outermost_paths(cast: Cast) -> None:
    assert actor_for(cast.headquarters).scope("customers:view").everything
    path = cast.store_a.org_node.path
    assert actor_for(cast.manager_a).scope("customers:view") == Scope((path,))
    assert actor_for(cast.manager_a).scope("imports:run").nothing
    assert actor_for(cast.nobody).scope("customers:view").nothing
    with pytest.raises(KeyError, match="unknown permission"):
        actor_for(cast.nobody).can("customers:veiw")


def test_one_prefix_is_not_taken_for_another() -> None:
    assert Scope(("1.4.",)).covers("1.4.17.")
    assert not Scope(("1.4.",)).covers("1.41.")


def test_an_inactive_user_may_do_nothing(cast: Cast) -> None:
    cast.headquarters.is_active = False
    actor = actor_for(cast.headquarters)
    with pytest.raises(Forbidden):
        actor.require("customers:view")


def test_a_manager_sees_her_stores_people_and_those_her_staff_befriended(cast: Cast) -> None:
    home_a, home_b, friend_of_anna, lost, merged = (
        _customer(1, cast.store_a),
        _customer(2, cast.store_b),
        _customer(3, cast.store_b),
        _customer(4, cast.store_b),
        _customer(5, cast.store_a),
    )
    _befriend(friend_of_anna, cast.anna, Relation.ACTIVE)
    _befriend(lost, cast.anna, Relation.LOST_BY_CUSTOMER)
    Customer.objects.filter(pk=merged.pk).update(merged_into=home_a)
    seen = visible_customers(actor_for(cast.manager_a), "customers:view")
    assert sorted(seen.values_list("number", flat=True)) == [1, 3]
    everybody = visible_customers(actor_for(cast.headquarters), "customers:view")
    assert sorted(everybody.values_list("number", flat=True)) == [1, 2, 3, 4]
    assert not visible_customers(actor_for(cast.nobody), "customers:view").exists()
    assert home_b.number == 2


def _customer(number: int, store: Store) -> Customer:
    return Customer.objects.create(number=number, created_at=clock.now(), home_store=store)


def _befriend(customer: Customer, staff: Staff, state: str) -> None:
    now = clock.now()
    Relation.objects.create(
        customer=customer,
        staff=staff,
        external_userid=f"wm{customer.number}",
        state=state,
        since=now,
        occurred_at=now,
        fact_key="test\x1f1",
    )
