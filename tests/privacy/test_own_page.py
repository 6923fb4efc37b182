"""The customer's own page: by a link of hers alone, little by little, slow for guessers; and what staff do about it."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.test import Client

from hetang.customers.models import Consent, Customer, CustomerAttribute, DoNotDisturb, Identity
from hetang.platform import clock, jobs, signed_tokens
from hetang.platform.access import actor_for
from hetang.platform.models import AuditEntry
from hetang.platform.roles import AUDITOR
from hetang.privacy import consents, limits, own_page, page_limits
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Erasure, Export, PrivacyLink, PrivacyRequest
from tests.console import cast as people
from tests.console.cast import Cast
from tests.console.conftest import client_of
from tests.console.people import apply, come_in, customer
from tests.console.taking_out import exported

pytestmark = pytest.mark.django_db(transaction=True)
PHONE = "13812345678"
PAGE = "/h5/privacy/"


@pytest.fixture
def cast() -> Cast:
    made = people.make()
    come_in(made)
    return made


def link_for(cast: Cast, member: str = "m1") -> str:
    """The path of a new link that headquarters made."""
    link = own_page.make_link(actor_for(cast.headquarters), customer(member))
    return f"{PAGE}{own_page.token_of(link)}"


def visitor(path: str, language: str = "en") -> Client:
    """A phone that has opened the link."""
    phone = Client(headers={"accept-language": language})
    answer = phone.get(path)
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    return phone


def known(phone: Client) -> Client:
    """The same, after the right answer."""
    assert phone.post(f"{PAGE}know", {"answer": "138 1234 5678"}).status_code == 302
    return phone


def text(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined,no-any-return]


# the link -------------------------------------------------------------------------------------------------------------


def test_the_link_shows_little_and_masked_in_her_language(cast: Cast) -> None:
    phone = visitor(link_for(cast))
    page = phone.get(PAGE)
    shown = text(page)
    assert ("王**" in shown, "138****5678" in shown, PHONE in shown, "王小梅" in shown) == (True, True, False, False)
    assert "You agreed on" in shown
    assert (page["Referrer-Policy"], "no-store" in page["Cache-Control"]) == ("same-origin", True)
    assert "noindex" in page["X-Robots-Tag"]
    assert "我的个人信息" in text(phone.get(PAGE, headers={"accept-language": "zh-CN"}))
    assert phone.get(f"{PAGE}copy").status_code == 302  # not without the answer
    assert phone.post(f"{PAGE}ask", {"kind": "erase", "sure": "1"}).status_code == 422
    assert not PrivacyRequest.objects.exists()


def test_forged_over_and_ended_links_open_nothing(cast: Cast) -> None:
    path = link_for(cast)
    for bad in (f"{PAGE}nonsense", path[:-4] + "AAAA", f"{PAGE}{signed_tokens.make('export', b'x' * 16, later())}"):
        assert Client().get(bad).status_code == 404
    assert Client().get(PAGE).status_code == 404
    phone = visitor(path)
    newer = visitor(link_for(cast))  # ends the first
    assert (phone.get(PAGE).status_code, newer.get(PAGE).status_code) == (404, 200)
    own_page.end_links(actor_for(cast.headquarters), customer("m1"))
    assert newer.get(PAGE).status_code == 404
    last = visitor(link_for(cast))
    clock.freeze(clock.wall() + timedelta(hours=limits.current().link_hours, seconds=1))
    assert last.get(PAGE).status_code == 404


def later() -> object:
    return clock.wall() + timedelta(hours=1)


def test_a_link_made_for_one_never_shows_another(cast: Cast) -> None:
    mei, bo = visitor(link_for(cast)), visitor(link_for(cast, "m2"))
    known(mei)
    bo.cookies["hetang_own_page_known"] = mei.cookies["hetang_own_page_known"].value
    assert bo.get(f"{PAGE}copy").status_code == 302
    assert "王" not in text(bo.get(PAGE))


# who she is -----------------------------------------------------------------------------------------------------------


def test_the_right_answer_opens_everything_for_half_an_hour(cast: Cast) -> None:
    phone = visitor(link_for(cast))
    wrong = phone.post(f"{PAGE}know", {"answer": "13900000000"})
    assert (wrong.status_code, "not what we know" in text(wrong)) == (422, True)
    known(phone)
    everything = text(phone.get(f"{PAGE}copy"))
    assert (PHONE in everything, "王小梅" in everything, "¥12.90" in everything) == (True, True, True)
    copied = phone.get(f"{PAGE}copy", {"format": "json"})
    assert json.loads(copied.content)["customers"]["name"] == "王小梅"
    looks = AuditEntry.objects.filter(action="look.personal_copy")
    assert (looks.count(), looks[0].actor) == (2, "customer")
    clock.freeze(clock.wall() + timedelta(minutes=31))
    assert phone.get(f"{PAGE}copy").status_code == 302
    assert phone.get(PAGE).status_code == 200


def test_twenty_guesses_at_once_are_five(cast: Cast) -> None:
    link_for(cast)
    link = own_page.link_of(customer("m1"))
    assert link is not None
    visit = own_page.visit(own_page.token_of(link))
    outcomes: list[object] = []
    start = threading.Barrier(20)

    def guess(number: int) -> None:
        start.wait()
        try:
            outcomes.append(own_page.is_she(visit, f"1390000{number:04}"))  # type: ignore[arg-type]
        except PrivacyRefused as refused:
            outcomes.append(refused.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(False) <= 4
    assert outcomes.count("link_over") >= 16
    assert own_page.link_of(customer("m1")) is None
    assert AuditEntry.objects.filter(action="privacy.link_failed").count() == 1


def test_new_links_give_no_endless_guesses(cast: Cast) -> None:
    for _link in range(3):
        phone = visitor(link_for(cast))
        for number in range(5):
            phone.post(f"{PAGE}know", {"answer": f"1380000{number:04}"})
    phone = visitor(link_for(cast))
    assert "too many wrong answers today" in text(phone.post(f"{PAGE}know", {"answer": PHONE}))
    assert phone.get(f"{PAGE}copy").status_code == 302
    clock.freeze(clock.wall() + timedelta(days=1, minutes=1))
    known(visitor(link_for(cast)))


def test_who_has_no_phone_is_asked_for_another_number(cast: Cast) -> None:
    assert own_page.question_for(customer("m1")) == "phone"
    assert own_page.question_for(customer("m2")) == "member"
    asked = visitor(f"{PAGE}{own_page.token_of(own_page.make_link(actor_for(cast.headquarters), customer('m2')))}")
    assert ">m2<" not in text(asked.get(PAGE))  # the page that asks does not tell the answer
    assert asked.post(f"{PAGE}know", {"answer": "m2"}).status_code == 302
    assert ">m2<" in text(asked.get(PAGE))
    Identity.objects.filter(key="m2").update(kind="external_userid", key="wm2")
    bo = Identity.objects.get(key="wm2").customer
    assert own_page.question_for(bo) == ""
    link = own_page.make_link(actor_for(cast.headquarters), bo)
    phone = visitor(f"{PAGE}{own_page.token_of(link)}")
    assert "We know nothing by which" in text(phone.get(PAGE))
    assert phone.post(f"{PAGE}ask", {"kind": "other", "text": "Who are you?"}).status_code == 302


def test_guessing_links_and_reloading_are_slowed_down(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    from hetang.console.own_page import views

    for name, most in (("ARRIVALS", 3), ("LOOKS", 3), ("DEEDS", 2)):
        monkeypatch.setattr(views, name, most)
    path = link_for(cast)
    statuses = [Client().get(f"{PAGE}guess{n}").status_code for n in range(5)]
    assert statuses == [404, 404, 404, 429, 429]
    assert Client().get(path).status_code == 302  # others of the same network, with good links, are not held up
    clock.freeze(clock.wall() + timedelta(hours=1))
    phone = visitor(path)
    assert [phone.get(PAGE).status_code for _ in range(4)] == [200, 200, 200, 429]
    deeds = [phone.post(f"{PAGE}choose", {"what": "quiet", "on": "1"}).status_code for _ in range(3)]
    assert deeds == [302, 302, 429]
    clock.freeze(clock.wall() + timedelta(hours=2))
    assert page_limits.forget_old() > 0


# what she chooses and asks for ----------------------------------------------------------------------------------------


def test_she_withdraws_agrees_objects_and_is_left_alone_at_once(cast: Cast) -> None:
    consents.add_text(actor_for(cast.headquarters), "2026-05", "marketing", "同意", "I agree to the newsletter")
    phone, mei = visitor(link_for(cast)), customer("m1").pk
    assert "I agree to the newsletter" in text(phone.get(PAGE))
    for what, on in (("wecom", "0"), ("personalisation", "0"), ("quiet", "1")):
        assert phone.post(f"{PAGE}choose", {"what": what, "on": on}).status_code == 302
    apply()
    assert not Consent.objects.get(customer=mei, purpose="marketing").given
    assert not Consent.objects.get(customer=mei, purpose="personalisation", channel="any").given
    assert DoNotDisturb.objects.get(customer=mei).on
    for what, on in (("wecom", "1"), ("personalisation", "1"), ("quiet", "0")):
        refused = phone.post(f"{PAGE}choose", {"what": what, "on": on})  # whoever holds the link agrees to nothing
        assert (refused.status_code, "Say first who you are." in text(refused)) == (422, True)
    known(phone).post(f"{PAGE}choose", {"what": "wecom", "on": "1"})
    apply()
    agreed = Consent.objects.get(customer=mei, purpose="marketing")
    assert (agreed.given, agreed.text_version, agreed.source) == (True, "2026-05", "h5")
    assert phone.post(f"{PAGE}choose", {"what": "telepathy", "on": "1"}).status_code == 422
    assert AuditEntry.objects.filter(action="privacy.chose", actor="customer").count() == 4


@pytest.mark.engine
def test_from_her_request_to_her_erasure_with_proof(clickhouse: str, cast: Cast) -> None:
    phone = known(visitor(link_for(cast)))
    assert phone.post(f"{PAGE}ask", {"kind": "erase"}).status_code == 422  # not without the tick
    assert phone.post(f"{PAGE}ask", {"kind": "erase", "sure": "1", "objects": "1"}).status_code == 302
    assert "being dealt with" in text(phone.post(f"{PAGE}ask", {"kind": "erase", "sure": "1"}))
    asked = PrivacyRequest.objects.get()
    assert asked.due_at - asked.asked_at == timedelta(days=15)
    officer = client_of(people.user("officer", AUDITOR, cast.root))
    assert "1 request of a customer waits" in text(officer.get("/"))
    assert "Deleting my data" in text(officer.get("/privacy/requests/"))
    at = f"/privacy/requests/{asked.public_id}/"
    assert "She does not want that" in text(officer.get(at))
    answer = officer.post(f"{at}erase")
    done = Erasure.objects.get()
    assert (answer["Location"], done.objects_to_return) == (f"/privacy/erasures/{done.public_id}/", True)
    jobs.run_waiting()
    asked.refresh_from_db()
    assert (asked.state, asked.erasure, asked.text) == (PrivacyRequest.DONE, done, None)
    assert phone.get(PAGE).status_code == 404  # her link went with her
    assert "request of a customer" not in text(officer.get("/"))
    page = text(officer.get(f"/privacy/erasures/{done.public_id}/"))
    assert ("signed, and as it was signed" in page, page.count('<th scope="row">') > 10) == (True, True)
    proof = json.loads(officer.get(f"/privacy/erasures/{done.public_id}/proof").content)
    assert {one["left"] for one in proof["holdings"]} == {0}
    checked = officer.post(f"/privacy/erasures/{done.public_id}/check", follow=True)
    assert "nothing of her is left" in text(checked)


def test_a_correction_is_answered_and_she_reads_it(cast: Cast) -> None:
    phone = known(visitor(link_for(cast)))
    phone.post(f"{PAGE}ask", {"kind": "correct", "text": "My name is 王晓梅"})
    asked = PrivacyRequest.objects.get()
    assert "王晓梅".encode() not in bytes(asked.text or b"")
    officer = client_of(people.user("officer", AUDITOR, cast.root))
    at = f"/privacy/requests/{asked.public_id}/"
    assert "王晓梅" in text(officer.get(at))
    assert "Write an answer" in text(officer.post(f"{at}answer", {"outcome": "done", "answer": " "}, follow=True))
    officer.post(f"{at}answer", {"outcome": "done", "answer": "Changed in the till."})
    assert "Somebody answered" in text(officer.post(f"{at}answer", {"outcome": "refused", "answer": "x"}, follow=True))
    assert "Changed in the till." in text(phone.get(PAGE))
    assert not AuditEntry.objects.filter(changes__icontains="王晓梅").exists()


def test_a_guardian_agrees_for_a_child_after_the_answer_and_takes_it_back(cast: Cast) -> None:
    phone, mei = visitor(link_for(cast)), customer("m1").pk
    agree = {"what": "guardian", "on": "1", "sure": "1"}
    assert "For a guardian" not in text(phone.get(PAGE))
    assert phone.post(f"{PAGE}choose", agree).status_code == 422  # she is no child
    CustomerAttribute.objects.create(
        customer_id=mei, code="birthday", value=f"{clock.today().year - 5}-01-01", occurred_at=clock.now(), fact_key=""
    )
    assert "For a guardian" in text(phone.get(PAGE))
    assert phone.post(f"{PAGE}choose", agree).status_code == 422  # whoever holds the link
    known(phone)
    assert phone.post(f"{PAGE}choose", agree | {"sure": ""}).status_code == 422
    assert phone.post(f"{PAGE}choose", agree).status_code == 302
    apply()
    assert Consent.objects.get(customer=mei, purpose="guardian", channel="any").given
    assert phone.post(f"{PAGE}choose", {"what": "guardian", "on": "0"}).status_code == 302
    apply()
    assert not Consent.objects.get(customer=mei, purpose="guardian", channel="any").given


def test_forms_of_other_sites_do_nothing(cast: Cast) -> None:
    phone = Client(enforce_csrf_checks=True)
    phone.get(link_for(cast))
    for at, body in (("choose", {"what": "quiet", "on": "1"}), ("know", {"answer": PHONE}), ("leave", {})):
        assert phone.post(f"{PAGE}{at}", body).status_code == 403
    assert phone.get(f"{PAGE}choose").status_code == 405
    assert not AuditEntry.objects.filter(action="privacy.chose").exists()


# staff ----------------------------------------------------------------------------------------------------------------


def test_staff_make_links_for_their_own_customers_only(cast: Cast) -> None:
    manager = client_of(cast.manager_a)
    mei, bo = (f"/privacy/of/{customer(member).public_id}/" for member in ("m1", "m2"))
    assert "Privacy" in text(manager.get(f"/customers/{customer('m1').public_id}/"))
    manager.post(f"{mei}link")
    page = text(manager.get(mei))
    address = page.split('readonly value="')[1].split('"')[0]
    assert visitor(urlsplit(address).path).get(PAGE).status_code == 200
    assert "data:image/svg" in page
    for path in (bo, f"{bo}link", f"{bo}note", f"{bo}end-link"):
        method = manager.get if path == bo else manager.post
        assert method(path).status_code == 404
    assert client_of(cast.nobody).get(mei).status_code == 403
    assert manager.post(f"{mei}erase", {"reason": "asked"}).status_code == 403
    assert "For the privacy officer" not in page
    manager.post(f"{mei}note", {"kind": "other", "text": "She wants a call"})
    noted = PrivacyRequest.objects.get()
    assert (noted.came_by, noted.noted_by) == ("staff", cast.manager_a)
    for path in ("/privacy/requests/", f"/privacy/requests/{noted.public_id}/", "/privacy/erasures/"):
        assert manager.get(path).status_code == 403
    assert PrivacyLink.objects.get().opened == 1


def test_the_officer_erases_and_hands_out(cast: Cast) -> None:
    headquarters = client_of(cast.headquarters)
    mei = customer("m1")
    rows = exported(headquarters, f"person?customer={mei.public_id}")
    assert {"m1", PHONE, "王小梅"} <= {row[3] for row in rows}
    assert (PHONE in str(AuditEntry.objects.values_list("changes")), PHONE in str(Export.objects.values())) == (
        False,
        False,
    )
    assert client_of(cast.manager_a).get(f"/exports/new/person?customer={mei.public_id}").status_code == 403
    at = f"/privacy/of/{mei.public_id}/"
    officer = client_of(people.user("officer", AUDITOR, cast.root))  # who may erase but edits nothing
    page = text(officer.get(at))
    assert ("For the privacy officer" in page, "Make a link" in page) == (True, False)
    assert officer.post(f"{at}link").status_code == 403
    assert "Choose a reason" in text(headquarters.post(f"{at}erase", {"reason": "whim"}, follow=True))
    assert headquarters.post(f"{at}erase", {"reason": "law"}).status_code == 302
    jobs.run_waiting()
    ordered = Erasure.objects.get()
    assert Customer.objects.get(pk=mei.pk).erased_at is not None
    assert headquarters.get(at).status_code == 404
    Erasure.objects.update(state=Erasure.RUNNING, waits_for=["history"], certificate={})  # as when a store is away
    assert "It waits for history" in text(headquarters.get(f"/privacy/erasures/{ordered.public_id}/"))
    assert headquarters.get(f"/privacy/erasures/{ordered.public_id}/proof").status_code == 404


def test_merged_people_find_their_page_under_the_old_link(cast: Cast) -> None:
    path = link_for(cast, "m2")
    Customer.objects.filter(pk=customer("m2").pk).update(merged_into=customer("m1"))
    assert "王**" in text(visitor(path).get(PAGE))
