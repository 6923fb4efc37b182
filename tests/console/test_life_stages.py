"""Life stage models on their settings page, and the household on a customer's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import Client

from hetang.audiences.models import Audience
from hetang.customers.life_stages import course_of
from hetang.customers.models import HouseholdMember, LifeStageModel
from hetang.customers.stages import Offset
from hetang.facts.intake import Draft
from hetang.platform import clock
from hetang.platform.models import AuditEntry, OrgNode
from tests.customers.drive import apply, at, customer_of, draft, fold_after, last_id

PAGE = "/settings/life-stages/"


def form(**said: Any) -> dict[str, Any]:
    return {
        **{"name": "Growing", "member_kind": "child", "attribute": "", "example": "2026-01-31"},
        **{"code": ["", "", ""], "stage": ["Bigger", "Small", ""], "number": ["1", "0", ""]},
        **{"unit": ["month", "day", "month"], "ends": "2", "ends_unit": "year", **said},
    }


def test_a_model_is_looked_at_made_changed_and_archived(headquarters: Client) -> None:
    assert "No life stages yet" in headquarters.get(PAGE).content.decode()
    template = headquarters.get(f"{PAGE}new", {"template": "child"}).content.decode()
    assert template.count('name="stage"') == 9 + 3 and "40 weeks before" in template
    looked = headquarters.post(f"{PAGE}new", form(do="look")).content.decode()
    assert "2026-03-01" in looked and "1 month after" in looked and not LifeStageModel.objects.exists()
    assert headquarters.post(f"{PAGE}new", form()).status_code == 302
    made = LifeStageModel.objects.get()
    assert [(one.name, one.begins) for one in course_of(made).stages] == [
        ("Small", Offset(0, "day")),
        ("Bigger", Offset(1, "month")),
    ]
    assert "Small → Bigger" in headquarters.get(PAGE).content.decode()
    codes = [one.code for one in course_of(made).stages]
    changed = form(code=[*codes, ""], stage=["Tiny", "Bigger", ""], number=["0", "2", ""], version="1")
    changed["unit"] = ["day", "month", "month"]
    assert headquarters.post(f"{PAGE}{made.public_id}/", changed).status_code == 302
    assert [one["code"] for one in LifeStageModel.objects.get().stages] == codes
    stale = headquarters.post(f"{PAGE}{made.public_id}/", changed)
    assert stale.status_code == 422 and "Somebody else has changed it" in stale.content.decode()
    rule = {"not": {"any": [{"type": "life_stage", "op": "in", "model": str(made.public_id), "stages": codes[:1]}]}}
    root = OrgNode.objects.get(parent=None)
    for name, asked in (("Tiny ones", rule), ("Everybody", {"all": []})):
        Audience.objects.create(name=name, rule=asked, org_node=root, created_at=clock.now(), updated_at=clock.now())
    page = headquarters.get(f"{PAGE}{made.public_id}/").content.decode()
    assert "Tiny ones" in page and "Everybody" not in page  # what is lost by archiving it
    headquarters.post(f"{PAGE}{made.public_id}/archive")
    assert LifeStageModel.objects.get().archived_at is not None
    kinds = AuditEntry.objects.filter(target_type="life_stages").order_by("id").values_list("action", flat=True)
    assert list(kinds) == ["life_stages.created", "life_stages.changed", "life_stages.archived"]


def test_what_a_model_may_not_be_is_said_and_what_was_typed_stays(headquarters: Client) -> None:
    for said, why in (
        ({"name": " "}, "Give the model a name"),
        ({"number": ["x", "0", ""]}, "“Bigger”: enter a whole number"),
        ({"number": ["30", "1", ""], "unit": ["day", "month", "month"]}, "does not begin after the stage before it"),
        ({"stage": ["", "", ""]}, "Name at least one stage."),
        ({"member_kind": ""}, "Choose what is counted from"),
        ({"attribute": "nothing"}, "Choose an attribute that is a date."),
    ):
        answer = headquarters.post(f"{PAGE}new", form(**said))
        assert answer.status_code == 422 and why in answer.content.decode(), said
        assert 'value="2026-01-31"' in answer.content.decode()


def test_a_manager_defines_no_stages(manager: Client) -> None:
    assert manager.get(PAGE).status_code == 403
    assert manager.post(f"{PAGE}new", form()).status_code == 403


def test_a_household_is_noted_shown_masked_and_revealed_with_a_reason(headquarters: Client) -> None:
    apply(draft("customer.described", "d1", [("member", "m1")], home_store="A"))
    headquarters.post(f"{PAGE}new", form())
    born = clock.today() - timedelta(days=3)
    address = f"/customers/{customer_of('member', 'm1').public_id}/"

    def post(path: str, **said: str) -> None:
        before = last_id()
        assert headquarters.post(f"{address}household{path}", said).status_code == 302
        fold_after(before)

    post("", kind="child", name="王小明", born_on=born.isoformat(), sex="male")
    row = HouseholdMember.objects.get()
    audited = AuditEntry.objects.get(action="customer.household_noted")
    assert audited.changes == {"kind": "child", "fields": ["born_on", "kind", "name", "sex"]}
    page = headquarters.get(address).content.decode()
    assert "Under fourteen" in page and "Small" in page and "小明" not in page and born.isoformat() not in page
    asked = {"which": f"member:{row.pk}", "reason": "call", "text": ""}
    assert f"王小明 · {born}" in headquarters.post(f"{address}reveal", asked).content.decode()
    post(f"/{row.pk}", kind="child", sex="female")
    row.refresh_from_db()
    assert (row.sex, row.born_on) == ("female", born)
    post(f"/{row.pk}/remove")
    assert "Nobody is known of her household." in headquarters.get(address).content.decode()
    late = {"kind": "child", "born_on": (clock.today() + timedelta(days=1)).isoformat()}
    assert "A birthday cannot lie ahead" in headquarters.post(f"{address}household", late, follow=True).content.decode()
    assert "no such member" in headquarters.post(f"{address}household/{row.pk}/remove", follow=True).content.decode()


def test_a_customers_page_calls_sources_by_their_names(headquarters: Client) -> None:
    """Made-up things say so, ours have words, and a brand's own system is called as it calls itself."""
    who = [("member", "m1")]
    apply(draft("customer.described", "d1", who, home_store="A"), source="pos")
    for source in ("demo-simulated", "crm.shop"):
        born = {"kind": "child", "member": "1", "born_on": "2026-01-05"}
        child = Draft("household.member_described", f"h-{source}", at(0), who, born)
        apply(child, draft("tag.changed", f"t-{source}", who, tag=source.partition("-")[0], on=True), source=source)
    consent = {"purpose": "marketing", "channel": "wecom", "given": True, "basis": "consent", "simulated": True}
    apply(draft("consent.changed", "c", who, **consent), source="demo-simulated")
    customer = customer_of("member", "m1")
    before = last_id()
    said = {"kind": "pet", "name": "Rex"}
    assert headquarters.post(f"/customers/{customer.public_id}/household", said).status_code == 302
    fold_after(before)
    page = headquarters.get(f"/customers/{customer.public_id}/").content.decode()
    assert "demo-simulated" not in page
    assert "Under fourteen · simulated<" in page and "Under fourteen · crm.shop<" in page
    assert "Birthday not known · hand (console)<" in page
    assert page.count("· simulated · simulated") == 0
