"""What is to be known of programmes: how far they are, who has confirmed, what a change would do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, F, Q, Sum

from hetang.platform.access import Scope
from hetang.platform.models import OrgNode
from hetang.touch import clicks, governor, ledger
from hetang.touch.models import (
    CANCELLED,
    CONTROL,
    EXCLUDED,
    EXPIRED,
    FAILED,
    HELD,
    PLANNED,
    RELEASED,
    SENT,
    TASKED,
    UNKNOWN,
    Programme,
    SendTask,
    Tally,
)
from hetang.touch.ports import outside_messages
from hetang.touch.rules import CapRule


@dataclass
class Progress:
    """People of a programme by where they are; everything adds up to `audience`."""

    audience: int = 0
    excluded: dict[str, int] = field(default_factory=dict)  # by reason
    control: int = 0
    open: dict[str, int] = field(default_factory=dict)  # planned or held, claimed, tasked, unknown
    sent: int = 0
    lost: dict[tuple[str, str], int] = field(default_factory=dict)  # (failed | cancelled | expired, reason)
    clicks: int = 0

    @property
    def to_send(self) -> int:
        """People who were planned to get it."""
        return self.audience - sum(self.excluded.values()) - self.control


def progress(programme: Programme) -> Progress:
    """Where everybody is, from the counters: constant cost."""
    result = Progress()
    for (_arm, _variant, state, reason), count in ledger.tally(programme.pk).items():
        result.audience += count
        if state == EXCLUDED:
            result.excluded[reason] = result.excluded.get(reason, 0) + count
        elif state == CONTROL:
            result.control += count
        elif state == SENT:
            result.sent += count
        elif state in (FAILED, CANCELLED, EXPIRED):
            result.lost[state, reason] = result.lost.get((state, reason), 0) + count
        else:
            shown = HELD if state == PLANNED and programme.state == Programme.PAUSED else state
            result.open[shown] = result.open.get(shown, 0) + count
    result.clicks = clicks.of_programme(programme.pk).total
    return result


@dataclass
class NodeProgress:
    """Tasks and people at a node of the organisation and below it, or of one adviser."""

    name: str
    depth: int
    path: str
    node_id: int | None = None
    staff: str = ""
    tasks: int = 0
    confirmed: int = 0
    waiting: int = 0
    people: int = 0
    sent: int = 0
    failed: int = 0

    def add(self, row: dict[str, Any]) -> None:
        for name in ("tasks", "confirmed", "waiting", "people", "sent", "failed"):
            setattr(self, name, getattr(self, name) + (row[name] or 0))


def by_organisation(programme: Programme, scope: Scope) -> list[NodeProgress]:
    """Confirmation by region, store and adviser in the scope, in the order of the tree; advisers below their store."""
    tasks = SendTask.objects.filter(programme=programme)
    if not scope.everything:
        tasks = tasks.filter(org_node_id__in=scope.org_nodes().values("pk"))
    rows = tasks.values("org_node_id", "staff_id", name=F("staff__name")).annotate(
        tasks=Count("pk"),
        confirmed=Count("pk", filter=Q(confirmed_at__isnull=False)),
        waiting=Count("pk", filter=Q(state=SendTask.WAITING, confirmed_at=None)),
        people=Sum("people"),
        sent=Sum("sent"),
        failed=Sum("failed"),
    )
    nodes = {node.pk: node for node in OrgNode.objects.all()}
    by_path = {node.path: node for node in nodes.values()}
    found: dict[str, NodeProgress] = {}
    advisers: dict[str, list[NodeProgress]] = defaultdict(list)
    for row in rows:
        node = nodes.get(row["org_node_id"] or 0)
        if node is None:
            continue
        for path in _above(node.path):
            if path in by_path and scope.covers(path):
                _node(found, by_path[path]).add(row)
        adviser = NodeProgress(row["name"] or "", node.path.count(".") + 1, node.path, staff=str(row["staff_id"]))
        adviser.add(row)
        advisers[node.path].append(adviser)
    return [
        line
        for path in sorted(found, key=_tree_order)
        for line in [found[path], *sorted(advisers[path], key=lambda one: (one.confirmed == one.tasks, one.name))]
    ]


def together(lines: Sequence[NodeProgress]) -> NodeProgress:
    """All that `by_organisation` found, each task once."""
    total = NodeProgress("", 0, "")
    for line in lines:
        if line.staff:
            total.add(vars(line))
    return total


def _above(path: str) -> list[str]:
    parts = path.rstrip(".").split(".")
    return [".".join(parts[: count + 1]) + "." for count in range(len(parts))]


def _tree_order(path: str) -> list[int]:
    return [int(part) for part in path.rstrip(".").split(".")]


def _node(found: dict[str, NodeProgress], node: OrgNode) -> NodeProgress:
    return found.setdefault(node.path, NodeProgress(node.name, node.path.count("."), node.path, node.pk))


@dataclass(frozen=True)
class Consequence:
    """What pausing or cancelling would do, in people."""

    not_started: int  # held by a pause, cancelled by a cancel
    with_advisers: int  # on advisers' phones: a pause leaves them, a cancel withdraws what is not confirmed
    unknown: int  # found out first
    sent: int  # cannot be called back


def consequence(programme: Programme) -> Consequence:
    """The numbers to show before somebody pauses or cancels."""
    state = progress(programme)
    waiting = state.open.get(PLANNED, 0) + state.open.get(HELD, 0) + state.open.get("claimed", 0)
    return Consequence(waiting, state.open.get(TASKED, 0), state.open.get(UNKNOWN, 0), state.sent)


@dataclass(frozen=True)
class Quota:
    """How much of the platform's cap the people of a channel have used in the window around `at`."""

    start: datetime
    end: datetime
    limit: int
    people_by_used: dict[int, int]  # messages used -> people; people without any have no entry

    @property
    def used_up(self) -> int:
        return sum(people for used, people in self.people_by_used.items() if used >= self.limit)


