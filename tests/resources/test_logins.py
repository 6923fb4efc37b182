"""Which member of staff a login is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from hetang.platform.access import Forbidden, actor_for
from hetang.platform.models import AuditEntry, OrgNode
from hetang.platform.roles import ADMINISTRATOR, ADVISER
from hetang.resources import logins
from hetang.resources.logins import LinkRefused
from hetang.resources.models import Staff
from tests.console import cast as cast_of_all
from tests.console.cast import Cast, store, user
from tests.console.conftest import client_of


@pytest.fixture
def cast(db: None) -> Cast:
    return cast_of_all.make()


def test_a_login_is_tied_moved_and_untied(cast: Cast) -> None:
    administrator = actor_for(cast.headquarters)
    login = user("a", ADVISER, cast.store_a.org_node)
    logins.link(administrator, login, "anna")
    assert logins.staff_of(login.pk) == cast.anna
    logins.link(administrator, login, "anna")  # nothing changes
    logins.link(administrator, login, " bela ")
    assert logins.staff_of(login.pk) == cast.bela
    logins.link(administrator, login, "")
    assert logins.staff_of(login.pk) is None
    assert list(AuditEntry.objects.filter(action="user.linked").order_by("id").values_list("changes", flat=True)) == [
        {"staff": ["", "anna"]},
        {"staff": ["anna", "bela"]},
        {"staff": ["bela", ""]},
    ]


def test_an_account_belongs_to_one_login(cast: Cast) -> None:
    administrator = actor_for(cast.headquarters)
    one, other = user("a", ADVISER, cast.store_a.org_node), user("b", ADVISER, cast.store_a.org_node)
    logins.link(administrator, one, "anna")
    with pytest.raises(LinkRefused, match="staff_taken"):
        logins.link(administrator, other, "anna")
    with pytest.raises(LinkRefused, match="staff_unknown"):
        logins.link(administrator, other, "nobody")
    Staff.objects.filter(pk=cast.bela.pk).update(active=False)
    with pytest.raises(LinkRefused, match="staff_unknown"):
        logins.link(administrator, other, "bela")
    assert logins.staff_of(one.pk) == cast.anna
    Staff.objects.filter(pk=cast.anna.pk).update(active=False)
    assert logins.staff_of(one.pk) is None  # who has left has no tasks


def test_only_who_manages_both_ties_them(cast: Cast) -> None:
    at_a = actor_for(user("admin_a", ADMINISTRATOR, cast.store_a.org_node))
    login = user("a", ADVISER, cast.store_a.org_node)
    with pytest.raises(LinkRefused, match="staff_unknown"):
        logins.link(at_a, login, "bela")
    with pytest.raises(Forbidden):
        logins.link(at_a, user("b", ADVISER, cast.store_b.org_node), "anna")
    with pytest.raises(Forbidden):
        logins.link(actor_for(cast.manager_a), login, "anna")
    logins.link(at_a, login, "anna")
    franchise = store("F", cast.root)
    OrgNode.objects.filter(pk=franchise.org_node_id).update(legal_entity="Acme")
    Staff.objects.create(userid="fred", name="Fred", store=franchise, org_node=franchise.org_node)
    with pytest.raises(LinkRefused, match="staff_unknown"):
        logins.link(actor_for(cast.headquarters), login, "fred")


@pytest.mark.django_db(transaction=True)
def test_of_two_who_tie_one_account_at_once_one_is_refused() -> None:
    cast = cast_of_all.make()
    administrator = actor_for(cast.headquarters)
    logged_in = [user(name, ADVISER, cast.store_a.org_node) for name in ("a", "b")]
    together = Barrier(2)

    def tie(place: int) -> str:
        try:
            together.wait()
            logins.link(administrator, logged_in[place], "anna")
        except LinkRefused as refused:
            return refused.code
        finally:
            connection.close()
        return "tied"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(tie, range(2))) == ["staff_taken", "tied"]
    assert Staff.objects.exclude(user=None).count() == 1


def test_the_page_of_a_user_ties_her(cast: Cast) -> None:
    login = user("anna", ADVISER, cast.store_a.org_node)
    browser = client_of(cast.headquarters)
    address = f"/settings/users/{login.pk}/"
    page = browser.get(address).text
    assert '<option value="anna">Anna · Store A</option>' in page
    assert "bela" not in page  # she has no role there
    assert "Untie" not in page
    answer = browser.post(f"{address}staff", {"userid": "nobody"}, follow=True)
    assert "Nobody has this WeCom account where you manage users." in answer.text
    page = browser.post(f"{address}staff", {"userid": "anna"}, follow=True).text
    assert "Untie" in page
    assert "<b>Anna</b>" in page
    assert "Untie" not in browser.post(f"{address}staff", {"userid": ""}, follow=True).text
