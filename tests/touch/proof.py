"""Kills the processes of a broadcast at random and lets the provider count: nothing lost, nothing doubled.

`python -m tests.touch.proof kills --people 20000 --kills 5 --mode drop` prints one JSON line. It works in a scratch
database of the server in HETANG_DATABASE_URL. `caps` plans four broadcasts at once instead. Workers are forks, so that
a kill costs milliseconds: "web" launches, "worker" plans and settles, "dispatcher" sends.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tests import template

CLAIM_S, GRACE_S = 1.5, 0.5
PUBLIC_ID = uuid.UUID(int=20_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "caps"])
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--channel", default="wecom")
    parser.add_argument("--mode", default="")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.environ["FAKE_PROVIDER_MODE"] = asked.mode
    with tempfile.TemporaryDirectory(prefix="hetang-proof-") as folder:
        os.environ["FAKE_PROVIDER"] = str(Path(folder) / "provider.sqlite")
        with Scratch():
            proof = kills(asked) if asked.what == "kills" else caps(asked.people)
    sys.stdout.write(json.dumps(proof) + "\n")


class Scratch:
    """A database of our own, migrated, gone afterwards; a copy where the server has one to copy."""

    def __enter__(self) -> None:
        import psycopg

        self.server = os.environ["HETANG_DATABASE_URL"]
        self.name = f"hetang_proof_{os.getpid()}"
        with psycopg.connect(self.server, autocommit=True) as connection:
            known = "select 1 from pg_database where datname = %s"
            copied = connection.execute(known, [template.MIGRATED]).fetchone() is not None
            connection.execute(f"create database {self.name}" + (f" template {template.MIGRATED}" if copied else ""))
        os.environ["HETANG_DATABASE_URL"] = urlunsplit(urlsplit(self.server)._replace(path=f"/{self.name}"))
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.touch.proof_settings"
        import django
        from django.core.management import call_command

        django.setup()
        if not copied:
            call_command("migrate", verbosity=0)

    def __exit__(self, *_: object) -> None:
        import psycopg
        from django.db import connections

        connections.close_all()
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"drop database {self.name} with (force)")


def kills(asked: argparse.Namespace) -> dict[str, Any]:
    """Run one broadcast under `asked.kills` kills; what the provider and the books say in the end."""
    from django.db import connection

    from tests.touch import provider, world

    provider.create()
    _freeze()
    staff = world.organisation(5, 8)
    members = world.people(asked.people, staff, channel=asked.channel)
    if asked.channel != "wecom":
        with connection.cursor() as cursor:
            cursor.execute(
                "insert into customers_identity (kind, key, customer_id, evidence_number, first_seen_at)"
                " select 'member', 'ext' || number, number, number, %s from customers_customer",
                [world.NOW],
            )
    connection.close()
    chance = random.Random(asked.seed)
    roles: dict[str, Callable[[], None]] = {
        "web": lambda: _launch(asked, members.serialize()),
        "worker": _work,
        "dispatcher": _dispatch,
    }
    started = time.monotonic()
    children = {role: _fork(roles[role], chance.random()) for role in roles}
    done, looks, off = 0, 0, 0
    while not _over() or done < asked.kills:
        time.sleep(chance.uniform(0.02, 0.5))
        looks += 1
        off += _unbalanced(asked.people)
        if done < asked.kills:
            victim = chance.choice(["worker", "dispatcher"] if _launched() else ["web", "web", "worker"])
            done += _kill(children[victim])
            children[victim] = _fork(roles[victim], chance.random())
        if time.monotonic() - started > 120 + asked.kills * 10:
            break
    for child in children.values():
        _kill(child)
    return {"kills": done, "looks": looks, "unbalanced": off} | _account(asked, members)


def _account(asked: argparse.Namespace, members: Any) -> dict[str, Any]:
    from hetang.touch import ledger
    from hetang.touch.models import Programme
    from tests.touch import provider

    seen = provider.deliveries()
    tally = ledger.tally(Programme.objects.get(public_id=PUBLIC_ID).pk)
    control = sum(count for (_, _, state, _), count in tally.items() if state == "control")
    return {
        "people": asked.people,
        "control": control,
        "delivered": len(seen),
        "lost": asked.people - control - len(seen),
        "doubled": sum(count - 1 for count in seen.values()),
        "sent": sum(count for (_, _, state, _), count in tally.items() if state == "sent"),
        "strangers": len(set(seen) - {f"ext{number}" for number in members}),
        "states": sorted({state for (_, _, state, _) in tally}),
    }


def _freeze() -> None:
    from hetang.platform import clock
    from hetang.touch import direct, dispatch
    from tests.touch.world import NOW

    clock.freeze(NOW + timedelta(hours=1))
    dispatch.CLAIM_S, dispatch.GRACE_S, dispatch.LOOK_S = CLAIM_S, GRACE_S, 0.1
    direct.GRACE_S, direct.LOOK_S = GRACE_S, 0.1


def _fork(role: Callable[[], None], seed: float) -> int:
    from django.db import connections

    connections.close_all()
    child = os.fork()
    if child:
        return child
    random.seed(seed)
    try:
        role()
    except Exception as problem:  # a child that dies by itself is a finding
        sys.stderr.write(f"{role}: {problem!r}\n")
        os._exit(1)
    os._exit(0)


def _kill(child: int) -> int:
    """kill -9; 1 if it was still running."""
    running = os.waitpid(child, os.WNOHANG) == (0, 0)
    if running:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return int(running)


def _launch(asked: argparse.Namespace, members: bytes) -> None:
    from hetang.touch import services
    from tests.touch import world

    request = world.request(channel=asked.channel, control_bp=1000, weights=(1, 1))
    services.launch(
        services.Draft(
            PUBLIC_ID, "Proof", world.NOW + timedelta(days=3), (("A", [], 1), ("B", [], 1)), "https://shop.example/"
        ),
        members,
        request,
    )


def _work() -> None:
    from hetang.touch import loops, outcomes

    while True:
        loops.plan_once()
        if outcomes.run_once():
            time.sleep(0.02)


def _dispatch() -> None:
    from hetang.touch import dispatch

    while True:
        if dispatch.run_once():
            time.sleep(0.02)


def _launched() -> bool:
    from hetang.touch.models import Programme

    return Programme.objects.filter(public_id=PUBLIC_ID).exists()


def _over() -> bool:
    from hetang.touch.models import Programme

    return Programme.objects.filter(public_id=PUBLIC_ID, state="done").exists()


def _unbalanced(people: int) -> int:
    """1 if the counters, at this look, do not add up to what the plan has decided, or differ from the rows."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read")
        cursor.execute(
            "select coalesce((select sum(count) from touch_tally), 0), coalesce((select sum(g.count)"
            " from touch_plangroup g), 0), coalesce((select sum(count) from touch_tally"
            " where state not in ('excluded', 'control')), 0), (select count(*) from touch_touch)"
        )
        counted, decided, open_or_done, rows = cursor.fetchone()
    return int(counted != decided or open_or_done != rows or counted > people)


