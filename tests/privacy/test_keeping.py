"""Data end when their time is over: by kind, exactly counted, once a night, also when the worker dies meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections
from pyroaring import BitMap

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.campaigns.models import Broadcast, Campaign
from hetang.connectors.wecom.models import App, CallbackMessage, Corp
from hetang.customers.models import BulkBefore, BulkChange
from hetang.facts import intake
from hetang.facts.models import HeldFact
from hetang.imports import problems
from hetang.imports.columns import Problem
from hetang.imports.models import Import
from hetang.platform import audit, clock, environment, files, jobs, keeping
from hetang.platform.keeping import Keeping
from hetang.platform.models import AuditEntry, JobRun, OwnRole, StoredFile
from hetang.platform.sealing import seal
from hetang.privacy import retention, seals, verification
from hetang.privacy.models import KeepingRun, Removal
from hetang.touch.models import Plan, Programme, SendTask
from tests.console import cast as people
from tests.console.cast import Cast
from tests.console.conftest import client_of

NOW = datetime(2026, 5, 4, 1, tzinfo=UTC)  # nine in the morning in Shanghai
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(keeping, "CHUNK", 2)
    clock.freeze(NOW)
    yield
    clock.freeze(None)


@pytest.fixture
def cast() -> Cast:
    return people.make()


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def run() -> dict[str, int]:
    """A run by the schedule, here and now; what was removed by kind."""
    started = KeepingRun.objects.create(started_at=clock.now())
    return retention.carry_out(started.pk, lambda: None)


def test_raw_intake_and_settled_records_end(cast: Cast) -> None:
    for days in (91, 91, 91, 89):
        clock.freeze(ago(days))
        intake.store_raw("crm", b"{}", "api")
    for days, state in ((91, "replayed"), (91, "open"), (1, "dismissed")):
        HeldFact.objects.create(
            received_at=ago(days), door="api", source="crm", stage="validate", reason="x", body=seal(b"{}"), state=state
        )
    clock.freeze(NOW)
    assert run() == {"intake": 3, "held": 1}
    assert run() == {}
    assert sorted(HeldFact.objects.values_list("state", flat=True)) == ["dismissed", "open"]


def test_callbacks_end_once_they_are_applied(cast: Cast) -> None:
    app = App.objects.create(
        corp=Corp.objects.create(corpid="w", created_at=NOW), agentid=1, secret=b"x", changed_at=NOW
    )
    for number, (days, state) in enumerate(((91, "applied"), (91, "waiting"), (3, "applied"))):
        CallbackMessage.objects.create(
            app=app, dedupe_key=str(number), received_at=ago(days), body=seal(b"x"), state=state
        )
    assert run() == {"wecom_callbacks": 1}


def test_an_uploaded_file_ends_with_its_samples_and_refused_rows(cast: Cast) -> None:
    def uploaded(days: float, state: str) -> Import:
        return Import.objects.create(
            target="customers",
            title="f.csv",
            stored_file=files.store("f.csv", [b"13812345678"]),
            fingerprint="x",
            form="csv",
            columns=[{"header": "phone", "samples": ["138****5678"]}],
            as_of=NOW,
            state=state,
            created_at=ago(days),
            finished_at=ago(days) if state == Import.DONE else None,
        )

    old, forgotten, running, young = (
        uploaded(31, Import.DONE),
        uploaded(31, Import.DRAFT),
        uploaded(31, Import.RUNNING),
        uploaded(29, Import.DONE),
    )
    problems.write(old.public_id, "run", "0", [Problem(1, "phone", "138****5678", "x")])
    assert run() == {"imports": 2}
    for owner in (old, forgotten, running, young):
        owner.refresh_from_db()
    assert [one.stored_file is None for one in (old, forgotten, running, young)] == [True, True, False, False]
    assert (old.columns, forgotten.state) == ([{"header": "phone", "samples": []}], Import.CANCELLED)
    assert list(problems.read(old.public_id, "run")) == []
    assert StoredFile.objects.count() == 2
    assert run() == {}


def test_old_snapshots_end_but_for_the_newest_and_those_that_were_sent_to(cast: Cast) -> None:
    audience = Audience.objects.create(name="Tea", rule={"all": []}, org_node=cast.root, created_at=NOW, updated_at=NOW)
    empty = BitMap().serialize()
    made = [
        AudienceSnapshot.objects.create(
            audience=audience, sequence=n, at=ago(500 - n), version=1, members=empty, count=0, entered=0, left=0
        )
        for n in range(5)
    ]
    campaign = Campaign.objects.create(
        name="c", starts_on=NOW.date(), ends_on=NOW.date(), org_node=cast.root, created_at=NOW
    )
    Broadcast.objects.create(
        campaign=campaign,
        name="b",
        audience=audience,
        snapshot=made[1],
        channel="wecom",
        created_at=NOW,
        updated_at=NOW,
    )
    assert run() == {"snapshots": 3}
    assert list(AudienceSnapshot.objects.order_by("pk").values_list("sequence", flat=True)) == [1, 4]


def test_dry_runs_and_jobs_end(cast: Cast) -> None:
    for days, state in ((31, Plan.DONE), (31, Plan.RUNNING), (1, Plan.DONE)):
        Plan.objects.create(parameters={}, members=BitMap([1]).serialize(), people=1, at=ago(days), state=state)
    for days, state in ((181, JobRun.DONE), (181, JobRun.RUNNING), (1, JobRun.FAILED)):
        JobRun.objects.create(kind="x", title="x", state=state, created_at=ago(days), finished_at=ago(days))
    for days, state in ((181, "done"), (181, "running"), (1, "preview")):
        change = BulkChange.objects.create(
            kind="tag_on", org_node=cast.root, members=b"", people=0, state=state, actor="a", created_at=ago(days)
        )
        BulkBefore.objects.create(change=change, members=b"")
    assert run() == {"bulk_changes": 1, "dry_runs": 1, "jobs": 1}
    assert BulkBefore.objects.count() == 2
    assert (Plan.objects.count(), JobRun.objects.count()) == (2, 2)


def _task(days: float) -> int:
    times = {"slot_at": ago(days), "channel": "wecom"}
    programme = Programme.objects.create(name="p", planned_at=ago(days), expires_at=ago(days), **times)
    return SendTask.objects.create(programme=programme, variant=1, seq=1, link_id=1, **times).pk


def test_addresses_of_old_messages_are_emptied_and_the_messages_stay(cast: Cast) -> None:
    kind = retention.kind_of("addresses")
    assert kind is not None
    with connection.cursor() as cursor:
        for days in (401, 401, 401, 399):
            task = _task(days)
            cursor.execute(
                "insert into touch_touch (planned_at, programme, version, step, customer, occurrence, channel,"
                " message_class, arm, variant, state, reason, reserved, task, slot_at, local_day, address)"
                " values (%s, 1, 1, 0, 1, 0, 'wecom', 'marketing', 'send', 1, 'sent', '', true, %s, %s, %s, 'wm1')",
                [ago(days), task, ago(days), ago(days).date()],
            )
        assert retention.oldest_of(kind) == ago(401)
        assert run() == {"addresses": 3}
        assert retention.oldest_of(kind) == ago(399)
        assert kind.store is not None
        assert kind.store.oldest(ago(398)) is None  # what the schedule has been through is not looked at again
        cursor.execute("select count(*), count(*) filter (where address = 'wm1') from touch_touch")
        assert cursor.fetchone() == (4, 1)


def test_files_that_a_crash_left_end_and_those_being_written_do_not(cast: Cast) -> None:
    kept = files.store("kept", [b"x"])
    folder = environment.home() / "files"
    for name in ("a.sealed", "b.sealed"):
        (folder / name).write_bytes(b"x")
    os.utime(folder / "a.sealed", times=(0, ago(3).timestamp()))
    os.utime(folder / kept.path, times=(0, 0))
    assert run() == {"leftovers": 1}
    assert sorted(path.name for path in folder.glob("*.sealed")) == sorted([kept.path, "b.sealed"])


@pytest.mark.django_db(transaction=True)
def test_the_audit_log_stays_sound_when_its_oldest_rows_end() -> None:
    for days in (1_100, 1_100, 1_100, 10):
        clock.freeze(ago(days))
        audit.record("anna", "tag.created", "tag", days)
    clock.freeze(NOW)
    assert run() == {}  # not sealed yet
    seals.seal_new()
    assert run() == {"audit": 3}
    report = verification.verify()
    assert (report.sound, report.released) == (True, 3)
    assert AuditEntry.objects.filter(action="keeping.removed").get().changes == {"audit": 3}
    AuditEntry.objects.filter(action="tag.created").delete()  # and somebody takes one more
    assert not verification.verify().sound


# runs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_run_that_dies_goes_on_where_it_was_and_counts_exactly() -> None:
    clock.freeze(ago(91))
    for _ in range(7):
        intake.store_raw("crm", b"{}", "api")
    clock.freeze(NOW)
    started = KeepingRun.objects.create(started_at=NOW)
    chunks = 0

    def dies_in_the_third() -> None:
        nonlocal chunks
        chunks += 1
        if chunks == 3:
            raise jobs.HandedBack

    with pytest.raises(jobs.HandedBack):
        retention.carry_out(started.pk, dies_in_the_third)
    assert Removal.objects.get(code="intake").removed == 4  # the third chunk is undone with its count
    assert count_intake() == 3
    intake.store_raw("crm", b"{}", "api")
    clock.freeze(NOW + timedelta(days=100))  # it goes on late: the border is that of its beginning
    assert retention.carry_out(started.pk, lambda: None) == {"intake": 7}
    assert count_intake() == 1
    assert retention.carry_out(started.pk, dies_in_the_third) == {"intake": 7}


def count_intake() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from facts_intake")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_a_night_runs_once_however_many_workers_notice() -> None:
    clock.freeze(datetime(2026, 5, 3, 20, 14, tzinfo=UTC))  # 04:14 in Shanghai
    assert not retention.begin_night()
    clock.freeze(datetime(2026, 5, 3, 20, 15, tzinfo=UTC))
    begun, barrier = [], threading.Barrier(4)

    def notice() -> None:
        barrier.wait()
        begun.append(retention.begin_night())
        connections.close_all()

    threads = [threading.Thread(target=notice) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(begun) == [False, False, False, True]
    assert jobs.run_waiting() == 1
    assert KeepingRun.objects.get().finished_at is not None
    clock.freeze(NOW + timedelta(days=1))
    assert retention.begin_night()


def test_a_kind_that_fails_stops_no_other_and_is_shown(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def remove(self, *_: object) -> None:
            raise ValueError("torn")

        def count(self, *_: object) -> int:
            return 0

        def oldest(self, _gone: datetime | None, /) -> None:
            return None

    kinds = (Keeping("broken", "Broken", "why", days=1, store=Broken()), *retention.all_kinds())
    monkeypatch.setattr(retention, "all_kinds", lambda: kinds)
    JobRun.objects.create(kind="x", title="x", state="done", created_at=ago(200), finished_at=ago(200))
    assert run() == {"jobs": 1}
    page = client_of(cast.headquarters).get("/privacy/keeping/").content.decode()
    assert "ValueError: torn" in page


# the pages ------------------------------------------------------------------------------------------------------------


def test_every_kind_has_a_line_and_a_reason_in_both_languages(cast: Cast) -> None:
    for language in ("en", "zh-hans"):
        client = client_of(people.user(language, "headquarters", cast.root, language))
        page = client.get("/privacy/keeping/", headers={"accept-language": language}).content.decode()
        assert page.count('<th scope="row">') == len(retention.all_kinds())


def test_who_is_about_to_remove_sees_how_much_of_what(cast: Cast) -> None:
    officer = client_of(cast.headquarters)
    assert "Nothing is older than its time now." in officer.get("/privacy/keeping/due").content.decode()
    JobRun.objects.create(kind="x", title="x", state="done", created_at=ago(200), finished_at=ago(200))
    assert "<b>1</b>" in officer.get("/privacy/keeping/due").content.decode()
    assert 'hx-get="/privacy/keeping/due"' in officer.get("/privacy/keeping/").content.decode()


def test_another_time_is_set_after_seeing_what_it_removes(cast: Cast) -> None:
    JobRun.objects.create(kind="x", title="x", state="done", created_at=ago(50), finished_at=ago(50))
    officer = client_of(cast.headquarters)
    page = officer.get("/privacy/keeping/jobs/", {"days": "30"}).content.decode()
    assert "1 piece is older than 30 days" in page
    assert "Nothing is older than 60 days" in officer.get("/privacy/keeping/jobs/", {"days": "60"}).content.decode()
    assert officer.post("/privacy/keeping/jobs/", {"days": "2"}).status_code == 422
    assert officer.post("/privacy/keeping/audit/", {"days": "30"}).status_code == 422  # the law asks for six months
    assert officer.post("/privacy/keeping/jobs/", {"days": "30"}).status_code == 302
    assert AuditEntry.objects.get(action="keeping.changed").changes == {"days": [180, 30]}
    assert retention.days_of()["jobs"] == 30
    assert run() == {"jobs": 1}


def test_who_only_sees_the_registers_changes_nothing(cast: Cast) -> None:
    role = OwnRole.objects.create(code="reader", name="Reader", permissions=["privacy:view"], created_at=NOW)
    reader = client_of(people.user("reader", role.code, cast.root))
    page = reader.get("/privacy/keeping/jobs/", {"days": "30"}).content.decode()
    assert "from now on" not in page
    assert reader.post("/privacy/keeping/jobs/", {"days": "30"}).status_code == 403
    assert reader.post("/privacy/keeping/run").status_code == 403
    assert reader.post("/privacy/rules/", {"export_days": "3"}).status_code == 403
    assert client_of(cast.manager_a).get("/privacy/keeping/").status_code == 403
    assert retention.days_of()["jobs"] == 180


def test_a_run_by_hand_is_one_at_a_time(cast: Cast) -> None:
    officer = client_of(cast.headquarters)
    officer.post("/privacy/keeping/run")
    assert "removed already" in officer.post("/privacy/keeping/run", follow=True).content.decode()
    assert KeepingRun.objects.count() == 1
    assert AuditEntry.objects.get(action="keeping.begun").actor == "headquarters"


def test_the_rules_are_set_within_their_bounds(cast: Cast) -> None:
    officer = client_of(cast.headquarters)
    values = {
        "reveals_a_day": "5",
        "export_days": "3",
        "answer_days": "10",
        "link_hours": "24",
        "officer": "Li Lei",
        "contact": "dpo@lotus.example",
    }
    assert officer.post("/privacy/rules/", values | {"export_days": "31"}).status_code == 422
    assert officer.post("/privacy/rules/", values).status_code == 302
    changes = AuditEntry.objects.get(action="privacy.limits").changes
    assert (changes["export_days"], changes["officer"]) == ([7, 3], ["", "Li Lei"])
