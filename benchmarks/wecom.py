"""The WeCom connector against the simulator in its own process on the same machine.

`sync_relations_per_s`: the job `wecom.sync` of the first day, from the first call until the last friendship is
recorded; its baseline is a bare loop that asks for the same pages and groups with as many calls in flight and drops the
parsed JSON. `sync_ratio_to_bare_loop` holds it against the lower of that loop and what the platform's limit of 10,000
calls a minute allows. `sync_mb` is the memory of the process that syncs, at most. `reconcile_relations_per_s`: the same
job when nothing has changed, beside 100 callbacks a second. `tag_marks_per_s`: customers tagged in one go here, until
WeCom has every mark, at most five in flight. `callbacks_per_s`, `callback_p99_ms`: events posted by eight connections
to the web process, as WeCom signs them, while a worker applies them and syncs over and over. `welcome_p99_s`: from an
event's arrival to its welcome, at 50 new friends a second, the engine not running; `welcome_nginx_p99_s` is the same
with the events coming through nginx with TLS. `tasks_per_s`: mass-message tasks of 100 people made one after the other;
its baseline is a bare loop of the same requests. `wecom_kills`: processes killed during sync, callbacks and tagging,
and what was lost or doubled by it.

    python -m benchmarks.wecom --size small|full
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# relations, groups, marks, callbacks, welcomes, tasks, kills
SIZES = {
    "small": (20_000, 100, 2_000, 2_000, 200, 100, 5),
    "full": (1_000_000, 10_000, 100_000, 30_000, 3_000, 1_000, 50),
}
MEMBERS = 200
GROUP_SIZE = 50
PEOPLE_PER_TASK = 100
PAGE = 100
AT_ONCE = 5
CONNECTIONS = 16  # over which callbacks come
LIMIT_PER_S = 10_000 / 60 * PAGE  # friendships that the platform's limit lets through
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TOKEN = "token123"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", choices=["sync", "tags", "tasks", "callbacks", "welcomes", "kills"], action="append")
    options = parser.parse_args()
    relations, groups, marks, callbacks, welcomes, tasks, kills = SIZES[options.size]
    if options.only and not {"sync", "tags"} & set(options.only):
        relations, groups = SIZES["small"][:2]  # the others need somebody to speak of, no more
    world = _start(relations, groups)
    parts: dict[str, Callable[[], None]] = {
        "sync": lambda: _measure_sync(world, relations, groups),
        "tags": lambda: _measure_tags(world, marks),  # after a sync
        "tasks": lambda: _measure_tasks(world, tasks),
        "callbacks": lambda: _measure_callbacks(world, callbacks),
        "welcomes": lambda: _measure_welcomes(world, welcomes),
        "kills": lambda: _kill(kills),
    }
    for name, measure in parts.items():
        if not options.only or name in options.only:
            measure()


def _measure_sync(world: dict[str, Any], relations: int, groups: int) -> None:
    from benchmarks.report import report

    bare, took = _timed(lambda: _bare_pages(world)), _timed(_sync)
    speed, loop = relations / took, relations / bare
    report("sync_relations_per_s", speed, "relations/s", baseline=loop, relations=relations, groups=groups)
    report("sync_ratio_to_bare_loop", speed / min(loop, LIMIT_PER_S), "", limit_per_s=LIMIT_PER_S, loop_per_s=loop)
    report("sync_mb", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB", baseline=500.0)
    with _callbacks_meanwhile(world, 100) as posted:
        again = _timed(_sync)
    more = {"callbacks_a_second": round(len(posted) / again, 1)}
    report("reconcile_relations_per_s", relations / again, "relations/s", baseline=2000.0, **more)


@contextlib.contextmanager
def _callbacks_meanwhile(world: dict[str, Any], a_second: int) -> Iterator[list[float]]:
    """Post events at a steady rate by eight senders, as long as they keep up; what each answer took."""
    _web(world)
    done, took = threading.Event(), []

    def post(part: int) -> None:
        number = part
        started = time.monotonic()
        while not done.is_set():
            took.extend(_post_all(world, [_request(world, _event(world, number))]))
            number += 8
            done.wait(max(0.0, started + number / a_second - time.monotonic()))

    threads = [threading.Thread(target=post, args=[part], daemon=True) for part in range(8)]
    for thread in threads:
        thread.start()
    yield took
    done.set()
    for thread in threads:
        thread.join()


def _measure_tags(world: dict[str, Any], marks: int) -> None:
    from benchmarks.report import report
    from hetang.connectors.wecom import tagging
    from hetang.facts import intake, subscriptions
    from hetang.facts.intake import Draft
    from hetang.platform import clock

    subscriptions.run_until_idle()  # customers have their numbers
    for start in range(0, marks, 1000):
        people = world["people"][start : start + 1000]
        drafts = [
            Draft("tag.changed", f"b{one}", clock.now(), [("external_userid", one)], {"tag": world["tag"], "on": True})
            for one in people
        ]
        assert intake.record("bench", drafts).accepted == len(drafts)
    queued = _timed(subscriptions.run_until_idle)
    waiting = tagging.waiting()

    def send() -> None:
        while tagging.run_once() == 0.0:
            pass

    took = _timed(send)
    assert (waiting, tagging.waiting()) == (marks, 0), (waiting, tagging.waiting())
    report("tag_marks_per_s", marks / took, "marks/s", marks=marks, queued_s=round(queued, 2), at_once=AT_ONCE)


def _measure_tasks(world: dict[str, Any], tasks: int) -> None:
    from benchmarks.report import report

    bare = _timed(lambda: _bare_tasks(world, tasks))
    took = _timed(lambda: _tasks(world, tasks))
    report("tasks_per_s", tasks / took, "tasks/s", baseline=tasks / bare, people_per_task=PEOPLE_PER_TASK)


def _measure_callbacks(world: dict[str, Any], count: int) -> None:
    from benchmarks.report import report
    from hetang.connectors.wecom.models import CallbackMessage

    _web(world)
    made = [_request(world, _event(world, number)) for number in range(count)]
    took: list[float] = []
    with _busy_worker(world) as ran:
        elapsed = _timed(lambda: took.extend(_posted(world, made)))
    took.sort()
    p99 = took[int(len(took) * 0.99)] * 1000
    done = CallbackMessage.objects.filter(state="applied").count()
    more = {"connections": CONNECTIONS, "syncs_meanwhile": len(ran), "applied_meanwhile": done}
    report("callbacks_per_s", count / elapsed, "callbacks/s", baseline=500.0, **more)
    report("callback_p99_ms", p99, "ms", baseline=300.0)


@contextlib.contextmanager
def _busy_worker(world: dict[str, Any]) -> Iterator[list[int]]:
    """A worker process that always has a sync to do, beside what events give it; the syncs that were begun."""
    from django.db import connection

    from hetang.platform import children, jobs
    from hetang.platform.models import JobRun

    done, begun = threading.Event(), list[int]()

    def give() -> None:
        while not done.wait(0.2):
            if not JobRun.objects.filter(kind="wecom.sync", state__in=[JobRun.WAITING, JobRun.RUNNING]).exists():
                begun.append(jobs.enqueue("wecom.sync", "sync", {}).id)
        connection.close()

    command = [sys.executable, "-P", "-m", "hetang.cli", "worker"]
    with (world["home"] / "worker.log").open("wb") as log:
        worker = children.spawn(command, env={**os.environ, "HETANG_HOME": str(world["home"])}, log=log)
    atexit.register(worker.kill)
    thread = threading.Thread(target=give, daemon=True)
    thread.start()
    from tests.processes import wait_until

    try:
        wait_until(lambda: JobRun.objects.filter(kind="wecom.sync", state=JobRun.RUNNING).exists(), 60)
        yield begun
    finally:
        done.set()
        thread.join()
        worker.terminate()
        worker.wait(30)


def _measure_welcomes(world: dict[str, Any], count: int) -> None:
    """The lane runs here in a thread, as the worker runs it; events come at 50 a second over HTTP."""
    from hetang.connectors.wecom import welcome_rules
    from hetang.platform.access import Actor

    welcome_rules.save(Actor("bench", None, ()), None, welcome_rules.Said(name="all", text="welcome"))
    _web(world)
    _welcome_by(world, "welcome_p99_s", f"{_address(world)}{world['path']}", count, "w")
    if world["nginx"] is None:
        print("NO NGINX: welcomes through nginx with TLS are not measured")
        return
    url = f"https://localhost:{world['nginx'].port}{world['path']}"
    _welcome_by(world, "welcome_nginx_p99_s", url, count, "n")


def _welcome_by(world: dict[str, Any], name: str, url: str, count: int, mark: str) -> None:
    from benchmarks.report import report
    from hetang.connectors.wecom import welcoming
    from hetang.connectors.wecom.models import Welcome

    before = Welcome.objects.count()
    apps = [{"agentid": 1000002, "callback_url": url, "callback_token": TOKEN, "callback_aes_key": AES_KEY}]
    world["admin"].corp("Bench", apps, corpid=world["corpid"])
    done = threading.Event()

    def lane() -> None:
        while not done.is_set():
            done.wait(welcoming.run_once())

    thread = threading.Thread(target=lane, daemon=True)
    thread.start()
    strangers = world["admin"].people({"key": f"{mark}{n}", "name": f"W{n}"} for n in range(count))
    started = time.monotonic()
    for number, one in enumerate(strangers):
        world["admin"].relate("add", f"m{number % MEMBERS}", one)
        time.sleep(max(0.0, started + number / 50 - time.monotonic()))
    deadline = time.monotonic() + 30
    while Welcome.objects.exclude(state=Welcome.WAITING).count() < before + count and time.monotonic() < deadline:
        time.sleep(0.1)
    done.set()
    thread.join()
    sent = Welcome.objects.filter(state=Welcome.SENT).order_by("-id")[:count]
    rows = sent.values_list("settled_at", "message__received_at")
    waited = sorted((settled - received).total_seconds() for settled, received in rows)
    assert waited, "no welcome was sent"
    p99 = waited[int(len(waited) * 0.99)]
    report(name, p99, "s", baseline=3.0, sent=len(waited), of=count, a_second=50)


def _kill(kills: int) -> None:
    """The proof of the suite, ten times in the full size: five kills each, counted by the simulator."""
    from benchmarks.report import report

    total = dict.fromkeys(("kills", "lost", "invented", "differ", "customers_doubled", "tags_lost"), 0)
    total |= {"events_lost": 0, "welcomes_doubtful": 0}
    total |= dict.fromkeys(("engine_kills", "history_lost", "history_doubled", "live_sets_differ"), 0)
    for seed in range(max(1, kills // 5)):
        with tempfile.TemporaryDirectory(prefix="hetang-proof-") as folder:
            command = [sys.executable, "-m", "tests.connectors.wecom.proof", "--kills", "5", "--seed", str(seed)]
            command.append("--engine")
            environment = {**os.environ, "HETANG_HOME": folder}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        print(done.stdout.strip(), file=sys.stderr)
        if not found["rests"]:
            raise RuntimeError(f"seed {seed} never came to rest: what it counts says nothing")
        found["events_lost"] = found["events_posted"] - found["events_applied"]
        found["welcomes_doubtful"] = found["welcomes_counted"] - found["welcomes_sent"]
        for name in total:
            total[name] += abs(found[name])
    report("wecom_kills", total["kills"], "kills", of_the_engine=total["engine_kills"])
    lost = total["lost"] + total["events_lost"] + total["tags_lost"] + total["history_lost"]
    report("wecom_lost", lost, "things")
    report("wecom_doubled", total["invented"] + total["customers_doubled"] + total["history_doubled"], "things")
    report("wecom_differing", total["differ"] + total["welcomes_doubtful"] + total["live_sets_differ"], "things")


def _start(relations: int, groups: int) -> dict[str, Any]:
    """A home with PostgreSQL, a simulator with its corp, and the connection between them."""
    home = Path(tempfile.mkdtemp(prefix="hetang-bench-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["HETANG_HOME"] = str(home)
    os.environ["DJANGO_SETTINGS_MODULE"] = "hetang.settings"
    from hetang.platform import postgres

    server = postgres.start(home)
    atexit.register(server.stop)
    os.environ["HETANG_DATABASE_URL"] = server.url
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from tests import nginx
    from tests.simulator.process import SimulatorProcess

    port, proxy = _free_port(), None
    if not nginx.MISSING:
        (home / "nginx").mkdir()
        home.chmod(0o711)
        proxy = nginx.start(home / "nginx", port)
        atexit.register(proxy.stop)
        os.environ["SSL_CERT_FILE"] = str(proxy.certificate)  # the simulator trusts it
        os.environ["HETANG_TRUSTED_PROXIES"] = "127.0.0.1"
    process = SimulatorProcess(home)
    process.start()
    atexit.register(process.stop)
    return {**_seed(process, home, relations, groups), "port": port, "nginx": proxy}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _seed(process: Any, home: Path, relations: int, groups: int) -> dict[str, Any]:
    from hetang.connectors.wecom.services import callback_path, connect
    from hetang.customers.models import Tag

    admin = process.admin()
    corp = admin.corp("Bench", [{"agentid": 1000002}])
    admin.settings(calls_per_minute=10_000_000, calls_per_hour=100_000_000, calls_per_minute_of_address=10_000_000)
    admin.staff({"userid": f"m{number}", "name": f"M{number}"} for number in range(MEMBERS))
    people = admin.people({"key": str(number), "name": f"P{number}"} for number in range(relations))
    admin.relations(
        {"userid": f"m{number % MEMBERS}", "external_userid": person, "createtime": 1_700_000_000}
        for number, person in enumerate(people)
    )
    for start in range(0, groups, 1000):
        rows = [
            {
                "owner": f"m{number % MEMBERS}",
                "name": f"G{number}",
                "createtime": 1_700_000_000,
                "members": [people[(number * 7 + place) % len(people)] for place in range(GROUP_SIZE)],
            }
            for number in range(start, min(groups, start + 1000))
        ]
        admin.call("groups", {"groups": rows})
    made = admin.call("add_tags", {"group": "Bench", "tags": ["bench"]})
    secret = corp["apps"][0]["secret"]
    app = connect(
        corpid=corp["corpid"],
        agentid=1000002,
        secret=secret,
        base_url=process.url,
        simulated=True,
        callback_token=TOKEN,
        callback_aes_key=AES_KEY,
        calls_per_minute=10_000_000,  # the limiter is not what is measured
        concurrency=AT_ONCE,
    )
    app.corp.calls_per_hour = 1_000_000_000
    app.corp.save()
    assert Tag.objects.count() == 0
    return {
        **{"admin": admin, "process": process, "people": people, "corpid": corp["corpid"], "secret": secret},
        **{"home": home, "path": callback_path(app), "tag": f"wecom_{made['tag_ids'][0]}"},
    }


def _sync() -> None:
    from hetang.platform import jobs

    job = jobs.enqueue("wecom.sync", "sync", {})
    jobs.run_waiting()
    job.refresh_from_db()
    assert job.state == "done", job.error


def _bare_pages(world: dict[str, Any]) -> None:
    """The same pages, in parts of the same size, as many side by side."""
    http, token = _bare(world)
    size = max(1, min(100, -(-MEMBERS // (4 * AT_ONCE))))
    parts = [[f"m{n}" for n in range(start, min(MEMBERS, start + size))] for start in range(0, MEMBERS, size)]

    def ask(members: list[str]) -> None:
        body: dict[str, Any] = {"userid_list": members, "limit": PAGE, "cursor": ""}
        path = "/cgi-bin/externalcontact/batch/get_by_user"
        while True:
            body["cursor"] = http.post(path, params={"access_token": token}, json=body).json()["next_cursor"]
            if not body["cursor"]:
                return

    def ask_group(chat_id: str) -> None:
        path = "/cgi-bin/externalcontact/groupchat/get"
        http.post(path, params={"access_token": token}, json={"chat_id": chat_id}).json()

    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(AT_ONCE) as groups:
        waiting = pool.map(ask, parts)
        list(groups.map(ask_group, _bare_groups(http, token)))
        list(waiting)


def _bare_groups(http: Any, token: str) -> list[str]:
    found: list[str] = []
    body: dict[str, Any] = {"limit": 1000, "cursor": ""}
    while True:
        path = "/cgi-bin/externalcontact/groupchat/list"
        page = http.post(path, params={"access_token": token}, json=body).json()
        found += [one["chat_id"] for one in page.get("group_chat_list", [])]
        body["cursor"] = page.get("next_cursor", "")
        if not body["cursor"]:
            return found


def _tasks(world: dict[str, Any], count: int) -> None:
    from hetang.connectors.wecom.channel import channel
    from hetang.touch.ports import TaskRequest

    made = channel()
    for number in range(count):
        link = f"https://bench/{number}"
        made.create_task(TaskRequest(f"m{number % MEMBERS}", _people(world, number), f"hello {link}", link))


def _bare_tasks(world: dict[str, Any], count: int) -> None:
    http, token = _bare(world)
    for number in range(count):
        body = {
            "sender": f"m{number % MEMBERS}",
            "external_userid": _people(world, number),
            "text": {"content": f"hello https://bench/x{number}"},
        }
        path = "/cgi-bin/externalcontact/add_msg_template"
        assert http.post(path, params={"access_token": token}, json=body).json()["errcode"] == 0


def _people(world: dict[str, Any], number: int) -> list[str]:
    mine: list[str] = world["people"][number % MEMBERS :: MEMBERS]
    return mine[:PEOPLE_PER_TASK]


def _event(world: dict[str, Any], number: int) -> str:
    person = world["people"][number % len(world["people"])]
    fields = {
        **{"ToUserName": world["corpid"], "FromUserName": "sys", "CreateTime": 1_790_000_000 + number},
        **{"MsgType": "event", "Event": "change_external_contact", "ChangeType": "del_follow_user"},
        **{"UserID": f"m{number % MEMBERS}", "ExternalUserID": person},
    }
    return "<xml>" + "".join(f"<{name}>{value}</{name}>" for name, value in fields.items()) + "</xml>"


def _request(world: dict[str, Any], clear: str) -> bytes:
    """A delivery of WeCom as it comes over the line, made beforehand: its servers do not share our cores."""
    from hetang.simulator import crypto

    encrypted = crypto.encrypt(AES_KEY, clear, world["corpid"])
    signature = crypto.sign(TOKEN, "1790000000", "77", encrypted)
    query = f"msg_signature={signature}&timestamp=1790000000&nonce=77"
    body = f"<xml><ToUserName>{world['corpid']}</ToUserName><Encrypt>{encrypted}</Encrypt></xml>".encode()
    lines = [f"POST {world['path']}?{query} HTTP/1.1", f"Host: 127.0.0.1:{world['port']}", "Content-Type: text/xml"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _posted(world: dict[str, Any], made: list[bytes]) -> list[float]:
    """Post everything by some connections; the seconds that each answer took."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = pool.map(lambda part: _post_all(world, part), [made[n::CONNECTIONS] for n in range(CONNECTIONS)])
        return [one for part in parts for one in part]


