"""How long an operator waits for a page: request to answer over HTTP, through the real server.

`page_p50_ms`, `page_p95_ms` and `page_slowest_ms` (the slowest page's median): every page that is reachable from the
menu of the demo brand, with campaigns and broadcasts on it, and every part that one of them fetches by itself as it
opens, one operator at a time; `home_store_manager_p50_ms` and `home_adviser_p50_ms`: what the people of a store begin
with. `load_p95_ms`, `load_errors`: fifty operators at once, who each open another of those pages every five seconds for
a minute. `--size full` repeats the pages on a synthetic chain of a million customers (`page_1m_…`), as headquarters and
as the manager of one of 800 stores, and times the search of the frame there (`search_p95_ms`): half of what is looked
for exists.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from datetime import datetime, timedelta
from datetime import time as time_of_day

import httpx

from benchmarks.million import statements
from benchmarks.preview import make_user, wait_until_loaded
from benchmarks.product import Product
from benchmarks.report import report

ROUNDS = {"small": 5, "full": 20}
SEARCHES = 400
PAGE_MS, BIG_MS, LOAD_MS = 100, 150, 300
MILLION = 1_000_000
OPERATORS, EVERY_S = 50, 5.0
LOAD_S = {"small": 20, "full": 60}
_NUMBER = re.compile(r"/([0-9a-f]{8}-[0-9a-f-]{27}|\d+)(?=/|$)")
_LINKS = re.compile(r'(?:href="|hx-get="(?=[^"]*" hx-trigger="load(?:, again)?"))(/[^"#]*)"')
_LEAVES = re.compile(r"logout|\.csv|/api/|openapi|/l/|/simulator|/static/|/download")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=ROUNDS, default="small")
    parser.add_argument("--million", action="store_true", help="only the part of the full size with a million people")
    options = parser.parse_args()
    if options.million:
        million(ROUNDS["full"])
        return
    with Product(demo=True) as product:
        wait_until_loaded(product)
        logins = json.loads((product.home / "demo-logins.json").read_text())
        login = logins[0]
        busy(login["username"])
        operator = Browser(product.url, login["username"], login["password"])
        pages = measure_pages("page", operator, ROUNDS[options.size], PAGE_MS)
        for other in logins[1:]:
            measure_home(product.url, other, ROUNDS[options.size])
        measure_load(product.url, login, pages, LOAD_S[options.size])
    if options.size == "full":  # a process joins one product only
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HETANG_")}
        subprocess.run([sys.executable, "-m", "benchmarks.console", "--million"], env=environment, check=True)


def million(rounds: int) -> None:
    """The part of the full size on a million customers."""
    with Product() as product:
        fill()
        operator = Browser(product.url, "bench", make_user("bench"))
        measure_search(operator)
        measure_pages("page_1m", operator, rounds, BIG_MS)
        manager = Browser(product.url, "manager", make_manager("manager"))
        measure_pages("page_1m_store", manager, rounds, BIG_MS)


class Browser:
    """Somebody who is logged in."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=60, follow_redirects=True)
        page = self.client.get("/login").text
        mark = 'name="csrfmiddlewaretoken" value="'
        token = page.split(mark, 1)[1].split('"', 1)[0]
        answer = self.client.post(
            "/login", data={"username": username, "password": password, "csrfmiddlewaretoken": token}
        )
        if "/login" in str(answer.url):
            raise RuntimeError("the console did not let the operator in")

    def timed(self, address: str, **headers: str) -> tuple[float, httpx.Response]:
        """Milliseconds from request to answer, and the answer."""
        started = time.perf_counter()
        answer = self.client.get(address, headers=headers)
        return (time.perf_counter() - started) * 1000, answer

    def pages(self) -> list[str]:
        """Addresses reachable from the menu, one of each shape, and of what pages fetch by themselves as they open."""
        found, shapes, good = ["/"], {"/"}, []
        for address in found:
            answer = self.client.get(address)
            if answer.status_code != 200 or "text/html" not in answer.headers["content-type"]:
                continue
            good.append(address)
            for link in _LINKS.findall(answer.text):
                path = link.split("?")[0]
                shape = _NUMBER.sub("/#", path)
                if shape not in shapes and not _LEAVES.search(path):
                    shapes.add(shape)
                    found.append(path)
        return good


def measure_pages(name: str, browser: Browser, rounds: int, target: float) -> list[str]:
    """Time every page `rounds` times, in turn, after the walk that found it; returns the pages."""
    pages = browser.pages()
    times: dict[str, list[float]] = {page: [] for page in pages}
    for _ in range(rounds):
        for page in pages:
            took, answer = browser.timed(page)
            answer.raise_for_status()
            times[page].append(took)
    everything = [took for of_page in times.values() for took in of_page]
    medians = sorted(((statistics.median(of_page), page) for page, of_page in times.items()), reverse=True)
    shown = {"pages": len(pages), "rounds": rounds}
    report(f"{name}_p50_ms", statistics.median(everything), "ms", baseline=target, **shown)
    report(f"{name}_p95_ms", statistics.quantiles(everything, n=100)[94], "ms", baseline=BIG_MS, **shown)
    slow = ", ".join(f"{_NUMBER.sub('/…', page)} {median:.0f}" for median, page in medians[:8])
    report(f"{name}_slowest_ms", medians[0][0], "ms", baseline=target, medians=slow)
    return pages


