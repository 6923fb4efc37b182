"""Tokens, retries and limits, over the wire."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from hetang.connectors.wecom import pace, tokens
from hetang.connectors.wecom.client import Client, client_of
from hetang.connectors.wecom.errors import Action, NotSent, RateLimited, Unanswered, WeComError, action_of
from hetang.connectors.wecom.limiter import Limiter
from hetang.connectors.wecom.models import AccessToken, App, Pace
from hetang.connectors.wecom.protocol.contacts import CUSTOMERS, MembersRequest
from hetang.connectors.wecom.protocol.directory import DEPARTMENTS, FOLLOW_USERS
from hetang.connectors.wecom.protocol.messages import MAKE_TASK, REMIND, MessageId, TaskRequest, Text
from hetang.platform.sealing import unseal
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import World

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def client(app: App) -> Client:
    return client_of(app)


def calls(world: World, path: str) -> int:
    return int(world.admin.status()["calls"].get(path, 0))


def test_one_token_for_many_calls(client: Client, world: World) -> None:
    before = calls(world, "gettoken")
    for _ in range(3):
        assert len(client.call(DEPARTMENTS).department) == 3
    assert calls(world, "gettoken") == before + 1


@pytest.mark.parametrize("dead", ["expired", "invalid"])
def test_dead_token_is_replaced_once(client: Client, world: World, dead: str) -> None:
    client.call(DEPARTMENTS)
    world.admin.call("tokens", {"dead": dead})
    before = calls(world, "gettoken")
    assert client.call(FOLLOW_USERS).follow_user == ["anna", "bo"]
    assert calls(world, "gettoken") == before + 1


def test_always_dead_token_ends(client: Client, world: World) -> None:
    world.admin.fault("error", "department/list", code=40014, times=5)
    with pytest.raises(WeComError, match="department/list answered 40014"):
        client.call(DEPARTMENTS)


def test_token_is_sealed_at_rest(client: Client, app: App, world: World) -> None:
    client.call(DEPARTMENTS)
    stored = AccessToken.objects.get(app=app)
    world.sign_in()
    assert stored.token is not None
    assert unseal(stored.token).decode() == world.token
    assert world.token.encode() not in bytes(stored.token)


@pytest.mark.django_db(transaction=True)
def test_only_one_process_renews_the_token(app: App) -> None:
    fetched: list[float] = []

    def fetch() -> tuple[str, int]:
        fetched.append(time.monotonic())
        time.sleep(0.3)
        return "new token", 7200

    def ask(_: int) -> str:
        try:
            return tokens.current(app.pk, fetch)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == ["new token"] * 4
    assert len(fetched) == 1


@pytest.mark.django_db(transaction=True)
def test_a_process_killed_while_it_renews_holds_nobody(app: App) -> None:
    asking, said = os.pipe()

    def hang() -> tuple[str, int]:
        os.write(said, b"!")
        time.sleep(60)
        raise AssertionError

    child = os.fork()
    if child == 0:
        inherited = connection.connection  # kept: freeing it would end the parent's session
        connection.connection = None
        try:
            tokens.current(app.pk, hang)
        finally:
            os._exit(inherited is None)
    try:
        assert os.read(asking, 1) == b"!"  # it has its turn, and WeCom is silent
        with tokens._turn(app.pk) as mine:
            assert not mine
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    begun = time.monotonic()
    assert tokens.current(app.pk, lambda: ("new token", 7200)) == "new token"
    assert time.monotonic() - begun < tokens.PATIENCE_S / 3


@pytest.mark.django_db(transaction=True)
def test_one_of_those_who_wait_asks_in_the_place_of_a_process_that_hangs(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PATIENCE_S", 0.2)
    fetched: list[int] = []

    def fetch() -> tuple[str, int]:
        fetched.append(1)
        return "new token", 7200

    def ask(_: int) -> str:
        try:
            return tokens.current(app.pk, fetch)
        finally:
            connection.close()

    with tokens._turn(app.pk) as mine, ThreadPoolExecutor(3) as pool:
        assert mine
        assert list(pool.map(ask, range(3))) == ["new token"] * 3
    assert len(fetched) == 1


def test_who_saw_no_token_does_not_ask_after_another_has_stored_one(app: App) -> None:
    assert tokens.current(app.pk, lambda: ("new token", 7200)) == "new token"
    assert not tokens._lease(app.pk, None)
    assert tokens._lease(app.pk, tokens._stored(app.pk))
    assert not tokens._lease(app.pk, tokens._stored(app.pk))  # it is somebody's already


def test_token_that_comes_back_unchanged_is_not_asked_for_at_every_call(app: App) -> None:
    fetched: list[int] = []

    def fetch() -> tuple[str, int]:
        fetched.append(1)
        return "the same", 240  # WeCom repeats a token with its remaining life, less than our early margin

    for _ in range(5):
        assert tokens.current(app.pk, fetch) == "the same"
    assert len(fetched) == 2


@pytest.mark.parametrize("code", [-1, 45033])
def test_waiting_codes_are_repeated(client: Client, world: World, code: int) -> None:
    world.admin.fault("error", "department/list", code=code, times=2)
    assert len(client.call(DEPARTMENTS).department) == 3


def held_s(path: str) -> float:
    """For how long an API is held, in seconds from now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select extract(epoch from held_until - clock_timestamp())::float8 from wecom_pace where path = %s", [path]
        )
        return float(cursor.fetchone()[0])


