"""Tokens, retries and limits, over the wire."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from hetang.connectors.wecom import protocol, tokens
from hetang.connectors.wecom.client import Client, client_of
from hetang.connectors.wecom.errors import Action, NotSent, Unanswered, WeComError, action_of
from hetang.connectors.wecom.limiter import Limiter
from hetang.connectors.wecom.models import AccessToken, App
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
        assert len(client.call(protocol.DEPARTMENTS).department) == 3
    assert calls(world, "gettoken") == before + 1


@pytest.mark.parametrize("dead", ["expired", "invalid"])
def test_dead_token_is_replaced_once(client: Client, world: World, dead: str) -> None:
    client.call(protocol.DEPARTMENTS)
    world.admin.call("tokens", {"dead": dead})
    before = calls(world, "gettoken")
    assert client.call(protocol.FOLLOW_USERS).follow_user == ["anna", "bo"]
    assert calls(world, "gettoken") == before + 1


def test_always_dead_token_ends(client: Client, world: World) -> None:
    world.admin.fault("error", "department/list", code=40014, times=5)
    with pytest.raises(WeComError, match="department/list answered 40014"):
        client.call(protocol.DEPARTMENTS)


def test_token_is_sealed_at_rest(client: Client, app: App, world: World) -> None:
    client.call(protocol.DEPARTMENTS)
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
    assert len(client.call(protocol.DEPARTMENTS).department) == 3


def test_rate_limit_is_told_at_once(client: Client, world: World) -> None:
    world.admin.fault("error", "department/list", code=45009)
    before = calls(world, "department/list")
    with pytest.raises(WeComError) as caught:
        client.call(protocol.DEPARTMENTS)
    assert (caught.value.code, calls(world, "department/list")) == (45009, before)


def test_lost_answers_of_reads_are_asked_for_again(client: Client, world: World) -> None:
    for kind in ("drop_before", "drop_after"):
        world.admin.fault(kind, "department/list")
        assert len(client.call(protocol.DEPARTMENTS).department) == 3
    world.admin.fault("drop_before", "department/list", times=3)
    with pytest.raises(Unanswered):
        client.call(protocol.DEPARTMENTS)


def test_lost_answer_of_a_task_is_never_repeated(client: Client, world: World) -> None:
    body: dict[str, Any] = {"sender": "anna", "external_userid": world.people[:1], "text": {"content": "x"}}
    world.admin.fault("drop_after", "externalcontact/add_msg_template")
    with pytest.raises(Unanswered):
        client.call(protocol.MAKE_TASK, body)
    world.admin.fault("error", "externalcontact/add_msg_template", code=-1)
    with pytest.raises(Unanswered):
        client.call(protocol.MAKE_TASK, body)
    assert world.admin.status()["counts"]["group_message"] == 1


def test_nobody_there_is_not_sent(client: Client, simulator: SimulatorProcess) -> None:
    client.call(protocol.DEPARTMENTS)
    simulator.kill()
    try:
        with pytest.raises(NotSent):
            client.call(protocol.REMIND, {"msgid": "x"})
    finally:
        simulator.start()


def test_nothing_secret_in_the_log(client: Client, world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="hetang"):
        client.call(protocol.DEPARTMENTS)
        world.admin.fault("error", "department/list", code=40056)
        with pytest.raises(WeComError) as caught:
            client.call(protocol.DEPARTMENTS)
    world.sign_in()
    said = caplog.text + str(caught.value)
    assert world.token not in said
    assert world.secret not in said


def test_all_paths_are_documented_ones() -> None:
    apis = [value for value in vars(protocol).values() if isinstance(value, protocol.Api)]
    assert sorted(api.path for api in apis) == [
        "department/list",
        "externalcontact/add_msg_template",
        "externalcontact/batch/get_by_user",
        "externalcontact/cancel_groupmsg_send",
        "externalcontact/get",
        "externalcontact/get_follow_user_list",
        "externalcontact/get_groupmsg_list_v2",
        "externalcontact/get_groupmsg_send_result",
        "externalcontact/get_groupmsg_task",
        "externalcontact/list",
        "externalcontact/remind_groupmsg_send",
        "gettoken",
        "media/upload",
        "media/uploadimg",
        "user/list",
    ]
    assert [api.path for api in apis if not api.repeatable] == [
        "externalcontact/add_msg_template",
        "externalcontact/remind_groupmsg_send",
    ]


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (42001, Action.REFRESH),
        (-1, Action.WAIT),
        (40058, Action.PERMANENT),
        (48002, Action.CONFIGURATION),
        (84061, Action.SKIP),
        (701008, Action.CONFIGURATION),
        (999999, Action.PERMANENT),
    ],
)
def test_what_codes_mean(code: int, action: Action) -> None:
    assert action_of(code) is action


def test_limiter_holds_rate_and_concurrency() -> None:
    limiter = Limiter(calls_per_minute=1200, concurrency=2)  # 20 a second, a burst of 100
    inside, most = [0], [0]
    lock = threading.Lock()

    def one(_: int) -> None:
        with limiter.slot("x"):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            with lock:
                inside[0] -= 1

    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(110)))
    assert most[0] == 2
    assert time.monotonic() - started >= 0.4  # 10 calls beyond the burst, at 50 ms each


def test_a_client_that_was_replaced_closes_after_its_last_call(app: App) -> None:
    old = client_of(app)
    with old._under_way():
        App.objects.filter(pk=app.pk).update(changed_at=app.changed_at + timedelta(seconds=1))
        app.refresh_from_db()
        assert client_of(app) is not old
        assert not old._http.is_closed
    assert old._http.is_closed
