"""The pages of users, roles and the organisation."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from hetang.platform import clock
from hetang.platform.models import AuditEntry, Grant, OrgNode, OwnRole, User
from hetang.platform.roles import AUDITOR, STORE_MANAGER
from hetang.resources.models import Store
from tests.console.cast import Cast, user
from tests.console.conftest import client_of


def test_a_role_for_a_time_ends_after_its_last_day(headquarters: Client, cast: Cast) -> None:
    node, last = cast.store_b.org_node, (clock.today() + timedelta(days=3))
    page = headquarters.post(
        f"/settings/users/{cast.nobody.pk}/grants",
        {"role": "adviser", "org_node": node.pk, "until": last.isoformat()},
        follow=True,
    )
    grant = Grant.objects.get(user=cast.nobody)
    assert grant.expires_at == datetime.combine(last + timedelta(days=1), datetime.min.time(), clock.zone())
    assert grant.granted_by == cast.headquarters
    assert "Adviser · Store B" in page.content.decode()
    assert "until" in page.content.decode()
    Grant.objects.filter(pk=grant.pk).update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert "Ended" in headquarters.get("/settings/users/").content.decode()


def test_a_day_that_has_passed_is_refused_with_the_remedy(headquarters: Client, cast: Cast) -> None:
    values = {"role": "adviser", "org_node": cast.store_b.org_node.pk, "until": "2020-01-01"}
    page = headquarters.post(f"/settings/users/{cast.nobody.pk}/grants", values, follow=True).content.decode()
    assert "Choose a later one" in page
    assert not Grant.objects.filter(user=cast.nobody).exists()


def test_a_shipped_role_is_copied_changed_given_and_deleted(headquarters: Client, cast: Cast) -> None:
    form = headquarters.get("/settings/roles/new?copy=adviser").context["form"]
    assert set(form["permissions"].value()) == {"customers:view", "customers:edit", "campaigns:view"}
    values = {"name": "Trainee", "description": "Learns.", "permissions": ["customers:view"]}
    made = headquarters.post("/settings/roles/new", values)
    role = OwnRole.objects.get()
    assert made["Location"] == f"/settings/roles/{role.code}/"
    users_page = headquarters.get(f"/settings/users/{cast.nobody.pk}/").content.decode()
    assert "Trainee" in users_page
    headquarters.post(
        f"/settings/users/{cast.nobody.pk}/grants", {"role": role.code, "org_node": cast.store_a.org_node.pk}
    )
    trainee = client_of(cast.nobody)
    assert trainee.get("/customers/").status_code == 200
    assert trainee.get("/campaigns/").status_code == 403
    assert "Trainee" in trainee.get("/").content.decode()
    edited = {**values, "permissions": ["campaigns:view"], "version": role.version}
    headquarters.post(f"/settings/roles/{role.code}/edit", edited)
    assert (trainee.get("/customers/").status_code, trainee.get("/campaigns/").status_code) == (403, 200)
    late = headquarters.post(f"/settings/roles/{role.code}/edit", edited)
    assert late.status_code == 422
    assert "changed this role meanwhile" in late.content.decode()
    assert "Take it away" in headquarters.post(f"/settings/roles/{role.code}/delete", follow=True).content.decode()
    Grant.objects.filter(user=cast.nobody).delete()
    headquarters.post(f"/settings/roles/{role.code}/delete")
    assert not OwnRole.objects.exists()
    audited = AuditEntry.objects.filter(target_type="role").order_by("at").values_list("action", flat=True)
    assert list(audited) == ["role.created", "role.changed", "role.deleted"]


def test_a_shipped_role_has_no_form_to_change_it(headquarters: Client) -> None:
    assert headquarters.get("/settings/roles/headquarters/edit").status_code == 404
    page = headquarters.get("/settings/roles/headquarters/").content.decode()
    assert "It can be copied, not changed." in page


def test_the_auditor_sees_users_and_roles_and_changes_nothing(cast: Cast) -> None:
    client = client_of(user("auditor", AUDITOR, cast.root))
    for address in ("/settings/users/", "/settings/roles/", "/settings/organisation/", "/audit/"):
        assert client.get(address).status_code == 200
    page = client.get(f"/settings/users/{cast.manager_a.pk}/").content.decode()
    assert "Store manager · Store A" in page
    assert "Take away" not in page
    assert client.post(f"/settings/users/{cast.manager_a.pk}/active", {"active": "0"}).status_code == 403


def test_an_own_administrator_of_a_store_sees_and_changes_only_there(headquarters: Client, cast: Cast) -> None:
    values = {"name": "Store admin", "permissions": ["users:view", "users:manage"]}
    headquarters.post("/settings/roles/new", values)
    local = client_of(user("local", OwnRole.objects.get().code, cast.store_a.org_node))
    assert local.get(f"/settings/users/{cast.manager_a.pk}/").status_code == 200
    assert local.get(f"/settings/users/{cast.headquarters.pk}/").status_code == 404
    assert local.post(f"/settings/users/{cast.headquarters.pk}/active", {"active": "0"}).status_code == 404
    choices = local.get(f"/settings/users/{cast.nobody.pk}/").context["form"].fields["org_node"].queryset
    assert list(choices) == [cast.store_a.org_node]
    grants = f"/settings/users/{cast.nobody.pk}/grants"
    local.post(grants, {"role": STORE_MANAGER, "org_node": cast.store_b.org_node.pk})
    assert not Grant.objects.filter(user=cast.nobody).exists()
    local.post(grants, {"role": STORE_MANAGER, "org_node": cast.store_a.org_node.pk})
    assert Grant.objects.filter(user=cast.nobody).count() == 1
    assert local.post("/settings/roles/new", values | {"name": "x"}).status_code == 403


def test_a_store_says_where_it_is_and_on_which_map(headquarters: Client, cast: Cast) -> None:
    address = f"/settings/organisation/{cast.store_b.org_node_id}/"
    values = {"name": cast.store_b.name, "latitude": "31.230416", "longitude": "121.473701", "datum": "gcj02"}
    for wrong, said in (
        ({"datum": ""}, "Say in which system"),
        ({"latitude": "121.473701", "longitude": "31.230416"}, "seem to be swapped"),
        ({"longitude": ""}, "Fill in both coordinates"),
    ):
        answer = headquarters.post(address, values | wrong)
        assert (answer.status_code, said in answer.content.decode()) == (422, True)
    assert headquarters.post(address, values).status_code == 302
    assert "31.230416, 121.473701 · GCJ-02" in headquarters.get("/settings/organisation/").content.decode()
    assert AuditEntry.objects.get(action="store.placed").changes["datum"] == ["", "gcj02"]
    assert headquarters.post(address, {"name": "Store B"}).status_code == 302
    assert headquarters.post(address, values | {"latitude": "", "longitude": ""}).status_code == 302
    store = Store.objects.get(pk=cast.store_b.pk)
    assert (store.latitude, store.datum) == (None, "")


def test_a_place_becomes_another_companys(headquarters: Client, cast: Cast) -> None:
    node = cast.store_b.org_node
    headquarters.post(f"/settings/organisation/{node.pk}/", {"name": "Store B", "legal_entity": "Acme Ltd"})
    assert OrgNode.objects.get(pk=node.pk).legal_entity == "Acme Ltd"
    assert "Acme Ltd" in headquarters.get("/settings/organisation/?q=store").content.decode()
    assert AuditEntry.objects.get(action="org_node.changed").changes == {"legal_entity": ["", "Acme Ltd"]}
    root = headquarters.post(f"/settings/organisation/{cast.root.pk}/", {"name": "Lotus", "legal_entity": "Acme"})
    assert root.status_code == 422


def test_the_password_must_be_good_and_the_name_free(headquarters: Client, cast: Cast) -> None:
    values = {"username": "manager_a", "password": "a long password", "role": "adviser", "org_node": cast.root.pk}
    answer = headquarters.post("/settings/users/new", values)
    assert answer.status_code == 422
    assert "This user name is taken" in answer.content.decode()
    assert User.objects.count() == 3


@pytest.mark.parametrize("tab", ["users/", "roles/", "organisation/", "login-rules/", "approval-rules/"])
def test_the_menu_marks_the_entry_to_which_a_tab_belongs(headquarters: Client, tab: str) -> None:
    html = headquarters.get(f"/settings/{tab}").content.decode()
    marked = re.findall(r'<a href="([^"]*)" aria-current="page"><svg', html)
    assert marked == ["/settings/users/"]
