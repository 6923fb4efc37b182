"""The platform compared with the simulator: here another simulator plays the platform, once with altered answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from hetang import cli, conformance
from hetang.connectors.wecom.conformance import commands, running, script, shapes
from hetang.connectors.wecom.conformance.running import Side, run
from hetang.connectors.wecom.conformance.shapes import CODE, MISSING, TYPE, UNKNOWN, Difference
from hetang.simulator.admin import SimulatorAdmin
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import World

DOCUMENTED = Path(__file__).with_name("documented_paths.txt")
Alter = Callable[[str, dict[str, Any]], dict[str, Any]]


# --- shapes, alone


def kinds(real: Any, simulated: Any) -> list[tuple[str, str]]:
    return [(one.kind, one.field) for one in shapes.differences(real, simulated)]


def test_equal_shapes_do_not_differ_whatever_they_hold() -> None:
    real = {"errcode": 0, "errmsg": "ok", "list": [{"id": "a", "at": 1}, {"id": "b", "at": 2}]}
    assert kinds(real, {"errcode": 0, "errmsg": "created", "list": [{"id": "x", "at": 9}]}) == []


def test_codes_types_and_fields_are_told_apart() -> None:
    assert kinds({"errcode": 60111}, {"errcode": 0, "a": 1}) == [(CODE, "errcode")]
    assert kinds({"a": "1"}, {"a": 1}) == [(TYPE, "a")]
    assert kinds({"a": 1, "b": {"c": [{"d": 1}]}}, {"a": 1}) == [(MISSING, "b")]
    assert kinds({"a": 1}, {"a": 1, "b": 2}) == [(UNKNOWN, "b")]
    assert kinds({"l": [{"a": 1}, {"b": 1}]}, {"l": [{"a": 1}]}) == [(MISSING, "l[].b")]


def test_below_an_empty_list_nothing_is_said() -> None:
    assert kinds({"l": [], "m": [{"x": 1}]}, {"l": [{"a": 1}], "m": []}) == []
    assert kinds({"l": []}, {"l": {"a": 1}}) == [(TYPE, "l")]


def test_nothing_personal_is_left() -> None:
    answer = {
        "errcode": 0,
        "errmsg": "invalid userid: zhangsan, hint: [1_2_3], from ip: 203.0.113.9",
        "name": "张三",
        "external_userid": "wm" + "A" * 30,
        "createtime": 1_700_000_000,
        "status": 2,
        "mobile": "13800000000",
        "tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
    }
    assert shapes.masked(answer) == {
        "errcode": 0,
        "errmsg": "invalid userid",
        "name": "<text 2>",
        "external_userid": "<wm 32>",
        "createtime": "<number>",
        "status": 2,
        "mobile": "<text 11>",
        "tags": [{"name": "<text 1>"}, {"name": "<text 1>"}, "…"],
    }


def test_every_path_is_documented_and_only_named_steps_write() -> None:
    documented = set(DOCUMENTED.read_text().split())
    steps = (*script.READ, *script.WRITE, *script.SIMULATED_ONLY)
    assert {one.path for one in steps} - documented == set()
    assert [one.name for one in script.READ if one.writes] == []
    changing = ("add_", "edit_", "del_", "update_", "remark", "mark_", "transfer", "upload", "message/send")
    assert [one.path for one in script.READ if any(word in one.path for word in changing)] == []


# --- two sides


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PAUSE_S", 0)


@pytest.fixture(scope="module")
def ours() -> Iterator[Side]:
    with conformance.started() as side:
        yield side


@pytest.fixture
def platform(simulator: SimulatorProcess, world: World, admin: SimulatorAdmin) -> Side:
    """Another corp, other people, played by another process."""
    return Side(simulator.url, world.corpid, 1000002, world.secret)


@pytest.fixture
def altered(platform: Side) -> Iterator[Callable[[Alter], Side]]:
    """A platform whose answers somebody changes on the way."""
    servers: list[ThreadingHTTPServer] = []

    def start(alter: Alter) -> Side:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = httpx.request(self.command, platform.base_url + self.path, content=body)
                path = self.path.partition("?")[0].removeprefix("/cgi-bin/")
                content = json.dumps(alter(path, answer.json())).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        return Side(url, platform.corpid, platform.agentid, platform.secret)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_two_simulators_do_not_differ(platform: Side, ours: Side) -> None:
    report = run(platform, ours)
    assert [(one.step.path, one.step.name, one.differences) for one in report.different] == []
    assert report.compared > 35
    failed = {one.step.name: one.real["errcode"] for one in report.records if one.real and one.real["errcode"]}
    assert failed["token, wrong secret"] == 40001
    assert failed["an unknown member"] == 60111
    assert "a customer" not in failed
    assert "a page of customers" not in failed


def test_an_altered_answer_is_found_and_named(
    altered: Callable[[Alter], Side], ours: Side, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def alter(path: str, answer: dict[str, Any]) -> dict[str, Any]:
        if path == "externalcontact/get" and "external_contact" in answer:
            answer["external_contact"]["gender"] = "1"
            answer["external_contact"]["new_field"] = {"secret": "zhangsan"}
        if path == "user/get" and answer["errcode"] == 60111:
            answer["errcode"] = 40003
        if path == "department/list":
            del answer["department"][0]["order"]
            answer["department"] = answer["department"][:1]
        return answer

    side = altered(alter)
    target = tmp_path / "report.md"
    assert commands.conformance(side, ours, target, write=False) == 1
    text, found = target.read_text(), json.loads(target.with_suffix(".json").read_text())
    by_step = {one["step"]: one["differences"] for one in found["steps"] if one["differences"]}
    assert by_step.pop("departments") == [
        {"kind": "unknown", "field": "department[].order", "platform": "–", "simulator": "number"}
    ]
    assert {(step, one["kind"], one["field"]) for step, all_ in by_step.items() for one in all_} == {
        ("a customer", "type", "external_contact.gender"),
        ("a customer", "missing", "external_contact.new_field"),
        ("an unknown member", "code", "errcode"),
    }
    assert "`external_contact.gender` | text | number" in text
    said = capsys.readouterr().out
    assert "40003 ≠ 60111" in said
    for private in (side.secret, side.corpid, "Person", "Anna", "zhangsan"):
        assert private not in text + target.with_suffix(".json").read_text() + said.replace(f"· {side.corpid}", "")


def test_writes_happen_only_when_asked_for_are_told_and_taken_back(
    platform: Side, ours: Side, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def kept() -> tuple[int, int]:
        world.sign_in()
        tags = world.call("externalcontact/get_corp_tag_list", {})["tag_group"]
        ways = world.call("externalcontact/list_contact_way", {"limit": 100}).get("contact_way", [])
        return len(tags), len(ways)

    before = kept()
    commands.conformance(platform, ours, tmp_path / "a.md", write=False)
    assert "writes:" not in capsys.readouterr().out
    assert "externalcontact/add_corp_tag" not in world.admin.status()["calls"]
    assert commands.conformance(platform, ours, tmp_path / "b.md", write=True) == 0
    said = capsys.readouterr().out
    assert all(f"writes: {one.path}: {one.writes}" in said for one in script.WRITE)
    assert "externalcontact/add_corp_tag" in world.admin.status()["calls"]
    assert kept() == before


def test_a_wrong_secret_ends_it(platform: Side, ours: Side, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Side(platform.base_url, platform.corpid, platform.agentid, "wrong")
    assert commands.conformance(wrong, ours, tmp_path / "a.md", write=False) == 2
    assert "40001" in capsys.readouterr().out
    silent = Side("http://127.0.0.1:9", platform.corpid, platform.agentid, "wrong")
    assert commands.conformance(silent, ours, tmp_path / "a.md", write=False) == 2
    assert not (tmp_path / "a.md").exists()


def test_the_command_line_runs_it_on_a_named_corp(
    platform: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HETANG_WECOM_SECRET", platform.secret)
    target = tmp_path / "report.md"
    options = ["--corpid", platform.corpid, "--agentid", str(platform.agentid), "--base-url", platform.base_url]
    assert cli.main(["wecom", "conformance", *options, "--report", str(target)]) == 0
    assert "calls compared" in capsys.readouterr().out
    assert target.exists()
    assert cli.main(["wecom", "conformance", "--corpid", platform.corpid]) == 2


def test_a_difference_that_may_be_chance_does_not_count() -> None:
    assert not Difference(UNKNOWN, "a", "–", "text").matters
    assert Difference(MISSING, "a", "text", "–").matters
