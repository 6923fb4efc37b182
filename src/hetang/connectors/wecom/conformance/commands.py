"""`hetang wecom conformance`: run, write the report, say in a few lines what came out."""

from __future__ import annotations

from pathlib import Path

import httpx

from hetang.connectors.wecom.conformance import report as reports
from hetang.connectors.wecom.conformance import running
from hetang.connectors.wecom.conformance.running import Side, Unusable


def conformance(real: Side, simulated: Side, target: Path, *, write: bool) -> int:
    """Compare, and write `target` (Markdown) and the same with `.json`. 0 when nothing differs, 1 when something does,
    2 when there is nothing to compare."""
    print(f"平台 platform: {real.base_url} · {real.corpid}\n模拟 simulator: {simulated.base_url}")
    if not write:
        print("只读：不改动企业微信中的任何数据 / reads only: nothing is changed in WeCom")
    try:
        found = running.run(real, simulated, write=write)
    except Unusable as problem:
        print(f"无法取得 access_token，错误码 {problem} / no token, code {problem}")
        print("先运行 hetang wecom doctor / run hetang wecom doctor first")
        return 2
    except httpx.HTTPError as problem:
        print(f"无法访问平台 / the platform cannot be reached: {type(problem).__name__}")
        return 2
    target.write_text(reports.as_markdown(found), encoding="utf-8")
    target.with_suffix(".json").write_text(reports.as_json(found), encoding="utf-8")
    for one in found.different:
        for each in one.differences:
            if each.matters:
                print(f"✗ {one.step.path} ({one.step.name}): {each.field}: {each.real} ≠ {each.simulated}")
    print(f"{found.compared} 次调用已对比，{len(found.different)} 次有差异 / calls compared, differ")
    print(f"报告 report: {target}, {target.with_suffix('.json').name}")
    return 1 if found.different else 0