def let_end(path: str, ago_s: int = 5) -> None:
    """The pause of an API ended a while ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update wecom_pace set held_until = clock_timestamp() - %s * interval '1 second' where path = %s",
            [ago_s, path],
        )


def test_a_limit_that_was_met_is_not_tried_out(client: Client, world: World) -> None:
    path = "department/list"
    world.admin.fault("error", path, code=45009)
    before = calls(world, path)
    for _ in range(3):  # the first is told by WeCom, the others by what we know
        with pytest.raises(RateLimited) as caught:
            client.call(DEPARTMENTS)
        assert 58 < caught.value.wait_s <= 60
        assert caught.value.code == 45009
    assert calls(world, path) == before
    assert client.call(FOLLOW_USERS).follow_user == ["anna", "bo"]  # other APIs go on


def test_limits_of_a_minute_an_hour_and_a_day(client: Client, app: App, world: World) -> None:
    path = "department/list"
    world.admin.fault("error", path, code=45009, times=4)
    waits = []
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            client.call(DEPARTMENTS)
        waits.append(caught.value.wait_s)
        let_end(path)
    assert 58 < waits[0] <= 60
    assert 3598 < waits[1] <= 3600
    assert 0 < waits[2] <= 86_400
    let_end(path, ago_s=3600)
    with pytest.raises(RateLimited):
        client.call(DEPARTMENTS)
    assert 58 < held_s(path) <= 60  # long after the last pause it is a minute's limit again
    let_end(path)
    client.call(DEPARTMENTS)  # went well
    assert Pace.objects.get(path=path).holds == 0


def test_an_hours_calls_of_our_own(client: Client, app: App, world: World) -> None:
    client.call(DEPARTMENTS)
    Pace.objects.filter(path="department/list").update(used=app.corp.calls_per_hour)
    with pytest.raises(RateLimited) as caught:
        client.call(DEPARTMENTS)
    assert 0 < caught.value.wait_s <= 3600
    with connection.cursor() as cursor:
        cursor.execute("update wecom_pace set hour = hour - interval '1 hour' where path = 'department/list'")
    assert len(client.call(DEPARTMENTS).department) == 3
    assert Pace.objects.get(path="department/list").used <= 2  # of the new hour: a slice


def test_fewer_calls_in_flight_after_45033(app: App, world: World) -> None:
    app.corp.concurrency = 5
    app.corp.save()
    client = client_of(app)
    world.admin.fault("error", "department/list", code=45033, times=2)
    assert len(client.call(DEPARTMENTS).department) == 3
    assert Pace.objects.get(path="department/list").in_flight == 3
    with connection.cursor() as cursor:
        cursor.execute("update wecom_pace set lowered_at = lowered_at - interval '11 minutes'")
    time.sleep(0.3)
    for _ in range(3):
        client.call(DEPARTMENTS)
    found = pace.reserve(app.corp_id, "department/list", 1, a_minute=60_000, an_hour=10_000)
    assert isinstance(found, pace.Reserved)
    assert found.in_flight == 0  # all of them again


def test_a_page_that_is_too_large_is_asked_for_in_halves(client: Client, world: World) -> None:
    world.admin.fault("error", "externalcontact/batch/get_by_user", code=45029, times=6)
    request = MembersRequest(userid_list=["anna", "bo"])
    pages = list(client.pages(CUSTOMERS, request, 100))  # 100, 50, 25, 12, 6, 3 and then 1 by 1
    assert [len(page.external_contact_list) for page in pages] == [1, 1, 1, 1, 1]
    assert [one.external_contact.external_userid for page in pages for one in page.external_contact_list] == sorted(
        world.people[:3]
    ) + sorted(world.people[3:])


def test_lost_answers_of_reads_are_asked_for_again(client: Client, world: World) -> None:
    for kind in ("drop_before", "drop_after"):
        world.admin.fault(kind, "department/list")
        assert len(client.call(DEPARTMENTS).department) == 3
    world.admin.fault("drop_before", "department/list", times=3)
    with pytest.raises(Unanswered):
        client.call(DEPARTMENTS)


def test_lost_answer_of_a_task_is_never_repeated(client: Client, world: World) -> None:
    body = TaskRequest(chat_type="single", sender="anna", external_userid=world.people[:1], text=Text(content="x"))
    world.admin.fault("drop_after", "externalcontact/add_msg_template")
    with pytest.raises(Unanswered):
        client.call(MAKE_TASK, body)
    world.admin.fault("error", "externalcontact/add_msg_template", code=-1)
    with pytest.raises(Unanswered):
        client.call(MAKE_TASK, body)
    assert world.admin.status()["counts"]["group_message"] == 1


def test_nobody_there_is_not_sent(client: Client, simulator: SimulatorProcess) -> None:
    client.call(DEPARTMENTS)
    simulator.kill()
    try:
        with pytest.raises(NotSent):
            client.call(REMIND, MessageId(msgid="x"))
    finally:
        simulator.start()


def test_nothing_secret_in_the_log(client: Client, world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Nor in that of the HTTP library, which tells whole addresses to whoever lets it."""
    with caplog.at_level(logging.DEBUG):
        client.call(DEPARTMENTS)
        world.admin.fault("error", "department/list", code=40056)
        with pytest.raises(WeComError) as caught:
            client.call(DEPARTMENTS)
        for kind in ("drop_before", "drop_after"):
            world.admin.fault(kind, "department/list", times=3)
            with pytest.raises(Unanswered) as lost:
                client.call(DEPARTMENTS)
    world.sign_in()
    said = caplog.text + str(caught.value) + str(lost.value)
    assert "department/list" in said
    assert world.token not in said
    assert world.secret not in said


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (42001, Action.REFRESH),
        (-1, Action.WAIT),
        (40058, Action.PERMANENT),
        (48002, Action.CONFIGURATION),
        (84061, Action.SKIP),
        (90504, Action.SKIP),
        (40130, Action.SKIP),
        (45029, Action.WAIT),
        (2000002, Action.CONFIGURATION),
        (701008, Action.CONFIGURATION),
        (999999, Action.PERMANENT),
    ],
)
def test_what_codes_mean(code: int, action: Action) -> None:
    assert action_of(code) is action


