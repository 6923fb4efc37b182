"""The connector against a simulator in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hetang.connectors.wecom.models import App
from hetang.connectors.wecom.services import connect
from hetang.simulator.admin import SimulatorAdmin
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import World, found


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(Path(tmp_path_factory.mktemp("simulator")))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def admin(simulator: SimulatorProcess) -> Iterator[SimulatorAdmin]:
    with simulator.admin() as client:
        client.reset()
        yield client


@pytest.fixture
def world(simulator: SimulatorProcess, admin: SimulatorAdmin) -> Iterator[World]:
    with httpx.Client(base_url=f"{simulator.url}/cgi-bin/", timeout=10) as http:
        yield found(admin, http)


@pytest.fixture
def app(db: None, simulator: SimulatorProcess, world: World) -> App:
    """Hetang connected to the simulated corp."""
    return connect(
        corpid=world.corpid,
        agentid=1000002,
        secret=world.secret,
        name="Lotus",
        base_url=simulator.url,
        callback_token="token123",
        callback_aes_key="abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        simulated=True,
        calls_per_minute=60_000,
    )
