"""`python -m tools.screenshots --server http://127.0.0.1:8000 --user NAME --password PASSWORD`: every page of a running
installation, in both languages, on desktop and phone, light and dark, into screenshots/, with contact sheets of each.

Pages are found by following the menu and the first links of each list, so a new page is in without being named here.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
WIDTHS = {"desktop": 1280, "phone": 390}
LANGUAGES = ("zh-hans", "en")
SCHEMES = ("light", "dark")
_ON_A_SHEET, _GAP, _NAME = 12, 4, 18  # pictures; pixels
_NUMBER = re.compile(r"/([0-9a-f]{8}-[0-9a-f-]{27}|\d+)(?=/|$)")
_LEAVES = re.compile(r"logout|\.csv|/api/|openapi|/l/")


@dataclass(frozen=True)
class Look:
    """One way of looking at every page."""

    language: str
    device: str
    scheme: str

    @property
    def folder(self) -> str:
        return f"{self.language}-{self.device}-{self.scheme}"


def looks() -> Iterator[Look]:
    for language in LANGUAGES:
        for device in WIDTHS:
            for scheme in SCHEMES:
                yield Look(language, device, scheme)


def find_pages(page: Page, server: str, limit: int) -> list[str]:
    """Addresses reachable from the menu, one of each shape (ids count as one shape), with what the first link asks."""
    found, shapes = ["/"], {"/"}
    files: set[str] = set()
    for address in found:
        if len(found) >= limit:
            break
        try:
            answer = page.goto(server + address)
        except Error:  # a file to keep, not a page
            files.add(address)
            continue
        if answer is None or not answer.ok:
            continue
        for link in page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)"):
            parts = urlsplit(link)
            shape = _NUMBER.sub("/#", parts.path)
            if link.startswith(server) and shape not in shapes and not _LEAVES.search(parts.path):
                shapes.add(shape)
                found.append(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    return [*(address for address in found if address not in files), "/styleguide"]


def shoot(browser: Browser, options: argparse.Namespace) -> int:
    """Take all pictures. Returns how many pages scroll sideways."""
    first = _visit(browser, options, Look("en", "desktop", "light"))
    pages = options.pages or find_pages(first.new_page(), options.server, options.limit)
    first.close()
    wide = 0
    chosen = [look for look in looks() if options.look in look.folder]
    for look in chosen:
        context = _visit(browser, options, look)
        page = context.new_page()
        for address in pages:
            wide += _shoot_one(page, options, look, address)
        context.close()
        contact_sheets(options.out / look.folder, look.device)
    print(f"{len(pages)} pages in {len(chosen)} looks below {options.out}; {wide} scroll sideways")
    return wide


def _shoot_one(page: Page, options: argparse.Namespace, look: Look, address: str) -> bool:
    page.goto(options.server + address)
    page.wait_for_timeout(options.settle)
    name = _NUMBER.sub("/item", urlsplit(address).path).strip("/").replace("/", ".") or "home"
    path = options.out / look.folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
    wide = bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
    if wide:
        print(f"scrolls sideways: {look.folder} {address}")
    return wide


def contact_sheets(folder: Path, device: str) -> None:
    """Put the pictures of a look side by side into folder/sheets/, so that all can be compared at a glance."""
    columns, width, height = (3, 640, 560) if device == "desktop" else (6, 300, 800)
    pictures = sorted(folder.glob("*.png"))
    (folder / "sheets").mkdir(exist_ok=True)
    for number, first in enumerate(range(0, len(pictures), _ON_A_SHEET), 1):
        some = pictures[first : first + _ON_A_SHEET]
        sheet = Image.new("RGB", (columns * width, -(-len(some) // columns) * height), "#777")
        for place, path in enumerate(some):
            corner = (place % columns * width + _GAP, place // columns * height)
            _paste(sheet, path, corner, (width - 2 * _GAP, height - _NAME - _GAP))
        sheet.save(folder / "sheets" / f"{number}.png")


def _paste(sheet: Image.Image, path: Path, corner: tuple[int, int], size: tuple[int, int]) -> None:
    """The top of a picture below its name."""
    with Image.open(path) as whole:
        picture = whole.convert("RGB")
    scale = size[0] / picture.width
    picture = picture.crop((0, 0, picture.width, min(picture.height, round(size[1] / scale))))
    sheet.paste(picture.resize((size[0], round(picture.height * scale))), (corner[0], corner[1] + _NAME))
    ImageDraw.Draw(sheet).text((corner[0], corner[1] + 3), path.stem, fill="white")


def _visit(browser: Browser, options: argparse.Namespace, look: Look) -> BrowserContext:
    context = browser.new_context(
        viewport={"width": WIDTHS[look.device], "height": 844},
        color_scheme="dark" if look.scheme == "dark" else "light",
        has_touch=look.device == "phone",
        locale="zh-CN" if look.language == "zh-hans" else "en-GB",  # what the browser says itself
    )
    page = context.new_page()
    page.goto(f"{options.server}/login")
    page.fill("input[name=username]", options.user)
    page.fill("input[name=password]", options.password)
    page.click("main button")
    page.wait_for_selector("nav.nav", state="attached")
    context.add_cookies([{"name": "hetang_language", "value": look.language, "url": options.server}])
    page.close()
    return context


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8000")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", default=os.environ.get("HETANG_PASSWORD", ""), help="or HETANG_PASSWORD")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--limit", type=int, default=250, help="at most so many pages")
    parser.add_argument("--settle", type=int, default=250, help="milliseconds before a picture (charts draw)")
    parser.add_argument("--look", default="", help="only looks whose folder contains this, as zh-hans-desktop-light")
    parser.add_argument("pages", nargs="*", help="only these addresses")
    options = parser.parse_args()
    from tests.browser_setup import find

    path = find()
    if path is None:
        print("no Chromium found: python -m tests.browser_setup", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        wide = shoot(browser, options)
        browser.close()
    return 1 if wide else 0


if __name__ == "__main__":
    sys.exit(main())