@pytest.mark.django_db(transaction=True)
def test_limiters_of_two_processes_share_rate_and_places() -> None:
    """Two limiters know nothing of each other but the database, like two processes."""
    limits = {"calls_per_minute": 1200, "calls_per_hour": 10_000, "concurrency": 2}  # 20 a second, a burst of 100
    limiters = [Limiter(7, **limits), Limiter(7, **limits)]
    inside, most = [0], [0]
    lock = threading.Lock()

    def some(number: int) -> None:
        for _ in range(11):
            with limiters[number % 2].slot("x"):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.002)
                with lock:
                    inside[0] -= 1
        connection.close()

    started = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(some, range(10)))
    assert most[0] == 2
    assert time.monotonic() - started >= 0.4  # 10 calls beyond the burst, at 50 ms each
    row = Pace.objects.get(corp_id=7, path="x")
    assert 110 <= row.used <= 120  # slices that were not used up


@pytest.mark.django_db(transaction=True)
def test_a_process_that_dies_gives_its_place_back() -> None:
    dead = Limiter(8, calls_per_minute=6000, calls_per_hour=10_000, concurrency=1)
    alive = Limiter(8, calls_per_minute=6000, calls_per_hour=10_000, concurrency=1)
    entered, die = threading.Event(), threading.Event()

    def hang() -> None:
        with contextlib.suppress(Exception), dead.slot("x"):
            entered.set()
            die.wait(5)
            connection.close()  # as the kernel does for a killed process
        connection.close()  # leaving the slot opened another

    thread = threading.Thread(target=hang)
    thread.start()
    assert entered.wait(5)
    threading.Timer(0.2, die.set).start()
    started = time.monotonic()
    with alive.slot("x"):
        assert 0.15 < time.monotonic() - started < 3
    thread.join()


def test_a_client_that_was_replaced_closes_after_its_last_call(app: App) -> None:
    old = client_of(app)
    with old._under_way():
        App.objects.filter(pk=app.pk).update(changed_at=app.changed_at + timedelta(seconds=1))
        app.refresh_from_db()
        assert client_of(app) is not old
        assert not old._http.is_closed
    assert old._http.is_closed
