"""One JSON line per figure, and `docs/performance.md` made from the lines of all benchmarks.

`python -m benchmarks.report --size small|full [NAME ...]` runs the named benchmarks (default: all) one after another.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
NOT_BENCHMARKS = {"__init__", "report", "product", "million", "crowd", "changes", "kills", "beside"}
_SHOWN = ("Django", "psycopg", "chdb", "granian", "pyroaring")


def report(name: str, value: float, unit: str, *, baseline: float | None = None, **more: Any) -> None:
    """Print one figure. `ratio` is value / baseline; `more` says what else matters to read it."""
    figure = {
        "name": name,
        "value": round(value, 6),
        "unit": unit,
        "baseline": None if baseline is None else round(baseline, 6),
        "ratio": round(value / baseline, 4) if baseline else None,
        "git": _git(),
        "versions": _versions(),
        "machine_steps_per_us": _speed(),
        **more,
    }
    print(json.dumps(figure, ensure_ascii=False, default=str), flush=True)


line = report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("names", nargs="*", help="benchmarks to run (default: all)")
    options = parser.parse_args()
    everything = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in NOT_BENCHMARKS)
    results = {name: _run(name, options.size) for name in options.names or everything}
    PAGE.write_text(_page(results, options.size))
    print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)
    return 1 if any(not figures for figures in results.values()) else 0


def _run(name: str, size: str) -> list[dict[str, Any]]:
    """Figures of one benchmark; none if it failed (its output is on stderr)."""
    print(f"benchmarks.{name} ({size}) …", file=sys.stderr, flush=True)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--size", size], stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    print(f"  {time.monotonic() - started:.0f} s, exit code {done.returncode}", file=sys.stderr, flush=True)
    if done.returncode != 0:
        return []
    return [json.loads(row) for row in done.stdout.splitlines() if row.startswith('{"name"')]


def _page(results: dict[str, list[dict[str, Any]]], size: str) -> str:
    rows = [
        "# Performance",
        "",
        "Written by `make bench`; do not edit. Each table is one command, run by itself on a quiet machine.",
        "",
        f"- size: {size}; commit {_git()}; {time.strftime('%Y-%m-%d')}",
        f"- machine: {os.cpu_count()} cores, {_memory_gib()} GiB, {platform.system()} {platform.release()}",
        f"- {', '.join(f'{name} {version}' for name, version in _versions().items())}",
    ]
    for name, figures in results.items():
        rows += ["", f"## benchmarks.{name}", "", f"`python -m benchmarks.{name} --size {size}`", ""]
        if figures:
            rows[-2] += f" ({figures[0]['machine_steps_per_us']} empty loop turns a microsecond on that machine)"
        rows += _table(figures) if figures else ["This benchmark failed or printed nothing."]
    return "\n".join(rows) + "\n"


def _table(figures: list[dict[str, Any]]) -> list[str]:
    usual = {"name", "value", "unit", "baseline", "ratio", "git", "versions", "machine_steps_per_us"}
    head = [
        "| figure | value | unit | target or baseline | ratio | notes |",
        "| --- | ---: | --- | ---: | ---: | --- |",
    ]
    body = []
    for figure in figures:
        notes = "; ".join(f"{key} {value}" for key, value in figure.items() if key not in usual)
        cells = [_number(figure[key]) for key in ("value", "baseline", "ratio")]
        body.append(f"| `{figure['name']}` | {cells[0]} | {figure['unit']} | {cells[1]} | {cells[2]} | {notes} |")
    return head + body


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.3g}"


@cache
def _git() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


@cache
def _speed() -> float:
    """Turns of an empty Python loop a microsecond, best of three: machines are noisy by the hour, and a figure that was
    taken on a slow one can be told by it."""

    def loop(turns: int = 1_000_000) -> float:
        started = time.perf_counter()
        for _ in range(turns):
            pass
        return turns / (time.perf_counter() - started) / 1e6

    return round(max(loop() for _ in range(3)), 1)


@cache
def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in _SHOWN:
        found[name] = importlib.metadata.version(name)
    return found


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30))


if __name__ == "__main__":
    sys.exit(main())
