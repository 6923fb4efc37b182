"""Snapshots as key frames and differences: every one reads as it was written, whatever is deleted or erased since."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from pyroaring import BitMap

from hetang.audiences import holdings, past, services, stored
from hetang.audiences.keeping import KEEPING
from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.platform import clock
from hetang.platform.holdings import Person
from hetang.platform.models import OrgNode

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)
HER = 5555


class Stop(Exception):
    """A process that is killed there."""


@pytest.fixture(autouse=True)
def short_chains(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stored, "CHAIN", 7)
    yield
    clock.freeze(None)


def history(steps: int = 40) -> dict[int, BitMap]:
    """A random walk of an audience; what each snapshot was written as, by its id. She comes and goes all the time."""
    root = OrgNode.objects.create(kind="brand", code="brand", name="Brand", path="1.")
    audience = Audience.objects.create(name="a", rule={"all": []}, org_node=root, created_at=NOW, updated_at=NOW)
    rng, written = random.Random(3), {}
    members = BitMap(rng.sample(range(5000), 2000))
    for step in range(steps):
        clock.freeze(NOW + timedelta(minutes=step))
        members = members ^ BitMap(rng.sample(range(5000), 2500 if step % 19 == 18 else 30)) ^ BitMap([HER])
        with transaction.atomic():
            written[services._keep(audience, members).pk] = members.copy()
    return written


def read() -> dict[int, BitMap]:
    return {pk: stored.read_members(pk) for pk in AudienceSnapshot.objects.values_list("pk", flat=True)}


def test_each_snapshot_is_read_as_it_was_written_at_a_fraction_of_its_size() -> None:
    written = history()
    assert read() == written
    rows = AudienceSnapshot.objects.exclude(members=None).order_by("sequence")
    frames = list(rows.values_list("sequence", flat=True))
    assert frames == [1, 9, 17, 19, 27, 35, 38]  # the first, after seven differences, and those that changed too much
    with connection.cursor() as cursor:
        cursor.execute(
            "select sum(coalesce(octet_length(members), 0) + coalesce(octet_length(moved), 0) +"
            " coalesce(octet_length(entered_members), 0) + coalesce(octet_length(left_members), 0))"
            " from audiences_audiencesnapshot"
        )
        assert cursor.fetchone()[0] < 0.35 * sum(len(one.serialize()) for one in written.values())


def test_what_differs_by_more_than_who_came_and_went_says_so() -> None:
    (pk, members), audience = list(history(1).items())[-1], Audience.objects.get()
    merged = members ^ BitMap([6000, *members[:2]])  # two numbers have become a third: nobody came or went
    empty = BitMap().serialize()
    after = AudienceSnapshot(audience=audience, sequence=2, at=NOW, version=1, count=len(merged), entered=0, left=0,
                             entered_members=empty, left_members=empty)  # fmt: skip
    stored.write(after, merged, members ^ merged)
    assert read() == {pk: members, after.pk: merged}
    assert AudienceSnapshot.objects.get(pk=after.pk).members is None


def test_what_is_left_after_a_cleaning_reads_as_before() -> None:
    written = history()
    rows = AudienceSnapshot.objects.filter(sequence__in=[1, 2, 3, 12, 13, 20, 30])
    gone = list(rows.values_list("pk", flat=True))
    stored.frame_successors(gone)
    rows.delete()
    assert read() == {pk: members for pk, members in written.items() if pk not in gone}
    removed: list[int] = []
    KEEPING[0].store.remove(NOW + timedelta(minutes=25), removed.append)
    assert sum(removed) == 25 - 6
    left = read()
    assert left == {pk: written[pk] for pk in left}
    assert len(left) == 14
    first = AudienceSnapshot.objects.order_by("sequence").first()
    assert first is not None
    assert first.members is not None
    assert [change.id for change in past.changes(first.audience_id)] == sorted(left)


def test_an_erasure_that_is_killed_and_repeated_takes_her_out_of_all_and_nobody_else() -> None:
    written = history()
    person = Person((), (HER,), (), (1, 0, 0), NOW)
    inside = sum(HER in members for members in written.values())
    assert inside == 20
    assert holdings._snapshot_count(person) == len(written)  # in each she came or went
    calls = iter([None, None])

    def checkpoint() -> None:
        if next(calls, Stop) is Stop:
            raise Stop

    with pytest.raises(Stop):
        holdings._snapshot_erase(person, checkpoint)
    holdings._snapshot_erase(person, lambda: None)
    assert holdings._snapshot_count(person) == 0
    assert read() == {pk: members - BitMap([HER]) for pk, members in written.items()}
    rows = AudienceSnapshot.objects.order_by("pk").values_list("pk", "count")
    assert dict(rows) == {pk: len(members - BitMap([HER])) for pk, members in written.items()}
