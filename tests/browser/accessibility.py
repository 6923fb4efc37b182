"""What axe finds wrong with the page in view."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT

from tests.browser.conftest import Visitor

# Half-way from one colour to the other contrast is lower, so first nothing may move for two frames, spinners apart.
_RUN = """async options => {
  const moves = () => document.getAnimations().some(one => one.effect.getComputedTiming().endTime !== Infinity)
  for (let still = 0; still < 2; still = moves() ? 0 : still + 1) await new Promise(requestAnimationFrame)
  return (await axe.run(options)).violations
}"""


def violations(visitor: Visitor) -> list[str]:
    """All rules, on the page as it is."""
    # What the rules that run read ahead: none of them reads style sheets, which to copy took longer than the page.
    options = {"resultTypes": ["violations"], "preload": {"assets": ["media"]}}
    found = _found(visitor, options)
    return [f"{visitor.page.url} {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


def dark_violations(visitor: Visitor) -> list[str]:
    """Contrast of the page when it is dark; the rest of it is the same."""
    visitor.page.emulate_media(color_scheme="dark")
    found = _found(visitor, {"runOnly": ["color-contrast"], "resultTypes": ["violations"]})
    visitor.page.emulate_media(color_scheme="light")
    return [f"dark {visitor.page.url}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def _found(visitor: Visitor, options: dict[str, Any]) -> list[Any]:
    page = visitor.page
    page.wait_for_selector(".htmx-request", state="detached")  # what comes after the page counts as well
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[Any] = page.evaluate(_RUN, options)
    return found
