from __future__ import annotations

import pytest

from hetang.campaigns import rules


def codes(variants: list[dict[str, object]], design: str = "single") -> list[str]:
    return [problem.code for problem in rules.check_variants("wecom", variants, design, 40)]


@pytest.mark.parametrize(
    "text",
    [
        "Hi {name}",
        "{{ name }}，您好",
        "亲爱的[姓名]",
        "【昵称】早上好",
        "Dear %name%",
        "${first}",
        "#name# hi",
        "<name>",
    ],
)
def test_personal_variables_are_refused(text: str) -> None:
    assert codes([{"text": text}]) == ["no_variables"]


@pytest.mark.parametrize(
    "text", ["全场{{", "满100减20 [太阳]", "50% off, 20% more", "#新品# 上市", "【荷塘】春季上新", "a < b > c"]
)
def test_ordinary_texts_are_not_variables(text: str) -> None:
    assert codes([{"text": text}]) == []


def test_the_text_leaves_room_for_its_link_in_bytes() -> None:
    assert codes([{"text": "荷" * 1319}]) == []  # 3,957 of 4,000 - 41
    assert codes([{"text": "荷" * 1320}]) == ["text_too_long"]
    card = {"type": "link", "title": "Spring"}
    assert codes([{"text": "荷" * 1333, "attachments": [card]}]) == []  # the card carries the link


def test_attachments() -> None:
    image = {"type": "image", "image": "https://wework.example/1.png"}
    assert codes([{"text": "a", "attachments": [image] * 9}]) == []
    assert codes([{"text": "a", "attachments": [image] * 10}]) == ["attachments_count"]
    assert codes([{"text": "a", "attachments": [{"type": "link", "title": "x" * 129}]}]) == ["link_field_too_long"]
    assert codes([{"text": "a", "attachments": [{"type": "link"}, {"type": "video"}]}]) == [
        "link_title_missing",
        "attachment_kind",
    ]


def test_designs_and_numbers_of_texts() -> None:
    text = {"text": "a"}
    assert codes([]) == ["variants_count"]
    assert codes([text] * 6, "person") == ["variants_count"]
    assert codes([text, text]) == ["design_needed"]
    assert codes([text], "cluster") == ["variants_needed"]
    assert codes([text, text], "cluster") == []
    assert codes([{"text": " "}]) == ["text_missing"]


def test_extra_taps_are_tasks_beyond_one_text_for_all() -> None:
    assert rules.extra_taps({1: {1: 10, 2: 10}, 2: {1: 5}}, 10_000) == 1
    assert rules.extra_taps({1: {1: 10_000, 2: 10_000}}, 10_000) == 0  # two tasks either way
    assert rules.extra_taps({}, 10_000) == 0
