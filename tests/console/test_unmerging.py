"""From the portrait: these two are not the same person. The question, the decision, the way back, and who may."""

from __future__ import annotations

import pytest
from django.test import Client

from hetang.customers.models import Decision, Merge
from hetang.facts.models import Fact
from hetang.platform import brand
from hetang.platform.models import AuditEntry
from hetang.platform.roles import REGION, SERVICE_DESK
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.cast import Cast, user
from tests.console.conftest import client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    """The cast, and Mei and Bo merged because the till named both."""
    brand.forget()
    made = cast_of_all.make()
    people.come_in(made)
    named = people.fact("customer.identified", "i1", "m1", {})
    people.record([people.Draft(named.kind, named.key, named.occurred_at, [("member", "m1"), ("member", "m2")], {})])
    assert people.customer("m1") == people.customer("m2")
    return made


def address(merge: Merge) -> str:
    return f"/customers/{people.customer('m1').public_id}/merges/{merge.pk}"


def test_two_who_were_merged_are_told_apart_and_merged_again(cast: Cast) -> None:
    client, merge = client_of(cast.headquarters), Merge.objects.get()
    portrait = client.get(f"/customers/{people.customer('m1').public_id}/").content.decode()
    assert f'href="{address(merge)}"' in portrait
    question = client.get(address(merge))
    parts = question.context["parts"]
    assert [(part.number, part.orders, part.net) for part in parts] == [(1, 2, 3790), (2, 1, 990)]
    assert "138****5678" in question.content.decode() and "13812345678" not in question.content.decode()
    assert client.post(f"{address(merge)}/separate", {"reason": ""}).status_code == 422
    for _ in range(2):  # a second click is the same decision
        assert client.post(f"{address(merge)}/separate", {"reason": "mother and daughter"}).status_code == 302
    assert "hx-trigger" in client.get(address(merge)).content.decode()  # the page follows by itself
    people.apply()
    assert people.customer("m1") != people.customer("m2")
    done = client.get(address(merge)).content.decode()
    assert "They are two customers again, by decision of headquarters" in done
    assert "mother and daughter" in client.get(f"/customers/{people.customer('m2').public_id}/").content.decode()
    decision = Decision.objects.get()
    assert client.post(f"/customers/decisions/{decision.pk}/take-back").status_code == 302
    assert client.post(f"/customers/decisions/{decision.pk}/take-back").status_code == 302
    people.apply()
    assert people.customer("m1") == people.customer("m2")
    assert "taken back by headquarters" in client.get(address(merge)).content.decode()
    assert client.post(f"/customers/decisions/{decision.pk}/take-back").status_code == 404
    actions = AuditEntry.objects.filter(action__in=["customer.told_apart", "customer.decision_lifted"])
    assert [row.action for row in actions.order_by("id")] == ["customer.told_apart", "customer.decision_lifted"]
    assert actions.order_by("id")[0].changes["reason"] == "mother and daughter"
    assert Fact.objects.filter(kind__in=["customer.kept_apart", "customer.decision_lifted"]).count() == 2


def test_only_who_may_decide_about_her_sees_the_question(cast: Cast) -> None:
    merge = Merge.objects.get()
    region_b = client_of(user("region_b", REGION, cast.store_b.org_node))
    desk_a = client_of(user("desk_a", SERVICE_DESK, cast.store_a.org_node))
    manager = client_of(cast.manager_a)
    people.record([people.fact("customer.described", "home", "m1", {"home_store": "A"})])
    assert manager.get(address(merge)).status_code == 403
    assert region_b.get(address(merge)).status_code == 404  # her store is A now, and Anna's friend
    assert region_b.post(f"{address(merge)}/separate", {"reason": "x"}).status_code == 404
    assert not Fact.objects.filter(kind="customer.kept_apart").exists()
    assert desk_a.post(f"{address(merge)}/separate", {"reason": "two people"}).status_code == 302
    people.apply()
    page = desk_a.get(address(merge)).content.decode()
    assert "1 customer whom you do not see" in page  # Bo is store B's
    decision = Decision.objects.get()
    assert region_b.post(f"/customers/decisions/{decision.pk}/take-back").status_code == 404
    assert desk_a.post(f"/customers/decisions/{decision.pk}/take-back").status_code == 302


def test_a_merge_of_somebody_else_is_not_shown(cast: Cast) -> None:
    other = f"/customers/{people.customer('m3').public_id}/merges/{Merge.objects.get().pk}"
    client: Client = client_of(cast.headquarters)
    assert client.get(other).status_code == 404
    assert client.post(f"{other}/separate", {"reason": "x"}).status_code == 404
