"""The sealed audit log: whoever alters, removes or slips in a row is found out."""

from __future__ import annotations

import json
import threading

import pytest
from django.db import connection, connections, transaction

from hetang.platform import audit, lasting
from hetang.platform.models import AuditEntry
from hetang.privacy import seals, verification
from hetang.privacy.models import AuditSeal

pytestmark = pytest.mark.django_db


def write(count: int = 1, actor: str = "anna") -> list[int]:
    for number in range(count):
        audit.record(actor, "tag.created", "tag", number, {"name": "VIP \x1f 客户", "n": 1.50})
    return list(AuditEntry.objects.order_by("id").values_list("id", flat=True))


def execute(statement: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(params))


def test_an_untouched_log_is_sound_and_its_tail_is_counted() -> None:
    write(3)
    assert seals.seal_new() == 3
    write(2)
    assert seals.seal_new() == 2
    write(1)
    report = verification.verify()
    assert (report.sound, report.seals, report.rows, report.unsealed) == (True, 2, 5, 1)
    assert [head["rows"] for head in seals.heads()] == [3, 2]


def test_seals_hold_at_most_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "ROWS_PER_SEAL", 4)
    write(10)
    assert seals.seal_new() == 10
    assert list(AuditSeal.objects.order_by("number").values_list("rows", flat=True)) == [4, 4, 2]
    assert verification.verify().sound


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'bela'",
        "action = 'tag.archived'",
        "target_id = '77'",
        "changes = '{}'",
        "at = at + interval '1 microsecond'",
        "address = '10.0.0.1'",
        "org_node_id = 4",
        "request_id = 'x'",
    ],
)
def test_each_altered_field_is_named_by_its_row(change: str) -> None:
    ids = write(5)
    seals.seal_new()
    execute(f"update platform_auditentry set {change} where id = %s", ids[2])
    report = verification.verify()
    assert report.counts == {"altered": 1}
    assert [(one.what, one.number) for one in report.findings] == [("altered", ids[2])]


def test_a_removed_and_a_slipped_in_row_are_named() -> None:
    ids = write(5)
    execute("delete from platform_auditentry where id = %s", ids[0])
    seals.seal_new()
    execute("delete from platform_auditentry where id = %s", ids[1])
    execute(
        "insert into platform_auditentry (id, at, actor, action, target_type, target_id)"
        " overriding system value values (%s, now(), 'x', 'x', 'x', 'x')",
        ids[0],
    )
    report = verification.verify()
    assert [(one.what, one.number) for one in report.findings] == [("removed", ids[1]), ("added", ids[0])]


def test_a_seal_that_was_made_to_fit_is_found_without_the_key() -> None:
    ids = write(3)
    seals.seal_new()
    write(1)
    seals.seal_new()
    execute("update platform_auditentry set actor = 'bela' where id = %s", ids[0])
    with connection.cursor() as cursor:
        cursor.execute(seals.LEAVES, [0, ids[-1], 10])
        leaves = cursor.fetchone()[2]
    AuditSeal.objects.filter(number=1).update(leaves=leaves)
    assert verification.verify().counts == {"seal_altered": 1}


def test_a_seal_that_was_taken_out_is_missed() -> None:
    for _ in range(3):
        write(1)
        seals.seal_new()
    AuditSeal.objects.filter(number=2).delete()
    report = verification.verify()
    assert report.counts == {"seal_missing": 1}
    AuditSeal.objects.filter(number=3).delete()  # the end of the chain: only the file in the home knows
    assert verification.verify().counts == {"heads_ahead": 2}


def test_rows_removed_by_the_schedule_are_no_finding_unless_the_note_was_altered() -> None:
    from pyroaring import BitMap64

    ids = write(4)
    seals.seal_new()
    note = seals.release("platform_auditentry_202001", BitMap64(ids[:2]).serialize(), 2)
    execute("delete from platform_auditentry where id = any(%s)", ids[:2])
    report = verification.verify()
    assert (report.sound, report.released, report.rows) == (True, 2, 2)
    note.ids = BitMap64(ids[:3]).serialize()
    note.save()
    assert verification.verify().counts == {"release_altered": 1, "removed": 2}


def test_a_torn_line_of_the_file_is_written_again() -> None:
    write(1)
    seals.seal_new()
    whole = lasting.path(lasting.SEALS).read_text()
    lasting.path(lasting.SEALS).write_text(whole[:-20])
    write(1)
    seals.seal_new()
    assert [head["number"] for head in seals.heads()] == [1, 2]
    assert verification.verify().sound


@pytest.mark.django_db(transaction=True)
def test_a_row_that_commits_late_is_sealed_with_the_later_ones() -> None:
    """Its id is lower than one that is already visible: a seal up to the visible one would have left it out."""
    begun, go_on = threading.Event(), threading.Event()

    def late() -> None:
        with transaction.atomic():
            audit.record("late", "tag.created", "tag", 1)
            begun.set()
            go_on.wait(10)
        connections.close_all()

    writer = threading.Thread(target=late)
    writer.start()
    assert begun.wait(10)
    audit.record("early", "tag.created", "tag", 2)
    sealed: list[int] = []

    def seal() -> None:
        sealed.append(seals.seal_new())
        connections.close_all()

    sealing = threading.Thread(target=seal)
    sealing.start()
    sealing.join(0.3)
    assert sealing.is_alive()  # it waits for the writer rather than leave the row out
    go_on.set()
    writer.join(10)
    sealing.join(10)
    assert sealed == [2]
    assert verification.verify().sound


@pytest.mark.django_db(transaction=True)
def test_a_writer_that_never_ends_only_delays_the_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "_WAIT_S", 0.1)
    audit.record("early", "tag.created", "tag", 2)
    begun, go_on = threading.Event(), threading.Event()

    def late() -> None:
        with transaction.atomic():
            audit.record("late", "tag.created", "tag", 1)
            begun.set()
            go_on.wait(10)
        connections.close_all()

    writer = threading.Thread(target=late)
    writer.start()
    assert begun.wait(10)
    assert seals.seal_new() == 0
    go_on.set()
    writer.join(10)
    assert seals.seal_new() == 2


def test_the_command_says_what_is_wrong_and_ends_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    from hetang.privacy import commands

    ids = write(3)
    seals.seal_new()
    assert commands.verify_audit(as_json=False) == 0
    execute("delete from platform_auditentry where id = %s", ids[1])
    assert commands.verify_audit(as_json=True) == 1
    printed = capsys.readouterr().out
    assert json.loads(printed[printed.index("{") :])["counts"] == {"removed": 1}