def caps(people: int) -> dict[str, Any]:
    """Four broadcasts planned at once by four connections, with a cap of two a week over all of them."""
    from django.db import connection, connections

    from hetang.touch import planning
    from tests.touch import world

    _freeze()
    members = world.people(people, world.organisation())
    world.past_touches(people, people * 2, days=6)
    plans = []
    planning.LANE_PEOPLE = people // 2  # each in two lanes
    for number in range(4):
        asked = world.request(seed=str(number), slot_at=world.NOW + timedelta(hours=number))
        plans.append(planning.begin(members.serialize(), asked, world.programme(asked)))
    gate = threading.Barrier(4)

    def plan(place: int) -> None:
        gate.wait()
        planning.run(plans[place], chunk=500)
        connections.close_all()

    threads = [threading.Thread(target=plan, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*), coalesce(max(n), 0) from (select count(*) n from touch_touch where reserved"
            " group by customer) per where n > 2"
        )
        over, worst = cursor.fetchone()
        cursor.execute("select count(*) from touch_touch where programme > 0")
        written = cursor.fetchone()[0]
        cursor.execute(
            "select sum(least(2 - n, 4)) from (select count(t.id) n from customers_customer k left join"
            " touch_touch t on t.customer = k.number and t.programme = 0 group by k.number) room where n < 2"
        )
        room = cursor.fetchone()[0]
    return {"over_cap": over, "worst": worst, "written": written, "room": int(room)}


if __name__ == "__main__":
    main()
