"""The audience engine with millions of people: 200 tags and 30 numeric attributes each, five facts each.

Sizes 1 M (`--size small`) and, with `full`, 5 M and 20 M as well, whose figures carry the size in their names. The
people go straight into the engine (`benchmarks.crowd`). Every rule is drawn anew and asked with no answer of the
history cached and without ClickHouse's query condition cache; the live sets are what they are in production. Before
rules are asked the history has merged what the fill brought (`settled`).
`--people N` is one size alone.

- `six_tags`: `((a and b) or c) and not d and (e or f)`, count and twenty people, through the engine's API; beside it
  the same algebra on the same sets in pyroaring, in this process, and other stores (`benchmarks.beside`).
- `rfm_first`: two tags, last order within 30 days, an amount. `place_first`: the same within 3 km of 50 stores of
  500, others each time, so that their cells are worked out anew. `behaviour_first`: a category twice in 30 days and no
  touch in 7. `attribute_first`: one numeric attribute of thirty. `spent_first`: spend of some days above an amount;
  beside it, over the same days, `percentile_first`: the top per cent by spend, and `rfm_cell_first`: a segment.
- `snapshot_diff`: three million members (or half of the people), of whom half a per cent of the people came or went
  since the snapshot before: that one read, both compared, the new one and its facts committed.
- `preview`: rules of one to six new conditions in the console, as `benchmarks.preview` draws them (at a million).
- `ponds`: see `benchmarks.pond_flow`.
- `tag_changes`, `six_tags_busy_ratio`, `live_p99`: see `benchmarks.changes`. Words of single people and the live
  audience at a million only.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import beside, changes, crowd, pond_flow, preview
from benchmarks.product import Product
from benchmarks.report import report

SIZES = {"small": (1_000_000,), "full": (1_000_000, 5_000_000, 20_000_000)}
RULES = {"tags": 200, "history": 40, "standing": 10, "previews": 150}
SAMPLE = 20
RESTART_S = 300

Rule = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--people", type=int, help="this many people alone")
    options = parser.parse_args()
    sizes = SIZES[options.size]
    if options.people or len(sizes) == 1:
        measure(options.people or sizes[0])
        return
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HETANG_")}
    for people in sizes:  # a process joins one product only
        command = [sys.executable, "-m", "benchmarks.audiences", "--people", str(people)]
        subprocess.run(command, env=environment, check=True)


def measure(people: int) -> None:
    """All figures of one size."""
    suffix = "" if people == SIZES["small"][0] else f"_{people // 1_000_000}m"
    with Product() as product:
        crowd.name_things()
        if people == SIZES["small"][0]:
            crowd.name_people(people)
        started = time.monotonic()
        fill_s = crowd.fill_history(people)
        sets = crowd.live_sets(people)
        sets.save(product.home / "sets" / "live.bin")
        report(f"fill{suffix}_s", time.monotonic() - started, "s", baseline=600, history_s=round(fill_s, 1))
        engine = Engine(product, people)
        engine.restart()  # without saving: it finds the file
        report(f"restart{suffix}_s", engine.restart(), "s", baseline=60)
        report(f"settled{suffix}_s", crowd.settle(), "s")
        bench = Bench(sets, suffix, random.Random(7))
        bench.six_tags()
        beside.six_tags(people, suffix, sets.families["tag"], p95)
        bench.first("attribute", bench.attribute)
        bench.first("rfm", bench.rfm, target=400)
        bench.first("place", bench.place, target=400)
        bench.first("behaviour", bench.behaviour, target=700)
        for name, rule in (("spent", bench.spent), ("percentile", bench.percentile), ("rfm_cell", bench.rfm_cell)):
            bench.first(name, rule, repeats=RULES["standing"])
        bench.snapshot()
        pond_flow.measure(people, suffix)
        if people == SIZES["small"][0]:
            bench.previews(product)
        tags = changes.kept_tags(people)
        by_words = changes.words(product, people) if people == SIZES["small"][0] else None
        changes.tag_changes(people, suffix, tags, by_words)
        changes.busy_ratio(people, suffix, bench.preview_six, p95)
        if by_words is not None:
            changes.live(product, suffix)
        report(f"engine{suffix}_mb", engine.megabytes(), "MB", baseline=4096, peak_mb=round(engine.peak()))


class Engine:
    """The engine's process of a product."""

    def __init__(self, product: Product, people: int) -> None:
        self._product, self._people = product, people

    def restart(self) -> float:
        """Kill it; seconds until the next one answers for everybody."""
        from hetang.platform import engine_client

        process = self._process()
        process.kill()
        process.wait()
        started = time.monotonic()
        while time.monotonic() - started < RESTART_S:
            try:
                if engine_client.call("sets", "status", {}, timeout_s=RESTART_S)["customers"] == self._people:
                    return time.monotonic() - started
            except (engine_client.EngineUnavailable, engine_client.ServiceError):
                pass
            time.sleep(0.05)
        raise TimeoutError("the engine did not come back")

    def megabytes(self) -> float:
        return float(self._process().memory_full_info().pss) / 1e6

    def peak(self) -> float:
        """The most that it ever held, MB."""
        lines = Path(f"/proc/{self._process().pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))

    def _process(self) -> Any:
        import psutil

        while True:  # between two of them there is none
            for one in self._product.processes():
                with suppress(psutil.NoSuchProcess):
                    if "engine" in one.cmdline():
                        return one
            time.sleep(0.05)


class Bench:
    """Rules over the crowd, and how long they take."""

    def __init__(self, sets: Any, suffix: str, rng: random.Random) -> None:
        self.sets, self.suffix, self.rng = sets, suffix, rng
        self.tags = {f"t{place + 1}": tag for place, tag in enumerate(sorted(sets.families["tag"]))}

    def six_tags(self) -> None:
        rules = [self.rng.sample(list(self.tags), 6) for _ in range(RULES["tags"])]
        for tags in rules[:10]:
            self._ask(six(*tags))
        asked, raw = [], []
        for tags in rules:
            took, answer = self._ask(six(*tags))
            asked.append(took)
            started = time.perf_counter()
            count, sample = self._raw(tags)
            raw.append((time.perf_counter() - started) * 1000)
            if (answer["count"], answer["sample"]) != (count, sample):
                raise RuntimeError(f"the engine says {answer['count']}, the sets say {count}: {tags}")
        more = {"p50_ms": round(statistics.median(asked), 2), "raw_p95_ms": round(p95(raw), 2)}
        more |= {"raw_p50_ms": round(statistics.median(raw), 2)}
        report(f"six_tags{self.suffix}_p95_ms", p95(asked), "ms", baseline=15, **more)
        limit = 2.5 if self.suffix == "_20m" else 8
        ratio = statistics.median(asked) / statistics.median(raw)
        report(f"six_tags{self.suffix}_ratio_to_roaring", ratio, "ratio", baseline=limit, of="medians")

    def preview_six(self) -> float:
        """Milliseconds of the preview of a new rule."""
        return self._ask(six(*self.rng.sample(list(self.tags), 6)), "preview")[0]

    def previews(self, product: Product) -> None:
        """In the console: from the click to the number, the size of every part, a sample of people and the sentence."""
        operator = preview.Operator(product.url, "bench", preview.make_user("bench"))
        draw = preview.Drawer(random.Random(20260101))
        for _ in range(10):
            operator.preview(draw.rule(3))
        times = [operator.preview(draw.rule(1 + number % 6)) for number in range(RULES["previews"])]
        more = {"p50_ms": round(statistics.median(times), 1), "max_ms": round(max(times), 1)}
        more |= {"caches": "every condition is new; live sets on"}
        report(f"preview{self.suffix}_p95_ms", p95(times), "ms", baseline=300, **more)

    def first(
        self, name: str, rule: Callable[[], Rule], target: float | None = None, repeats: int = RULES["history"]
    ) -> None:
        """A rule on the history, each time another one."""
        self._ask(rule())
        times = [self._ask(rule())[0] for _ in range(repeats)]
        more = {"p50_ms": round(statistics.median(times), 1), "caches": "none but live sets"}
        report(f"{name}_first{self.suffix}_p95_ms", p95(times), "ms", baseline=target, **more)

    def attribute(self) -> Rule:
        code = f"m{self.rng.randint(1, crowd.ATTRIBUTES)}"
        return {"type": "attribute", "code": code, "op": ">", "value": self.rng.randint(1, 99_999)}

    def rfm(self) -> Rule:
        tags = self.rng.sample(list(self.tags), 2)
        recent = {"type": "date", "of": "last_order", "op": "within_last", "days": self.rng.randint(20, 40)}
        worth = {"type": "metric", "metric": "gmv", "op": ">", "value": self.rng.randint(30_000, 400_000)}
        return {"all": [{"type": "tag", "op": "any", "tags": tags}, recent, worth]}

    def place(self) -> Rule:
        stores = [f"s{number}" for number in self.rng.sample(range(crowd.STORES), 50)]
        near = {"type": "place", "of": "place", "op": "within", "km": 3, "stores": stores}
        return {"all": [*self.rfm()["all"], near]}

    def behaviour(self) -> Rule:
        bought = {
            "type": "behaviour",
            "event": "bought",
            "op": "at_least",
            "value": 2,
            "days": self.rng.randint(20, 40),
        }
        category = f"c{self.rng.randrange(crowd.CATEGORIES)}"
        spared = {"type": "behaviour", "event": "received", "op": "at_most", "value": 0, "days": self.rng.randint(5, 9)}
        return {"all": [{**bought, "category": category}, spared]}

    def spent(self) -> Rule:
        value, days = self.rng.randint(10_000, 50_000), self.rng.randint(80, 100)
        return {"type": "behaviour", "event": "spent", "op": "at_least", "value": value, "days": days}

    def percentile(self) -> Rule:
        percent, days = self.rng.randint(5, 20), self.rng.randint(80, 100)
        return {"type": "percentile", "side": "top", "percent": percent, "by": "spent", "days": days}

    def rfm_cell(self) -> Rule:
        return {"type": "rfm", "segments": ["important_keep"], "days": self.rng.randint(300, 400)}

    def snapshot(self) -> None:
        """Yesterday's people read, both differences taken, today's snapshot and its facts written and committed."""
        from django.db import connection, transaction

        from hetang.audiences import services
        from hetang.audiences.models import AudienceSnapshot
        from hetang.platform import access
        from hetang.platform.models import OrgNode

        rule, root = {"version": 1, "rule": {"all": []}}, OrgNode.objects.get(parent=None)
        audience = services.save(access.system("bench"), name="Half", rule=rule, org_node=root)
        people, draw = len(self.sets.universe), np.random.default_rng(5)
        members, times = crowd.some_of(draw, people, min(0.5, 3_000_000 / people)), []
        for round_ in range(16):
            started = time.perf_counter()
            with transaction.atomic():
                newest = services._keep(audience, members)  # noqa: SLF001 - of a refresh, without the engine
            if round_:  # the first one is a key frame
                times.append((time.perf_counter() - started) * 1000)
            members ^= crowd.some_of(draw, people, 0.005)
        with connection.cursor() as cursor:
            cursor.execute("select pg_total_relation_size(%s)", [AudienceSnapshot._meta.db_table])
            (size,) = cursor.fetchone()
        more = {"p95_ms": round(p95(times), 1), "members": newest.count, "moved": newest.entered + newest.left}
        more |= {"bytes_each": size // 16, "key_frame_bytes": len(members.serialize())}
        report(f"snapshot_diff{self.suffix}_ms", statistics.median(times), "ms", baseline=50, **more)

    def _ask(self, rule: Rule, verb: str = "evaluate") -> tuple[float, dict[str, Any]]:
        """Milliseconds of one call of the engine, and its answer."""
        from hetang.platform import engine_client

        payload = {"rule": {"version": 1, "rule": rule}, "scope": None, "sample": SAMPLE, "cached": False}
        started = time.perf_counter()
        answer = engine_client.call("sets", verb, payload, timeout_s=120)
        return (time.perf_counter() - started) * 1000, answer

    def _raw(self, tags: list[str]) -> tuple[int, list[int]]:
        known = self.sets.families["tag"]
        a, b, c, d, e, f = (known[self.tags[tag]] for tag in tags)
        found = (((a & b) | c) - d) & (e | f)
        count = len(found)
        size = min(SAMPLE, count)
        return count, [found[rank * count // size] for rank in range(size)]


def six(a: str, b: str, c: str, d: str, e: str, f: str) -> Rule:
    """`((a and b) or c) and not d and (e or f)`."""

    def tag(code: str) -> Rule:
        return {"type": "tag", "op": "any", "tags": [code]}

    return {
        "all": [{"any": [{"all": [tag(a), tag(b)]}, tag(c)]}, {"not": tag(d)}, {"any": [tag(e), tag(f)]}],
    }


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[94]


if __name__ == "__main__":
    main()
