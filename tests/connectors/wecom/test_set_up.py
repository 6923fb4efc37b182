"""Setting the connection up against a simulator that refuses like the platform: each check green, red and not tried."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import translation

from hetang.connectors.wecom import client as wecom_client
from hetang.connectors.wecom import verification, webhook
from hetang.connectors.wecom.doctor import checks, commands, words
from hetang.connectors.wecom.doctor.checks import BAD, GOOD, UNTRIED, Finding
from hetang.connectors.wecom.models import App, CallbackMessage, CheckResult, Corp
from hetang.connectors.wecom.services import callback_path, connect
from hetang.operations.listening import GateMiddleware
from hetang.platform import brand, jobs
from hetang.platform.access import system
from hetang.platform.models import AuditEntry, JobRun
from hetang.platform.sealing import unseal
from tests.connectors.wecom.conftest import TOKEN
from tests.console import cast as cast_of_all
from tests.console.cast import Cast
from tests.console.conftest import client_of
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import AES_KEY, World

pytestmark = pytest.mark.django_db
FILE = "WW_verify_AbCdEf0123456789.txt"


@pytest.fixture
def cast(db: None) -> Cast:
    brand.forget()
    return cast_of_all.make()


@pytest.fixture
def boss(cast: Cast) -> Client:
    return client_of(cast.headquarters)


@pytest.fixture
def real(world: World, simulator: SimulatorProcess, db: None, monkeypatch: pytest.MonkeyPatch) -> App:
    """A corp that does not know that it is simulated, behind a public address."""
    monkeypatch.setenv("HETANG_PUBLIC_URL", "https://m.lotus.example")
    world.admin.corp("Lotus", [{"agentid": 1000002, "secret": world.secret, "redirect_domain": "m.lotus.example"}])
    return reconnect(world, simulator)


def reconnect(world: World, simulator: SimulatorProcess, **values: Any) -> App:
    said: dict[str, Any] = {
        "corpid": world.corpid,
        "agentid": 1000002,
        "secret": world.secret,
        "base_url": simulator.url,
        "callback_token": TOKEN,
        "callback_aes_key": AES_KEY,
        "calls_per_minute": 60_000,
    }
    return connect(**{**said, **values})


def found(app: App, *names: str) -> dict[str, Finding]:
    """Findings by name; each can be said in both languages with nothing left open."""
    findings = checks.run(app, names)
    for one in findings:
        for language in ("en", "zh-hans"):
            with translation.override(language):
                said = words.said(one.name, one.state, one.reason, one.code, one.detail)
                assert "%(" not in said.cause + said.remedy
                assert one.state == GOOD or said.cause
                assert one.state != BAD or said.remedy
    return {one.name: one for one in findings}


def states(app: App) -> dict[str, str]:
    return {name: one.state for name, one in found(app).items()}


def change_app(world: World, **values: Any) -> None:
    app = {"agentid": 1000002, "secret": world.secret, "redirect_domain": "m.lotus.example", **values}
    world.admin.corp("Lotus", [app])


def test_a_whole_connection_is_green_but_for_what_nobody_tried(real: App) -> None:
    assert states(real) == {
        "address": GOOD,
        "verification": UNTRIED,
        "domain": GOOD,
        "callback": UNTRIED,
        "secret": GOOD,
        "trusted_ip": GOOD,
        "permissions": GOOD,
        "range": GOOD,
        "customer_contact": GOOD,
        "events": UNTRIED,
    }
    assert CheckResult.objects.count() == 10
    found(real, "range")
    assert CheckResult.objects.count() == 10  # again, in its place


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "no_address"),
        ("http://m.lotus.example", "address_not_https"),
        ("https://10.0.0.1", "address_is_number"),
        ("https://localhost", "address_is_number"),
    ],
)
def test_an_address_that_wecom_does_not_take_is_red(
    real: App, monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    monkeypatch.setenv("HETANG_PUBLIC_URL", address)
    one = found(real, "address")["address"]
    assert (one.state, one.reason) == (BAD, reason)


def test_a_wrong_secret_is_red_and_is_tried_once(real: App, world: World, simulator: SimulatorProcess) -> None:
    app = reconnect(world, simulator, secret="wrong")
    before = sum(world.admin.status()["calls"].values())
    findings = found(app)
    assert (findings["secret"].state, findings["secret"].reason) == (BAD, "wrong_secret")
    later = ("domain", "trusted_ip", "permissions", "range", "customer_contact")
    assert {findings[name].detail.get("first") for name in later} == {"secret"}
    assert sum(world.admin.status()["calls"].values()) - before <= 1


def test_an_unknown_corp_is_red(world: World, simulator: SimulatorProcess, db: None) -> None:
    app = reconnect(world, simulator, corpid="ww000000000000dead")
    one = found(app, "secret")["secret"]
    assert (one.state, one.reason, one.code) == (BAD, "unknown_corp", 40013)


def test_an_address_that_is_not_trusted_is_named_as_wecom_sees_it(real: App, world: World) -> None:
    change_app(world, trusted_ips=["203.0.113.7"])
    findings = found(real)
    one = findings["trusted_ip"]
    assert (one.state, one.reason, one.code, one.detail["address"]) == (BAD, "not_trusted", 60020, "127.0.0.1")
    assert findings["permissions"].detail == {"first": "trusted_ip"}
    with translation.override("en"):
        said = words.said(one.name, one.state, one.reason, one.code, one.detail)
    assert "it sees the address 127.0.0.1" in said.cause
    assert "Add 127.0.0.1 to the app's trusted IPs" in said.remedy
    change_app(world)
    assert found(real, "trusted_ip")["trusted_ip"].state == GOOD


def test_an_app_without_customer_contact_is_red(real: App, world: World) -> None:
    change_app(world, customer_contact=False)
    one = found(real, "permissions")["permissions"]
    assert (one.state, one.reason, one.code) == (BAD, "no_permission", 48002)
    assert "externalcontact/get_corp_tag_list" in one.detail["apis"]


def test_the_range_names_an_app_that_sees_nobody_or_is_another_one(
    real: App, world: World, simulator: SimulatorProcess
) -> None:
    change_app(world, allowed={"departments": [], "users": []})
    assert found(real, "range")["range"].reason in {"nobody_visible", ""}
    other = reconnect(world, simulator, agentid=1000009)
    App.objects.filter(pk=real.pk).delete()
    one = found(other, "range")["range"]
    assert (one.state, one.reason) == (BAD, "unknown_agent")


def test_members_without_the_function_are_red(real: App, world: World) -> None:
    world.admin.fault("error", path="externalcontact/list", code=84074, times=9)
    one = found(real, "customer_contact")["customer_contact"]
    assert (one.state, one.reason, one.code) == (BAD, "no_customer_contact", 84074)
    world.admin.call("faults", {"clear": True})
    assert found(real, "customer_contact")["customer_contact"].state == GOOD


def test_a_corp_in_which_nobody_serves_is_red(real: App, world: World) -> None:
    for userid in ("anna", "bo"):
        world.admin.call("staff_changes", {"userid": userid, "customer_contact": False})
    assert found(real, "customer_contact")["customer_contact"].reason == "nobody_serves"


@pytest.mark.parametrize(("domain", "reason"), [("", "no_domain"), ("shop.other.example", "other_domain")])
def test_a_trusted_domain_that_is_not_ours_is_red(real: App, world: World, domain: str, reason: str) -> None:
    change_app(world, redirect_domain=domain)
    one = found(real, "domain")["domain"]
    assert (one.state, one.reason) == (BAD, reason)


def test_without_an_address_there_is_no_domain_to_compare(real: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETANG_PUBLIC_URL", "")
    assert found(real, "domain")["domain"].detail == {"first": "address"}


def test_a_silent_wecom_is_red_at_the_secret_and_hides_nothing_else(real: App, world: World) -> None:
    Corp.objects.update(base_url="http://127.0.0.1:9")
    app = App.objects.select_related("corp").get(pk=real.pk)
    findings = found(app)
    assert (findings["secret"].state, findings["secret"].reason) == (BAD, "silent")
    assert findings["address"].state == GOOD


# --- the file at the root


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What the world sees at our public address: path -> text."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "<html>").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HETANG_PUBLIC_URL", f"http://127.0.0.1:{server.server_address[1]}")
    yield pages
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_file_is_served_at_the_root_of_the_public_listener_to_anybody(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = SimpleUploadedFile(FILE, b"AbCdEf0123456789\n")
    assert boss.post("/settings/wecom/setup/file", {"file": upload}).status_code == 302
    answer = Client().get(f"/{FILE}")
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (
        200,
        b"AbCdEf0123456789",
        "text/plain; charset=utf-8",
    )
    assert Client().get("/WW_verify_other.txt").status_code == 404
    monkeypatch.setenv("HETANG_LISTENER", "public")
    gate = GateMiddleware(lambda request: request.path)  # type: ignore[arg-type,return-value]
    request = type("R", (), {"path": f"/{FILE}"})()
    assert gate(request) == f"/{FILE}"
    boss.post("/settings/wecom/setup/file/remove", {"name": FILE})
    assert Client().get(f"/{FILE}").status_code == 404
    actions = AuditEntry.objects.filter(action__startswith="wecom.verification").order_by("at", "id")
    assert [one.action for one in actions] == ["wecom.verification_kept", "wecom.verification_removed"]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("verify.txt", b"abc", "is called WW_verify_"),
        ("WW_verify_abc.txt", b"<html>", "one short line"),
        ("WW_verify_abc.txt", b"a" * 2000, "one short line"),
        ("WW_verify_abc.txt", b"", "one short line"),
    ],
)
def test_a_file_that_is_not_wecoms_is_refused(boss: Client, name: str, content: bytes, text: str) -> None:
    # Django takes no empty upload, so an empty one counts as none chosen
    answer = boss.post("/settings/wecom/setup/file", {"file": SimpleUploadedFile(name, content)})
    assert answer.status_code == 422
    assert text in answer.text or "Choose the file" in answer.text


def test_the_file_is_looked_at_from_outside(real: App, outside: dict[str, str]) -> None:
    verification.keep(system("test"), FILE, b"AbCdEf0123456789")
    one = found(real, "verification")["verification"]
    assert (one.state, one.reason) == (BAD, "file_differs")
    outside[f"/{FILE}"] = "AbCdEf0123456789"
    assert found(real, "verification")["verification"].state == GOOD


def test_a_public_address_that_is_not_reached_is_red(real: App, monkeypatch: pytest.MonkeyPatch) -> None:
    verification.keep(system("test"), FILE, b"AbCdEf0123456789")
    monkeypatch.setenv("HETANG_PUBLIC_URL", "http://127.0.0.1:9")
    assert found(real, "verification")["verification"].reason == "file_unreachable"


# --- the callback


def ask(world: World, web: Client, app: App, monkeypatch: pytest.MonkeyPatch) -> int:
    """The platform asks the address as it does when the settings are saved; returns the status of our answer."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}{callback_path(app)}"
    change_app(world, callback_url=url, callback_token=TOKEN, callback_aes_key=AES_KEY)
    world.admin.call("check_callback", {"agentid": 1000002})
    server.shutdown()
    thread.join()
    server.server_close()
    return web.get(asked[0]).status_code


