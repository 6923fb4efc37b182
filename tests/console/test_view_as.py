"""Looking as somebody else: no more than both may see, nothing changed, an end, and all of it noted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import InternalError, connection
from django.test import Client

from hetang.customers.models import BulkChange
from hetang.platform import brand, clock, view_as
from hetang.platform.access import actor_for
from hetang.platform.models import AuditEntry, Grant, OrgNode, TwoFactor, User
from hetang.platform.roles import ADMINISTRATOR, HEADQUARTERS, STORE_MANAGER
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.cast import Cast, user
from tests.console.conftest import client_of

pytestmark = pytest.mark.django_db(transaction=True)
WHY = {"reason": "she sees no customers", "minutes": 10}


@pytest.fixture
def cast(transactional_db: None) -> Iterator[Cast]:
    brand.forget()
    made = cast_of_all.make()
    people.come_in(made)
    yield made
    clock.freeze(None)


@pytest.fixture
def looking(cast: Cast) -> Client:
    """Headquarters, looking as the manager of store A."""
    client = client_of(cast.headquarters)
    assert client.post(f"/settings/users/{cast.manager_a.pk}/view-as", WHY).status_code == 302
    return client


def entries(prefix: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action__startswith=prefix).order_by("at", "id"))


def test_one_sees_what_she_sees_and_says_so_on_each_page(looking: Client, cast: Cast) -> None:
    page = looking.get("/customers/").content.decode()
    assert "You look as <strong>manager_a</strong>" in page and "she sees no customers" in page
    assert "王**" in page and "B***" not in page
    assert looking.get("/settings/").status_code == 403  # a manager may not
    (begun,) = entries("view_as.")
    assert (begun.actor, begun.target_id, begun.changes["minutes"]) == ("headquarters", str(cast.manager_a.pk), 10)
    seen = [one.changes.get("seen_as") for one in entries("look.list")]
    assert seen == ["manager_a"] and entries("look.list")[0].actor == "headquarters"
    account = client_of(cast.manager_a).get("/me/").content.decode()
    assert "Who looked at the console as you" in account and "she sees no customers" in account


def test_nothing_is_changed_by_a_form_nor_by_a_page_that_writes(looking: Client, cast: Cast) -> None:
    mei = people.customer("m1").public_id
    before = _writes()
    answers = [
        looking.post(f"/customers/{mei}/tags", {"tag": "tea", "on": "1"}),
        looking.post("/settings/brand/", {}),
        looking.put(f"/customers/{mei}/"),
        looking.post(f"/settings/users/{cast.nobody.pk}/view-as", WHY),  # no look within a look
        looking.get("/me/two-factor"),  # opening it makes a secret
    ]
    assert [one.status_code for one in answers] == [403] * 5
    assert all("Only looking" in one.content.decode() for one in answers)
    assert (_writes(), TwoFactor.objects.count()) == (before, 0)
    with view_as.reading_only(), pytest.raises(InternalError):
        User.objects.filter(pk=cast.nobody.pk).update(display_name="x")
    User.objects.filter(pk=cast.nobody.pk).update(display_name="y")  # afterwards as ever


def test_she_is_herself_again_by_hand_and_after_the_time(looking: Client, cast: Cast) -> None:
    assert looking.post("/settings/view-as/end").status_code == 302
    assert "You look as" not in looking.get("/customers/").content.decode()
    looking.post(f"/settings/roles/{STORE_MANAGER}/view-as", {**WHY, "node": cast.store_b.org_node_id})
    page = looking.get("/customers/").content.decode()
    assert "Store manager · Store B" in page and "B***" in page and "王**" not in page
    clock.freeze(datetime.now(UTC) + timedelta(minutes=11))
    assert looking.get("/customers/").headers["Location"] == "/"
    assert "王**" in looking.get("/customers/").content.decode()
    assert [(one.action, one.changes.get("how")) for one in entries("view_as.")] == [
        *(("view_as.begun", None), ("view_as.ended", "by_hand")),
        *(("view_as.begun", None), ("view_as.ended", "time")),
    ]


def test_a_look_ends_with_the_right_to_look(looking: Client, cast: Cast) -> None:
    Grant.objects.filter(user=cast.headquarters).delete()
    assert looking.get("/customers/").headers["Location"] == "/"
    assert looking.get("/customers/").status_code == 403
    assert entries("view_as.")[-1].changes["how"] == "rights"


def test_looking_gives_no_right_that_one_has_not(cast: Cast) -> None:
    admin = user("admin", ADMINISTRATOR, cast.root)
    operator = user("operator", HEADQUARTERS, cast.root)
    client = client_of(admin)
    assert "See customers" in client.get(f"/settings/users/{operator.pk}/view-as").content.decode()
    client.post(f"/settings/users/{operator.pk}/view-as", WHY)
    assert client.get("/customers/").status_code == 403
    assert client.get("/settings/").status_code == 200  # both may
    client.post("/settings/view-as/end")
    assert client.post(f"/settings/users/{cast.manager_a.pk}/view-as", WHY).status_code == 422  # nothing in common
    assert client.post(f"/settings/users/{admin.pk}/view-as", WHY).status_code == 422
    assert client.post(f"/settings/users/{operator.pk}/view-as", {**WHY, "reason": "?"}).status_code == 422
    assert client_of(cast.manager_a).get(f"/settings/users/{operator.pk}/view-as").status_code == 403


def test_another_companys_people_stay_hidden(cast: Cast) -> None:
    OrgNode.objects.filter(pk=cast.store_b.org_node_id).update(legal_entity="Acme Ltd")
    manager_b = user("manager_b", STORE_MANAGER, cast.store_b.org_node)
    client = client_of(cast.headquarters)
    assert client.post(f"/settings/users/{manager_b.pk}/view-as", WHY).status_code == 422
    region = view_as.Look("x", "why", view_as.until(10), role=HEADQUARTERS, node=cast.root.pk)
    seen = view_as.seen_as(actor_for(cast.headquarters), region)
    assert seen is not None and seen.own_scope("customers:view").without == (cast.store_b.org_node.path,)


def _writes() -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from facts_fact")
        facts = cursor.fetchone()[0]
    return facts, AuditEntry.objects.exclude(action__startswith="look.").count(), BulkChange.objects.count()


def test_a_customers_own_link_is_not_shown_since_one_could_write_by_it(looking: Client, cast: Cast) -> None:
    at, manager = f"/privacy/of/{people.customer('m1').public_id}/", client_of(cast.manager_a)
    assert manager.post(f"{at}link").status_code == 302
    seen, hers = (one.get(at).content.decode() for one in (looking, manager))
    assert ("Holds until" in seen, "/h5/privacy/" in seen, "data:image/svg" in seen) == (True, False, False)
    assert "/h5/privacy/" in hers
