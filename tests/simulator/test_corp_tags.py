"""Corp tags: the catalogue, marking, limits, and what is told to whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.simulator.local import Corp

LIST, ADD, EDIT, DELETE, MARK = (
    f"externalcontact/{name}"
    for name in ("get_corp_tag_list", "add_corp_tag", "edit_corp_tag", "del_corp_tag", "mark_tag")
)


def made(corp: Corp, group: str, *names: str) -> tuple[str, list[str]]:
    answer = corp.call(ADD, {"group_name": group, "tag": [{"name": name} for name in names]})
    assert answer["errcode"] == 0, answer
    found = answer["tag_group"]
    return found["group_id"], [tag["id"] for tag in found["tag"]]


def listed(corp: Corp, **body: Any) -> list[tuple[str, list[str]]]:
    groups = corp.call(LIST, body)["tag_group"]
    return [(group["group_name"], [tag["name"] for tag in group["tag"]]) for group in groups]


def tags_of(corp: Corp, person: str) -> list[str]:
    (follower,) = corp.call("externalcontact/get", external_userid=person)["follow_user"]
    return [tag["tag_name"] for tag in follower["tags"]]


def test_a_group_is_made_once_and_filled(corp: Corp) -> None:
    group, (gold,) = made(corp, "Tier", "gold")
    assert (group[:2], len(group), gold[:2], len(gold)) == ("et", 32, "et", 32)
    assert made(corp, "Tier", "gold", "silver", "silver")[1][0] == gold
    again = corp.call(ADD, {"group_id": group, "tag": [{"name": "bronze", "order": 9}]})["tag_group"]
    assert [tag["name"] for tag in again["tag"]] == ["bronze"]  # only those of the call
    assert listed(corp) == [("Tier", ["bronze", "gold", "silver"])]


def test_larger_order_comes_first(corp: Corp) -> None:
    corp.call(ADD, {"group_name": "A", "order": 1, "tag": [{"name": "x", "order": 1}, {"name": "y", "order": 2}]})
    corp.call(ADD, {"group_name": "B", "order": 5, "tag": [{"name": "z"}]})
    assert listed(corp) == [("B", ["z"]), ("A", ["y", "x"])]


def test_deleted_ones_show_only_by_id(corp: Corp) -> None:
    group, (gold, silver) = made(corp, "Tier", "gold", "silver")
    assert corp.code(DELETE, {"tag_id": [gold]}) == 0
    assert listed(corp) == [("Tier", ["silver"])]
    (found,) = corp.call(LIST, {"tag_id": [gold]})["tag_group"]
    assert (found["tag"][0]["deleted"], "deleted" in found) == (True, False)
    assert corp.code(DELETE, {"tag_id": [silver]}) == 0  # the last one takes the group along
    assert listed(corp) == []
    (found,) = corp.call(LIST, {"group_id": [group], "tag_id": ["ignored"]})["tag_group"]
    assert (found["deleted"], len(found["tag"])) == (True, 2)


def test_edit(corp: Corp) -> None:
    group, (gold, _silver) = made(corp, "Tier", "gold", "silver")
    assert corp.code(EDIT, {"id": gold, "name": "silver"}) == 40071
    assert corp.code(EDIT, {"id": gold, "name": "platinum"}) == 0
    assert corp.code(EDIT, {"id": group, "name": "Level", "order": 3}) == 0
    assert listed(corp) == [("Level", ["platinum", "silver"])]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (ADD, {"group_name": "g" * 31, "tag": [{"name": "x"}]}, 40072),
        (ADD, {"group_name": "g", "tag": [{"name": "x" * 31}]}, 40072),
        (ADD, {"group_name": "g", "tag": [{"name": ""}]}, 40063),
        (ADD, {"group_name": "g", "tag": []}, 40063),
        (ADD, {"group_name": "g", "tag": [{"name": "x", "order": 1 << 32}]}, 40058),
        (ADD, {"group_id": "etnone", "tag": [{"name": "x"}]}, 40068),
        (ADD, {"group_name": "g", "tag": [{"name": "x"}], "agentid": 1}, 40056),
        (EDIT, {"id": "etnone", "name": "x"}, 40068),
        (EDIT, {}, 40068),
        (DELETE, {}, 40063),
        (DELETE, {"tag_id": ["etnone"]}, 40068),
        ("externalcontact/add_strategy_tag", {"group_name": "g", "tag": [{"name": "x"}]}, 40058),
    ],
)
def test_errors_of_the_catalogue(corp: Corp, path: str, body: dict[str, Any], code: int) -> None:
    assert corp.code(path, body) == code


def test_limit_of_tags(corp: Corp) -> None:
    corp.admin.settings(corp_tags=2)
    made(corp, "g", "a", "b")
    assert corp.code(ADD, {"group_name": "h", "tag": [{"name": "c"}]}) == 40126
    assert listed(corp) == [("g", ["a", "b"])]  # nothing half done


def test_another_apps_tags_are_not_ours_to_change(corp: Corp) -> None:
    group = corp.act("add_tags", group="Console", tags=["a"])["group_id"]
    assert corp.code(EDIT, {"id": group, "name": "x"}) == 81011
    assert corp.code(DELETE, {"group_id": [group]}) == 81011


def test_marks_belong_to_member_and_customer(corp: Corp) -> None:
    _, (a, b) = made(corp, "g", "a", "b")
    pair = {"userid": "anna", "external_userid": corp.people[0]}
    assert corp.code(MARK, {**pair, "add_tag": [a, b, a]}) == 0
    assert tags_of(corp, corp.people[0]) == ["a", "b"]
    assert tags_of(corp, corp.people[1]) == []
    page = corp.call("externalcontact/batch/get_by_user", {"userid_list": ["anna"]})["external_contact_list"]
    assert sorted(one["follow_info"]["tag_id"] for one in page) == [[], [], [a, b]]
    assert corp.code(MARK, {**pair, "add_tag": [], "remove_tag": [a]}) == 0
    corp.call(DELETE, {"tag_id": [b]})
    assert tags_of(corp, corp.people[0]) == []
    assert corp.events() == []  # the API is not told of itself


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"add_tag": []}, 40063),
        ({"add_tag": ["etnone"]}, 40068),
        ({"userid": "bo"}, 84061),
        ({"external_userid": "wmother"}, 40096),
    ],
)
def test_errors_of_marking(corp: Corp, change: dict[str, Any], code: int) -> None:
    _, (a,) = made(corp, "g", "a")
    body = {"userid": "anna", "external_userid": corp.people[0], "add_tag": [a], **change}
    assert corp.code(MARK, body) == code


def test_five_marks_at_a_time(corp: Corp) -> None:
    _, (a,) = made(corp, "g", "a")
    body = {"userid": "anna", "external_userid": corp.people[0], "add_tag": [a]}
    corp.admin.fault("slow", MARK, times=6, seconds=0.5)
    with ThreadPoolExecutor(6) as pool:
        codes = sorted(pool.map(lambda _: corp.code(MARK, body), range(6)))
    assert codes == [0, 0, 0, 0, 0, 45033]


def test_what_people_do_is_told(corp: Corp) -> None:
    one = corp.act("add_tags", group="Tier", tags=["gold", "silver"])
    group, (gold, silver) = one["group_id"], one["tag_ids"]
    corp.act("edit_tag", id=gold, name="platinum")
    corp.act("tag", userid="anna", external_userid=corp.people[0], add=[gold])
    corp.act("tag", userid="anna", external_userid=corp.people[0], add=[gold])  # changes nothing
    corp.act("shuffle_tags", group_id=group)
    corp.act("delete_tags", ids=[silver])
    corp.act("delete_tags", ids=[group])
    tag, of_group = {"TagType": "tag"}, {"TagType": "tag_group"}
    assert [{name: value for name, value in told.items() if name != "Event"} for told in corp.events()] == [
        {"ChangeType": "create", "Id": group, **of_group},
        {"ChangeType": "create", "Id": gold, **tag},
        {"ChangeType": "create", "Id": silver, **tag},
        {"ChangeType": "update", "Id": gold, **tag},
        {"ChangeType": "edit_external_contact", "UserID": "anna", "ExternalUserID": corp.people[0]},
        {"ChangeType": "shuffle", "Id": group},
        {"ChangeType": "delete", "Id": silver, **tag},
        {"ChangeType": "delete", "Id": group, **of_group},  # and none for the tags in it
    ]


def test_tags_of_rule_groups(corp: Corp) -> None:
    body = {"strategy_id": 4, "group_name": "Rule", "tag": [{"name": "r"}]}
    found = corp.call("externalcontact/add_strategy_tag", body)["tag_group"]
    assert found["strategy_id"] == 4
    tag = found["tag"][0]["id"]
    assert listed(corp) == []
    assert corp.code(EDIT, {"id": tag, "name": "x"}) == 40068  # no corp tag
    assert corp.code("externalcontact/edit_strategy_tag", {"id": tag, "name": "x"}) == 0
    corp.call(MARK, {"userid": "anna", "external_userid": corp.people[0], "add_tag": [tag]})
    (follower,) = corp.call("externalcontact/get", external_userid=corp.people[0])["follow_user"]
    assert follower["tags"] == [{"group_name": "Rule", "tag_name": "x", "tag_id": tag, "type": 3}]
    groups = corp.call("externalcontact/get_strategy_tag_list", {"strategy_id": 4})["tag_group"]
    assert [group["strategy_id"] for group in groups] == [4]
    assert corp.call("externalcontact/get_strategy_tag_list", {"strategy_id": 5})["tag_group"] == []
    assert corp.code("externalcontact/del_strategy_tag", {"tag_id": [tag]}) == 0
    corp.act("add_tags", group="Rule", tags=["s"], strategy_id=4)
    assert [told["StrategyId"] for told in corp.events()] == [4, 4]