Among = tuple[str, list[Any]] | None  # a subselect of customer numbers with its parameters; None: everybody


def quota(channel: str, at: datetime, among: Among = None) -> Quota | None:
    """The platform's cap in the window that holds `at`; None where the platform has none. What others sent counts as
    it does for the governor. Reads the window's touches once: about a second for a million."""
    window = governor.limits(channel, "service", at).platform
    if window is None:
        return None
    rows, params = _held(window.start - timedelta(microseconds=1), window.end, among)
    with connection.cursor() as cursor:
        cursor.execute(
            f"select used, count(*) from (select customer, count(*) as used from ({rows}) held"
            " where platform and channel = %s group by customer) per group by used order by used",
            [*params, channel],
        )
        return Quota(window.start, window.end, window.limit, dict(cursor.fetchall()))


def cap_use(cap: CapRule, at: datetime, among: Among = None) -> dict[int, int]:
    """Messages that count against a marketing message at `at` -> people: in the fullest window that would hold it, what
    is planned included. People without any have no entry. Reads the touches of twice the cap's days once."""
    span = timedelta(days=cap.days)
    rows, params = _held(at - span, at + span, among)
    channel = "and channel = %s" if cap.channel else ""
    values: list[Any] = [at, at, span - timedelta(microseconds=1), *params]
    values += [cap.channel] if cap.channel else []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select used, count(*) from (
              select greatest(
                coalesce(max(held) filter (where slot_at <= %s), 0), count(*) filter (where slot_at >= %s)
              ) as used
              from (
                select customer, slot_at, count(*) over (
                  partition by customer order by slot_at range between current row and %s following
                ) as held
                from ({rows}) rows_of where message_class = 'marketing' {channel}
              ) window_of group by customer
            ) per group by used order by used
            """,
            values,
        )
        return dict(cursor.fetchall())


def _held(first: datetime, last: datetime, among: Among) -> tuple[str, list[Any]]:
    people, of = (f"t.customer in ({among[0]})", among[1]) if among else ("true", [])
    return governor.held_sql(first, last, outside_messages(first, last), people, of=of)


def friends(among: Among = None) -> int:
    """Customers with an active friend among the staff: whom a channel of advisers can reach at all."""
    inside = f"and customer_id in ({among[0]})" if among else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(distinct r.customer_id) from customers_relation r join resources_staff s on s.id = r.staff_id"
            f" where r.state = 'active' and s.active {inside}",
            list(among[1]) if among else [],
        )
        return int(cursor.fetchone()[0])


@dataclass(frozen=True)
class Load:
    """People of one programme: reached, still to be reached, and lost on the way."""

    sent: int = 0
    open: int = 0
    lost: int = 0

    @property
    def people(self) -> int:
        """Whom it reached or may still reach."""
        return self.sent + self.open


def loads(programme_ids: Sequence[int]) -> dict[int, Load]:
    """The load of each programme, from the counters: one query."""
    found: dict[int, dict[str, int]] = defaultdict(lambda: {"sent": 0, "open": 0, "lost": 0})
    rows = Tally.objects.filter(programme__in=list(programme_ids)).exclude(state__in=[EXCLUDED, CONTROL])
    for programme, state, count in rows.values_list("programme", "state").annotate(people=Sum("count")):
        part = "sent" if state == SENT else "lost" if state in RELEASED else "open"
        found[programme][part] += count
    return {programme: Load(**parts) for programme, parts in found.items()}


def programmes_of(campaign_id: int) -> Any:
    """The programmes of a campaign, newest first."""
    return Programme.objects.filter(campaign_id=campaign_id).order_by("-pk")
