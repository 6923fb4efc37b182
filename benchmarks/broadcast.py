"""How fast a broadcast is planned and sent, and whether `kill -9` costs or doubles anybody a message.

On an own embedded PostgreSQL with a brand of many people, their consents and friendships, and 1.4 M past touches of 30
days under a cap of two in seven days: `plan_100k_s`, `plan_1m_s` (from the audience's bitmap to the committed ledger,
caps and consent checked, a tenth held out, two texts), `plan_chunk_max_s` (the longest transaction),
`dispatch_per_s` (touches durably claimed and completed against a provider in this process that takes 500 a call),
`wecom_tasks_per_s` (tasks of 50 people claimed, handed over and recorded), and `kills`, `lost`, `doubled` of broadcasts
to 20,000 people whose processes are killed at random while the provider drops answers, as the provider counts.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import report

SIZES: dict[str, dict[str, Any]] = {
    "small": {"people": 200_000, "past": 280_000, "plans": {"plan_100k_s": 100_000}, "send": 50_000, "kills": 5},
    "full": {
        "people": 1_000_000,
        "past": 1_400_000,
        "plans": {"plan_100k_s": 100_000, "plan_1m_s": 1_000_000},
        "send": 200_000,
        "kills": 50,
    },
}
TARGETS = {"plan_100k_s": 2.0, "plan_1m_s": 12.0}
ADVISERS_PER_STORE, STORES = 10, 100
PEOPLE_PER_TASK = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    size = SIZES[parser.parse_args().size]
    start_server()
    staff = make_world(size["people"], size["past"])
    for name, people in size["plans"].items():
        plan(name, people, size["people"])
    dispatch(size["send"], staff)
    tasks(size["send"] // 4, staff)
    kill(size["kills"])


def start_server() -> None:
    """An embedded PostgreSQL in a home of its own, migrated."""
    home = Path(tempfile.mkdtemp(prefix="hetang-bench-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["HETANG_HOME"] = str(home)
    from hetang.platform import postgres

    server = postgres.start(home)
    atexit.register(server.stop)
    os.environ |= {"HETANG_DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "hetang.settings"}
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    settings.CHANNELS = {"direct": "benchmarks.broadcast:direct", "wecom": "benchmarks.broadcast:wecom"}


def make_world(people: int, past: int) -> Any:
    """People of a thousand advisers with consent, and past touches spread over them."""
    from django.db import connection
    from tests.touch import world

    from hetang.platform import clock, partitions
    from hetang.touch.governor import set_caps
    from hetang.touch.rules import CapRule

    clock.freeze(world.NOW)
    partitions.ensure(world.NOW)
    staff = world.organisation(STORES, ADVISERS_PER_STORE)
    world.people(people, staff)
    world.past_touches(past, people)
    set_caps([CapRule("wecom", 2, 7)])
    with connection.cursor() as cursor:
        cursor.execute("vacuum analyze")
    return staff


def plan(name: str, people: int, population: int) -> None:
    """Time one plan from the bitmap to the last commit."""
    from pyroaring import BitMap
    from tests.touch import world

    from hetang.touch import planning

    members = BitMap(range(1, population + 1, population // people)).serialize()
    asked = world.request(control_bp=1000, weights=(1, 1), seed=name)
    programme = world.programme(asked, ("A", "B"))
    started = time.monotonic()
    made = planning.begin(members, asked, programme)
    longest = max(planning.chunks(made))
    seconds = time.monotonic() - started
    type(programme).objects.filter(pk=programme.pk).update(state="draft")  # its tasks must not be sent below
    groups = {f"{group.reason or 'send'}{group.variant or ''}": group.count for group in made.groups.all()}
    report(name, seconds, "s", baseline=TARGETS[name], groups=groups)
    report(f"{name.removesuffix('_s')}_chunk_max_s", longest, "s", baseline=1.0)


def dispatch(people: int, staff: Any) -> None:
    """Touches per second, from planned to sent."""
    from django.db import connection
    from tests.touch import world

    first = 10_000_000
    members = world.people(people, staff, channel="direct", first=first)
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into customers_identity (kind, key, customer_id, evidence_number, first_seen_at)"
            " select 'member', 'ext' || number, number, number, %s from customers_customer where number >= %s",
            [world.NOW, first],
        )
        cursor.execute("analyze")
    seconds = _send(members, world.request(channel="direct"))
    report("dispatch_per_s", people / seconds, "touches/s", baseline=8000, people=people)


def tasks(people: int, staff: Any) -> None:
    """WeCom tasks per second, from created to waiting for the tap."""
    from tests.touch import world

    members = world.people(people, staff, first=20_000_000)
    seconds = _send(members, world.request())
    made = min(people, -(-people // len(staff) // PEOPLE_PER_TASK) * len(staff))
    report("wecom_tasks_per_s", made / seconds, "tasks/s", people=people, tasks=made)


def _send(members: Any, asked: Any) -> float:
    from tests.touch import world

    from hetang.platform import clock
    from hetang.touch import planning
    from hetang.touch.dispatch import send_next

    planning.run(planning.begin(members.serialize(), asked, world.programme(asked)))
    clock.freeze(asked.slot_at)
    started = time.monotonic()
    while send_next():
        pass
    seconds = time.monotonic() - started
    clock.freeze(world.NOW)
    return seconds


class Direct:
    """Takes everything at once."""

    people_per_call = 500
    identity_kind = "member"
    idempotent = True

    def send(self, batch: list[Any]) -> list[Any]:
        from hetang.touch.ports import DirectOutcome

        if len(batch) > self.people_per_call:
            raise ValueError(f"{len(batch)} messages in one call")
        return [DirectOutcome(one.key, "sent") for one in batch]

    def find(self, keys: list[str]) -> list[Any]:
        del keys
        return []


class WeCom:
    """Takes every task at once; the port's other verbs are not reached."""

    people_per_task = PEOPLE_PER_TASK

    def __init__(self) -> None:
        self.count = 0

    def create_task(self, request: Any) -> str:
        del request
        self.count += 1
        return str(self.count)

    def find_task(self, mark: str, since: Any) -> None:
        raise NotImplementedError

    task_states = results = find_task
    remind = cancel = upload_image = find_task


def direct() -> Direct:
    return Direct()


def wecom() -> WeCom:
    return WeCom()


def kill(kills: int) -> None:
    """The proof of the suite with more kills: ten broadcasts of five kills in the full size."""
    total = {"kills": 0, "lost": 0, "doubled": 0, "unbalanced": 0}
    for seed in range(max(1, kills // 5)):
        command = [sys.executable, "-m", "tests.touch.proof", "kills", "--kills", "5", "--mode", "drop"]
        done = subprocess.run([*command, "--seed", str(seed)], stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        for name in total:
            total[name] += abs(found[name])
    report("kills", total["kills"], "kills")
    report("lost", total["lost"], "messages")
    report("doubled", total["doubled"], "messages")
    report("unbalanced_looks", total["unbalanced"], "looks")


if __name__ == "__main__":
    main()
