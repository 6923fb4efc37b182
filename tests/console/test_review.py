"""The queue of those who might be one person: who sees it, one decision after the other, and the way back."""

from __future__ import annotations

import pytest
from django.test import Client

from hetang.customers import suspicions
from hetang.customers.models import Decision, Proposal
from hetang.facts.intake import Draft
from hetang.facts.models import Fact
from hetang.platform import brand, jobs
from hetang.platform.models import AuditEntry, JobRun
from hetang.platform.roles import ADVISER, REGION
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.cast import Cast, user
from tests.console.conftest import client_of

pytestmark = pytest.mark.django_db(transaction=True)


def described(key: str, member: str, name: str, store: str = "A") -> Draft:
    body = {"home_store": store, "attributes": {"birthday": "1990-02-03"}}
    return Draft("customer.described", key, people.START, [("member", member)], body, name=name)


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    """Two pairs of one name and birthday: both of store A, and one of each store."""
    brand.forget()
    made = cast_of_all.make()
    people.come_in(made)
    people.record(
        [
            *(described("n1", "n1", "李梅"), described("n2", "n2", "李梅")),
            *(described("n3", "n3", "Ada Wong"), described("n4", "n4", "Ada  Wong", "B")),
        ]
    )
    return made


@pytest.fixture
def headquarters(cast: Cast) -> Client:
    client = client_of(cast.headquarters)
    assert client.post("/customers/review/look").status_code == 302
    assert client.post("/customers/review/look").status_code == 302  # the run that is under way
    assert JobRun.objects.count() == 1
    assert jobs.run_waiting() == 1
    assert JobRun.objects.get().result == {"pairs": 2, "new": 2, "gone": 0}
    return client


def pair_of(member: str) -> Proposal:
    number = people.customer(member).pk
    return Proposal.objects.get(one=number)


def actions() -> list[str]:
    return list(AuditEntry.objects.filter(action__startswith="review.").order_by("id").values_list("action", flat=True))


def test_one_pair_after_the_other_and_the_way_back(headquarters: Client) -> None:
    page = headquarters.get("/customers/review/").content.decode()
    assert "李* · Member n1" in page and "The same name and date of birth" in page and "李梅" not in page
    first, second = pair_of("n1"), pair_of("n3")
    shown = headquarters.get(f"/customers/review/{first.pk}/").content.decode()
    assert "1990-02-03" in shown and 'data-key="s"' in shown and "2 pairs wait" in shown
    address = f"/customers/review/{first.pk}/decide"
    onward = headquarters.post(address, {"decision": "same", "reason": "called in"})
    assert onward["Location"] == f"/customers/review/{second.pk}/?last={first.pk}"
    assert headquarters.post(address, {"decision": "apart"}).status_code == 302  # a page that was left open
    people.apply()
    assert people.customer("n1") == people.customer("n2")
    assert f"/customers/review/{first.pk}/undo" in headquarters.get(onward["Location"]).content.decode()
    ended = headquarters.post(f"/customers/review/{second.pk}/decide", {"decision": "later"})
    assert ended["Location"] == f"/customers/review/?last={second.pk}"
    assert "Put off for thirty days" in headquarters.get(ended["Location"]).content.decode()
    assert Decision.objects.get().reason == "called in"
    assert "Take it back" in headquarters.get("/customers/review/?state=decided").content.decode()
    for one in (first, second):
        assert headquarters.post(f"/customers/review/{one.pk}/undo").status_code == 302
    people.apply()
    assert people.customer("n1") != people.customer("n2")
    assert len(headquarters.get("/customers/review/").context["rows"]) == 2
    assert actions()[2:] == ["review.same", "review.later", "review.taken_back", "review.taken_back"]


def test_who_sees_both_decides(headquarters: Client, cast: Cast) -> None:
    both_a, across = pair_of("n1"), pair_of("n3")
    region_a = client_of(user("region_a", REGION, cast.store_a.org_node))
    assert [row[0] for row in region_a.get("/customers/review/").context["rows"]] == [both_a]
    for address in (f"/customers/review/{across.pk}/", "/customers/review/999/"):
        assert region_a.get(address).status_code == 404
        assert region_a.post(f"{address}decide", {"decision": "same"}).status_code == 404
    assert client_of(cast.manager_a).get("/customers/review/").status_code == 403
    assert region_a.post(f"/customers/review/{both_a.pk}/decide", {"decision": "apart"}).status_code == 302
    people.apply()
    assert people.customer("n1") != people.customer("n2")
    assert suspicions.suspected(suspicions.active_grounds())[0].one == across.one_id


def test_an_adviser_proposes_and_somebody_else_decides(headquarters: Client, cast: Cast) -> None:
    adviser = client_of(user("adviser_a", ADVISER, cast.store_a.org_node))
    mei = people.customer("m1")
    page = adviser.get(f"/customers/{mei.public_id}/same-as", {"q": "n1"})
    assert [name for _, name in page.context["found"]] == ["李* · Member n1"]
    assert adviser.get(f"/customers/{mei.public_id}/same-as", {"q": "m2"}).context["found"] == []  # store B's
    values = {"other": str(people.customer("n1").public_id), "reason": "she showed me both cards"}
    assert adviser.post(f"/customers/{mei.public_id}/same-as", {**values, "reason": ""}).status_code == 422
    other = {**values, "other": str(people.customer("m2").public_id)}
    assert adviser.post(f"/customers/{mei.public_id}/same-as", other).status_code == 404
    for _ in range(2):
        assert adviser.post(f"/customers/{mei.public_id}/same-as", values).status_code == 302
    proposal = Proposal.objects.get(proposed_by="adviser_a")
    assert adviser.get(f"/customers/review/{proposal.pk}/").status_code == 403
    assert headquarters.get("/customers/review/").context["rows"][0][0] == proposal
    headquarters.post(f"/customers/review/{proposal.pk}/decide", {"decision": "same"})
    people.apply()
    assert people.customer("n1") == people.customer("m1")
    assert Fact.objects.get(kind="customer.joined").body["reason"] == "colleague"
    assert headquarters.post(f"/customers/{mei.public_id}/same-as", values).status_code == 302  # one already
    assert Proposal.objects.filter(state=Proposal.OPEN).count() == 2
