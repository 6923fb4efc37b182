"""The port `TaskChannel` over the wire, faults included."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hetang.connectors.wecom.channel import WeComChannel, channel
from hetang.connectors.wecom.models import App, Corp, Pace
from hetang.platform import clock
from hetang.touch.ports import OutcomeUnknown, Refused, TaskChannel, TaskRequest
from tests.simulator.process import SimulatorProcess
from tests.simulator.world import World

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32
LINK = "https://brand.example/l/ab1"


@pytest.fixture
def wecom(app: App) -> WeComChannel:
    return channel()


def request(world: World, people: int = 2, text: str = "hello", link: str = LINK) -> TaskRequest:
    return TaskRequest(sender="anna", recipients=world.people[:people], text=text, link=link)


def test_it_is_the_port(wecom: WeComChannel) -> None:
    assert isinstance(wecom, TaskChannel)
    assert wecom.people_per_task == 10_000


def test_a_task_from_making_to_results(wecom: WeComChannel, world: World) -> None:
    msgid = wecom.create_task(request(world))
    (state,) = wecom.task_states(msgid)
    assert (state.userid, state.confirmed, state.at) == ("anna", False, None)
    assert {one.state for one in wecom.results(msgid, "anna")} == {"unsent"}
    world.admin.relate("delete_by_customer", "anna", world.people[0])
    world.admin.confirm(msgid)
    (state,) = wecom.task_states(msgid)
    assert state.confirmed
    assert state.at is not None
    results = {one.external_userid: one.state for one in wecom.results(msgid, "anna")}
    assert results == {world.people[0]: "not_friend", world.people[1]: "sent"}


def test_people_whom_wecom_does_not_take_are_not_friends(wecom: WeComChannel, world: World) -> None:
    mine, hers = world.people[0], world.people[4]
    msgid = wecom.create_task(TaskRequest("anna", [mine, hers], "x", LINK))
    results = {one.external_userid: one.state for one in wecom.results(msgid, "anna")}
    assert results == {mine: "unsent", hers: "not_friend"}


def test_cap_is_told_per_person(wecom: WeComChannel, world: World) -> None:
    world.admin.settings(monthly_cap=0)
    msgid = wecom.create_task(request(world))
    world.admin.confirm(msgid)
    assert {one.state for one in wecom.results(msgid, "anna")} == {"limit"}


def test_the_mark_is_in_the_task(wecom: WeComChannel, world: World) -> None:
    wecom.create_task(request(world))
    wecom.create_task(request(world, text=f"look: {LINK}x"))
    attachment = {"type": "link", "title": "Look", "url": LINK + "y"}
    with_link = TaskRequest("anna", world.people[:1], "look", LINK + "y", [attachment])
    wecom.create_task(with_link)
    made = {one["text"]: one["attachments"] for one in world.admin.tasks()["tasks"]}
    assert made == {
        f"hello\n{LINK}": [],
        f"look: {LINK}x\n{LINK}": [],
        "look": [{"msgtype": "link", "link": {"title": "Look", "url": LINK + "y"}}],
    } or made.keys() == {f"hello\n{LINK}", f"look: {LINK}x", "look"}


def test_image_attachment(wecom: WeComChannel, world: World) -> None:
    address = wecom.upload_image(PNG, "a.png")
    wecom.create_task(TaskRequest("anna", world.people[:1], "x", LINK, [{"type": "image", "image": address}]))
    (task,) = world.admin.tasks()["tasks"]
    assert task["attachments"] == [{"msgtype": "image", "image": {"pic_url": address}}]


def test_dropped_answer_is_unknown_and_found_by_its_mark(wecom: WeComChannel, world: World) -> None:
    since = clock.now()
    world.admin.fault("drop_after", "externalcontact/add_msg_template")
    with pytest.raises(OutcomeUnknown):
        wecom.create_task(request(world))
    msgid = wecom.find_task(LINK, since)
    assert msgid == world.admin.tasks()["tasks"][0]["msgid"]
    world.admin.fault("drop_before", "externalcontact/add_msg_template")
    with pytest.raises(OutcomeUnknown):
        wecom.create_task(request(world, link=LINK + "2"))
    assert wecom.find_task(LINK + "2", since) is None


def test_a_longer_mark_is_not_this_mark(wecom: WeComChannel, world: World) -> None:
    since = clock.now()
    wecom.create_task(request(world, link=LINK + "2"))
    assert wecom.find_task(LINK, since) is None


def test_found_among_many_pages_and_only_since(wecom: WeComChannel, world: World) -> None:
    msgid = wecom.create_task(request(world))
    for number in range(120):
        world.send("bo", world.people[3:], f"other {number}")
    assert wecom.find_task(LINK, clock.now() - timedelta(days=60)) == msgid
    world.admin.clock(3 * 86400)  # the task is now older than the search goes back
    assert wecom.find_task(LINK, clock.now() + timedelta(days=3)) is None


def test_listing_lags(wecom: WeComChannel, world: World) -> None:
    world.admin.settings(list_lag_s=60)
    since = clock.now()
    msgid = wecom.create_task(request(world))
    assert wecom.find_task(LINK, since) is None
    world.admin.clock(61)
    assert wecom.find_task(LINK, since) == msgid


def test_asking_may_fail_too(wecom: WeComChannel, world: World) -> None:
    wecom.create_task(request(world))
    world.admin.fault("drop_before", "externalcontact/get_groupmsg_list_v2", times=3)
    with pytest.raises(OutcomeUnknown):
        wecom.find_task(LINK, clock.now())


@pytest.mark.parametrize(
    ("change", "code", "permanent"),
    [
        ({"sender": "nobody"}, "sender_unknown", True),
        ({"sender": "carl"}, "sender_without_customer_contact", False),
        ({"recipients": ["wmnobody"]}, "nobody_to_send_to", True),
        ({"text": "中" * 1334}, "text_too_long", True),
        ({"attachments": [{"type": "poem"}]}, "attachment_kind", True),
    ],
)
def test_refusals(wecom: WeComChannel, world: World, change: dict[str, object], code: str, permanent: bool) -> None:
    asked = {"sender": "anna", "recipients": world.people[:1], "text": "x", "link": LINK, **change}
    with pytest.raises(Refused) as caught:
        wecom.create_task(TaskRequest(**asked))  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.permanent) == (code, permanent)


@pytest.mark.parametrize(("code", "name"), [(45009, "rate_limited"), (48002, "wecom_48002")])
def test_refusals_that_pass(wecom: WeComChannel, world: World, code: int, name: str) -> None:
    world.admin.fault("error", "externalcontact/add_msg_template", code=code)
    with pytest.raises(Refused) as caught:
        wecom.create_task(request(world))
    assert (caught.value.code, caught.value.permanent) == (name, False)
    Pace.objects.update(held_until=None)  # the limit's minute is over
    assert wecom.create_task(request(world))


def test_busy_is_unknown(wecom: WeComChannel, world: World) -> None:
    world.admin.fault("error", "externalcontact/add_msg_template", code=-1)
    with pytest.raises(OutcomeUnknown):
        wecom.create_task(request(world))


def test_unreachable_is_refused_for_now(wecom: WeComChannel, simulator: SimulatorProcess, world: World) -> None:
    asked = request(world)
    wecom.create_task(asked)
    simulator.kill()
    try:
        with pytest.raises(Refused) as caught:
            wecom.create_task(asked)
    finally:
        simulator.start()
    assert (caught.value.code, caught.value.permanent) == ("unreachable", False)
    assert wecom.create_task(asked)


def test_not_connected(db: None) -> None:
    with pytest.raises(Refused) as caught:
        channel().cancel("msg")
    assert caught.value.code == "not_connected"
    assert Corp.objects.count() == 0


def test_remind_three_times_a_day(wecom: WeComChannel, world: World) -> None:
    msgid = wecom.create_task(request(world))
    for _ in range(3):
        wecom.remind(msgid)
    with pytest.raises(Refused) as caught:
        wecom.remind(msgid)
    assert caught.value.code == "reminder_limit"


def test_cancel_twice(wecom: WeComChannel, world: World) -> None:
    msgid = wecom.create_task(request(world))
    wecom.cancel(msgid)
    wecom.cancel(msgid)
    assert world.admin.confirm(msgid)["confirmed"] == 0
    with pytest.raises(Refused) as caught:
        wecom.cancel("msgnothing")
    assert caught.value.code == "task_unknown"


def test_results_of_many_people(wecom: WeComChannel, world: World) -> None:
    people = world.admin.people({"key": f"x{n}", "name": f"X{n}"} for n in range(2500))
    world.admin.relations({"userid": "anna", "external_userid": one, "createtime": 1_700_000_000} for one in people)
    msgid = wecom.create_task(TaskRequest("anna", people, "x", LINK))
    world.admin.confirm(msgid)
    results = wecom.results(msgid, "anna")
    assert (len(results), {one.state for one in results}) == (2500, {"sent"})
