"""What a member did with customers, by day."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.simulator.local import Corp

PATH = "externalcontact/get_user_behavior_data"
DAY = 86400
MONDAY = int(datetime(2026, 3, 2, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp())


def turn(corp: Corp, moment: float) -> None:
    clock = corp.admin.clock()
    corp.admin.clock(clock["offset_s"] + moment - clock["now"])
    corp.sign_in()


def test_a_day(corp: Corp) -> None:
    turn(corp, MONDAY + 36000)
    people = corp.admin.people([{"key": f"n{n}", "name": "N"} for n in range(2)])
    corp.act("add_by_phone", userid="anna", external_userid=people[0])
    corp.admin.relate("add", "anna", people[1])
    pair = {"userid": "anna", "external_userid": people[0]}
    corp.act("write", **pair, by="customer", times=2)
    corp.act("write", **pair, by="staff", after_minutes=6)
    corp.act("write", userid="anna", external_userid=people[1], by="staff", times=3)
    corp.act("write", userid="bo", external_userid=corp.people[4], by="customer")
    corp.admin.relate("delete_by_customer", "anna", people[1])
    turn(corp, MONDAY + DAY + 60)
    body: dict[str, Any] = {"userid": ["anna"], "start_time": MONDAY + 500, "end_time": MONDAY + 900}
    (anna,) = corp.call(PATH, body)["behavior_data"]
    assert anna == {
        **{"stat_time": MONDAY, "chat_cnt": 1, "message_cnt": 4, "negative_feedback_cnt": 1},
        **{"new_apply_cnt": 1, "new_contact_cnt": 2, "reply_percentage": 100.0, "avg_reply_time": 6},
    }
    (both,) = corp.call(PATH, {**body, "partyid": [1], "userid": []})["behavior_data"]
    assert (both["message_cnt"], both["reply_percentage"]) == (4, 50.0)
    turn(corp, MONDAY + 3 * DAY)
    days = corp.call(PATH, {**body, "end_time": MONDAY + 2 * DAY})["behavior_data"]
    assert [one["stat_time"] for one in days] == [MONDAY, MONDAY + DAY, MONDAY + 2 * DAY]
    assert "avg_reply_time" not in days[1]


@pytest.mark.parametrize(
    ("first", "last", "more", "code"),
    [
        (-1, -1, {}, 0),
        (0, 0, {}, 600018),
        (-1, -2, {}, 600018),
        (-40, -9, {}, 600018),
        (-181, -180, {}, 600018),
        (-1, -1, {"userid": []}, 40063),
        (-1, -1, {"userid": ["anna"] * 101}, 40058),
        (-1, -1, {"userid": ["nobody"]}, 40003),
    ],
)
def test_errors(corp: Corp, first: int, last: int, more: dict[str, Any], code: int) -> None:
    turn(corp, MONDAY + 7200)
    body = {"userid": ["anna"], "start_time": MONDAY + first * DAY, "end_time": MONDAY + last * DAY, **more}
    assert corp.code(PATH, body) == code
