"""A restored backup knows erased people again, until their erasure is replayed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hetang.customers.models import Customer, Identity
from hetang.facts import intake, refusals
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import clock, environment, jobs, lasting
from hetang.platform.access import system
from hetang.platform.backups import dump, keys, restore
from hetang.privacy import erasing, erasure_list
from hetang.privacy.models import Erasure
from hetang.privacy.replay import replay_erasures
from tests.platform.backups import homes
from tests.privacy import backup, story, traces
from tests.touch import world

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]


def erase(number: int, *, objects: bool = False) -> Erasure:
    clock.freeze(clock.now() + timedelta(minutes=1))
    ordered = erasing.order(system("test"), Customer.objects.get(pk=number), "asked", objects=objects)
    jobs.run_waiting()
    ordered.refresh_from_db()
    assert ordered.state == Erasure.DONE
    return ordered


def the_worker_goes_on() -> None:
    """The engine is there again: what lies in it is emptied."""
    assert erasing.go_on() == 1
    jobs.run_waiting()
    assert not Erasure.objects.exclude(state=Erasure.DONE).exists()


def come(member: str) -> int:
    assert not intake.record("pos", [story.fact("customer.described", f"is:{member}", member)]).rejected
    run_until_idle()
    return story.number_of(member)


def test_who_was_erased_after_the_backup_is_erased_again(eve: int) -> None:
    backup.take()
    erase(eve, objects=True)
    backup.restore()
    refusals.forget()
    assert Identity.objects.filter(kind="member", key=story.MEMBER).exists()
    result = replay_erasures()
    assert (result.listed, result.erased, result.waiting, result.customers) == (1, 1, 1, [eve])
    assert result.refused_identities == 5
    the_worker_goes_on()
    assert traces.in_database(story.VALUES) == []
    again = replay_erasures()
    assert (again.erased, again.waiting, again.customers, again.refused_identities) == (0, 0, [], 0)
    assert len(erasure_list.entries()) == 1
    assert intake.record("pos", [story.fact("customer.described", "back")]).rejected[0].code == "objected"


def test_a_number_that_was_handed_out_again_is_somebody_else(eve: int) -> None:
    backup.take()
    zoe = come("ZOE")
    erase(zoe)
    backup.restore()
    assert come("YAN") == zoe
    assert replay_erasures().customers == []
    assert Customer.objects.get(pk=zoe).erased_at is None


def test_somebody_who_came_back_after_her_erasure_stays(eve: int) -> None:
    erase(eve)
    clock.freeze(world.NOW + timedelta(days=1))
    again = come(story.MEMBER)
    backup.take()
    backup.restore()
    assert replay_erasures().customers == []
    assert Customer.objects.get(pk=again).erased_at is None


def test_identities_that_were_not_yet_one_person_in_the_backup_are_all_erased(eve: int) -> None:
    one, other = come("ONE"), come("TWO")
    backup.take()
    both = intake.Draft("customer.identified", "joined", story.START, [("member", "ONE"), ("member", "TWO")], {})
    assert not intake.record("crm", [both]).rejected
    run_until_idle()
    erase(one)
    backup.restore()
    assert replay_erasures().customers == [one, other]
    assert not Identity.objects.filter(key__in=["ONE", "TWO"]).exists()


def test_an_erasure_that_had_begun_in_the_backup_is_finished(eve: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ordered = erasing.order(system("test"), Customer.objects.get(pk=eve), "asked", objects=False)
    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_empty", lambda *_: None)
        erasing.carry_out(ordered.pk)
    backup.take()
    jobs.run_waiting()
    backup.restore()
    Erasure.objects.update(job=None)
    result = replay_erasures()
    assert (result.erased, result.waiting) == (0, 1)
    the_worker_goes_on()
    assert traces.in_database(story.VALUES) == []


def test_a_line_that_was_forged_or_torn_erases_nobody(eve: int) -> None:
    entry = erasure_list.Entry("x", clock.now().isoformat(), True, (("member", "00" * 16),))
    erasure_list.append(entry)
    line = lasting.path(lasting.ERASED).read_text()
    lasting.path(lasting.ERASED).write_text(line.replace("true", "false") + line[:50])
    assert erasure_list.entries() == {}
    erasure_list.append(entry)
    assert list(erasure_list.entries()) == ["x"]


def test_the_list_names_nobody(eve: int) -> None:
    erase(eve)
    text = lasting.path(lasting.ERASED).read_text()
    assert [value for value in story.VALUES if value in text] == []


def test_a_real_restore_into_a_new_home_carries_out_the_list_beside_the_backups(
    eve: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETANG_BACKUPS", str(tmp_path / "backups"))
    taken = dump.take(environment.home(), homes.database_of_tests(), tmp_path / "backups")
    erase(eve)
    restore.restore(taken, tmp_path / "home", keys.of_home(environment.home()))
    with homes.running(tmp_path / "home") as server:
        assert homes.ask(server.url, f"select erased_at is not null from customers_customer where number = {eve}")
        named = f"select count(*) from customers_identity where key = '{story.MEMBER}'"
        assert homes.ask(server.url, named) == 0
        assert homes.ask(server.url, "select state from privacy_erasure") == Erasure.RUNNING  # no engine there
