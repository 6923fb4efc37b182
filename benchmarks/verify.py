"""Whether `hetang audiences verify` proves the sets of many people, and finds what is damaged.

The people come through the log and its streams, as everybody does: each is described with a home store and places an
order; half get a consent, a third a tag, a tenth a friend among a hundred advisers; a rule keeps a tag on a tenth. The
command then runs beside the running product, as an engineer runs it. After that rows are changed behind the product's
back, in PostgreSQL (tags) and in the history (orders): it has to name exactly these.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from benchmarks import crowd
from benchmarks.product import Product
from benchmarks.report import report

SIZES = {"small": 30_000, "full": 1_000_000}
STORES, ADVISERS, TAGS, BATCH = 300, 100, 20, 2_000
TAKEN = 1_000  # rows of tags that are taken away; of as many customers the orders
KEPT = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    people = SIZES[parser.parse_args().size]
    suffix = "_1m" if people == SIZES["full"] else ""
    with Product() as product:
        kept_tag = _name_things()
        started = time.monotonic()
        facts = _fill(people, kept_tag)
        product.wait_until_applied(1_800)
        more = {"customers": people, "facts": facts, "fill_s": round(time.monotonic() - started)}
        whole = _verify(product)
        wrong = _differences(whole)
        more |= {"sets": whole["sets"], "waiting": len(whole["waiting"])}
        report(f"verify{suffix}_s", whole["seconds"], "s", differences=wrong, **more)
        assert (wrong, whole["customers"]) == (0, people), whole
        tags, parts = _damage(people)
        found = _verify(product)
        named = [one for one in found["set_differences"] if one["family"] == "tag" and one["missing"] == 0]
        too_many = sum(one["too_many"] for one in named)
        sums = {one["part"] for one in found["history_differences"] if one["what"] == "orders.orders"}
        exact = (len(named), too_many, sums) == (tags, TAKEN, parts)
        report(f"verify{suffix}_damage_named", float(exact), "yes or no", baseline=1.0, sets=tags, people=too_many)
        assert exact, (tags, len(named), too_many, len(parts), len(sums))
        _verify(product, "--repair")
        left = len(_verify(product)["set_differences"])
        report(f"verify{suffix}_left_after_repair", left, "sets", baseline=0)
        assert left == 0


def _name_things() -> int:
    """Stores, advisers, tags; the id of the tag that a rule keeps."""
    from hetang.customers import kept
    from hetang.customers.models import Tag, TagGroup
    from hetang.resources import services
    from hetang.resources.models import Staff, Store
    from hetang.resources.rules import StoreRow

    services.upsert_stores([StoreRow(str(code)) for code in range(STORES)])
    node = Store.objects.order_by("pk").values_list("org_node", flat=True)[0]
    Staff.objects.bulk_create(Staff(userid=f"a{n}", name=f"Adviser {n}", org_node_id=node) for n in range(ADVISERS))
    group = TagGroup.objects.create(name="Bench")
    Tag.objects.bulk_create(Tag(code=f"t{n}", name=f"Tag {n}", group=group) for n in range(TAGS))
    tag = Tag.objects.create(code="kept", name="Kept", group=group)
    kept.begin(tag)
    return tag.pk


def _fill(people: int, kept_tag: int) -> int:
    """Record everybody's facts; how many. The kept tag is put on numbers that will be handed out."""
    from hetang.customers import kept
    from hetang.facts.intake import record

    facts, batch = 0, []
    for draft in _drafts(people):
        batch.append(draft)
        if len(batch) == BATCH:
            facts += record("bench", batch).accepted
            batch = []
    facts += record("bench", batch).accepted
    draw = np.random.default_rng(3)
    for _ in range(3):
        kept.keep(kept_tag, crowd.some_of(draw, people, KEPT), {"audience": 0})
    return facts


def _drafts(people: int) -> Iterator[Any]:
    from hetang.facts.intake import Draft

    start = datetime.now(UTC) - timedelta(days=90)
    for n in range(people):
        who, at = [("member", f"m{n}")], start + timedelta(seconds=n * 7_000_000 // people)
        store = str(n % STORES)
        yield Draft("customer.described", f"d{n}", at, who, {"home_store": store})
        line = {"sku": f"s{n % 5_000}", "category": f"c{n % 40}", "amount": 100 + n % 900}
        yield Draft("order.placed", f"o{n}", at, who, {"lines": [line], "net": line["amount"], "store": store})
        if n % 2:
            consent = {"purpose": "marketing", "channel": "wecom", "given": n % 5 > 0, "basis": "consent"}
            yield Draft("consent.changed", f"c{n}", at, who, consent)
        if n % 3 == 0:
            yield Draft("tag.changed", f"t{n}", at, who, {"tag": f"t{n // 3 % TAGS}", "on": n % 7 > 0})
        if n % 10 == 0:
            friend = {"staff": f"a{n // 10 % ADVISERS}", "state": "active"}
            yield Draft("relation.changed", f"r{n}", at, [("external_userid", f"w{n}"), *who], friend)


def _damage(people: int) -> tuple[int, set[int]]:
    """Take rows away behind the product's back: how many tags are concerned, and parts of the history."""
    from django.db import connection

    from hetang.commerce.verification import PARTS
    from hetang.platform import clickhouse

    with connection.cursor() as cursor:
        cursor.execute(
            """
            with gone as (
              delete from customers_customertag where id in
                (select id from customers_customertag where "on" order by id limit %s) returning tag_id
            ) select count(distinct tag_id) from gone
            """,
            [TAKEN],
        )
        (tags,) = cursor.fetchone()
    step = people // TAKEN
    clickhouse.command(f"delete from orders where customer % {step} = 7 settings mutations_sync = 2")
    return tags, {number % PARTS for number in range(7, people + 1, step)}


def _verify(product: Product, *options: str) -> dict[str, Any]:
    """What the command says, as JSON."""
    command = [sys.executable, "-m", "hetang.cli", "audiences", "verify", "--home", str(product.home), "--json"]
    ended = subprocess.run([*command, *options], env=os.environ, stdout=subprocess.PIPE, text=True, check=False)
    found: dict[str, Any] = json.loads(ended.stdout)
    if (ended.returncode == 0) != found["equal"]:
        raise RuntimeError(f"the command ended with {ended.returncode}")
    return found


def _differences(found: dict[str, Any]) -> int:
    return sum(len(found[name]) for name in ("set_differences", "kept_differences", "history_differences"))


if __name__ == "__main__":
    main()
