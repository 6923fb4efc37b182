"""What becomes of audiences when the engine is killed, when what it stands on is away, and when rules are hostile."""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from hetang.audiences import following, verification
from hetang.audiences.engine import SetService
from hetang.audiences.live import LiveSets
from hetang.customers.models import Customer, Tag
from hetang.customers.subscriptions import customers
from hetang.facts.intake import Draft, record
from hetang.facts.subscriptions import advance, run_until_idle
from hetang.platform import clickhouse as store
from hetang.platform import clock, engine_client, environment
from hetang.platform.engine_client import EngineUnavailable, ServiceError
from tests.audiences.three_people import GOLD, NOW, gold
from tests.processes import EngineProcess, answers, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.usefixtures("three_people")]

SPENT = {"version": 1, "rule": {"type": "metric", "metric": "gmv", "op": ">", "value": 1}}
TAGS = ("gold", "silver", "bronze")


@pytest.fixture(scope="module")
def process(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine of its own, to be killed: live sets in its own folder, the history in the engine of all tests."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(environment.home() / "secrets.json", home)
    url = engine.replace("http://", f"http://default:{environment.secrets_of_home().engine}@")
    made = EngineProcess(home, database=str(connection.settings_dict["NAME"]), clickhouse_url=url)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def own_engine(process: EngineProcess, monkeypatch: pytest.MonkeyPatch) -> EngineProcess:
    assert process.process is not None
    if process.process.poll() is not None:
        process.start()
    monkeypatch.setenv("HETANG_CLICKHOUSE_URL", process.clickhouse_url)
    monkeypatch.setenv("HETANG_SETS_URL", process.address)
    return process


class Stream:
    """Tags that go on and off, some with an end and some of people who merge, batch by batch."""

    def __init__(self) -> None:
        self._rng = random.Random(11)
        self._told = 0
        for code in TAGS[1:]:
            Tag.objects.create(code=code, name=code, group=Tag.objects.get(code="gold").group)

    def more(self, batches: int) -> None:
        for _ in range(batches):
            assert record("crm", [self._one() for _ in range(60)]).rejected == []
            while advance(customers):
                pass

    def _one(self) -> Draft:
        rng, self._told = self._rng, self._told + 1
        who, at = [("member", f"m{rng.randrange(300)}")], NOW - timedelta(days=1) + timedelta(seconds=self._told)
        if rng.random() < 0.02:
            return Draft("customer.identified", f"c{self._told}", at, [*who, ("card", f"c{rng.randrange(150)}")], {})
        body: dict[str, Any] = {"tag": rng.choice(TAGS), "on": rng.random() < 0.6}
        if body["on"] and rng.random() < 0.2:
            body["expires_at"] = (NOW + timedelta(days=rng.choice([-1, 1]))).isoformat()
        return Draft("tag.changed", str(self._told), at, who, body)


def test_an_engine_killed_while_tags_stream_in_has_nobody_too_many_or_too_few(own_engine: EngineProcess) -> None:
    stream, done = Stream(), threading.Event()

    def write_down() -> None:  # all the time, so that kills meet the writing, too
        while not done.is_set():
            with suppress(EngineUnavailable):
                engine_client.call("sets", "reread", {"numbers": []})

    writing = threading.Thread(target=write_down)
    writing.start()
    try:
        for _ in range(3):
            stream.more(5)
            own_engine.kill()
            kept = LiveSets.load(own_engine.home / "sets" / "live.bin")
            assert kept is not None  # a whole file, behind what the stream has applied or not
            own_engine.launch()
            stream.more(5)  # nobody waits for the engine
            wait_until(lambda: answers(f"{own_engine.address}/ping"), 60)
    finally:
        done.set()
        writing.join()
    run_until_idle()
    report = verification.verify()
    assert report.as_json()["set_differences"] == []
    assert report.customers == Customer.objects.filter(merged_into=None).count() > 250
    tags = engine_client.call("sets", "tags", {})["sizes"]
    worn = following.build(clock.now()).families["tag"]
    assert dict(tags) == {tag: len(members) for tag, members in worn.items()}
    assert min(dict(tags).values()) > 10


def test_without_the_history_rules_of_tags_answer_and_others_say_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold("ann", True, 1)
    service, there = SetService(tmp_path), environment.clickhouse_urls()[0]
    monkeypatch.setenv("HETANG_CLICKHOUSE_URL", "http://default:x@127.0.0.1:9")
    store.forget()
    assert service.handle("preview", {"rule": GOLD})["count"] == 1
    mixed = {"version": 1, "rule": {"any": [GOLD["rule"], SPENT["rule"]]}}
    for rule in (SPENT, mixed):
        with pytest.raises(ServiceError) as refused:
            service.handle("preview", {"rule": rule})
        assert refused.value.code == "history_unavailable"
    monkeypatch.setenv("HETANG_CLICKHOUSE_URL", there)
    store.forget()
    assert service.handle("preview", {"rule": mixed})["count"] == 1


def test_without_the_database_the_engine_says_so_and_goes_on_when_it_is_back(own_engine: EngineProcess) -> None:
    gold("ann", True, 1)
    assert engine_client.call("sets", "evaluate", {"rule": GOLD, "fresh": True}, 30)["count"] == 1
    assert own_engine.process is not None
    pid = own_engine.process.pid
    name = str(connection.settings_dict["NAME"])
    _let_in(name, False)
    try:
        with pytest.raises(ServiceError) as refused:
            engine_client.call("sets", "evaluate", {"rule": GOLD, "fresh": True}, 30)
        assert refused.value.code == "database_unavailable"
    finally:
        _let_in(name, True)
    gold("bea", True, 2)
    assert engine_client.call("sets", "evaluate", {"rule": GOLD, "fresh": True}, 30)["count"] == 2
    assert own_engine.process.poll() is None
    assert own_engine.process.pid == pid


def test_a_full_disk_costs_the_file_and_no_answer(tmp_path: Path) -> None:
    service = SetService(tmp_path)
    gold("ann", True, 1)
    service.handle("reread", {"numbers": []})
    before = (tmp_path / "live.bin").read_bytes()
    gold("bea", True, 2)
    (tmp_path / "live.draft").symlink_to("/dev/full")  # every write to it says that no space is left
    with pytest.raises(ServiceError) as refused:
        service.handle("reread", {"numbers": []})
    assert refused.value.code == "disk_full"
    assert (tmp_path / "live.bin").read_bytes() == before
    assert service.handle("evaluate", {"rule": GOLD, "fresh": True})["count"] == 2
    (tmp_path / "live.draft").symlink_to("/dev/full")
    service.stop()  # says it in the log, and ends
    assert list(tmp_path.iterdir()) == [tmp_path / "live.bin"]
    again = SetService(tmp_path)
    assert again.handle("evaluate", {"rule": GOLD, "fresh": True})["count"] == 2
    again.stop()
    assert (tmp_path / "live.bin").read_bytes() != before


def test_five_hundred_conditions_are_answered_and_hostile_ones_refused(tmp_path: Path) -> None:
    gold("ann", True, 1)
    service = SetService(tmp_path)
    spent = [{**SPENT["rule"], "value": value} for value in range(250)]
    many = {"version": 1, "rule": {"any": [*[GOLD["rule"]] * 250, *spent]}}
    answer = service.handle("preview", {"rule": many})
    assert (answer["count"], len(answer["sizes"])) == (1, 501)
    deep: dict[str, Any] = {"version": 1, "rule": json.loads('{"not":' * 900 + "{}" + "}" * 900)}
    tagged = {"type": "tag", "op": "any"}
    bad: list[Any] = [None, [], "x" * 10_000, deep, {"version": 1, "rule": {"all": [{}] * 501}}]
    rules = [{**tagged, "tags": ["g" * 10_000]}, {**tagged, "tags": [{"a": 1}]}, {"type": ["tag"]}, {"all": {"0": 1}},
             {**SPENT["rule"], "value": float("nan")}, {**SPENT["rule"], "value": 10**400}, {"": None}]  # fmt: skip
    bad += [{"version": 1, "rule": one} for one in rules]
    for rule in bad:
        with pytest.raises(ServiceError) as refused:
            service.handle("evaluate", {"rule": rule})
        assert refused.value.code == "invalid_rule", rule


def _let_in(name: str, allowed: bool) -> None:
    """Whether anybody may connect to the database; those who are in, but us, are thrown out."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (ours,) = cursor.fetchone()
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined] - nobody may do it to the own database
        cursor.execute(f'alter database "{name}" with allow_connections {allowed}')
        if not allowed:
            everybody = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> %s"
            cursor.execute(everybody, [name, ours])
