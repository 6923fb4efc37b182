"""`hetang wecom doctor`: the checks from a shell. Prints, and returns the exit code."""

from __future__ import annotations

import json

from django.utils import translation

from hetang.connectors.wecom.doctor import checks, words
from hetang.connectors.wecom.doctor.checks import Finding
from hetang.connectors.wecom.models import App

MARKS = {checks.GOOD: "✓", checks.BAD: "✗", checks.UNTRIED: "–"}
LANGUAGES = ("zh-hans", "en")


def doctor(*, as_json: bool) -> int:
    """Carry all checks of all apps out, of the corp that sends first. 0 when none is red, 1 when one is, or nothing is
    connected."""
    apps = App.objects.select_related("corp").order_by("-corp__is_default", "corp", "listen_only", "id")
    if not apps:
        print("还没有连接企业微信：设置 → 企业微信\n  WeCom is not connected yet: Settings → WeCom")
        return 1
    told: list[dict[str, object]] = []
    wrong = 0
    for app in apps:
        findings = checks.run(app)
        wrong += sum(one.state == checks.BAD for one in findings)
        told += [{"corp": app.corp.corpid, "agentid": app.agentid, **_as_json(one)} for one in findings]
        if not as_json:
            print(f"企业微信 WeCom: {app.corp.corpid} · {app.agentid}\n")
            print("\n".join(_line(finding) for finding in findings) + "\n")
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        print(f"{wrong} 项有问题 / {wrong} wrong" if wrong else "没有发现问题 / Nothing is wrong")
    return 1 if wrong else 0


def _line(finding: Finding) -> str:
    lines = []
    for language in LANGUAGES:
        with translation.override(language):
            said = words.said(finding.name, finding.state, finding.reason, finding.code, finding.detail)
            text = f"{said.title}: {said.cause or said.state_label}"
            lines.append(text)
            if said.remedy and finding.state != checks.GOOD:
                lines.append(f"→ {said.remedy}")
                lines.append(f"  {said.where}")
    return f"{MARKS[finding.state]} " + "\n  ".join(lines)


def _as_json(finding: Finding) -> dict[str, object]:
    found: dict[str, object] = {
        "check": finding.name,
        "state": finding.state,
        "reason": finding.reason,
        "code": finding.code,
    }
    for language in LANGUAGES:
        with translation.override(language):
            said = words.said(finding.name, finding.state, finding.reason, finding.code, finding.detail)
            found[language] = {"title": said.title, "cause": said.cause, "remedy": said.remedy}
    return found
