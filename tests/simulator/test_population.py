"""People who buy with a known effect, and time that passes."""

from __future__ import annotations

import threading

import httpx

from hetang.simulator.admin import SimulatorAdmin
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import World

DAY = 86400


def grow(admin: SimulatorAdmin, people: int, rate: float) -> list[str]:
    admin.corp("Lotus", [{"agentid": 1000002}], corpid="ww0123456789abcdef")
    admin.staff([{"userid": "anna", "name": "Anna"}])
    external = admin.people(
        {"key": f"p{n}", "name": f"P{n}", "basket": 1000, "daily_rate": rate} for n in range(people)
    )
    admin.relations({"userid": "anna", "external_userid": one, "createtime": 1_700_000_000} for one in external)
    return external


def test_purchases_follow_the_rate_and_the_seed(admin: SimulatorAdmin) -> None:
    outcomes = []
    for _ in range(2):
        admin.reset()
        admin.settings(seed=3)
        grow(admin, 1000, 0.1)
        admin.advance(5 * DAY)
        truth = admin.truth()
        outcomes.append({one["external_userid"] for one in admin.orders(10_000)})
        assert truth["caused"] == {"orders": 0, "people": 0, "net": 0}
        assert 400 <= truth["all"]["orders"] <= 600
    # The same people buy on the days that both runs share in full; the edges depend on the second of the start.
    assert len(outcomes[0] ^ outcomes[1]) <= 3


def test_the_effect_is_known(world: World) -> None:
    admin = world.admin
    admin.settings(uplift=1.0, effect_s=7 * DAY)
    external = grow(admin, 2000, 0.05)
    world.send("anna", external[:1000])
    admin.confirm()
    admin.advance(7 * DAY)
    truth = admin.truth()
    # 1,000 people, 7 days, 0.05 more a day: 350 expected, standard deviation under 19.
    assert 290 <= truth["caused"]["orders"] <= 410
    assert set(truth["caused_people"]) <= set(external[:1000])
    before = truth["caused"]["orders"]
    admin.advance(7 * DAY)
    assert admin.truth()["caused"]["orders"] == before  # the effect has worn off


def test_every_order_has_its_visit_and_its_lines_add_up(world: World, simulator: SimulatorProcess) -> None:
    import json
    import sqlite3

    grow(world.admin, 300, 0.1)
    world.admin.products([{"sku": f"k{n}", "category": "TEA"} for n in range(5)])
    bought = world.admin.advance(2 * DAY)["bought"]
    with sqlite3.connect(simulator.home / "simulator" / "state.sqlite3") as db:
        facts = [json.loads(row[0]) for row in db.execute("select fact from outbox")]
    db.close()
    orders = [fact for fact in facts if fact["kind"] == "order.placed"]
    visits = {fact["key"].removeprefix("visit-") for fact in facts if fact["kind"] == "visit.recorded"}
    assert len(orders) == bought > 0
    assert all(sum(line["amount"] for line in one["body"]["lines"]) == one["body"]["net"] for one in orders)
    assert {one["key"].removeprefix("order-") for one in orders} < visits
    assert all(one["who"][0]["kind"] == "unionid" for one in orders)


def test_time_in_small_steps_is_time_in_one_step(admin: SimulatorAdmin) -> None:
    keys = []
    for steps in (1, 7):
        admin.reset()
        admin.settings(seed=5)
        grow(admin, 200, 0.2)
        for _ in range(steps):
            admin.advance(3 * DAY / steps)
        keys.append({one["external_userid"] + one["key"] for one in admin.orders(10_000)})
    assert len(keys[0] ^ keys[1]) <= 2  # the two runs start a moment apart


def test_state_survives_a_kill(simulator: SimulatorProcess, world: World) -> None:
    msgid = world.send("anna", world.people[:3])
    world.admin.advance(3600)
    before = world.admin.status()["counts"]
    simulator.kill()
    simulator.start()
    status = world.admin.status()
    assert status["counts"] == before
    assert status["offset_s"] == 3600
    assert world.call("externalcontact/get_groupmsg_task", {"msgid": msgid})["errcode"] == 0  # the token too


def test_what_was_answered_survives_a_kill_in_the_middle_of_writing(simulator: SimulatorProcess, world: World) -> None:
    answered: list[str] = []
    enough = threading.Event()

    def write() -> None:
        body = {"sender": "anna", "external_userid": world.people[:3], "text": {"content": "x"}}
        while True:
            try:
                answered.append(world.call("externalcontact/add_msg_template", body)["msgid"])
            except httpx.HTTPError:
                return
            if len(answered) == 200:
                enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert enough.wait(30)
    simulator.kill()
    writer.join(10)
    simulator.start()
    kept = {task["msgid"] for task in world.admin.tasks(1000)["tasks"]}
    assert len(set(answered)) == len(answered) >= 200
    assert len(kept) - len(answered) in {0, 1}  # one may have been written whose answer was lost
    assert set(answered) <= kept
