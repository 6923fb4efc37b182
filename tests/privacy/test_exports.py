"""Files leave by one door: with a purpose, counted, approved above a size, for who asked and for a while."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.test import Client

import hetang.console
from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.customers.models import Customer, Identity
from hetang.platform import approvals, audit, clock, environment, jobs
from hetang.platform.access import actor_for, system
from hetang.platform.holdings import NotNow, Person
from hetang.platform.models import Approval, AuditEntry, Grant, OrgNode, OwnRole, StoredFile, User
from hetang.platform.roles import AUDITOR, HEADQUARTERS
from hetang.platform.sealing import lookup_key, seal
from hetang.privacy import export_files, exports, limits
from hetang.privacy.models import Export
from hetang.resources.models import Store
from tests.console import cast as people
from tests.console.cast import Cast
from tests.console.conftest import client_of
from tests.console.taking_out import ask, downloaded, exported, link_of

pytestmark = pytest.mark.django_db
PHONE = "13812345678"


@pytest.fixture
def cast() -> Cast:
    """The cast with three customers: Mei of store A, Bo of store B, one of store A without a name."""
    made = people.make()
    mei = person(1, made.store_a, "王小梅")
    Identity.objects.create(
        kind="phone",
        key=lookup_key("phone", PHONE),
        sealed=seal(PHONE.encode()),
        customer=mei,
        evidence_number=1,
        first_seen_at=clock.now(),
    )
    person(2, made.store_b, "Bo Smith")
    person(3, made.store_a)
    return made


def person(number: int, store: Store, name: str = "") -> Customer:
    sealed = seal(name.encode()) if name else None
    return Customer.objects.create(number=number, created_at=clock.now(), home_store=store, name=sealed)


@pytest.fixture
def headquarters(cast: Cast) -> Client:
    return client_of(cast.headquarters)


def files_left() -> list[Path]:
    return list((environment.home() / "files").glob("*.sealed"))


def test_a_file_names_who_took_it_and_what_for_and_masks_everybody(headquarters: Client) -> None:
    export = ask(headquarters, "customers?store=A", "campaign", "Spring mailing")
    assert export.state == Export.MAKING
    jobs.run_waiting()
    rows = downloaded(headquarters, export)
    assert len(rows[0]) == 1
    for said in (export.number, "headquarters", "Lotus & Co", "Carrying out a campaign"):
        assert said in rows[0][0]
    assert rows[1][:4] == ["Customer id", "Name (masked)", "Known by (masked)", "Home store"]
    assert [row[1] for row in rows[2:]] == ["", "王**"]
    assert PHONE not in str(rows)
    export.refresh_from_db()
    assert (export.rows, export.size, export.downloads, export.state) == (2, 2, 1, Export.READY)
    done = AuditEntry.objects.filter(target_type="export").order_by("id").values_list("action", flat=True)
    assert list(done) == ["export.asked", "export.made", "export.downloaded"]
    page = headquarters.get("/exports/", {"purpose": "campaign"}).content.decode()
    assert ("Spring mailing" in page, export.number in page) == (True, True)
    assert export.number not in headquarters.get("/exports/", {"purpose": "finance"}).content.decode()
    assert b"\xe7\x8e\x8b" not in b"".join(path.read_bytes() for path in files_left())  # sealed at rest


def test_without_a_purpose_nothing_is_entered(headquarters: Client) -> None:
    for given in ({}, {"purpose": "other", "note": "x"}, {"purpose": "sell"}):
        assert headquarters.post("/exports/new/customers", given).status_code == 422
    assert headquarters.post("/exports/new/customers?store=none", {"purpose": "analysis"}).status_code == 422
    assert not Export.objects.exists()


def test_no_cell_of_a_file_runs(headquarters: Client) -> None:
    audit.record("＝cmd()", "tag.created", "tag", 1, {"name": "VIP"})
    audit.record(" =cmd()", "tag.created", "tag", 2, {})
    rows = exported(headquarters, "audit?action=tag.created&target=tag")
    assert [row[1] for row in rows if "cmd" in row[1]] == ["' =cmd()", "'＝cmd()"]


def test_nothing_but_the_door_hands_rows_out() -> None:
    """A view that streams rows by itself would leave the register out."""
    root = Path(hetang.console.__file__).parent
    loose = sorted(
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"StreamingHttpResponse|FileResponse|text/csv|spreadsheetml", path.read_text())
    )
    assert loose == ["exports/views.py", "imports/views.py"]  # the second: an empty file with the headings of an import


# four eyes ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def strict(cast: Cast) -> None:
    approvals.set_limits(system("t"), approvals.EXPORT, {HEADQUARTERS: 1})


def decide(by: User, export: Export, decision: str = "approve", answer: str = "") -> None:
    one = exports.approval_of(export)
    assert one is not None
    said = {"decision": decision, "answer": answer, "content": one.content_hash}
    client_of(by).post(f"/approvals/{one.public_id}/decide", said)


def test_above_the_threshold_somebody_else_approves(headquarters: Client, cast: Cast, strict: None) -> None:
    officer = people.user("officer", AUDITOR, cast.root)
    export = ask(headquarters, "customers", note="For the mailing house")
    assert export.state == Export.WAITING
    assert headquarters.post(f"/exports/{export.public_id}/make").status_code == 302
    assert Export.objects.get().state == Export.WAITING
    shown = client_of(officer).get(f"/approvals/{Approval.objects.get().public_id}/").content.decode()
    assert ("For the mailing house" in shown, "Analysis within the company" in shown) == (True, True)
    decide(cast.headquarters, export)  # who asked cannot
    assert exports.obstacle(export, exports.approval_of(export)) == "waiting"
    decide(officer, export)
    assert "Approved by officer" in headquarters.get(f"/exports/{export.public_id}/").content.decode()
    assert client_of(officer).post(f"/exports/{export.public_id}/make").status_code == 403
    headquarters.post(f"/exports/{export.public_id}/make")
    jobs.run_waiting()
    assert len(downloaded(headquarters, export)) == 2 + 3
    assert link_of(client_of(officer), export) == ""  # she sees the entry, the file is not hers
    assert Approval.objects.get().state == Approval.USED


def test_a_refusal_is_told_and_can_be_asked_anew(headquarters: Client, cast: Cast, strict: None) -> None:
    officer = people.user("officer", AUDITOR, cast.root)
    export = ask(headquarters, "customers")
    decide(officer, export, "refuse", "Too many people")
    assert "Too many people" in headquarters.get(f"/exports/{export.public_id}/").content.decode()
    headquarters.post(f"/exports/{export.public_id}/make")
    assert Export.objects.get().state == Export.WAITING
    headquarters.post(f"/exports/{export.public_id}/ask")
    assert exports.obstacle(export, exports.approval_of(export)) == "waiting"
    headquarters.post(f"/exports/{export.public_id}/withdraw")
    assert (Export.objects.get().state, Approval.objects.latest("id").state) == (Export.WITHDRAWN, Approval.VOID)


def test_more_rows_than_approved_are_not_written(headquarters: Client, cast: Cast) -> None:
    approvals.set_limits(system("t"), approvals.EXPORT, {HEADQUARTERS: 3})
    export = ask(headquarters, "customers")  # three, which needs nobody
    person(4, cast.store_a)
    jobs.run_waiting()
    export.refresh_from_db()
    assert (export.state, export.why, files_left()) == (Export.FAILED, "too_many", [])
    assert "may be exported without approval" in headquarters.get(f"/exports/{export.public_id}/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_of_two_clicks_at_once_one_makes_the_file(headquarters: Client, cast: Cast, strict: None) -> None:
    officer = people.user("officer", AUDITOR, cast.root)
    export = ask(headquarters, "customers")
    decide(officer, export)
    actor, barrier, outcomes = actor_for(cast.headquarters), threading.Barrier(2), []

    def click() -> None:
        barrier.wait()
        try:
            exports.go_on(actor, Export.objects.get())
            outcomes.append("begun")
        except Exception as refused:
            outcomes.append(getattr(refused, "code", repr(refused)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["begun", "export_changed"]
    assert jobs.run_waiting() == 1


# whose file, and for how long -----------------------------------------------------------------------------------------


def regional(cast: Cast, node: OrgNode, *permissions: str) -> User:
    role = OwnRole.objects.create(code="taker", name="Taker", permissions=list(permissions), created_at=clock.now())
    return people.user("taker", role.code, node)


def test_the_file_is_for_who_asked_as_long_as_she_may(headquarters: Client, cast: Cast) -> None:
    export = ask(headquarters, "customers")
    jobs.run_waiting()
    link = link_of(headquarters, export)
    colleague = client_of(people.user("colleague", HEADQUARTERS, cast.root))
    assert colleague.get(link).status_code == 404
    assert Client().get(link).status_code == 302
    assert headquarters.get(f"{link[:-8]}AAAA.csv").status_code == 404
    clock.freeze(clock.now() + exports.LINK + timedelta(seconds=1))
    assert headquarters.get(link).status_code == 404  # the link is old, the page has a new one
    assert headquarters.get(link_of(headquarters, export)).status_code == 200
    fresh = link_of(headquarters, export)
    Grant.objects.filter(user=cast.headquarters, role=HEADQUARTERS).delete()
    assert headquarters.get(fresh).status_code == 403
    assert link_of(headquarters, export) == ""


def test_who_may_not_export_gets_nothing(cast: Cast) -> None:
    manager = client_of(cast.manager_a)
    for code in ("customers", "audience", "audit", "import-problems"):
        for answer in (manager.get(f"/exports/new/{code}"), manager.post(f"/exports/new/{code}", {"purpose": "audit"})):
            assert answer.status_code == 403
    assert manager.get("/exports/new/nonsense").status_code == 404
    assert not Export.objects.exists()


def test_a_store_exports_its_own_people_and_sees_its_own_entries(headquarters: Client, cast: Cast) -> None:
    taker = regional(cast, cast.store_a.org_node, "customers:export", "customers:view")
    rows = exported(client_of(taker), "customers")
    assert {row[3] for row in rows[1:]} == {"Store A"}
    export = Export.objects.get()
    assert export.org_node == cast.store_a.org_node
    ask(headquarters, "customers")
    assert client_of(taker).get("/exports/").content.decode().count('href="/exports/') == 1 + 1  # and the menu's
    assert client_of(taker).get(f"/exports/{Export.objects.latest('id').public_id}/").status_code == 404
    OrgNode.objects.filter(pk=cast.store_a.org_node.pk).update(legal_entity="Acme Ltd")
    assert {row[3] for row in exported(headquarters, "customers")[1:]} == {"Store B"}


def test_who_lost_the_permission_meanwhile_gets_no_file(headquarters: Client, cast: Cast) -> None:
    ask(headquarters, "customers")
    Grant.objects.filter(user=cast.headquarters, role=HEADQUARTERS).delete()
    jobs.run_waiting()
    assert (Export.objects.get().state, Export.objects.get().why, files_left()) == (Export.FAILED, "forbidden", [])


def test_a_file_ends_and_its_entry_stays(headquarters: Client, cast: Cast) -> None:
    limits.change(actor_for(cast.headquarters), {"export_days": 3})
    export, other = ask(headquarters, "customers"), ask(headquarters, "board?period=7d")
    exports.make(export.pk, lambda *_: None)
    clock.freeze(clock.now() + timedelta(days=3))
    headquarters = client_of(cast.headquarters)  # nobody stays logged in for so long
    answer = headquarters.get(link_of(headquarters, export), follow=True)  # nobody has tidied up yet
    assert "The file is gone" in answer.content.decode()
    exports.tidy()
    export.refresh_from_db()
    assert (export.state, export.why, export.file, files_left()) == (Export.GONE, "expired", None, [])
    assert "Its time was over" in headquarters.get(f"/exports/{export.public_id}/").content.decode()
    assert other.state == Export.MAKING


def test_a_file_is_deleted_early_by_who_asked_or_the_officer(headquarters: Client, cast: Cast) -> None:
    officer = client_of(people.user("officer", AUDITOR, cast.root))
    export = ask(headquarters, "customers")
    jobs.run_waiting()
    assert client_of(cast.manager_a).post(f"/exports/{export.public_id}/delete").status_code == 404
    assert officer.post(f"/exports/{export.public_id}/delete").status_code == 302
    assert (Export.objects.get().why, files_left()) == ("deleted", [])
    assert AuditEntry.objects.get(action="export.deleted").actor == "officer"


# crashes --------------------------------------------------------------------------------------------------------------


def test_a_writer_that_dies_leaves_nothing_and_is_repeated(headquarters: Client, cast: Cast) -> None:
    export = ask(headquarters, "customers")

    def dies(*_: object) -> None:
        raise jobs.HandedBack

    with pytest.raises(jobs.HandedBack):
        exports.make(export.pk, dies)
    assert (files_left(), StoredFile.objects.count()) == ([], 0)
    from hetang.platform import files

    files.store(f"export-{export.public_id}.csv", [b"half"])  # it died between the file and the register
    jobs.run_waiting()
    assert (len(files_left()), StoredFile.objects.count()) == (1, 1)
    assert len(downloaded(headquarters, export)) == 5
    jobs.execute(Export.objects.get().job_id or 0)  # once more does nothing
    assert exports.make(export.pk, dies).downloads == 1


def test_an_export_whose_job_was_cancelled_has_failed(headquarters: Client, cast: Cast) -> None:
    export = ask(headquarters, "customers")
    assert export.job is not None
    jobs.cancel(export.job)
    assert "stopped or failed" in headquarters.get(f"/exports/{export.public_id}/").content.decode()
    assert Export.objects.get().state == Export.FAILED


# people who are erased ------------------------------------------------------------------------------------------------


def test_an_erased_person_takes_the_files_with_her_along(headquarters: Client, cast: Cast) -> None:
    in_a, in_b = ask(headquarters, "customers?store=A"), ask(headquarters, "customers?store=B")
    mei = Person((str(Customer.objects.get(pk=1).public_id),), (1,), (), (1, 1, 1), clock.now())
    with pytest.raises(NotNow):  # one is being written, and may name her
        export_files.HOLDINGS[0].count(mei)
    jobs.run_waiting()
    assert export_files.HOLDINGS[0].count(mei) == 1
    assert [(told["title"], told["purpose"]) for told in export_files._tell(mei)] == [("Customers", "analysis")]
    assert export_files.HOLDINGS[0].erase(mei, lambda: None) == 1
    assert export_files.HOLDINGS[0].count(mei) == 0
    in_a.refresh_from_db()
    in_b.refresh_from_db()
    assert ((in_a.state, in_a.why), in_b.state) == ((Export.GONE, "erased"), Export.READY)
    assert len(files_left()) == 1


def test_an_audience_leaves_as_its_newest_snapshot_within_the_scope(headquarters: Client, cast: Cast) -> None:
    from pyroaring import BitMap

    from hetang.audiences.services import _write

    now = clock.now()
    audience = Audience.objects.create(name="Tea", rule={"all": []}, org_node=cast.root, created_at=now, updated_at=now)
    assert headquarters.get(f"/exports/new/audience?audience={audience.public_id}").status_code == 422
    first = _write(audience, None, BitMap(), BitMap([1, 2]), now)
    asked = ask(headquarters, f"audience?audience={audience.public_id}")
    _write(audience, first, BitMap([1, 2]), BitMap([1]), now)  # what was asked for and approved leaves, not this
    jobs.run_waiting()
    assert [row[3] for row in downloaded(headquarters, asked)[2:]] == ["Store A", "Store B"]
    AudienceSnapshot.objects.filter(audience=audience).exclude(pk=first.pk).delete()
    role = OwnRole.objects.create(
        code="x", name="X", permissions=["customers:export", "audiences:view"], created_at=clock.now()
    )
    store_b = client_of(people.user("b", role.code, cast.store_b.org_node))
    assert [row[3] for row in exported(store_b, f"audience?audience={audience.public_id}")[1:]] == ["Store B"]
    assert headquarters.get("/exports/new/audience?audience=nonsense").status_code == 404
