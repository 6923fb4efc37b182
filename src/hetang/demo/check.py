"""`hetang demo --check`: the whole main job once, without a browser, with a fixed seed and clock.

Import, audience, broadcast with a control group, confirmations, purchases, report and board, through the same
services that the console calls, against the simulated WeCom in its own process. Prints its figures as JSON and
exits non-zero when one is off.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Sum

from hetang.audiences import services as audiences
from hetang.campaigns import queries as campaign_queries
from hetang.campaigns import services as campaigns
from hetang.campaigns.models import Broadcast
from hetang.commerce.models import CustomerMetric, Order, Refund
from hetang.customers.models import Consent, Customer, HouseholdMember, Relation
from hetang.demo import load, simulated, start
from hetang.demo.files import World
from hetang.experiments.estimates import Estimate
from hetang.facts import subscriptions
from hetang.insights import periods, queries, reports
from hetang.platform import children, clickhouse, clock, organisation
from hetang.platform.access import system
from hetang.platform.environment import home, secrets_of_home
from hetang.platform.jobs import Work
from hetang.simulator.admin import SimulatorAdmin
from hetang.touch import dispatch, outcomes
from hetang.touch.models import Programme, SendTask
from hetang.touch.queries import progress

_T = TypeVar("_T")

# A Monday morning in New York: the data are moved to end the day before.
BEGIN = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
SALES = 459_603_958  # cents
ORDERS = 155_848
PEOPLE = 2_469
LINES = 1_469_307
CHILDREN = 464
UPLIFT = 0.6
AUDIENCE = {
    "version": 1,
    "rule": {
        "all": [
            {"type": "metric", "metric": "orders_90", "op": ">=", "value": 3},
            {"type": "metric", "metric": "days_since_last_order", "op": "<=", "value": 60},
            {"not": {"type": "behaviour", "event": "received", "op": "at_least", "value": 1, "days": 7}},
        ]
    },
}


class Watch(Work):
    """The work of no job: nobody watches it, nobody ends it."""

    def __init__(self) -> None:
        super().__init__(job_run_id=0, arguments={}, owner="check")

    def checkpoint(self) -> None:
        subscriptions.run_once()  # the streams follow while files are read, as they do beside the worker

    def _report(self) -> None:
        pass


@dataclass
class Findings:
    """The figures of the run, and which of them are off."""

    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def equal(self, name: str, value: Any, expected: Any) -> None:
        """Note a figure that must have exactly this value."""
        self.figures[name] = value
        if value != expected:
            self.wrong.append(f"{name} is {value}, expected {expected}")

    def holds(self, name: str, condition: bool, value: Any) -> None:
        """Note a figure that must meet a condition."""
        self.figures[name] = value
        if not condition:
            self.wrong.append(f"{name} is {value}")


def main() -> int:
    """Run in a fresh home whose servers are up. Returns 0 if every figure is as it must be."""
    started = time.monotonic()
    clock.turn(BEGIN - datetime.now(UTC))
    found = Findings()
    with _web(), SimulatorAdmin(os.environ["HETANG_SIMULATOR_URL"], secrets_of_home().simulator) as simulator:
        _timed(found, "import_s", lambda: _import(found))
        broadcast = _timed(found, "plan_s", lambda: _plan(found))
        _timed(found, "send_s", lambda: _send(found, broadcast, simulator))
        _timed(found, "week_s", lambda: _let_a_week_pass(simulator))
        _report(found, broadcast, simulator)
        _board(found)
    found.figures["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps({"ok": not found.wrong, "wrong": found.wrong, **found.figures}, ensure_ascii=False, indent=1))
    return 1 if found.wrong else 0


def _timed(found: Findings, name: str, work: Callable[[], _T]) -> _T:
    started = time.monotonic()
    result = work()
    found.figures[name] = round(time.monotonic() - started, 1)
    print(f"{name} {found.figures[name]}", file=sys.stderr, flush=True)
    return result


def _over_servers(measure: str) -> int:
    return sum(int(one) for (one,) in clickhouse.rows(f"select {measure} from order_lines"))


def _import(found: Findings) -> None:
    """The demo brand through the public import path, then friendships by the connector's sync."""
    start.establish()
    drawn = World()
    load.load(Watch(), drawn)
    simulated.populate(drawn, Watch())
    subscriptions.run_until_idle()
    refunds = Refund.objects.aggregate(total=Sum("amount"))["total"] or 0
    net = Order.objects.aggregate(total=Sum("net"))["total"]
    found.equal("sales_minor", net - refunds, SALES)
    found.equal("orders", Order.objects.count(), ORDERS)
    found.equal("people", Customer.objects.filter(merged_into=None).count(), PEOPLE)
    found.equal("metrics_gmv_minor", CustomerMetric.objects.aggregate(total=Sum("gmv"))["total"], SALES)
    found.equal("history_lines", _over_servers("count()"), LINES)
    found.equal("history_sales_minor", _over_servers("sum(amount)"), SALES)
    found.equal("children", HouseholdMember.objects.filter(day__isnull=False).count(), CHILDREN)
    found.figures["friendships"] = Relation.objects.filter(state=Relation.ACTIVE).count()
    found.figures["consents"] = Consent.objects.filter(given=True, purpose="marketing", channel="wecom").count()


