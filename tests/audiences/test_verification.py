"""Sets and history are compared with a recomputation: what is wrong is named, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
from pyroaring import BitMap

from hetang.audiences import commands, verification
from hetang.audiences.engine import SetService
from hetang.audiences.live import LiveSets
from hetang.customers.models import Customer, Tag
from hetang.platform import clickhouse
from tests.audiences.test_services import shop  # noqa: F401 - the brand that all of these tests look at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


def number_of(member: str) -> int:
    return Customer.objects.get(identities__kind="member", identities__key=member).number


def test_what_was_followed_equals_a_recomputation(capsys: pytest.CaptureFixture[str]) -> None:
    report = verification.verify()
    assert (report.equal, report.customers, report.waiting) == (True, 4, {})
    assert commands.verify(as_json=False, repair=False) == 0
    assert "Everything equals its recomputation." in capsys.readouterr().out


def test_a_lost_and_a_doubled_row_of_the_history_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    clickhouse.command("alter table orders delete where order_key = 'o0-1' settings mutations_sync = 2")
    clickhouse.command(
        "insert into visits select customer, placed_at, day, store, channel from orders where order_key = 'o1-0'"
    )
    ann, bea = number_of("ann"), number_of("bea")
    assert commands.verify(as_json=True, repair=False) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["equal"], told["set_differences"]) == (False, [])
    assert told["history_differences"] == [
        {"what": "orders.orders", "part": ann % 256, "history": 2, "truth": 3},
        {"what": "orders.spent", "part": ann % 256, "history": 2500, "truth": 3750},
        {"what": "visits.visits", "part": bea % 256, "history": 1, "truth": 0},
    ]


def test_a_set_that_went_wrong_is_named_and_built_anew(tmp_path: Path) -> None:
    service = SetService(tmp_path)
    assert service.handle("verify", {})["differences"] == []
    sets, gold = cast(LiveSets, service._sets), Tag.objects.get(code="gold").id
    ann, bea = number_of("ann"), number_of("bea")
    sets.families["tag"][gold] = BitMap([ann, bea])
    store = next(key for key, members in sets.families["home_store"].items() if ann in members)
    sets.families["home_store"][store] = BitMap([ann])
    found = service.handle("verify", {})
    assert found["differences"] == [
        {"family": "home_store", "key": str(store), "too_many": 0, "missing": 1, "numbers": [bea]},
        {"family": "tag", "key": str(gold), "too_many": 2, "missing": 0, "numbers": sorted([ann, bea])},
    ]
    service.handle("rebuild", {})
    assert service.handle("verify", {})["differences"] == []


def test_nobody_can_say_while_the_engine_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HETANG_SETS_URL", "http://127.0.0.1:9")
    assert commands.verify(as_json=False, repair=False) == 2
    assert "Is Hetang running?" in capsys.readouterr().out
