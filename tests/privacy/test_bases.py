"""Stating the legal basis of a source's consents: a job that may die anywhere, its pages, who may, what is written."""

from __future__ import annotations

import pytest

from hetang.customers.bases import Lot
from hetang.customers.models import Consent, Identity
from hetang.facts.models import Fact
from hetang.platform import jobs
from hetang.platform.access import Forbidden, actor_for
from hetang.platform.models import AuditEntry, JobRun
from hetang.privacy import bases, consents
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import BasisStatement
from tests.console import cast as people
from tests.console.cast import Cast
from tests.console.conftest import client_of
from tests.console.people import apply, customer
from tests.console.taking_out import exported
from tests.customers.drive import draft

pytestmark = pytest.mark.django_db(transaction=True)
LOT = Lot("crm", "marketing", "sms")
ADDRESS = "/privacy/consents/basis?source=crm&purpose=marketing&channel=sms"


@pytest.fixture
def cast() -> Cast:
    """Five customers whose consent to SMS came from `crm` without a basis, one with, one from elsewhere."""
    made = people.make()
    _say("crm", *(f"m{number}" for number in range(1, 6)))
    _say("crm", "m6", basis="consent", text_version="v1")
    _say("till", "m7")
    apply()
    return made


def _say(source: str, *members: str, **body: object) -> None:
    from hetang.facts.intake import record

    said = {"purpose": "marketing", "channel": "sms", "given": True, **body}
    drafts = [draft("consent.changed", f"{source}:{one}", [("member", one)], **said) for one in members]
    assert record(source, drafts).rejected == []


def begin(cast: Cast, **other: str) -> BasisStatement:
    said = {"basis": "consent", "text_version": "v9", "reason": "forms in the stores", **other}
    return bases.begin(actor_for(cast.headquarters), LOT, title="t", **said)


def counting() -> set[str]:
    numbers = Consent.objects.filter(counts=True, channel="sms").values("customer")
    return set(Identity.objects.filter(customer__in=numbers).values_list("key", flat=True))


def test_a_job_that_dies_after_each_chunk_states_each_once(cast: Cast) -> None:
    made = begin(cast)
    assert (made.people, counting()) == (5, {"m6"})
    assert [bases.step(made.pk, 2) for _ in range(4)] == [(2, 5), (4, 5), (5, 5), None]
    apply()
    assert counting() == {"m1", "m2", "m3", "m4", "m5", "m6"}
    assert bases.step(made.pk) is None
    made.refresh_from_db()
    assert (made.state, made.stated, made.left_out) == ("done", 5, 0)
    assert Fact.objects.filter(kind="consent.basis_stated").count() == 5
    rows = Consent.objects.filter(stated=True).values_list("basis", "text_version", "source").distinct()
    assert list(rows) == [("consent", "v9", "crm")]
    noted = AuditEntry.objects.filter(target_type="basis_statement").order_by("id")
    assert [one.action for one in noted] == ["consents.basis_stated", "consents.basis_done"]
    assert AuditEntry.objects.get(action="consents.basis_done").changes["changed"] == 5


def test_what_comes_later_waits_again_and_the_nameless_are_left_out(cast: Cast) -> None:
    made = begin(cast)
    Identity.objects.filter(key="m2").delete()
    _say("crm", "m8")
    Fact.objects.filter(key="crm:m8").update(occurred_at=made.started_at.replace(year=made.started_at.year + 1))
    jobs.run_waiting()
    apply()
    assert (BasisStatement.objects.get().stated, BasisStatement.objects.get().left_out) == (4, 1)
    assert bases.waiting(LOT) == 1  # m2; what crm sends later than the statement counts as waiting from its own time on


def test_what_cannot_be_stated(cast: Cast) -> None:
    for other, code in (
        ({"basis": "unknown"}, "bad_basis"),
        ({"text_version": " "}, "basis_text_missing"),
        ({"reason": " "}, "basis_reason_missing"),
    ):
        with pytest.raises(PrivacyRefused, match=code):
            begin(cast, **other)
    begin(cast, basis="contract", text_version="")
    with pytest.raises(PrivacyRefused, match="stating_already"):
        begin(cast)
    jobs.run_waiting()
    apply()
    with pytest.raises(PrivacyRefused, match="nothing_to_state"):
        begin(cast)
    with pytest.raises(Forbidden):
        bases.begin(actor_for(cast.manager_a), LOT, basis="contract", text_version="", reason="x", title="t")
    assert not AuditEntry.objects.filter(action="consents.basis_stated").exclude(changes__basis="contract").exists()


