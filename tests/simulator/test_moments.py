"""Moments: the job, who publishes, who sees, who reacts."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp

ADD, RESULT = "externalcontact/add_moment_task", "externalcontact/get_moment_task_result"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32
TEXT = {"text": {"content": "new tea"}}


def job(corp: Corp, **more: Any) -> str:
    answer = corp.call(ADD, {**TEXT, **more})
    assert answer["errcode"] == 0, answer
    return str(answer["jobid"])


def moment(corp: Corp, **more: Any) -> str:
    jobid = job(corp, **more)
    corp.admin.clock(corp.admin.clock()["offset_s"] + 3)
    return str(corp.call(RESULT, jobid=jobid)["result"]["moment_id"])


def uploaded(corp: Corp, purpose: int = 1) -> str:
    params = {"access_token": corp.token, "media_type": "image", "attachment_type": purpose}
    made = corp.http.post("media/upload_attachment", params=params, files={"media": ("a.png", PNG)}).json()
    assert isinstance(made["created_at"], int), made
    return str(made["media_id"])


def image(media_id: str) -> dict[str, Any]:
    return {"msgtype": "image", "image": {"media_id": media_id}}


def listed(corp: Corp, path: str, moment_id: str, **more: Any) -> dict[str, Any]:
    answer = corp.call(f"externalcontact/{path}", {"moment_id": moment_id, **more})
    assert answer["errcode"] == 0, answer
    return answer


def test_a_job_in_three_states(corp: Corp) -> None:
    corp.admin.settings(moment_job_s=200)
    tags = {"external_contact_list": {"tag_list": ["etnone"]}}
    senders = {"sender_list": {"user_list": ["anna", "nobody"], "department_list": [3, 99]}}
    jobid = job(corp, visible_range={**senders, **tags})
    assert corp.call(RESULT, jobid=jobid)["status"] == 1
    corp.admin.clock(120)
    assert corp.call(RESULT, jobid=jobid)["status"] == 2
    corp.admin.clock(250)
    found = corp.call(RESULT, jobid=jobid)
    result = found["result"]
    assert (found["status"], found["type"], result["moment_id"][:3]) == (3, "add_moment_task", "mom")
    assert result["invalid_sender_list"] == {"user_list": ["nobody"], "department_list": [99]}
    assert result["invalid_external_contact_list"] == {"tag_list": ["etnone"]}
    tasks = listed(corp, "get_moment_task", result["moment_id"])["task_list"]
    assert tasks == [{"userid": "anna", "publish_status": 0}, {"userid": "bo", "publish_status": 0}]
    corp.admin.clock(86400 + 60)
    corp.sign_in()
    assert corp.code(RESULT, jobid=jobid) == 40089
    assert corp.code(RESULT) == 40088


def test_publishing_seeing_reacting(corp: Corp) -> None:
    moment_id = moment(corp)
    assert corp.code("externalcontact/get_moment_send_result", {"moment_id": moment_id, "userid": "anna"}) == 41062
    assert corp.act("publish_moment", moment_id=moment_id, userid="anna") == {"seen": 3}
    page = listed(corp, "get_moment_send_result", moment_id, userid="anna", limit=2)
    rest = listed(corp, "get_moment_send_result", moment_id, userid="anna", limit=2, cursor=page["next_cursor"])
    seen = [one["external_userid"] for one in page["customer_list"] + rest["customer_list"]]
    assert (seen, rest["next_cursor"]) == (sorted(corp.people[:3]), "")
    range_ = listed(corp, "get_moment_customer_list", moment_id, userid="anna")["customer_list"]
    assert range_[0] == {"userid": "anna", "external_userid": sorted(corp.people[:3])[0]}
    corp.act("react", moment_id=moment_id, userid="anna", external_userid=corp.people[0], kind="comment")
    corp.act("react", moment_id=moment_id, userid="anna", external_userid=corp.people[1])
    found = listed(corp, "get_moment_comments", moment_id, userid="anna")
    assert [one["external_userid"] for one in found["comment_list"]] == [corp.people[0]]
    assert [one["external_userid"] for one in found["like_list"]] == [corp.people[1]]
    with pytest.raises(SimulatorRefused, match="does not see"):
        corp.act("react", moment_id=moment_id, userid="anna", external_userid=corp.people[4])
    assert listed(corp, "get_moment_task", moment_id)["task_list"][0] == {"userid": "anna", "publish_status": 1}
    assert corp.code("externalcontact/get_moment_comments", {"moment_id": moment_id, "userid": "carl"}) == 41061


def test_only_customers_with_a_tag(corp: Corp) -> None:
    (tag,) = corp.act("add_tags", group="g", tags=["a"])["tag_ids"]
    corp.act("tag", userid="anna", external_userid=corp.people[1], add=[tag])
    moment_id = moment(corp, visible_range={"external_contact_list": {"tag_list": [tag]}})
    assert corp.act("publish_moment", moment_id=moment_id, userid="anna") == {"seen": 1}


def test_a_customer_sees_so_many_a_day(corp: Corp) -> None:
    corp.admin.settings(moments_seen_a_day=1)
    first, second = moment(corp), moment(corp)
    assert corp.act("publish_moment", moment_id=first, userid="anna") == {"seen": 3}
    assert corp.act("publish_moment", moment_id=second, userid="anna") == {"seen": 0}
    assert len(listed(corp, "get_moment_customer_list", second, userid="anna")["customer_list"]) == 3


def test_staff_publish_in_their_own_time_unless_cancelled(corp: Corp) -> None:
    corp.admin.settings(confirm_rate=1, confirm_delay_s=3600)
    first, second = moment(corp), moment(corp)
    assert corp.code("externalcontact/cancel_moment_task", {"moment_id": second}) == 0
    corp.pass_time(7200)
    statuses = [
        [one["publish_status"] for one in listed(corp, "get_moment_task", moment_id)["task_list"]]
        for moment_id in (first, second)
    ]
    assert statuses == [[1, 1], [0, 0]]


def test_list(corp: Corp) -> None:
    media = uploaded(corp)
    first = moment(corp, attachments=[image(media)])
    own = corp.act("post_moment", userid="bo", text="my cup")["moment_id"]
    corp.admin.clock(corp.admin.clock()["offset_s"] + 3)
    now = int(corp.admin.clock()["now"])
    body: dict[str, Any] = {"start_time": now - 60, "end_time": now}
    path = "externalcontact/get_moment_list"
    mine, theirs = corp.call(path, body)["moment_list"]
    assert (mine["moment_id"], mine["creator"], mine["create_type"]) == (own, "bo", 1)
    assert (theirs["moment_id"], theirs["image"], "creator" in theirs) == (first, [{"media_id": media}], False)
    for kind, expected in ((0, [first]), (1, [own])):
        found = corp.call(path, {**body, "filter_type": kind})["moment_list"]
        assert [one["moment_id"] for one in found] == expected
    assert corp.code(path, {**body, "limit": 21}) == 40058
    assert corp.code(path, {**body, "end_time": now + 31 * 86400}) == 600018
    assert corp.code("externalcontact/cancel_moment_task", {"moment_id": own}) == 301002
    assert corp.code("externalcontact/get_moment_task", {"moment_id": own}) == 41060
    assert corp.code("externalcontact/get_moment_task", {}) == 41059


def test_rules_of_content(corp: Corp) -> None:
    picture, album = image(uploaded(corp)), image(uploaded(corp, 2))
    link = {"msgtype": "link", "link": {"title": "t", "url": "https://x/", "media_id": uploaded(corp)}}
    cases: list[tuple[dict[str, Any], int]] = [
        ({"text": {"content": "x" * 2001}}, 45002),
        ({"text": {"content": ""}}, 40058),
        ({"attachments": [picture] * 9}, 0),
        ({"attachments": [picture] * 10}, 41064),
        ({"attachments": [picture, link]}, 41065),
        ({"attachments": [{"msgtype": "file", "file": {}}]}, 41065),
        ({"attachments": [album]}, 40007),
        ({"attachments": [link]}, 0),
        ({"attachments": [{"msgtype": "link", "link": {**link["link"], "url": ""}}]}, 40058),
    ]
    assert [corp.code(ADD, {**TEXT, **change}) for change, _ in cases] == [code for _, code in cases]
    body = {"sender": "anna", "external_userid": corp.people[:1], "attachments": [picture]}
    assert corp.code("externalcontact/add_msg_template", body) == 40007  # made for moments only
