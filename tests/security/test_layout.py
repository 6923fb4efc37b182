"""A phone shows every page without sideways scrolling, whatever somebody wrote."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from playwright.sync_api import Browser, Page, Route

from hetang.campaigns.models import Broadcast
from hetang.platform import brand
from tests.console.scope.world import World
from tests.security import hostile

pytestmark = pytest.mark.browser
# Pages are drawn one after another into one document, whose style sheets are fetched once: a tenth of the time.
DRAW = """async html => {
  const drawn = new DOMParser().parseFromString(html, "text/html"), root = document.documentElement
  for (const {name, value} of drawn.documentElement.attributes) root.setAttribute(name, value)
  for (const sheet of drawn.querySelectorAll("link[rel=stylesheet]")) {
    const href = sheet.getAttribute("href")
    if (document.head.querySelector(`link[href="${href}"]`)) continue
    await new Promise(done => {
      const link = Object.assign(document.createElement("link"), {rel: "stylesheet", onload: done, onerror: done})
      link.setAttribute("href", href)
      document.head.append(link)
    })
  }
  document.body.replaceWith(document.adoptNode(drawn.body))
  if (root.scrollWidth <= root.clientWidth) return ""
  const wide = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  return wide.slice(0, 6).map(e => `${e.tagName.toLowerCase()}.${e.className}`).join(" > ")
}"""


def test_no_text_breaks_a_page_on_a_phone(world: World, chromium: Browser) -> None:
    everybody = hostile.everybody(world)
    addresses = hostile.addresses(world, everybody)
    mark = hostile.MARKS["layout"]
    hostile.poison(mark)
    Broadcast.objects.update(variants=[{"text": mark, "weight": 1, "attachments": []}])
    brand.forget()
    client = hostile.browser_of(everybody)
    page = _empty_page(chromium, client)
    wrong, drawn = [], 0
    for address in addresses:
        answer = client.get(address)
        if not answer.streaming and answer.content.lstrip()[:9].lower() == b"<!doctype":
            drawn += 1
            wide = page.evaluate(DRAW, answer.content.decode())
            wrong += [f"{address}: {wide}"] if wide else []
    page.close()

    assert not wrong, "\n".join(wrong)
    assert drawn > 60, drawn


def _empty_page(chromium: Browser, client: Client) -> Page:
    """A page as wide as a phone; what it asks for comes from here."""
    theme = client.get("/console/theme.css").content  # not below: a handler of playwright has connections of its own

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        found = finders.find(path.removeprefix("/static/")) if path.startswith("/static/") else None
        if found:
            route.fulfill(path=Path(str(found)))
        elif path.endswith(".css"):
            route.fulfill(body=theme, content_type="text/css")
        else:
            route.fulfill(body="<!doctype html><html><head></head><body></body></html>", content_type="text/html")

    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.route("**/*", answer)
    page.goto("http://console.test/")
    return page
