"""What is refused, where and why: every code of `errors.MESSAGES`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from hetang.audiences.behaviour_sentences import FACT_NAMES
from hetang.audiences.errors import MESSAGES, message
from hetang.audiences.matching import matches
from hetang.audiences.moments import anniversaries
from hetang.audiences.people import Person
from hetang.audiences.reading import every_condition, parse
from hetang.audiences.rules import FACT_KINDS, All, InvalidRule, LeftAlone, PondRule, SavedRule
from hetang.audiences.sentences import describe
from hetang.facts.kinds import KINDS
from tests.audiences.population import CATALOGUE, CODES, MOMENT

TAG = {"type": "tag", "op": "any", "tags": ["gold"]}


def nest(depth: int) -> dict[str, Any]:
    return {"not": nest(depth - 1)} if depth else TAG


def life(**other: Any) -> dict[str, Any]:
    return {"type": "life_stage", "model": "child", "op": "in", "stages": [CODES[0]], **other}


def place(**fields: Any) -> dict[str, Any]:
    return {"type": "place", "of": "spot", "stores": ["s1"], "km": 3, **fields}


def behaviour(**fields: Any) -> dict[str, Any]:
    return {"type": "behaviour", "event": "bought", "op": "at_least", "value": 1, **fields}


def then(**fields: Any) -> dict[str, Any]:
    first, after = {"event": "visited"}, {"event": "bought"}
    return {"type": "behaviour_then", "first": first, "then": after, "within": 3, **fields}


def metric(**fields: Any) -> dict[str, Any]:
    return {"type": "metric", "metric": "orders", "op": "=", "value": 1, **fields}


def percentile(**fields: Any) -> dict[str, Any]:
    return {"type": "percentile", "side": "top", "percent": 10, "by": "spent", **fields}


def rfm(**fields: Any) -> dict[str, Any]:
    return {"type": "rfm", **fields}


SAVED = {"type": "audience", "audience": "looped"}
LOOPED = replace(
    CATALOGUE,
    audiences={
        "looped": SavedRule(1, "Looped", {"version": 1, "rule": {"all": [SAVED]}}),
        "fine": SavedRule(4, "Fine", {"version": 1, "rule": TAG}),
        "kept": SavedRule(3, "Kept", {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["baby"]}}),
        "own": SavedRule(5, "Value·Own", {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["gone"]}}, True),
        "broken": SavedRule(2, "Broken", {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["gone"]}}),
    },
    kept={"baby": "kept", "lost": "fine"},
    ponds={**CATALOGUE.ponds, "p3": PondRule("Value", "Own", "own", ())},
)

CASES: list[tuple[Any, str, tuple[str | int, ...]]] = [
    ({"all": [nest(12)]}, "too_deep", ("rule", "all", 0, *["not"] * 11)),
    ({"all": [TAG] * 501}, "too_many", ("rule", "all", 500)),
    ({"all": [3]}, "not_a_condition", ("rule", "all", 0)),
    ({"any": []}, "empty_group", ("rule",)),
    ({"all": [{"any": []}]}, "empty_group", ("rule", "all", 0)),
    ({"all": [TAG], "any": [TAG]}, "unknown_field", ("rule",)),
    ({"type": "moon"}, "unknown_type", ("rule",)),
    ({"type": ["tag"]}, "unknown_type", ("rule",)),
    ({**TAG, "colour": 1}, "unknown_field", ("rule",)),
    ({**TAG, "tags": []}, "missing", ("rule", "tags")),
    ({**TAG, "tags": ["gone"]}, "unknown_tag", ("rule", "tags")),
    ({**TAG, "tags": "gold"}, "not_a_list", ("rule", "tags")),
    ({**TAG, "op": "some"}, "not_an_option", ("rule", "op")),
    ({**TAG, "days": 0}, "not_a_number", ("rule", "days")),
    ({**TAG, "sources": "wecom"}, "not_a_list", ("rule", "sources")),
    ({**TAG, "tags": ["lost"], "days": 7}, "tag_is_kept", ("rule", "tags")),
    ({"type": "attribute", "code": "shoe", "op": "="}, "unknown_attribute", ("rule", "code")),
    ({"type": "attribute", "code": "city", "op": "=", "value": "x" * 201}, "not_a_text", ("rule", "value")),
    ({"type": "attribute", "code": "city", "op": "<", "value": "x"}, "not_an_option", ("rule", "op")),
    ({"type": "attribute", "code": "level", "op": "=", "value": "z"}, "not_an_option", ("rule", "value")),
    ({"type": "attribute", "code": "born", "op": "=", "value": "2026-02-30"}, "not_a_date", ("rule", "value")),
    ({"type": "attribute", "code": "member", "op": "=", "value": 1}, "not_a_boolean", ("rule", "value")),
    (metric(op="between", value=[1]), "not_a_pair", ("rule", "value")),
    (metric(op="between", value=[2, 1]), "wrong_way_round", ("rule", "value")),
    ({"type": "bucket", "from": 0, "to": 10}, "not_a_number", ("rule", "from")),
    ({"type": "bucket", "from": 1, "to": 101}, "not_a_number", ("rule", "to")),
    ({"type": "bucket", "from": 5, "to": 4}, "wrong_way_round", ("rule", "to")),
    (metric(value=True), "not_a_number", ("rule", "value")),
    (metric(value=1.5), "not_a_number", ("rule", "value")),
    (metric(metric="favourite_store", op="in", value=["s9"]), "unknown_store", ("rule", "value")),
    (place(stores=["s4"]), "store_without_position", ("rule", "stores")),
    (place(of="city"), "not_a_place", ("rule", "of")),
    (place(km=0), "not_a_distance", ("rule", "km")),
    (place(op="nearest"), "unknown_field", ("rule",)),
    ({"type": "district", "of": "spot"}, "missing", ("rule", "districts")),
    ({"type": "district", "of": "spot", "districts": ["d9"]}, "unknown_district", ("rule", "districts")),
    ({"type": "district", "of": "city", "parents": ["west"]}, "not_a_place", ("rule", "of")),
    ({"type": "date", "of": "attribute:city", "op": "within_last", "days": 3}, "not_a_date_attribute", ("rule", "of")),
    ({"type": "date", "of": "last_visit", "op": "anniversary_within", "days": 3}, "not_an_option", ("rule", "op")),
    ({"type": "store", "op": "home", "stores": ["s1"], "node": "north"}, "store_or_node", ("rule",)),
    ({"type": "store", "op": "home", "node": "south"}, "unknown_node", ("rule", "node")),
    (behaviour(category="shoes"), "unknown_category", ("rule", "category")),
    (behaviour(sku="p9"), "unknown_product", ("rule", "sku")),
    (behaviour(days=0), "not_a_number", ("rule", "days")),
    (behaviour(days=7, to="2026-01-01"), "two_periods", ("rule",)),
    (behaviour(**{"from": "2026-01-02", "to": "2026-01-01"}), "wrong_way_round", ("rule", "to")),
    (behaviour(days=31, before_days=30), "no_days_between", ("rule", "before_days")),
    (behaviour(hours=[9, 9]), "no_hours_between", ("rule", "hours")),
    (behaviour(hours=[9]), "not_a_pair", ("rule", "hours")),
    (behaviour(hours=[9, 25]), "not_a_number", ("rule", "hours")),
    (behaviour(weekdays="sunday"), "not_an_option", ("rule", "weekdays")),
    (behaviour(measure="distinct", of="weather"), "not_an_option", ("rule", "of")),
    (behaviour(measure="average"), "not_an_option", ("rule", "measure")),
    (behaviour(event="fact", kind="order.placed"), "not_an_option", ("rule", "kind")),
    (behaviour(event="fact", kind="tag.changed", sku="p1"), "unknown_field", ("rule",)),
    ({"type": "behaviour_at", "event": "spent"}, "not_an_option", ("rule", "event")),
    ({"type": "behaviour_at", "event": "bought", "days": 3, "date": "2026-01-01"}, "unknown_field", ("rule",)),
    (then(then=3), "not_a_deed", ("rule", "then")),
    (then(then={"event": "bought", "days": 3}), "unknown_field", ("rule", "then")),
    (then(first={"event": "bought", "sku": "p9"}), "unknown_product", ("rule", "first", "sku")),
    (then(within=0), "not_a_number", ("rule", "within")),
    (behaviour(event="visited", sku="p1"), "unknown_field", ("rule",)),
    (behaviour(event="received", sources=["till"]), "unknown_field", ("rule",)),
    (behaviour(event="clicked", stores=["s1"]), "unknown_field", ("rule",)),
    (behaviour(event="clicked", measure="sum"), "not_an_option", ("rule", "measure")),
    (behaviour(event="clicked", broadcasts=["gone"]), "unknown_broadcast", ("rule", "broadcasts")),
    (behaviour(event="received", message_class="spam"), "not_an_option", ("rule", "message_class")),
    (behaviour(event="received", campaigns=["gone"]), "unknown_campaign", ("rule", "campaigns")),
    (then(then={"event": "received", "broadcasts": ["b9"]}), "unknown_broadcast", ("rule", "then", "broadcasts")),
    ({"type": "relation", "staff": ["nobody"]}, "unknown_staff", ("rule", "staff")),
    ({"type": "friendship", "staff": ["nobody"]}, "unknown_staff", ("rule", "staff")),
    ({"type": "friendship", "campaigns": ["gone"]}, "unknown_campaign", ("rule", "campaigns")),
    ({"type": "friendship", "campaigns": "c1"}, "not_a_list", ("rule", "campaigns")),
    ({"type": "friendship", "ways": ["by owl"]}, "not_an_option", ("rule", "ways")),
    ({"type": "group_chat", "groups": ["nowhere"]}, "unknown_group", ("rule", "groups")),
    ({"type": "first_source", "by": "wind"}, "not_an_option", ("rule", "by")),
    ({"type": "first_source", "by": "order", "ways": ["qr_code"]}, "unknown_field", ("rule",)),
    ({"type": "first_source", "by": "order", "staff": ["nobody"]}, "unknown_staff", ("rule", "staff")),
    ({"type": "first_source", "by": "friendship", "stores": ["s9"]}, "unknown_store", ("rule", "stores")),
    ({"type": "first_source", "days": 0}, "not_a_number", ("rule", "days")),
    ({"type": "first_source", "campaigns": ["gone"]}, "unknown_campaign", ("rule", "campaigns")),
    ({"type": "first_source", "by": "order", "campaigns": ["c1"]}, "unknown_field", ("rule",)),
    (life(model="gone"), "unknown_stage_model", ("rule", "model")),
    (life(stages=["gone"]), "unknown_stage", ("rule", "stages")),
    (life(stages=[]), "missing", ("rule", "stages")),
    (life(days=3), "unknown_field", ("rule",)),
    (life(op="entered_within", days=0), "not_a_number", ("rule", "days")),
    (life(whose="own"), "stage_model_has_no_such_date", ("rule", "whose")),
    ({"type": "audience", "audience": "gone"}, "unknown_audience", ("rule", "audience")),
    ({"type": "pond", "ponds": ["gone"]}, "unknown_pond", ("rule", "ponds")),
    ({"type": "pond", "ponds": ["p2"]}, "unknown_audience", ("rule", "ponds")),
    ({"type": "pond", "ponds": ["p3"]}, "broken_pond", ("rule", "ponds")),
    ({"type": "audience", "audience": "own"}, "unknown_audience", ("rule", "audience")),
    ({"type": "audience_moved", "audience": "own", "days": 3}, "unknown_audience", ("rule", "audience")),
    ({"type": "audience", "audience": "broken"}, "broken_audience", ("rule", "audience")),
    ({"type": "audience", "audience": "looped"}, "cycle", ("rule", "audience")),
    (
        {"type": "audience_at", "audience": "fine", "date": "2026-11-11", "time": "9 o'clock"},
        "not_a_time",
        ("rule", "time"),
    ),
    ({"type": "audience_moved", "audience": "looped", "days": 3}, "cycle", ("rule", "audience")),
    ({"type": "tag", "tags": ["baby"]}, "tag_cycle", ("rule", "tags")),
    (percentile(percent=0.15), "not_a_share", ("rule", "percent")),
    (percentile(percent=100), "not_a_share", ("rule", "percent")),
    (percentile(by="attribute:gone"), "unknown_attribute", ("rule", "by")),
    (percentile(by="attribute:city"), "not_a_number_attribute", ("rule", "by")),
    (percentile(by="lateness"), "not_an_option", ("rule", "by")),
    (percentile(by="gmv", days=30), "unknown_field", ("rule",)),
    (percentile(by="visits", category="tea"), "unknown_field", ("rule",)),
    (percentile(category="gone"), "unknown_category", ("rule", "category")),
    (percentile(by="visits", store="gone"), "unknown_store", ("rule", "store")),
    (rfm(segments=["important_value"], money=[1, 5]), "segments_or_scores", ("rule",)),
    (rfm(segments=["whales"]), "not_an_option", ("rule", "segments")),
    (rfm(), "missing", ("rule", "segments")),
    (rfm(recency=[1, 6]), "not_a_number", ("rule", "recency")),
    (rfm(frequency=[4, 3]), "wrong_way_round", ("rule", "frequency")),
    (rfm(money=[4]), "not_a_pair", ("rule", "money")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "code", "path"), CASES)
def test_what_cannot_be_evaluated_says_where_and_why(rule: Any, code: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse({"version": 1, "rule": rule}, LOOPED)
    problem = refused.value.problems[0]
    assert (problem.code, problem.path) == (code, path)
    assert "{" not in message(problem)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (None, "not_a_rule"),
        ([], "not_a_rule"),
        ({"rule": TAG}, "unknown_version"),
        ({"version": 2, "rule": TAG}, "unknown_version"),
    ],
)
def test_documents_of_another_form_are_refused(document: Any, code: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse(document, CATALOGUE)
    assert [problem.code for problem in refused.value.problems] == [code]


def test_every_code_has_a_case() -> None:
    tested = {code for _, code, _ in CASES} | {"not_a_rule", "unknown_version"}
    assert tested == set(MESSAGES)


def test_facts_that_name_a_person_can_be_asked_for_and_have_names() -> None:
    own_events = {"order.placed", "visit.recorded", "click.identified", "link.clicked"}  # the last names nobody
    named = {name for name, kind in KINDS.items() if kind.subject != "none"} - own_events
    assert set(FACT_KINDS) == named == set(FACT_NAMES)


@pytest.mark.parametrize(
    ("rule", "chinese", "english"),
    [
        (
            behaviour(days=30, hours=[22, 2], weekdays="weekend"),
            "最近 30 天周末 22 点至次日 2 点购买过",
            "bought at the weekend between 22:00 and 2:00 in the last 30 days",
        ),
        (
            behaviour(event="received", op="at_most", value=0, campaigns=["c1"], message_class="marketing", days=7),
            "最近 7 天没有收到活动“Spring”的营销消息",
            "never received marketing messages of the campaign “Spring” in the last 7 days",
        ),
        (
            behaviour(event="received", value=2, broadcasts=["b2"], channel="sms"),
            "历史上通过短信收到群发“Second”的消息至少 2 次",
            "received messages by SMS of the broadcast “Second” at least 2 times ever",
        ),
        (
            behaviour(event="clicked", days=7, campaigns=["c1"], message_class="marketing"),
            "最近 7 天点击过活动“Spring”的营销消息里的链接（只计已识别身份的点击）",
            "clicked a link of marketing messages of the campaign “Spring” (identified clicks only) in the last 7 days",
        ),
        (
            behaviour(event="clicked", value=2, before_days=3, channel="sms", broadcasts=["b2"]),
            "3 天以前点击群发“Second”的短信消息里的链接（只计已识别身份的点击）至少 2 次",
            "clicked a link of messages by SMS of the broadcast “Second” (identified clicks only) at least 2 times more"
            " than 3 days ago",
        ),
        (
            then(first={"event": "received"}, then={"event": "clicked"}, within=2, happened=False),
            "被触达后 2 天内没有点击消息里的链接（只计已识别身份的点击）",
            "received messages, and for 2 days after it never clicked a link of messages (identified clicks only)",
        ),
        (
            behaviour(stores=["s1"], sources=["pos"], channel="mini_program", days=7),
            "最近 7 天在“s1”通过小程序经系统“pos”购买过",
            "bought at “s1” by mini program (system “pos”) in the last 7 days",
        ),
        (behaviour(category="tea", days=30), "最近 30 天购买过品类“tea”", "bought category “tea” in the last 30 days"),
        (
            behaviour(measure="distinct", of="category", value=3, before_days=9, days=90),
            "9 天以前、最近 90 天内购买，不同品类至少 3 个",
            "bought more than 9 days ago but in the last 90 days: at least 3 different categories",
        ),
        (
            behaviour(event="spent", measure="average", value=5000, **{"from": "2026-01-01"}),
            "2026-01-01 起平均每单金额（未扣退款）至少 ¥50.00",
            "average spend per order since 2026-01-01 (before refunds) is at least ¥50.00",
        ),
        (
            behaviour(event="fact", kind="order.refunded", op="exactly", value=0),
            "历史上没有发生“退款”",
            "never had a refund ever",
        ),
        (
            {"type": "behaviour_at", "event": "bought", "end": "first", "op": "within_last", "days": 7},
            "首次购买在最近 7 天内（含今天）",
            "the first time she bought is within the last 7 days (today included)",
        ),
        (
            then(first={"event": "visited", "days": 30, "stores": ["s1"]}, happened=False),
            "最近 30 天在“s1”到访后 3 天内没有购买",
            "visited at “s1” in the last 30 days, and for 3 days after it never bought",
        ),
        (
            {"type": "friendship", "ways": ["qr_code"], "channel_states": ["s1-till"], "days": 7},
            "最近 7 天内（含今天）通过“扫描二维码”（渠道参数“s1-till”）添加了员工，并且仍是好友",
            "added a member of staff by “QR code” with the channel state “s1-till” within the last 7 days"
            " (today included) and is still a friend",
        ),
        (
            {"type": "friendship", "ways": ["qr_code"], "campaigns": ["c1"], "days": 7},
            "最近 7 天内（含今天）通过“扫描二维码”（活动“Spring”的渠道码）添加了员工，并且仍是好友",
            "added a member of staff by “QR code” with codes of the campaign “Spring” within the last 7 days"
            " (today included) and is still a friend",
        ),
        (
            {"type": "friendship", "state": "lost", "days": 30, "staff": ["lin"]},
            "最近 30 天内（含今天）与“lin”的好友关系已解除",
            "lost the friendship with “lin” within the last 30 days (today included)",
        ),
        (
            {"type": "first_source", "by": "friendship", "channel_states": ["s1-till"], "staff": ["lin"], "days": 7},
            "最近 7 天内（含今天）首次到来，来源是添加企微好友（渠道参数“s1-till”，员工“lin”）",
            "first came as a WeCom friend (channel state “s1-till”; with “lin”) within the last 7 days"
            " (today included)",
        ),
        (
            {"type": "first_source", "campaigns": ["c1"], "days": 7},
            "最近 7 天内（含今天）首次到来（活动“Spring”的渠道码）",
            "first came (codes of campaign “Spring”) within the last 7 days (today included)",
        ),
        (
            {"type": "first_source", "by": "group_chat", "channel_states": ["till", "x"], "campaigns": ["c1"]},
            "首次来源是加入客户群（活动“Spring”的渠道码，渠道参数“Till”、“x”）",
            "first came into a group chat (codes of campaign “Spring”; channel state “Till”, “x”)",
        ),
        (
            {"type": "first_source", "by": "order", "channels": ["store"], "sources": ["pos"], "staff": ["lin"]},
            "首次来源是下单（销售员工“lin”，渠道“门店”，来源系统“pos”）",
            "first came with an order (sold by “lin”; channel “store”; system “pos”)",
        ),
        (
            {"type": "district", "of": "spot", "districts": ["d1"], "parents": ["east"]},
            "位置约在“east”、“d1 · west”（按最近的区县中心推算，50 公里以内）",
            "position is about in “east”, “d1 · west” (by the nearest centre of a district, up to 50 km)",
        ),
        (
            metric(metric="lateness", op=">=", value=90),
            "按本人购买节奏的逾期程度至少 90%",
            "lateness for her own rhythm is at least 90%",
        ),
        (
            metric(metric="lateness", op="empty"),
            "还没有自己的购买节奏（不足两天有购买）",
            "has no rhythm of her own (fewer than two days of purchases)",
        ),
        (
            {"type": "date", "of": "expected_order", "op": "more_than_ago", "days": 7},
            "预计下次购买日期在 7 天以前",
            "expected next purchase more than 7 days ago",
        ),
        (
            {**TAG, "days": 7, "sources": ["console", "crm"]},
            "有最近 7 天内（含今天）由“人工（控制台）”、“crm”打上的标签“gold”",
            "has the tag “gold”, put on within the last 7 days (today included) by “hand (console)”, “crm”",
        ),
        (
            percentile(days=90),
            "在最近 90 天下过单的全部客户中，消费金额（未扣退款）排名前 10%",
            "in the top 10% by spend (before refunds) of all customers who bought in the last 90 days",
        ),
        (
            percentile(days=90, category="tea", store="s1"),
            "在最近 90 天下过单的全部客户（只算品类“tea”、门店“s1”）中，消费金额（未扣退款）排名前 10%",
            "in the top 10% by spend (before refunds) of all customers who bought in the last 90 days"
            " (counting category “tea” and store “s1” only)",
        ),
        (
            percentile(side="bottom", percent=0.5, by="attribute:score"),
            "在有“分数”值的全部客户中，分数排名后 0.5%",
            "in the bottom 0.5% by Score of all customers with a value of “Score”",
        ),
        (
            rfm(segments=["important_keep", "general_keep"], days=365),
            "RFM 客群为“重要保持客户”、“一般保持客户”之一（与下过单的全部客户相比，F、M 取最近 365 天）",
            "RFM segment is one of “Important, at risk”, “General, slipping away” (of all customers who ever bought, F"
            " and M over the last 365 days)",
        ),
        (
            rfm(recency=[1, 2], money=[5, 5]),
            "RFM 得分：R 1–2、M 5（与下过单的全部客户相比，F、M 取全部历史）",
            "RFM scores: R 1–2, M 5 (of all customers who ever bought, F and M over all time)",
        ),
        (then(unit="hours"), "到访后 3 小时内购买", "visited, and within 3 hours bought"),
    ],
)
def test_sentences(rule: dict[str, Any], chinese: str, english: str) -> None:
    node = parse({"version": 1, "rule": rule}, CATALOGUE)
    assert (describe(node, CATALOGUE, "zh-hans"), describe(node, CATALOGUE, "en")) == (chinese, english)


def test_a_leap_day_is_kept_on_the_first_of_march_in_a_common_year() -> None:
    assert anniversaries(2, date(2026, 2, 27)) == {227, 228}
    assert anniversaries(2, date(2026, 2, 28)) == {228, 229, 301}
    assert anniversaries(2, date(2028, 2, 28)) == {228, 229}
    assert anniversaries(1, date(2028, 3, 1)) == {301}
    assert len(anniversaries(36_500, date(2026, 3, 1))) == 366


def test_an_empty_outermost_group_is_everybody() -> None:
    assert parse({"version": 1, "rule": {"all": []}}, CATALOGUE) == All(())


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InvalidRule) as refused:
        parse({"version": 1, "rule": {"all": [{**TAG, "tags": ["gone"]}, {"any": []}]}}, CATALOGUE)
    assert [problem.code for problem in refused.value.problems] == ["unknown_tag", "empty_group"]


def test_audiences_that_others_name_again_and_again_are_read_once() -> None:
    saved = {"a0": SavedRule(1, "a0", {"version": 1, "rule": {"type": "do_not_disturb", "on": True}})}
    for number in range(1, 9):
        often = [{"type": "audience", "audience": f"a{number - 1}"}] * 30
        saved[f"a{number}"] = SavedRule(number + 1, f"a{number}", {"version": 1, "rule": {"any": often}})
    known = replace(CATALOGUE, audiences=saved)
    top = parse({"version": 1, "rule": {"type": "audience", "audience": "a8"}}, known)
    assert list(every_condition([top], known)) == [LeftAlone(on=True)], "not thirty to the power of eight times"
    assert matches(top, Person(1, left_alone=True), known, MOMENT)
