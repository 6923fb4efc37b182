"""The connector against a simulator in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.db import connection

from hetang.connectors.wecom.models import App
from hetang.connectors.wecom.services import connect
from hetang.simulator.admin import SimulatorAdmin
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import World, found
from tests.touch import world as brand_world

PEOPLE = 400


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


@pytest.fixture
def members(db: None, simulator: SimulatorProcess, admin: SimulatorAdmin) -> list[str]:
    """The same 400 people and 10 advisers on both sides. Returns the external_userids by customer number."""
    staff = brand_world.organisation(5, 2)
    brand_world.people(PEOPLE, staff)
    corp = admin.corp("Lotus", [{"agentid": 1000002}])
    admin.staff({"userid": one.userid, "name": one.name} for one in staff)
    external = admin.people({"key": str(number), "name": f"P{number}"} for number in range(1, PEOPLE + 1))
    admin.relations(
        {
            "userid": staff[number % len(staff)].userid,
            "external_userid": external[number - 1],
            "createtime": 1_700_000_000,
        }
        for number in range(1, PEOPLE + 1)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "update customers_relation r set external_userid = e.value"
            " from unnest(%s::text[]) with ordinality as e(value, number) where r.customer_id = e.number",
            [external],
        )
    connect(
        corpid=corp["corpid"],
        agentid=1000002,
        secret=corp["apps"][0]["secret"],
        base_url=simulator.url,
        simulated=True,
        calls_per_minute=60_000,
    )
    assert App.objects.count() == 1
    return external
