"""The page on which a person plays staff and customers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from django.test import Client

from hetang.platform import clock, environment, trust
from hetang.platform.models import AuditEntry
from hetang.touch.models import Programme
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import World, found


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    environment.secrets_of_home()
    process = SimulatorProcess(environment.home())
    process.start()
    yield process
    process.stop()


@pytest.fixture
def world(simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("HETANG_SIMULATOR_URL", simulator.url)
    with simulator.admin() as admin, httpx.Client(base_url=f"{simulator.url}/cgi-bin/", verify=trust.context()) as http:
        admin.reset()
        yield found(admin, http, rate=0.5)
    clock.forget()


def test_without_a_simulator_it_says_so(headquarters: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HETANG_SIMULATOR_URL", raising=False)
    page = headquarters.get("/simulator/")
    assert (page.status_code, "no simulator" in page.text) == (200, True)
    assert headquarters.post("/simulator/advance", {"hours": 1}).status_code == 404
    assert headquarters.get("/simulator/play").status_code == 404


def test_single_people_are_played_on_the_simulators_own_page(headquarters: Client, world: World) -> None:
    assert 'href="/simulator/play"' in headquarters.get("/simulator/").text
    place = headquarters.get("/simulator/play").headers["Location"]
    with httpx.Client(follow_redirects=True, verify=trust.context()) as browser:
        page = browser.get(place)
    assert (page.status_code, str(page.url).rpartition("/")[2]) == (200, "play")  # the key is gone from the address
    assert "Anna" in page.text


def test_simulator_that_is_away(headquarters: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETANG_SIMULATOR_URL", "http://127.0.0.1:9")
    page = headquarters.get("/simulator/")
    assert (page.status_code, "does not answer" in page.text) == (503, True)
    assert headquarters.post("/simulator/confirm", {}).status_code == 302


def test_store_managers_do_not_play(manager: Client, world: World) -> None:
    assert manager.get("/simulator/").status_code == 403
    assert manager.get("/simulator/play").status_code == 403
    assert manager.post("/simulator/advance", {"hours": 1}).status_code == 403


def test_confirm_one_ignore_one_confirm_all(headquarters: Client, world: World) -> None:
    first, second = world.send("anna", world.people[:3]), world.send("bo", world.people[3:])
    page = headquarters.get("/simulator/").text
    assert "simulated" in page
    assert page.count("Waits for confirmation") == 2
    headquarters.post("/simulator/ignore", {"msgid": first, "userid": "anna"})
    page = headquarters.post("/simulator/confirm", {"msgid": second, "userid": "bo"}, follow=True).text
    assert "1 task confirmed." in page
    states = {task["msgid"]: (task["status"], task["ignored"]) for task in world.admin.tasks()["tasks"]}
    assert states == {first: (0, 1), second: (2, 0)}
    assert "1 task confirmed." in headquarters.post("/simulator/confirm", {"share": 100}, follow=True).text
    assert world.admin.received()["received"] == {"1": 5}
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == [
        *("simulator.ignored", "simulator.confirmed", "simulator.confirmed")
    ]


def test_time_passes_for_both(headquarters: Client, world: World) -> None:
    world.admin.clock(3600)  # apart from Hetang's clock, which stands at the wall clock
    assert "differ" in headquarters.get("/simulator/").text
    page = headquarters.post("/simulator/advance", {"hours": 72}, follow=True).text
    assert "Time has passed" in page
    assert world.admin.clock()["offset_s"] == 3600 + 3 * 86400
    clock.forget()
    assert clock.offset().total_seconds() == 3600 + 3 * 86400
    assert world.admin.truth()["all"]["orders"] > 0
    assert "differ" not in page


def test_time_passes_until_the_next_broadcast_begins(headquarters: Client, world: World) -> None:
    """A new user presses "1 day" at night and lands in the next night: nobody ever gets a task."""
    assert "Until" not in headquarters.get("/simulator/").text
    at = clock.now() + timedelta(hours=11)
    times = {"slot_at": at, "planned_at": at, "expires_at": at + timedelta(days=3), "channel": "wecom"}
    Programme.objects.create(name="Loaves", state=Programme.RUNNING, **times)
    Programme.objects.create(name="Draft", **times | {"slot_at": at - timedelta(hours=1)})
    page = headquarters.get("/simulator/").text
    assert "“Loaves” begins at" in page
    assert 'name="next"' in page
    headquarters.post("/simulator/advance", {"next": "1"})
    assert timedelta(0) < clock.now() - at < timedelta(minutes=2)
    assert AuditEntry.objects.get(action="simulator.advanced").changes == {"hours": 11.0}


@pytest.mark.parametrize("asked", [{}, {"hours": 0}, {"hours": 745}, {"hours": "x"}])
def test_bad_times_are_refused(headquarters: Client, world: World, asked: dict[str, object]) -> None:
    page = headquarters.post("/simulator/advance", asked, follow=True).text
    assert "1 hour to 31 days" in page
    assert world.admin.clock()["offset_s"] == 0


def test_behaviour(headquarters: Client, world: World) -> None:
    values = {
        **{"confirm_percent": 90, "confirm_hours": 1.5, "remind_percent": 10, "buying": "on"},
        **{"uplift_percent": 55, "effect_days": 3, "monthly_cap": ""},
        **{"click_percent": 12.5, "click_hours": 2, "known_percent": 40},
    }
    assert "Saved." in headquarters.post("/simulator/behaviour", values, follow=True).text
    settings = world.admin.settings()
    found = [settings[name] for name in ("confirm_rate", "confirm_delay_s", "uplift", "effect_s", "monthly_cap")]
    assert found == [0.9, 5400.0, 0.55, 259200.0, None]
    assert (settings["click_rate"], settings["click_delay_s"], settings["known_rate"]) == (0.125, 7200.0, 0.4)
    assert "Links opened" in headquarters.get("/simulator/").text
    answer = headquarters.post("/simulator/behaviour", {**values, "confirm_percent": 101})
    assert answer.status_code == 422
    assert world.admin.settings()["confirm_rate"] == 0.9
