"""The WeCom connector against the simulator in its own process on the same machine.

`sync_relations_per_s`: the job `wecom.sync` from the first call to facts recorded; its baseline is a bare loop that
asks for the same pages, one after the other, and drops the parsed JSON. `tasks_per_s`: mass-message tasks of 100
people made one after the other through the channel; its baseline is a bare loop of the same requests.
`simulator_pss_mb` is the simulator's memory after all of it.

    python -m benchmarks.wecom --size small|full
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = {"small": (5_000, 100), "full": (50_000, 1_000)}  # relations, tasks
MEMBERS = 50
PEOPLE_PER_TASK = 100
PAGE = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    relations, tasks = SIZES[parser.parse_args().size]
    world = _start(relations)
    from benchmarks.report import report

    bare, took = _timed(lambda: _bare_pages(world)), _timed(_sync)
    report("sync_relations_per_s", relations / took, "relations/s", baseline=relations / bare, relations=relations)
    bare = _timed(lambda: _bare_tasks(world, tasks))
    took = _timed(lambda: _tasks(world, tasks))
    report("tasks_per_s", tasks / took, "tasks/s", baseline=tasks / bare, people_per_task=PEOPLE_PER_TASK)
    counted = world["admin"].received("bench/")
    assert counted["messages"] == 2 * tasks, counted["messages"]
    report("simulator_pss_mb", _pss_mb(world["process"].process.pid), "MB", baseline=60.0)


def _start(relations: int) -> dict[str, Any]:
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
    from tests.simulator.process import SimulatorProcess

    process = SimulatorProcess(home)
    process.start()
    atexit.register(process.stop)
    return _seed(process, relations)


def _seed(process: Any, relations: int) -> dict[str, Any]:
    from hetang.connectors.wecom.services import connect

    admin = process.admin()
    corp = admin.corp("Bench", [{"agentid": 1000002}])
    admin.settings(calls_per_minute=10_000_000, calls_per_hour=100_000_000)
    admin.staff({"userid": f"m{number}", "name": f"M{number}"} for number in range(MEMBERS))
    people = admin.people({"key": str(number), "name": f"P{number}"} for number in range(relations))
    admin.relations(
        {"userid": f"m{number % MEMBERS}", "external_userid": person, "createtime": 1_700_000_000}
        for number, person in enumerate(people)
    )
    secret = corp["apps"][0]["secret"]
    connect(
        corpid=corp["corpid"],
        agentid=1000002,
        secret=secret,
        base_url=process.url,
        simulated=True,
        calls_per_minute=10_000_000,  # the limiter is not what is measured
    )
    return {"admin": admin, "process": process, "people": people, "corpid": corp["corpid"], "secret": secret}


def _sync() -> None:
    from hetang.platform import jobs

    job = jobs.enqueue("wecom.sync", "sync", {})
    jobs.run_waiting()
    job.refresh_from_db()
    assert job.state == "done", job.error


def _bare_pages(world: dict[str, Any]) -> None:
    http, token = _bare(world)
    body: dict[str, Any] = {"userid_list": [f"m{number}" for number in range(MEMBERS)], "limit": PAGE, "cursor": ""}
    while True:
        path = "/cgi-bin/externalcontact/batch/get_by_user"
        body["cursor"] = http.post(path, params={"access_token": token}, json=body).json()["next_cursor"]
        if not body["cursor"]:
            return


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


def _bare(world: dict[str, Any]) -> tuple[Any, str]:
    import httpx

    http = httpx.Client(base_url=world["process"].url)
    query = {"corpid": world["corpid"], "corpsecret": world["secret"]}
    return http, http.get("/cgi-bin/gettoken", params=query).json()["access_token"]


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