def _post_all(world: dict[str, Any], part: list[bytes]) -> list[float]:
    took = []
    with socket.create_connection(("127.0.0.1", world["port"]), 30) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in part:
            started = time.perf_counter()
            line.sendall(request)
            answer = b""
            while not answer.endswith(b"success") and (more := line.recv(65536)):
                answer += more
            assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"success"), answer[-200:]
            took.append(time.perf_counter() - started)
    return took


def _address(world: dict[str, Any]) -> str:
    return f"http://127.0.0.1:{world['port']}"


def _web(world: dict[str, Any]) -> None:
    """A web process of the product, once."""
    from hetang.platform import children

    if "web" in world:
        return
    port = world["port"]
    command = [sys.executable, "-P", "-m", "hetang.cli", "web", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HETANG_HOME": str(world["home"])}
    with (world["home"] / "web.log").open("wb") as log:
        world["web"] = process = children.spawn(command, env=environment, log=log)  # as `hetang up` does
    atexit.register(process.terminate)
    from tests.processes import answers, wait_until

    wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz", b""), 60)


def _bare(world: dict[str, Any]) -> tuple[Any, str]:
    import httpx

    http = httpx.Client(base_url=world["process"].url, timeout=60)
    query = {"corpid": world["corpid"], "corpsecret": world["secret"]}
    return http, http.get("/cgi-bin/gettoken", params=query).json()["access_token"]


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
