"""A whole broadcast through the ledger, our channel and the simulator, which counts what people received."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from hetang.platform import brand, clock
from hetang.simulator.admin import SimulatorAdmin
from hetang.touch import dispatch, ledger, loops, outcomes, services
from hetang.touch.models import Programme
from tests.connectors.wecom.conftest import PEOPLE
from tests.touch import world as brand_world
from tests.touch.world import NOW

SLOT = NOW + timedelta(hours=1)


@pytest.fixture(autouse=True)
def wednesday_morning(admin: SimulatorAdmin, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Our clock stands still outside quiet hours; the simulator's runs on from there. Nobody waits for long."""
    clock.freeze(SLOT)
    brand.forget()
    admin.clock(SLOT.timestamp() - time.time())
    monkeypatch.setattr(dispatch, "CLAIM_S", 3.0)
    monkeypatch.setattr(dispatch, "GRACE_S", 0.5)
    monkeypatch.setattr(dispatch, "LOOK_S", 0.1)
    yield
    clock.freeze(None)
    brand.forget()


def launch() -> Programme:
    from pyroaring import BitMap

    services.launch(
        services.Draft(
            uuid.uuid4(), "Proof", SLOT + timedelta(days=3), (("A", [], 1), ("B", [], 1)), "https://shop.example/"
        ),
        BitMap(range(1, PEOPLE + 1)).serialize(),
        brand_world.request(control_bp=1000, weights=(1, 1), slot_at=SLOT),
    )
    while not Programme.objects.filter(state="running").exists():
        loops.plan_once()
    return Programme.objects.get()


def states(programme: Programme) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, _, state, _), count in ledger.tally(programme.pk).items():
        found[state] = found.get(state, 0) + count
    return found


def work_until(programme: Programme, wanted: set[str]) -> None:
    """Dispatch and settle until people are only in the wanted states."""
    deadline = time.monotonic() + 60
    while not set(states(programme)) <= wanted:
        assert time.monotonic() < deadline, states(programme)
        idle = min(dispatch.run_once(), outcomes.run_once())
        time.sleep(min(idle, 0.02))  # leaves the processor to the simulator


@pytest.mark.parametrize("fault", ["none", "dropped answers", "lost requests", "busy", "codes"])
def test_nothing_lost_nothing_doubled(admin: SimulatorAdmin, members: list[str], fault: str) -> None:
    admin.settings(list_lag_s=0.2)
    path = "externalcontact/add_msg_template"
    if fault == "dropped answers":
        admin.fault("drop_after", path, times=3)
    elif fault == "lost requests":
        admin.fault("drop_before", path, times=2)
    elif fault == "busy":
        admin.fault("error", path, code=-1, times=2)
    elif fault == "codes":
        for code in (40014, 45033, 42001):
            admin.fault("error", path, code=code)
    programme = launch()
    work_until(programme, {"tasked", "control"})
    control = states(programme)["control"]
    counted = admin.received()
    assert (counted["tasked"], counted["messages"]) == ({"1": PEOPLE - control}, 20)  # 10 advisers, 2 texts
    assert counted["received"] == {}
    admin.confirm()
    work_until(programme, {"sent", "control"})
    assert states(programme) == {"sent": PEOPLE - control, "control": control}
    assert admin.received()["received"] == {"1": PEOPLE - control}


def test_half_confirm_and_the_rest_is_withdrawn(admin: SimulatorAdmin, members: list[str]) -> None:
    programme = launch()
    work_until(programme, {"tasked", "control"})
    control = states(programme)["control"]
    confirmed = admin.confirm(share=0.5)
    assert confirmed["confirmed"] + confirmed["open"] == 20
    clock.freeze(SLOT + timedelta(days=3, hours=1))
    work_until(programme, {"sent", "expired", "control"})
    reached = admin.received()["received"]["1"]
    assert states(programme) == {"sent": reached, "expired": PEOPLE - control - reached, "control": control}
    assert admin.confirm()["confirmed"] == 0  # what we withdrew cannot be sent any more
