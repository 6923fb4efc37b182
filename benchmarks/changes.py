"""How quickly changes reach the sets of the engine: parts of `benchmarks.audiences`, in its product.

- `tag_changes`: rules put twenty tags on and take them off, each from half a per cent of the people a round: set facts,
  durable in PostgreSQL (`kept.keep`, as a refreshed audience does it), until the engine answers with them.
  `durable_per_s` counts until the last commit. `words_per_s` are words on tags of single people, which the customers
  stream has applied, followed in batches by the engine's own code in this process.
- `six_tags_busy_ratio`: p95 of previews of six tags while another process makes 50,000 such changes a second, against
  p95 of the same without it.
- `live_p99_s`: facts a second come in by the API; from the answer that accepted one to the engine's answer that the
  person is in a saved audience, asked again and again.
"""

from __future__ import annotations

import base64
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
from pyroaring import BitMap

from benchmarks import crowd
from benchmarks.report import report

KEPT, ROUNDS = 20, 5
SHARE = 0.005  # of the people change a tag in a round
BUSY_PER_S, BUSY_S, BUSY_STEP = 50_000, 12, 2_500
WORDS = {"people": 10_000, "facts": 100_000, "batch": 2_000}
LIVE = {"per_s": 1_000, "seconds": 15, "batch": 50}


def kept_tags(people: int) -> list[int]:
    """Twenty tags that rules keep, each worn by a tenth of the people."""
    from hetang.customers import kept
    from hetang.customers.models import Tag, TagGroup

    group, draw, found = TagGroup.objects.get(name="Crowd"), np.random.default_rng(9), []
    for number in range(KEPT):
        tag = Tag.objects.create(code=f"kept{number}", name=f"Kept {number}", group=group)
        kept.begin(tag)
        kept.keep(tag.pk, crowd.some_of(draw, people, 0.1), {"audience": 0})
        found.append(tag.pk)
    return found


def tag_changes(people: int, suffix: str, tags: list[int], words_per_s: float | None) -> None:
    """Rounds of changes by rules, until the engine has them all."""
    from hetang.customers import kept
    from hetang.platform import engine_client

    draw = np.random.default_rng(10)
    worn = {tag: kept.members_of(tag) for tag in tags}
    rounds: list[dict[int, BitMap]] = []
    for _ in range(ROUNDS):
        worn = {tag: members ^ crowd.some_of(draw, people, SHARE) for tag, members in worn.items()}
        rounds.append(worn)
    changes, started = 0, time.perf_counter()
    for members in rounds:
        changes += sum(sum(kept.keep(tag, some, {"audience": 0})) for tag, some in members.items())
        engine_client.call("sets", "holds", {"numbers": []}, 60)  # it has followed all that is committed
    durable = changes / (time.perf_counter() - started)
    sizes = dict(engine_client.call("sets", "tags", {}, 60)["sizes"])
    took = time.perf_counter() - started
    if any(sizes[tag] != len(members) for tag, members in worn.items()):
        raise RuntimeError("the engine's sets are not what the rules said")
    more = {"durable_per_s": round(durable), "changes": changes}
    if words_per_s is not None:
        more["words_per_s"] = round(words_per_s)
    report(f"tag_changes{suffix}_per_s", changes / took, "changes/s", baseline=200_000, **more)


def busy_ratio(people: int, suffix: str, ask: Callable[[], float], p95: Callable[[list[float]], float]) -> None:
    """Previews while tags change at 50,000 a second, against quiet ones."""
    quiet = [ask() for _ in range(200)]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.changes", str(people)], env=os.environ, stdout=subprocess.PIPE, text=True
    ) as pushing:
        assert pushing.stdout is not None
        pushing.stdout.readline()  # it has begun
        busy = []
        while pushing.poll() is None:
            busy.append(ask())
        rate = float(pushing.stdout.readline())
    more = {"quiet_p95_ms": round(p95(quiet), 2), "busy_p95_ms": round(p95(busy), 2), "changes_per_s": round(rate)}
    more["busy_p50_ms"] = round(statistics.median(busy), 2)
    report(f"six_tags{suffix}_busy_ratio", p95(busy) / p95(quiet), "ratio", baseline=2, **more)


def _push(people: int) -> None:
    """In a process of its own: keep tags at 50,000 changes a second."""
    import django

    django.setup()
    from hetang.customers import kept
    from hetang.customers.models import Tag

    tags = list(Tag.objects.exclude(kept=None).order_by("pk").values_list("pk", flat=True))
    draw, worn = np.random.default_rng(11), {tag: kept.members_of(tag) for tag in tags}
    print("pushing", flush=True)
    started, done, turn = time.monotonic(), 0, 0
    while (spent := time.monotonic() - started) < BUSY_S:
        if done / BUSY_PER_S > spent:
            time.sleep(done / BUSY_PER_S - spent)
        tag = tags[turn % len(tags)]
        worn[tag] ^= crowd.some_of(draw, people, BUSY_STEP / people)
        done, turn = done + sum(kept.keep(tag, worn[tag], {"audience": 0})), turn + 1
    print(done / (time.monotonic() - started), flush=True)