def test_a_stopped_one_is_gone_on_with(cast: Cast) -> None:
    made = begin(cast)
    bases.step(made.pk, 2)
    with pytest.raises(PrivacyRefused, match="stating_already"):
        bases.go_on(actor_for(cast.headquarters), made, "t")
    JobRun.objects.update(state=JobRun.CANCELLED)
    officer = client_of(cast.headquarters)
    consents.count()
    assert "Go on with it" in officer.get("/privacy/consents/").content.decode()
    assert officer.post(f"/privacy/consents/basis/{made.public_id}/go-on").status_code == 302
    jobs.run_waiting()
    assert BasisStatement.objects.get().stated == 5


def test_the_register_leads_to_the_form_and_back(cast: Cast) -> None:
    officer = client_of(cast.headquarters)
    consents.count()
    page = officer.get("/privacy/consents/").content.decode()
    assert "6 consents to marketing came without a legal basis" in page
    assert ADDRESS.replace("&", "&amp;") in page
    form = officer.get(ADDRESS).content.decode()
    assert "State it for 5 people" in form
    incomplete = officer.post(ADDRESS, {"basis": "consent", "reason": "forms", "sure": "on"})
    assert (incomplete.status_code, "which version of the text" in incomplete.content.decode()) == (422, True)
    unsure = officer.post(ADDRESS, {"basis": "contract", "reason": "forms"})
    assert (unsure.status_code, BasisStatement.objects.count()) == (422, 0)
    assert officer.post(ADDRESS, {"basis": "contract", "reason": "forms", "sure": "on"}).status_code == 302
    jobs.run_waiting()
    apply()
    assert "Every consent of this source counts already." in officer.get(ADDRESS).content.decode()
    consents.count()
    page = officer.get("/privacy/consents/").content.decode()
    assert "1 consent to marketing came without a legal basis" in page
    assert "Legal bases stated afterwards" in page
    assert officer.get("/privacy/consents/basis?source=crm&purpose=service&channel=sms").status_code == 404


def test_a_manager_states_it_on_her_customers_page_only(cast: Cast) -> None:
    from hetang.customers.models import Customer

    Customer.objects.filter(pk=customer("m1").pk).update(home_store=cast.store_a)
    manager, address = client_of(cast.manager_a), f"/customers/{customer('m1').public_id}/"
    assert manager.get(ADDRESS).status_code == 403
    assert manager.post(ADDRESS, {"basis": "contract", "reason": "x", "sure": "on"}).status_code == 403
    assert "not counting yet: basis missing" in manager.get(address).content.decode()
    said = {"purpose": "marketing", "channel": "sms", "basis": "consent", "reason": "signed in the store"}
    assert "Say which version" in manager.post(f"{address}consent-basis", said, follow=True).content.decode()
    manager.post(f"{address}consent-basis", said | {"text_version": "v3"})
    apply()
    assert counting() == {"m1", "m6"}
    page = manager.get(address).content.decode()
    assert ("stated afterwards" in page, "not counting yet" in page) == (True, False)
    other = manager.post(f"{address}consent-basis", said | {"channel": "email", "text_version": "v"}, follow=True)
    assert "has changed meanwhile" in other.content.decode()
    entry = AuditEntry.objects.get(action="customer.consent_basis")
    assert (entry.changes["basis"], entry.changes["text_version"]) == ("consent", "v3")
    bo = f"/customers/{customer('m2').public_id}/consent-basis"
    assert manager.post(bo, said | {"text_version": "v"}).status_code == 404


def test_staff_who_leave_the_basis_unknown_are_told(cast: Cast) -> None:
    officer, address = client_of(cast.headquarters), f"/customers/{customer('m7').public_id}/consents"
    said = {"purpose": "marketing", "channel": "wecom", "given": "1", "basis": "unknown"}
    assert "counts only with its legal basis" in officer.post(address, said, follow=True).content.decode()
    assert not Fact.objects.filter(source="console").exists()


def test_the_export_says_which_count(cast: Cast) -> None:
    rows = exported(client_of(cast.headquarters), "consents?channel=sms")
    assert sorted((row[9], row[6], row[10]) for row in rows[1:]) == [
        ("crm", "Consent", "yes"),
        *[("crm", "Not known", "no")] * 5,
        ("till", "Not known", "no"),
    ]