def test_the_callback_is_green_once_wecom_has_proved_it(
    real: App, world: World, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(real, "callback")["callback"].reason == "no_echo"
    app = reconnect(world, simulator, callback_token="another")
    webhook.forget()
    assert ask(world, Client(), app, monkeypatch) == 403
    one = found(app, "callback")["callback"]
    assert (one.state, one.reason, one.detail) == (BAD, "echo_refused", {"problem": "signature"})
    app = reconnect(world, simulator)
    assert ask(world, Client(), app, monkeypatch) == 200
    assert found(app, "callback")["callback"].state == GOOD
    Client().get(callback_path(app), {"msg_signature": "x", "timestamp": "1", "nonce": "2", "echostr": "x"})
    assert found(app, "callback")["callback"].state == GOOD  # a stranger's try changes nothing
    reconnect(world, simulator, callback_token="another")
    assert found(app, "callback")["callback"].reason == "no_echo"  # other keys, to be proved anew


def test_an_event_that_came_in_is_told(real: App) -> None:
    assert found(real, "events")["events"].reason == "no_event"
    CallbackMessage.objects.create(
        app=real, dedupe_key="k", event="e", received_at=real.changed_at, body=b"x", state="applied"
    )
    assert found(real, "events")["events"].state == GOOD


def test_keys_are_shown_until_wecom_has_them_and_never_again(boss: Client, real: App) -> None:
    assert TOKEN not in boss.get("/settings/wecom/setup/").text
    assert TOKEN in boss.post("/settings/wecom/keys").text
    App.objects.update(echoed_at=real.changed_at)
    answer = boss.post("/settings/wecom/keys", follow=True)
    assert TOKEN not in answer.text
    assert "not shown any more" in answer.text
    shown = boss.post("/settings/wecom/keys/new").text
    app = App.objects.get()
    token = unseal(app.callback_token or b"").decode()
    assert token in shown and token != TOKEN
    assert app.echoed_at is None
    assert token not in boss.get("/settings/wecom/setup/").text
    assert not [one for one in AuditEntry.objects.all() if token in json.dumps(one.changes)]


# --- the page and the command


def test_the_page_checks_and_says_what_to_do(boss: Client, real: App, world: World) -> None:
    change_app(world, trusted_ips=["203.0.113.7"])
    page = boss.get("/settings/wecom/setup/").text
    assert page.count("Not tried yet") == 10
    page = boss.post("/settings/wecom/setup/check", follow=True).text
    assert "Waiting to start" in page
    boss.post("/settings/wecom/setup/check")
    assert JobRun.objects.filter(kind="wecom.check").count() == 1  # pressed twice, checked once
    jobs.run_waiting()
    page = boss.get("/settings/wecom/setup/").text
    assert "1 step is wrong" in page
    assert "<code>127.0.0.1</code>" in page
    assert world.secret not in page
    change_app(world)
    boss.post("/settings/wecom/setup/check", {"name": "trusted_ip"})
    jobs.run_waiting()
    page = boss.get("/settings/wecom/setup/").text
    assert "is wrong" not in page
    assert boss.post("/settings/wecom/setup/check", {"name": "nonsense"}).status_code == 404
    assert AuditEntry.objects.filter(action="wecom.checked").count() == 2


def test_the_page_without_a_connection_leads_to_it(boss: Client) -> None:
    assert "No corp is connected yet" in boss.get("/settings/wecom/setup/").text
    assert boss.post("/settings/wecom/setup/check").status_code == 404


def test_the_command_speaks_both_languages_and_ends_with_1_when_something_is_red(
    real: App, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.doctor(as_json=False) == 0
    text = capsys.readouterr().out
    assert "✓ 企业 ID 与 Secret" in text and "Corp ID and secret" in text
    change_app(world, trusted_ips=["203.0.113.7"])
    assert commands.doctor(as_json=False) == 1
    text = capsys.readouterr().out
    assert "✗ 企业可信 IP" in text
    assert world.secret not in text
    commands.doctor(as_json=True)
    told = {one["check"]: one for one in json.loads(capsys.readouterr().out)}
    assert (told["trusted_ip"]["code"], told["trusted_ip"]["state"]) == (60020, "bad")


def test_every_app_is_checked_and_one_that_only_listens_asks_nothing(
    boss: Client, real: App, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    second = App.objects.create(
        corp=real.corp, agentid=5, name="Ear", secret=b"", listen_only=True, changed_at=real.changed_at
    )
    before = world.admin.status()["calls"]
    findings = found(second, "secret", "permissions", "callback")
    assert [(one.state, one.reason) for one in findings.values()] == [
        *((BAD, "no_keys"), (UNTRIED, "listens"), (UNTRIED, "listens")),
    ]
    assert world.admin.status()["calls"] == before
    page = boss.get(f"/settings/wecom/setup/?app={second.public_id}").text
    assert "nothing is asked by it" in page and f"check?app={second.public_id}" in page
    answer = boss.post(f"/settings/wecom/setup/check?app={second.public_id}", {"name": "callback"})
    assert answer.url == f"/settings/wecom/setup/?app={second.public_id}"  # type: ignore[attr-defined]
    assert JobRun.objects.get(kind="wecom.check").arguments["app"] == second.pk
    assert boss.get("/settings/wecom/setup/?app=nonsense").status_code == 404
    assert commands.doctor(as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert {one["agentid"] for one in told} == {1000002, 5}


def test_the_command_without_a_connection_says_so(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.doctor(as_json=False) == 1
    assert "not connected yet" in capsys.readouterr().out


@pytest.fixture(autouse=True)
def forget_clients() -> Iterator[None]:
    yield
    for client in wecom_client._clients.values():
        client.close()
    wecom_client._clients.clear()