def measure_home(url: str, login: dict[str, str], rounds: int) -> None:
    """The home page of somebody of a store."""
    browser = Browser(url, login["username"], login["password"])
    times = [browser.timed("/")[0] for _ in range(rounds + 2)][2:]
    more = {"max_ms": round(max(times), 1), "rounds": rounds}
    report(f"home_{login['role']}_p50_ms", statistics.median(times), "ms", baseline=PAGE_MS, **more)


def measure_load(url: str, login: dict[str, str], pages: list[str], seconds: int) -> None:
    """Let fifty operators work at once, each in a session of her own, and a page every five seconds."""
    operators = [Browser(url, login["username"], login["password"]) for _ in range(OPERATORS)]
    cookies = [dict(operator.client.cookies) for operator in operators]
    seen = asyncio.run(_crowd(url, pages, cookies, seconds))
    times = [took for took, _status in seen]
    errors = [status for _took, status in seen if status != 200]
    cuts = statistics.quantiles(times, n=100)
    shown = {"operators": OPERATORS, "seconds": seconds, "requests": len(seen), "max_ms": round(max(times), 1)}
    report("load_p95_ms", cuts[94], "ms", baseline=LOAD_MS, p50_ms=round(cuts[49], 1), **shown)
    report("load_errors", len(errors), "errors", kinds=", ".join(sorted(set(map(str, errors)))) or "none")


async def _crowd(
    url: str, pages: list[str], cookies: list[dict[str, str]], seconds: int
) -> list[tuple[float, int | str]]:
    """Milliseconds and status (or the name of what went wrong) of every page of every operator."""
    seen: list[tuple[float, int | str]] = []
    ends = time.perf_counter() + seconds

    async def work(number: int) -> None:
        draw = random.Random(number)
        due = time.perf_counter() + EVERY_S * draw.random()
        client = httpx.AsyncClient(base_url=url, cookies=cookies[number], timeout=60, follow_redirects=True)
        async with client:
            while due < ends:
                await asyncio.sleep(due - time.perf_counter())
                started = time.perf_counter()
                try:
                    status: int | str = (await client.get(draw.choice(pages))).status_code
                except httpx.HTTPError as fault:
                    status = type(fault).__name__
                seen.append(((time.perf_counter() - started) * 1000, status))
                due = max(due + EVERY_S, time.perf_counter())

    await asyncio.gather(*(work(number) for number in range(len(cookies))))
    return seen


def measure_search(browser: Browser) -> None:
    """Time the search as one types: identifiers, names of audiences and campaigns, and what does not exist."""
    draw = random.Random(20260101)
    kinds = [
        lambda: f"m{draw.randint(1, MILLION)}",
        lambda: f"m{draw.randint(MILLION + 1, 2 * MILLION)}",
        lambda: f"1{draw.randint(3 * 10**9, 10**10 - 1)}",
        lambda: f"Audience {draw.randint(1, 300)}",
        lambda: f"Campaign {draw.randint(1, 200)}",
        lambda: f"nothing {draw.randint(1, 10**6)}",
    ]
    for kind in kinds:
        browser.timed(f"/search?q={kind()}")
    times = []
    for number in range(SEARCHES):
        took, answer = browser.timed(f"/search?q={kinds[number % len(kinds)]()}", **{"HX-Request": "true"})
        answer.raise_for_status()
        times.append(took)
    cuts = statistics.quantiles(times, n=100)
    report("search_p95_ms", cuts[94], "ms", baseline=BIG_MS, p50_ms=round(cuts[49], 1), searches=SEARCHES)


def busy(username: str) -> None:
    """Campaigns and broadcasts on the demo brand, drafts and sent ones, so that the pages have something to show."""
    from hetang.audiences import services as audiences
    from hetang.campaigns import services as campaigns
    from hetang.platform import clock, organisation
    from hetang.platform.access import actor_for
    from hetang.platform.models import User

    actor, root, today = actor_for(User.objects.get(username=username)), organisation.root(), clock.today()
    rule = {"version": 1, "rule": {"all": [{"type": "metric", "metric": "orders_90", "op": ">=", "value": 1}]}}
    audience = audiences.save(actor, name="Bought in 90 days", rule=rule, org_node=root)
    texts = [{"text": "Something new", "attachments": [], "weight": 1}]
    for number in range(4):
        period = (today + timedelta(days=7 * number), today + timedelta(days=7 * number + 6))
        campaign = campaigns.save_campaign(actor, campaigns.CampaignFields(f"Week {number}", *period, root.pk))
        slot = datetime.combine(today + timedelta(days=7 * number + 1), time_of_day(12), clock.zone())  # nobody sleeps
        written = campaigns.Composition("Hello", audience.pk, texts, "https://shop.example/", slot_at=slot)
        broadcast = campaigns.save_broadcast(actor, campaign, written)
        if number < 2:
            campaigns.dry_run(actor, broadcast, wait=True)
            campaigns.send(actor, broadcast, wait=True)


def make_manager(name: str) -> str:
    """The manager of one store; returns the password."""
    from datetime import UTC, datetime

    from hetang.platform.models import Grant, OrgNode, User
    from hetang.platform.roles import STORE_MANAGER

    user = User.objects.create_user(name, "benchmark-only", created_at=datetime.now(UTC))
    Grant.objects.create(user=user, role=STORE_MANAGER, org_node=OrgNode.objects.get(code="s5"))
    return "benchmark-only"


def fill() -> None:
    """A million customers of 800 stores, straight into PostgreSQL."""
    from django.db import connection

    started = time.monotonic()
    for statement in statements("console_million.sql"):
        with connection.cursor() as cursor:
            cursor.execute(statement)
    print(f"a million people in {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
