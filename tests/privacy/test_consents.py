"""The register of consents: counts by basis and source, texts that are never changed, choices noted for a customer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hetang.customers.models import Consent, Customer, CustomerAttribute, Identity
from hetang.facts.intake import Draft, record
from hetang.platform import clock, jobs
from hetang.platform.access import Forbidden, actor_for
from hetang.platform.models import AuditEntry
from hetang.privacy import consents
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import ConsentCount
from tests.console import cast as people
from tests.console.cast import Cast
from tests.console.conftest import client_of
from tests.console.taking_out import exported

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 4, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _still() -> object:
    clock.freeze(NOW)
    yield
    clock.freeze(None)


@pytest.fixture
def cast() -> Cast:
    """Six customers of store A, two of B; agreements from two sources; 7 was merged into 1."""
    made = people.make()
    for number in range(1, 9):
        store = made.store_b if number in {5, 6} else made.store_a
        Customer.objects.create(
            number=number, created_at=NOW, home_store=store, merged_into_id=1 if number == 7 else None
        )
    for number, source, basis, given in (
        *((1, "crm", "consent", True), (2, "crm", "consent", True), (3, "crm", "consent", False)),
        *((4, "file", "unknown", True), (5, "file", "unknown", True), (7, "crm", "consent", True)),
    ):
        said(number, "marketing", "wecom", given, basis, source)
    said(6, "personalisation", "any", given=False)
    for number in (1, 2):
        CustomerAttribute.objects.create(
            customer_id=number, code="birthday", value="2020-01-01", occurred_at=NOW, fact_key=""
        )
    said(2, "guardian", "any", given=True)
    return made


def said(number: int, purpose: str, channel: str, given: bool, basis: str = "consent", source: str = "crm") -> None:
    Consent.objects.create(
        customer_id=number,
        purpose=purpose,
        channel=channel,
        given=given,
        basis=basis,
        text_version="2026-01" if basis == "consent" else "",
        occurred_at=NOW,
        fact_key="",
        source=source,
    )


def test_the_page_counts_by_basis_and_source_without_merged_people(cast: Cast) -> None:
    officer = client_of(cast.headquarters)
    page = officer.get("/privacy/consents/").content.decode()
    assert "not counted yet" in page and "No consents are known" not in page
    officer.post("/privacy/consents/count")
    jobs.run_waiting()
    found = {(one.source, one.basis, one.given): one.people for one in ConsentCount.objects.filter(purpose="marketing")}
    assert found == {("crm", "consent", True): 2, ("crm", "consent", False): 1, ("file", "unknown", True): 2}
    page = officer.get("/privacy/consents/").content.decode()
    assert "1 with a guardian" in page
    assert (page.count(">crm<"), page.count(">file<")) == (3, 1)
    assert consents.children() == consents.Children(2, 1)


def test_nobody_said_anything(cast: Cast) -> None:
    Consent.objects.all().delete()
    assert "No consents are known" in client_of(cast.headquarters).get("/privacy/consents/").content.decode()


def test_counts_of_days_are_kept_and_a_day_is_counted_over(cast: Cast) -> None:
    assert consents.count_if_old()
    assert not consents.count_if_old()
    clock.freeze(NOW + timedelta(hours=7))
    assert consents.count_if_old()
    Consent.objects.filter(customer=1).update(given=False)
    clock.freeze(NOW + timedelta(days=1))
    consents.count()
    assert [(given, withdrawn) for _day, given, withdrawn in consents.trend("marketing")] == [
        (1, 2),
        (2, 1),
    ]  # 4 and 5 wait


def test_texts_are_never_changed(cast: Cast) -> None:
    officer = actor_for(cast.headquarters)
    assert consents.current_text("marketing") is None
    consents.add_text(officer, "2026-05", "marketing", "同意接收", "I agree")
    for version, zh, code in (
        ("2026-05", "别的", "version_taken"),
        ("", "x", "version_missing"),
        ("b", "", "text_inc"),
    ):
        with pytest.raises(PrivacyRefused, match=code):
            consents.add_text(officer, version, "marketing", zh, "Something else")
    with pytest.raises(Forbidden):
        consents.add_text(actor_for(cast.manager_a), "x", "marketing", "y", "z")
    clock.freeze(NOW + timedelta(days=1))
    consents.add_text(officer, "2026-06", "marketing", "同意", "Yes")
    newest = consents.current_text("marketing")
    assert newest is not None
    assert (newest.version, newest.en) == ("2026-06", "Yes")
    assert AuditEntry.objects.filter(action="consent_text.added").count() == 2


def test_the_register_is_exported_masked_and_by_scope(cast: Cast) -> None:
    rows = exported(client_of(cast.headquarters), "consents?purpose=marketing")
    assert [row[3:8] for row in rows[1:3]] == [
        ["marketing messages", "WeCom", "yes", "Not known", ""],
        ["marketing messages", "WeCom", "yes", "Not known", ""],
    ]
    assert len(rows) == 1 + 5
    assert client_of(cast.manager_a).get("/exports/new/consents").status_code == 403
    listed = [row[1] for row in exported(client_of(cast.headquarters), "exports")[1:]]
    assert listed == ["Register of exports", "Consents"]  # it holds the export of itself


def test_a_manager_does_not_see_the_register(cast: Cast) -> None:
    manager = client_of(cast.manager_a)
    assert manager.get("/privacy/consents/").status_code == 403
    assert manager.post("/privacy/consents/count").status_code == 403


def test_choices_are_noted_on_her_page(cast: Cast) -> None:
    Identity.objects.create(kind="member", key="m1", customer_id=1, evidence_number=1, first_seen_at=NOW)
    manager, address = client_of(cast.manager_a), f"/customers/{Customer.objects.get(pk=1).public_id}/"
    assert "Marketing, by her guardian" in manager.get(address).content.decode()
    manager.post(f"{address}personalisation", {"allowed": "0"})
    manager.post(f"{address}consents", {"purpose": "guardian", "channel": "wecom", "given": "1", "basis": "consent"})
    assert facts_of() == [
        ("personalisation", "any", False),
        ("guardian", "any", True),
    ]
    assert AuditEntry.objects.get(action="customer.personalisation").changes == {"allowed": False}
    stranger = f"/customers/{Customer.objects.get(pk=5).public_id}/personalisation"
    assert manager.post(stranger, {"allowed": "0"}).status_code == 404
    said(1, "personalisation", "any", given=False)
    assert "Personalisation is off" in manager.get(address).content.decode()


def facts_of() -> list[tuple[str, str, bool]]:
    from hetang.facts.models import Fact

    rows = Fact.objects.filter(kind="consent.changed").order_by("id").values_list("body", flat=True)
    return [(body["purpose"], body["channel"], body["given"]) for body in rows]


def test_a_choice_for_everything_names_every_channel(db: None) -> None:
    body = {"purpose": "personalisation", "channel": "wecom", "given": False}
    refused = record("crm", [Draft("consent.changed", "k", NOW, [("member", "m")], body)]).rejected
    assert [one.code for one in refused] == ["channel_must_be_any"]
