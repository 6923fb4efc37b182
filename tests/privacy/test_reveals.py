"""One masked value at a time: with a permission and a reason, counted, limited, audited; children show less still."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client

from hetang.customers.models import AttributeDefinition, Identity
from hetang.platform import clock
from hetang.platform.access import Forbidden, actor_for
from hetang.platform.models import AuditEntry, User
from hetang.privacy import limits, reveals
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Reveal, RevealCount
from tests.console import cast as people
from tests.console.cast import Cast
from tests.console.conftest import client_of
from tests.console.people import come_in, customer, fact, record

pytestmark = pytest.mark.django_db(transaction=True)
PHONE = "13812345678"


@pytest.fixture
def cast() -> Cast:
    made = people.make()
    come_in(made)
    return made


def phone_of_mei() -> str:
    return f"identity:{Identity.objects.get(kind='phone').pk}"


def see(user: User, which: str | None = None, reason: str = "call", text: str = "") -> reveals.Shown:
    return reveals.reveal(actor_for(user), customer("m1"), which or phone_of_mei(), reason, text)


def test_a_value_is_shown_counted_and_noted(cast: Cast) -> None:
    shown = see(cast.headquarters)
    assert (shown.value, shown.what, shown.left) == (PHONE, "phone", 19)
    assert see(cast.headquarters, "name").value == "王小梅"
    row = AuditEntry.objects.filter(action="look.reveal").order_by("id")[0]
    assert (row.actor, row.target_id) == ("headquarters", str(customer("m1").public_id))
    assert row.changes == {"what": "phone", "reason": "call"}
    assert Reveal.objects.count() == 2
    assert not AuditEntry.objects.filter(changes__contains=PHONE).exists()


def test_who_lacks_the_permission_or_a_reason_sees_nothing(cast: Cast) -> None:
    with pytest.raises(Forbidden):
        see(cast.manager_a)
    for reason, text, code in (("", "", "bad_reason"), ("other", " x ", "text_missing")):
        with pytest.raises(PrivacyRefused, match=code):
            see(cast.headquarters, reason=reason, text=text)
    with pytest.raises(PrivacyRefused, match="nothing_there"):
        see(cast.headquarters, "identity:999999")
    bo = Identity.objects.get(kind="member", key="m2")
    with pytest.raises(PrivacyRefused, match="nothing_there"):  # another customer's
        see(cast.headquarters, f"identity:{bo.pk}")
    assert (Reveal.objects.count(), RevealCount.objects.count()) == (0, 0)


def test_the_limit_holds_for_a_day(cast: Cast) -> None:
    limits.change(actor_for(cast.headquarters), {"reveals_a_day": 2})
    see(cast.headquarters)
    assert see(cast.headquarters).left == 0
    with pytest.raises(PrivacyRefused, match="limit_reached"):
        see(cast.headquarters)
    assert Reveal.objects.count() == 2
    clock.freeze(clock.now() + timedelta(days=1))
    assert see(cast.headquarters).left == 1
    limits.change(actor_for(cast.headquarters), {"reveals_a_day": 0})
    with pytest.raises(PrivacyRefused, match="limit_reached"):
        see(cast.headquarters)


def test_twenty_browsers_at_once_share_one_limit(cast: Cast) -> None:
    limits.change(actor_for(cast.headquarters), {"reveals_a_day": 7})
    actor, mei, which = actor_for(cast.headquarters), customer("m1"), phone_of_mei()
    outcomes: list[bool] = []
    start = threading.Barrier(20)

    def once() -> None:
        start.wait()
        try:
            reveals.reveal(actor, mei, which, "call", "")
            outcomes.append(True)
        except PrivacyRefused:
            outcomes.append(False)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=once) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count(True), outcomes.count(False)) == (7, 13)
    assert (RevealCount.objects.get().count, Reveal.objects.count()) == (7, 7)


def test_the_dialog_answers_once_and_is_never_kept(cast: Cast) -> None:
    page = client_of(cast.headquarters)
    address = f"/customers/{customer('m1').public_id}/"
    shown = page.get(address).content.decode()
    assert PHONE not in shown
    assert phone_of_mei() in shown
    answer = page.post(f"{address}reveal", {"which": phone_of_mei(), "reason": "call"}, headers={"hx-request": "true"})
    assert PHONE in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    refused = page.post(f"{address}reveal", {"which": phone_of_mei(), "reason": ""}, headers={"hx-request": "true"})
    assert (refused.status_code, PHONE in refused.content.decode()) == (422, False)
    whole = page.post(f"{address}reveal", {"which": phone_of_mei(), "reason": "call"}).content.decode()
    assert PHONE in whole
    assert 'http-equiv="refresh"' in whole


def test_a_manager_sees_neither_the_button_nor_another_store(cast: Cast) -> None:
    manager = client_of(cast.manager_a)
    assert "reveal" not in manager.get(f"/customers/{customer('m1').public_id}/").content.decode()
    assert manager.post(f"/customers/{customer('m2').public_id}/reveal").status_code == 403


def child(birthday: str, code: str = "birthday") -> None:
    record([fact("customer.described", f"born:{birthday}", "m1", {"attributes": {code: birthday, "town": "Wuxi"}})])


def test_under_fourteen_only_the_last_digits_show(cast: Cast) -> None:
    clock.freeze(clock.now().replace(year=2026, month=5, day=4, hour=4))
    page = client_of(cast.headquarters)
    address = f"/customers/{customer('m1').public_id}/"
    child("2012-05-04")  # fourteen today
    grown = page.get(address).content.decode()
    assert ("138****5678" in grown, "王**" in grown, "2012-05-04" in grown) == (True, True, True)
    child("2012-05-05")  # fourteen tomorrow
    young = page.get(address).content.decode()
    hidden = ("138****" in young, "王" in young, "2012-05-05" in young, bool(re.search(r"\bm1\b", young)))
    assert hidden == (
        False,
        False,
        False,
        False,
    )
    assert "***78" in young
    assert "Under fourteen" in young
    listed = page.get("/customers/").content.decode()
    assert ("王" in listed, "Wuxi" in young) == (False, True)
    assert see(cast.headquarters, "attribute:birthday").value == "2012-05-05"


def test_a_brand_may_say_which_attribute_is_the_date_of_birth(cast: Cast) -> None:
    AttributeDefinition.objects.create(code="dob", type="date", label_zh="生日", label_en="Born", birth_date=True)
    AttributeDefinition.objects.create(code="blood", type="text", label_zh="血型", label_en="Blood", sensitive=True)
    child("2024-01-01", "dob")
    record([fact("customer.described", "blood", "m1", {"attributes": {"blood": "AB-neg"}})])
    page = client_of(cast.headquarters).get(f"/customers/{customer('m1').public_id}/").content.decode()
    assert ("2024-01-01" in page, "AB-neg" in page, "Under fourteen" in page) == (False, False, True)


def test_looks_are_noted_once_in_five_minutes_and_found_by_person(cast: Cast) -> None:
    page = client_of(cast.headquarters)
    address = f"/customers/{customer('m1').public_id}/"
    for _ in range(3):
        page.get(address)
    page.get("/customers/", {"q": PHONE})
    page.get("/customers/", {"q": "13900000000"})
    looks = AuditEntry.objects.filter(action__startswith="look.").order_by("id").values_list("action", "changes")
    assert list(looks) == [("look.portrait", {}), ("look.search", {"found": 1}), ("look.search", {"found": 0})]
    clock.freeze(clock.now() + timedelta(minutes=6))
    page.get(address)
    assert AuditEntry.objects.filter(action="look.portrait").count() == 2
    found = page.get("/audit/", {"person": PHONE, "kind": "looks"}).content.decode()
    assert found.count("looked at a customer") == 2 + 2  # and in the filter, twice: her request is another thing
    assert PHONE in found  # in the field that it was typed into
    assert not AuditEntry.objects.filter(changes__icontains=PHONE).exists()


def test_the_log_is_filtered_by_day_and_kind(cast: Cast, db: None) -> None:
    page: Client = client_of(cast.headquarters)
    page.get(f"/customers/{customer('m1').public_id}/")
    today = clock.today().isoformat()
    assert "Nobody has done anything" in page.get("/audit/", {"to": "2020-01-01"}).content.decode()
    assert "Nobody has done anything" in page.get("/audit/", {"kind": "changes", "from": today}).content.decode()
    assert "Nobody has done anything" not in page.get("/audit/", {"kind": "looks", "from": today}).content.decode()
    assert "Write days like" in page.get("/audit/", {"from": "yesterday"}).content.decode()


def test_the_seals_page_checks_and_says_what_it_found(cast: Cast) -> None:
    from hetang.platform import jobs

    page = client_of(cast.headquarters)
    assert page.post("/audit/verify").status_code == 302
    jobs.run_waiting()
    assert "are as they were sealed" in page.get("/audit/seals").content.decode()
    AuditEntry.objects.filter(action="audit.checked").update(actor="bela")
    page.post("/audit/verify")
    jobs.run_waiting()
    assert "was altered after it was sealed" in page.get("/audit/seals").content.decode()
