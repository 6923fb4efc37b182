"""Where the people of a broadcast got to: from the audience to the messages that really left, by store and adviser."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import connection

from hetang.insights.outcomes import held_out, staff_within
from hetang.resources.models import Staff, Store
from hetang.touch.models import CANCELLED, CONTROL, EXPIRED, FAILED, SENT, UNKNOWN, Plan, PlanGroup, Programme
from hetang.touch.rules import REASONS

if TYPE_CHECKING:
    from hetang.platform.access import Scope

State = tuple[str, str]  # state of the ledger, reason


@dataclass(frozen=True, slots=True)
class Stage:
    """Counts of promises by where they got to. They add up to `planned`."""

    states: Mapping[State, int]

    def _of(self, *names: str) -> int:
        return sum(count for (state, _), count in self.states.items() if state in names)

    @property
    def planned(self) -> int:
        """Everybody who should get the message."""
        return sum(self.states.values())

    @property
    def sent(self) -> int:
        """Sent, as the platform reports it; nobody knows of delivered or read."""
        return self._of(SENT)

    @property
    def failed(self) -> int:
        """Refused by the platform: not a friend, its own cap."""
        return self._of(FAILED)

    @property
    def unconfirmed(self) -> int:
        """Never confirmed by the adviser in time: expired or cancelled."""
        return self._of(EXPIRED, CANCELLED)

    @property
    def unknown(self) -> int:
        """The platform's answer was lost and is being looked up."""
        return self._of(UNKNOWN)

    @property
    def waiting(self) -> int:
        """Not yet out, or waiting for the adviser."""
        return self.planned - self.sent - self.failed - self.unconfirmed - self.unknown

    @property
    def share_sent(self) -> float | None:
        """Sent per planned."""
        return self.sent / self.planned if self.planned else None


@dataclass(frozen=True, slots=True)
class Place:
    """The stage of one store (`beside` is its code) or adviser (`beside` is her store)."""

    name: str
    beside: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class Funnel:
    """`excluded` by reason in the order of the plan, `control`, and those to be sent: together the audience.

    A part of the organisation knows only of the people whom its own staff would write to: there `excluded` is empty.
    """

    audience: int | None
    excluded: Mapping[str, int]
    control: int
    total: Stage
    stores: list[Place] = field(default_factory=list)
    staff: list[Place] = field(default_factory=list)


def funnel(programme: Programme, plan: Plan, scope: Scope | None = None) -> Funnel:
    """Counts of a programme, from the ledger's rows of its month."""
    cells = _cells(programme, scope)
    whole = scope is None or scope.everything
    groups = dict(PlanGroup.objects.filter(plan=plan, variant=0).values_list("reason", "count"))
    excluded = {reason: groups.get(reason, 0) for reason in REASONS} if whole else {}
    return Funnel(
        plan.people if whole else None,
        excluded,
        groups.get(CONTROL, 0) if whole else _own_control(plan, scope),
        _stage(cells.values()),
        _places(cells, 0, _store_names(cells)),
        _places(cells, 1, _staff_names(cells)),
    )


def _cells(programme: Programme, scope: Scope | None) -> dict[tuple[int, int], Counter[State]]:
    """Counts by (store, adviser) and (state, reason)."""
    mine, params = staff_within(scope, "t.staff")
    cells: dict[tuple[int, int], Counter[State]] = defaultdict(Counter)
    with connection.cursor() as cursor:
        cursor.execute(
            "select coalesce(t.store, 0), coalesce(t.staff, 0), t.state, t.reason, count(*) from touch_touch t"
            f" where t.planned_at = %s and t.programme = %s and {mine} group by 1, 2, 3, 4",
            [programme.planned_at, programme.pk, *params],
        )
        for store, staff, state, reason, count in cursor.fetchall():
            cells[store, staff][state, reason] = count
    return cells


def _stage(counts: Iterable[Counter[State]]) -> Stage:
    total: Counter[State] = Counter()
    for one in counts:
        total.update(one)
    return Stage(dict(sorted(total.items())))


def _places(
    cells: Mapping[tuple[int, int], Counter[State]], column: int, names: Mapping[int, tuple[str, str]]
) -> list[Place]:
    """One place per store (column 0) or adviser (1), those with the most left to do first."""
    found: dict[int, list[Counter[State]]] = defaultdict(list)
    for key, counts in cells.items():
        found[key[column]].append(counts)
    places = [Place(*names.get(key, ("", "")), _stage(counts)) for key, counts in found.items()]
    return sorted(places, key=lambda place: (place.stage.sent - place.stage.planned, place.name))


def _store_names(cells: Iterable[tuple[int, int]]) -> dict[int, tuple[str, str]]:
    stores = Store.objects.filter(pk__in={store for store, _ in cells})
    return {pk: (name, code) for pk, name, code in stores.values_list("pk", "name", "code")}


def _staff_names(cells: Iterable[tuple[int, int]]) -> dict[int, tuple[str, str]]:
    staff = Staff.objects.filter(pk__in={one for _, one in cells})
    return {pk: (name, store or "") for pk, name, store in staff.values_list("pk", "name", "store__name")}


def _own_control(plan: Plan, scope: Scope | None) -> int:
    """People of the control group whom the part's own staff would have written to."""
    mine, params = staff_within(scope, "h.staff")
    with connection.cursor() as cursor:
        cursor.execute(
            f"select count(*) from unnest(%s::bigint[]) as h(staff) where {mine}", [held_out(plan)[2], *params]
        )
        return int(cursor.fetchone()[0])
