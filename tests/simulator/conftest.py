"""One simulator process for this folder's tests, emptied before each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hetang.platform import trust
from hetang.simulator.admin import SimulatorAdmin
from tests.simulator.local import Corp, LocalSimulator, founded
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
    """Two members, five customers: c0 to c2 of `anna`, c3 and c4 of `bo`."""
    with httpx.Client(base_url=f"{simulator.url}/cgi-bin/", timeout=10, verify=trust.context()) as http:
        yield found(admin, http)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSimulator]:
    inside = LocalSimulator(Path(tmp_path_factory.mktemp("local")))
    yield inside
    inside.stop()


@pytest.fixture
def corp(local: LocalSimulator) -> Corp:
    """The same small corp inside this process; its app has a callback address."""
    return founded(local)
