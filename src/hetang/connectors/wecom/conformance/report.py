"""A conformance run as a file for people (Markdown) and one for programs (JSON). Neither holds personal data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hetang.connectors.wecom.conformance.running import Record, Report
from hetang.connectors.wecom.conformance.shapes import CODE, MISSING, TYPE, UNKNOWN

WORDS = {
    CODE: "another error code 错误码不同",
    TYPE: "another type 类型不同",
    MISSING: "the simulator lacks this field 模拟器缺少该字段",
    UNKNOWN: "not shown by the platform this time 平台本次未返回",
}


def as_json(report: Report) -> str:
    """Everything, with the masked answers of both sides."""
    body = {
        "corpid": report.corpid,
        "base_url": report.base_url,
        "begun_at": _when(report),
        "wrote": report.wrote,
        "steps": [_step(one) for one in report.records],
    }
    return json.dumps(body, ensure_ascii=False, indent=1)


def as_markdown(report: Report) -> str:
    """The differences first, then every call."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield "# WeCom conformance 企业微信接口一致性"
    yield ""
    yield f"- {_when(report)} · {report.base_url} · {report.corpid}"
    yield f"- calls compared 已对比: {report.compared} / {len(report.records)}"
    yield f"- calls that differ 有差异: {len(report.different)}"
    yield f"- writes 写入: {'yes 是' if report.wrote else 'no 否'}"
    yield "- personal data are masked: texts are shown by kind and length 个人信息已脱敏，文本仅保留类型与长度"
    yield ""
    yield "## Differences 差异"
    yield ""
    rows = [(one, each) for one in report.records for each in one.differences]
    if not rows:
        yield "None 无"
    else:
        yield "| call | step | field | platform 平台 | simulator 模拟器 | |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for one, each in sorted(rows, key=lambda row: not row[1].matters):
            yield (
                f"| `{one.step.path}` | {one.step.name} | `{each.field}` | {each.real} | {each.simulated} "
                f"| {WORDS[each.kind]} |"
            )
    yield ""
    yield "## Calls 调用"
    yield ""
    yield "| call | step | platform 平台 | simulator 模拟器 | |"
    yield "| --- | --- | --- | --- | --- |"
    for one in report.records:
        yield f"| `{one.step.path}` | {one.step.name} | {_code(one.real)} | {_code(one.simulated)} | {_verdict(one)} |"


def _step(one: Record) -> dict[str, Any]:
    return {
        "step": one.step.name,
        "path": one.step.path,
        "writes": one.step.writes,
        "skipped": one.skipped,
        "platform": one.real,
        "simulator": one.simulated,
        "differences": [
            {"kind": each.kind, "field": each.field, "platform": each.real, "simulator": each.simulated}
            for each in one.differences
        ],
    }


def _code(answer: Any) -> str:
    return "–" if answer is None else str(answer.get("errcode", 0))


def _verdict(one: Record) -> str:
    if one.skipped:
        return f"– {one.skipped}"
    return "✗" if any(each.matters for each in one.differences) else "✓"


def _when(report: Report) -> str:
    return datetime.fromtimestamp(report.begun_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
