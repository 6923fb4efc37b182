"""Kills sync, callbacks and tagging at random and lets the simulator count: nothing lost, nothing doubled.

`python -m tests.connectors.wecom.proof --people 1500 --acts 150 --kills 5` prints one JSON line. It works in a scratch
database of the server in HETANG_DATABASE_URL. Processes are forks, so that a kill costs milliseconds: "web" takes
callbacks, "worker" runs the sync, "loops" applies events, sends welcomes and marks tags. With `--engine` a real engine
process is among the victims; without, none runs at all, which nothing of it may notice.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from tests.connectors.wecom.proof_engine import Victim
from tests.simulator.process import SimulatorProcess
from tests.touch.proof import Scratch, _fork, _kill

MEMBERS = 8
GROUPS = 6
ENGINE_SHARE = 0.2  # of the kills after the first
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TOKEN = "token123"
_STATES = {"active": "full", "lost_by_customer": "lost_by_customer", "lost_by_staff": "lost_by_staff"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--acts", type=int, default=90)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hetang-proof-") as folder:
        process = SimulatorProcess(Path(os.environ.setdefault("HETANG_HOME", folder)))
        process.start()
        try:
            with Scratch():
                logging.disable(logging.WARNING)
                proof = Proof(asked, process)
                try:
                    found = proof.run()
                finally:
                    if proof.engine is not None:
                        proof.engine.stop()
        finally:
            process.stop()
    sys.stdout.write(json.dumps(found) + "\n")


class Proof:
    """One corp, what happens in it, and who is killed meanwhile."""

    def __init__(self, asked: argparse.Namespace, process: SimulatorProcess) -> None:
        self.asked, self.process = asked, process
        self.chance = random.Random(asked.seed)
        self.admin = process.admin()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.people: list[str] = []
        self.strangers: list[str] = []
        self.tagged: list[str] = []
        self.waiting: list[str] = []  # to be tagged once the sync has brought the tag and the people
        self.tag_id = ""
        self.engine = Victim(Path(os.environ["HETANG_HOME"])) if asked.engine else None

    def run(self) -> dict[str, Any]:
        """Kill, wait until everything has come to rest, reconcile, and count."""
        self._found()
        started = time.monotonic()
        first = self._sync()
        roles: dict[str, Callable[[], None]] = {"web": self._web, "worker": _work, "loops": _loop}
        children = {role: _fork(roles[role], self.chance.random()) for role in roles}
        kills, acts = 0, 0
        while kills < self.asked.kills or acts < self.asked.acts or not self._rests(first):
            time.sleep(self.chance.uniform(0.005, 0.03))
            if acts < self.asked.acts:
                self._act(acts)
                acts += 1
            if self.waiting and acts % 5 == 0 and _is_over(first):
                self._tag(self.waiting[-70:])
                del self.waiting[-70:]
            if kills < self.asked.kills and self.chance.random() < self._rate(acts):
                victim = self._victim(first)
                if self.engine is not None and (not self.engine.kills or self.chance.random() < ENGINE_SHARE):
                    kills += self.engine.kill()
                    continue
                kills += _kill(children[victim])
                children[victim] = _fork(roles[victim], self.chance.random())
            if time.monotonic() - started > 40 + self.asked.kills * 8:
                break
        again = self._sync()
        deadline = time.monotonic() + 40
        while not self._rests(again) and time.monotonic() < deadline:
            time.sleep(0.1)
        for child in children.values():
            _kill(child)
        return {
            "kills": kills,
            "acts": acts,
            "took_s": round(time.monotonic() - started, 1),
            "rests": self._rests(again),
            **self._account(first),
            **(self.engine.account() if self.engine is not None else {}),
        }

    def _rate(self, acts: int) -> float:
        """Kills are spread over what happens; what is left of them comes at the end."""
        return 1.0 if acts >= self.asked.acts else 1.2 * self.asked.kills / self.asked.acts

    def _victim(self, job: Any) -> str:
        """The sync gives up when its worker has died five times: it is left alone before."""
        busy = not _is_over(job) and job.attempts < 4
        return self.chance.choice(["worker", "worker", "web", "loops"] if busy else ["web", "loops"])

    def _found(self) -> None:
        from hetang.connectors.wecom.services import callback_path, connect

        corp = self.admin.corp("Proof", [{"agentid": 1000002}])
        self.admin.settings(calls_per_minute=1_000_000, calls_per_hour=10_000_000, callback_tries=1000)
        self.admin.staff({"userid": f"m{number}", "name": f"M{number}"} for number in range(MEMBERS))
        self.people = self.admin.people({"key": str(n), "name": f"P{n}"} for n in range(self.asked.people))
        self.strangers = self.admin.people({"key": f"s{n}", "name": f"S{n}"} for n in range(self.asked.acts))
        self.admin.relations(
            {"userid": f"m{n % MEMBERS}", "external_userid": one, "createtime": 1_700_000_000}
            for n, one in enumerate(self.people)
        )
        chats = [
            {"owner": f"m{n % MEMBERS}", "name": f"G{n}", "createtime": 1_700_000_000, "members": self.people[n::50]}
            for n in range(GROUPS)
        ]
        self.admin.call("groups", {"groups": chats})
        self.tag_id = self.admin.call("add_tags", {"group": "Proof", "tags": ["proof"]})["tag_ids"][0]
        app = connect(
            corpid=corp["corpid"],
            agentid=1000002,
            secret=corp["apps"][0]["secret"],
            base_url=self.process.url,
            simulated=True,
            callback_token=TOKEN,
            callback_aes_key=AES_KEY,
            calls_per_minute=600_000,
            concurrency=3,
        )
        url = f"http://127.0.0.1:{self.port}{callback_path(app)}"
        told = {"agentid": 1000002, "callback_url": url, "callback_token": TOKEN, "callback_aes_key": AES_KEY}
        self.admin.corp("Proof", [told], corpid=corp["corpid"])
        self._welcome()

    def _welcome(self) -> None:
        from hetang.connectors.wecom import welcome_rules
        from hetang.platform.access import Actor

        welcome_rules.save(Actor("proof", None, ()), None, welcome_rules.Said(name="all", text="welcome"))

    def _sync(self) -> Any:
        from hetang.platform import jobs

        return jobs.enqueue("wecom.sync", "sync", {})

    def _act(self, number: int) -> None:
        """A new friend, a friendship that ends, a tag that the brand puts on."""
        kind = number % 3
        if kind == 0:
            self.admin.relate("add", f"m{number % MEMBERS}", self.strangers[number])
        elif kind == 1:
            one = number % len(self.people)
            how = "delete_by_customer" if number % 2 else "delete_by_staff"
            self.admin.relate(how, f"m{one % MEMBERS}", self.people[one])
        else:
            self.waiting += [self.people[-1 - (number * 7 + place) % (len(self.people) // 2)] for place in range(7)]

    def _tag(self, people: list[str]) -> None:
        from hetang.facts import intake
        from hetang.facts.intake import Draft
        from hetang.platform import clock

        body = {"tag": f"wecom_{self.tag_id}", "on": True}
        fresh = [one for one in dict.fromkeys(people) if one not in self.tagged]
        self.tagged += fresh
        intake.record(
            "proof", [Draft("tag.changed", one, clock.now(), [("external_userid", one)], body) for one in fresh]
        )

    def _web(self) -> None:
        from hetang.wsgi import application

        class Handler(WSGIRequestHandler):
            def log_message(self, format: str, *arguments: object) -> None:
                pass

        with WSGIServer(("127.0.0.1", self.port), Handler) as server:
            server.set_app(application)
            server.serve_forever(poll_interval=0.1)

    def _rests(self, job: Any) -> bool:
        """Whether the sync is over, everything was posted, and nothing waits here."""
        from hetang.connectors.wecom.models import CallbackMessage, TagWait, Welcome
        from hetang.facts.queries import lags

        if self.waiting or not _is_over(job) or self.admin.status()["callbacks"].get("waiting"):
            return False
        waits = CallbackMessage.objects.filter(state="waiting").exists()
        waits = waits or Welcome.objects.filter(state="waiting").exists() or TagWait.objects.exists()
        followed = {"customers", "wecom_tags"} | ({"history"} if self.engine is not None else set())
        behind = sum(lag.waiting for lag in lags() if lag.name in followed)
        return not waits and behind == 0

    def _account(self, first: Any) -> dict[str, Any]:
        """What the simulator's own books say, against ours."""
        from hetang.connectors.wecom.models import CallbackMessage, Welcome
        from hetang.customers.models import Customer, Relation

        first.refresh_from_db()
        with sqlite3.connect(f"file:{self.process.home}/simulator/state.sqlite3?mode=ro", uri=True) as db:
            truth = {
                (row[0], row[1]): row[2] for row in db.execute("select userid, external_userid, state from relation")
            }
            posted = dict(db.execute("select state, count(*) from callback group by state").fetchall())
            welcomed = db.execute("select count(*) from welcome_code where used_at is not null").fetchone()[0]
            codes = db.execute("select count(*) from welcome_code").fetchone()[0]
            marked = {row[0] for row in db.execute("select external_userid from relation where tags != '[]'")}
            listed = "select external_userid from relation where state in ('full', 'lost_by_customer')"
            friends = {row[0] for row in db.execute(listed)}
        ours = {
            (row[0], row[1]): _STATES[row[2]]
            for row in Relation.objects.values_list("staff__userid", "external_userid", "state")
        }
        wanted = {one for one in self.tagged if one in friends}
        calls = self.admin.status()["calls"].get("externalcontact/mark_tag", 0)
        return {
            "sync": first.state,
            "sync_attempts": first.attempts,
            "relations": len(truth),
            "lost": len({pair for pair in truth if pair not in ours}),
            "invented": len({pair for pair in ours if pair not in truth}),
            "differ": len({pair for pair in truth if ours.get(pair, truth[pair]) != truth[pair]}),
            "differing": [
                [*pair, state, ours[pair]] for pair, state in truth.items() if ours.get(pair, state) != state
            ][:5],
            "customers_doubled": Customer.objects.count() - len({external for _, external in truth}),
            "events_posted": posted.get("delivered", 0),
            "events_given_up": posted.get("lost", 0),
            "events_kept": CallbackMessage.objects.count(),
            "events_applied": CallbackMessage.objects.filter(state="applied").count(),
            "welcome_codes": codes,
            "welcomes_counted": welcomed,
            "welcomes_sent": Welcome.objects.filter(state="sent").count(),
            "tags_wanted": len(wanted),
            "tags_lost": len(wanted - marked),
            "mark_calls_repeated": calls - len(marked),
        }


def _is_over(job: Any) -> bool:
    job.refresh_from_db()
    return job.state not in {"waiting", "running"}


def _work() -> None:
    from hetang.platform import jobs

    while True:
        jobs.rescue()
        if not jobs.run_waiting():
            time.sleep(0.05)


def _loop() -> None:
    from hetang.connectors.wecom import callbacks, tagging, welcoming
    from hetang.facts import subscriptions

    while True:
        turns = [one() for one in (welcoming.run_once, callbacks.run_once, tagging.run_once)]
        subscriptions.run_once()
        if min(turns) > 0:
            time.sleep(0.02)


if __name__ == "__main__":
    main()
