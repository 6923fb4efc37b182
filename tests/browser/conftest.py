"""A real browser against a live server of the test database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from hetang.platform import brand
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.cast import PASSWORD, Cast

_PATIENCE_MS = 120_000  # the first page of a process took 22 s while 30 others wanted the two cores
_WATCH = "document.addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.violatedDirective))"


@dataclass
class Visitor:
    """Somebody at a browser; remembers whatever went wrong on any page."""

    server: str
    context: BrowserContext
    page: Page
    troubles: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(self.server + path)
        return self.page

    def log_in(self, username: str) -> Page:
        self.go("/login")
        self.page.fill("input[name=username]", username)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("main button")
        self.page.wait_for_selector("nav.nav", state="attached")
        self.page.wait_for_load_state("load")  # before that no key is listened for
        return self.page

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    """The cast and its customers."""
    brand.forget()
    made = cast_of_all.make()
    people.come_in(made)
    return made


@pytest.fixture
def open_browser(chromium: Browser, live_server: Any) -> Iterator[Any]:
    """`open_browser(width=1280, **context)` gives a Visitor; after the test none of them may have had any trouble.

    She wants no movement, so nothing is seen half-way and no test waits for it.
    """
    visitors: list[Visitor] = []

    def start(width: int = 1280, **options: Any) -> Visitor:
        values = {"locale": "zh-CN", "viewport": {"width": width, "height": 844}, "reduced_motion": "reduce", **options}
        context = chromium.new_context(**values)
        context.set_default_timeout(_PATIENCE_MS)
        context.add_init_script(_WATCH)
        visitor = Visitor(live_server.url, context, context.new_page())
        _watch(visitor)
        visitors.append(visitor)
        return visitor

    yield start
    for visitor in visitors:
        visitor.context.close()
    assert [trouble for visitor in visitors for trouble in visitor.troubles] == []


def _watch(visitor: Visitor) -> None:
    page, ours = visitor.page, urlsplit(visitor.server).netloc

    def request(sent: Any) -> None:
        address = urlsplit(sent.url)
        if address.scheme not in {"data", "blob"} and address.netloc != ours:
            visitor.troubles.append(f"request leaves the machine: {sent.url}")

    page.on("request", request)
    page.on("pageerror", lambda error: visitor.troubles.append(f"script: {error}"))
    page.on("console", lambda said: visitor.troubles.append(said.text) if said.type == "error" else None)