def words(product: Any, people: int) -> float:
    """Words on tags of single people, applied by the stream, then followed at once; how many a second."""
    from django.db import connection

    from hetang.audiences import following
    from hetang.audiences.live import LiveSets
    from hetang.facts.intake import Draft, record
    from hetang.platform import clock

    _number_from(people + 1)
    now = datetime.now(UTC) - timedelta(hours=1)
    for first in range(0, WORDS["people"], WORDS["batch"]):
        who = range(first, first + WORDS["batch"])
        record("crm", [Draft("customer.described", f"d{n}", now, [("member", f"w{n}")], {}) for n in who])
    product.wait_until_applied(120)
    sets = following.follow(LiveSets(following.head()), clock.now())
    draw = np.random.default_rng(12)
    for first in range(0, WORDS["facts"], WORDS["batch"]):
        drafts = []
        for n in range(first, first + WORDS["batch"]):
            body = {"tag": f"t{draw.integers(1, crowd.TAGS + 1)}", "on": bool(draw.random() < 0.7)}
            who = [("member", f"w{draw.integers(0, WORDS['people'])}")]
            drafts.append(Draft("tag.changed", f"w{n}", now + timedelta(milliseconds=n), who, body))
        record("crm", drafts)
    product.wait_until_applied(120)
    with connection.cursor() as cursor:
        cursor.execute("analyze facts_fact")  # as autovacuum does, at a time of its own
    started = time.perf_counter()
    following.follow(sets, clock.now())
    return WORDS["facts"] / (time.perf_counter() - started)


def live(product: Any, suffix: str) -> None:
    """Facts at a steady rate; when each person is in a saved audience."""
    from hetang.audiences import services
    from hetang.customers.models import Customer, Tag, TagGroup
    from hetang.platform import access
    from hetang.platform.models import OrgNode

    Tag.objects.create(code="live", name="Live", group=TagGroup.objects.get(name="Crowd"))
    rule = {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["live"]}}
    root = OrgNode.objects.get(parent=None)
    audience = services.save(access.system("bench"), name="Live", rule=rule, org_node=root, live=True)
    accepted: dict[str, float] = {}
    sending = threading.Thread(target=_send, args=(product, accepted))
    sending.start()
    seen: dict[int, float] = {}
    wanted = LIVE["per_s"] * LIVE["seconds"]
    deadline = time.monotonic() + LIVE["seconds"] + 60
    while len(seen) < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{wanted - len(seen)} of {wanted} people never came into the audience")
        members, at = _members({"type": "audience", "audience": str(audience.public_id)}), time.monotonic()
        seen |= {number: at for number in members if number not in seen}
    sending.join()
    identities = Customer.objects.filter(identities__kind="member", identities__key__startswith="live")
    numbers = dict(identities.values_list("identities__key", "number"))
    waits = sorted(seen[numbers[key]] - at for key, at in accepted.items())
    more = {"p50_s": round(statistics.median(waits), 3), "max_s": round(waits[-1], 3), "facts": wanted}
    more["sent_per_s"] = round((wanted - 1) / (max(accepted.values()) - min(accepted.values())))
    report(f"live{suffix}_p99_s", waits[int(len(waits) * 0.99)], "s", baseline=2, **more)


def _send(product: Any, accepted: dict[str, float]) -> None:
    with httpx.Client(base_url=product.url, headers={"Authorization": f"Bearer {product.api_key}"}) as client:
        started = time.monotonic()
        for number, keys in enumerate(_batches()):
            due = started + number * LIVE["batch"] / LIVE["per_s"]
            time.sleep(max(0.0, due - time.monotonic()))
            at = datetime.now(UTC).isoformat()
            facts = [
                {"kind": "tag.changed", "key": key, "occurred_at": at, "who": [{"kind": "member", "value": key}],
                 "body": {"tag": "live", "on": True}} for key in keys
            ]  # fmt: skip
            client.post("/api/v1/facts", json={"source": "crm", "facts": facts}).raise_for_status()
            accepted |= dict.fromkeys(keys, time.monotonic())


def _batches() -> Iterator[list[str]]:
    for first in range(0, LIVE["per_s"] * LIVE["seconds"], LIVE["batch"]):
        yield [f"live{number}" for number in range(first, first + LIVE["batch"])]


def _members(rule: dict[str, Any]) -> BitMap:
    from hetang.platform import engine_client

    payload = {"rule": {"version": 1, "rule": rule}, "scope": None, "members": True}
    return BitMap.deserialize(base64.b64decode(engine_client.call("sets", "evaluate", payload, 60)["members"]))


def _number_from(number: int) -> None:
    """The next customer's number: those of the crowd are taken."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("insert into customers_numbercounter values (1, 1) on conflict do nothing")
        cursor.execute("update customers_numbercounter set next_number = %s where id = 1", [number])


if __name__ == "__main__":
    _push(int(sys.argv[1]))