def _plan(found: Findings) -> Broadcast:
    """An audience, a campaign, a broadcast with a fifth held back; the dry run and the plan must be equal."""
    actor, root = system("demo --check"), organisation.root()
    audience = audiences.save(actor, name="常客 · 近60天有消费", rule=AUDIENCE, org_node=root)
    today = clock.today()
    campaign = campaigns.save_campaign(
        actor, campaigns.CampaignFields("秋季回店", today, today + timedelta(days=14), root.pk)
    )
    composition = campaigns.Composition(
        name="秋季回店 · 面包券",
        audience_id=audience.pk,
        variants=[{"text": "周末到店，现烤面包第二件半价，凭本消息领取。", "attachments": [], "weight": 1}],
        target_url="https://example.com/bread",
        control_bp=2000,
    )
    broadcast = campaigns.save_broadcast(actor, campaign, composition)
    dry = campaign_queries.split(campaigns.dry_run(actor, broadcast, wait=True))
    broadcast.refresh_from_db()
    programme = campaigns.send(actor, broadcast, wait=True)
    split = campaign_queries.split(programme.plan)
    found.figures["split"] = {**dict(split.excluded), "control": split.control, "to_send": split.to_send}
    found.equal("audience", split.decided, split.audience)
    found.equal("dry_run_equals_plan", split == dry, True)
    found.equal("tasks", SendTask.objects.filter(programme=programme).count(), split.tasks)
    found.holds("audience_size", split.audience > 1000 and split.to_send > 500, split.audience)
    return broadcast


def _send(found: Findings, broadcast: Broadcast, simulator: SimulatorAdmin) -> None:
    """Hand the tasks over, let 80 % of the advisers confirm, read the results back."""
    programme = Programme.objects.get(broadcast=broadcast)
    simulator.settings(uplift=UPLIFT)
    created = SendTask.objects.filter(programme=programme)
    dispatch.drain(lambda: not created.exclude(state=SendTask.WAITING).exists(), 60)
    found.figures["confirmed"] = simulator.confirm(share=0.8)["confirmed"]
    _settle(programme)
    now = progress(programme)
    told = simulator.received("/l/")
    sent = now.sent
    found.holds("sent", sent > 0, sent)
    found.equal("received_by_provider", told["received"], {"1": sent})


def _settle(programme: Programme) -> None:
    """Poll until every confirmed task is read."""
    for _ in range(200):
        SendTask.objects.filter(programme=programme, state=SendTask.WAITING).update(next_look_at=datetime.now(UTC))
        if outcomes.run_once() > 0:
            break
    subscriptions.run_until_idle()


def _let_a_week_pass(simulator: SimulatorAdmin) -> None:
    """Eight days, one by one: the window of seven and a little more."""
    for _ in range(8):
        target = clock.offset() + timedelta(days=1)
        clock.turn(target)
        simulator.advance_to(target.total_seconds())
    simulator.wait_until_posted(120)
    subscriptions.run_until_idle()


def _report(found: Findings, broadcast: Broadcast, simulator: SimulatorAdmin) -> None:
    """The effect by intention to treat, with the truth of the simulator inside its interval."""
    programme = Programme.objects.get(broadcast=broadcast)
    report = reports.broadcast_report(programme)
    effect = report.main.spend_total
    if not isinstance(effect, Estimate):
        found.wrong.append(f"the effect is not measurable: {effect}")
        return
    opened = simulator.clicks("/l/")
    found.holds(
        "clicks_made", opened["opened"] > 0 and opened["statuses"] == {"302": opened["opened"]}, opened["opened"]
    )
    found.equal("clicks_counted", report.clicks, opened["opened"])
    known = report.clicks_identified
    found.holds("clicks_identified", 0 < known < report.clicks, known)
    truth = simulator.truth(report.start.timestamp(), report.end.timestamp())
    found.figures["arms"] = {arm.name: [arm.people, arm.sent, arm.buyers, arm.orders, arm.gmv] for arm in report.arms}
    found.figures["effect_minor"] = [round(effect.low), round(effect.value), round(effect.high)]
    found.holds("true_effect_minor", effect.low <= truth["caused"]["net"] <= effect.high, truth["caused"]["net"])
    assert report.ratio is not None  # noqa: S101 - a control group was planned
    found.holds("sample_ratio_p", report.ratio.p > 0.001, round(report.ratio.p, 4))


def _board(found: Findings) -> None:
    """The last full week against the one before: the parts add up, and visits are known."""
    today = clock.today()
    board = queries.board(periods.preset("7d", today))
    change = board.total.change
    found.figures["board_gmv_minor"] = [board.total.before.gmv, board.total.after.gmv]
    found.equal("board_adds_up", sum(change.parts.values()), board.total.after.gmv - board.total.before.gmv)
    found.equal("board_visits", board.visits_recorded, True)
    year = periods.parse(_first_year(), today)
    found.equal("board_year_minor", queries.board(year).total.after.gmv, SALES)


def _first_year() -> dict[str, str]:
    """The data's own year, moved like the data."""
    from hetang.platform.brand import brand

    moved = timedelta(days=brand().demo_shift_days)
    first, last = date(2017, 1, 1) + moved, date(2017, 12, 31) + moved
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "before_from": (first - timedelta(days=365)).isoformat(),
        "before_to": (last - timedelta(days=365)).isoformat(),
    }


@contextlib.contextmanager
def _web() -> Iterator[None]:
    """The web process, to which the simulator posts orders like any till."""
    url = os.environ["HETANG_WEB_URL"]
    port = url.rsplit(":", 1)[1].strip("/")
    with (home() / "logs" / "web.log").open("wb") as log:
        process = children.spawn(children.python("hetang.cli", "web", "--port", port), env=os.environ, log=log)
        try:
            _wait_for(f"{url.rstrip('/')}/login")
            yield
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(url: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
                return
        except OSError:  # refused, reset, or too slow for now
            time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")
