"""The console in a real browser: languages, appearance, keyboard, dialogs, accessibility, phones, policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from hetang.console import first_run
from hetang.platform import brand
from tests.browser.accessibility import dark_violations, violations
from tests.browser.conftest import Visitor
from tests.console import people
from tests.console.cast import Cast

pytestmark = pytest.mark.browser
Open = Callable[..., Visitor]


def _pages(page: Page) -> list[str]:
    """Everything in the menu, what hides behind its pages, and a portrait."""
    menu = [link.get_attribute("href") or "" for link in page.locator("nav.nav a").all()]
    hidden = ["/settings/keys/", "/settings/users/", "/settings/users/new", "/styleguide", "/help", "/search?q=m1"]
    hidden += ["/settings/wecom/", "/imports/new", "/audiences/new", "/campaigns/new", "/insights/definitions"]
    hidden += ["/campaigns/codes", "/campaigns/codes/new"]
    return [*menu, *hidden, f"/customers/{people.customer('m1').public_id}/"]


def test_a_day_in_both_languages(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser()
    assert "登录" in visitor.go("/login").content()
    page = visitor.log_in("headquarters")
    assert page.locator("html").get_attribute("lang") == "en"
    page.click("text=中文")
    page.wait_for_selector("html[lang='zh-Hans']")
    page.click("nav.nav a[href='/customers/']")
    page.wait_for_selector("h1:has-text('客户')")
    page.keyboard.press("f")
    page.keyboard.type("m1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/?q=m1*")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=客户动态")
    page.click("text=设为免打扰…")
    assert page.locator("dialog[open] h2").inner_text() == "设为免打扰？"
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.click("text=设为免打扰…")
    page.click("dialog[open] button.button-primary")
    page.wait_for_selector("h-toast:has-text('已记录')")
    page.click("[aria-label='退出登录']")
    page.wait_for_selector("input[name=password]")


def test_every_page_is_accessible(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser()
    visitor.go("/login")
    found = violations(visitor)
    for address in _pages(visitor.log_in("headquarters")):
        visitor.go(address)
        found += violations(visitor) + dark_violations(visitor)
    assert found == []


def test_no_page_scrolls_sideways_on_a_phone_and_the_menu_opens(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser(width=390, has_touch=True, is_mobile=True)
    page = visitor.log_in("headquarters")
    wide = []
    for address in _pages(page):
        visitor.go(address)
        wide += [address] if visitor.scrolls_sideways() else []
    assert wide == []
    page.click("button[data-menu]")
    page.wait_for_selector(".sidebar.open")
    page.keyboard.press("Escape")
    assert page.locator(".sidebar.open").count() == 0


def test_the_store_manager_gets_her_menu_and_a_clear_refusal(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser()
    page = visitor.log_in("manager_a")
    addresses = [link.get_attribute("href") for link in page.locator("nav.nav a").all()]
    assert "/customers/" in addresses
    assert not {"/operations/", "/audit/", "/settings/"} & set(addresses)
    visitor.go("/settings/")
    assert "You may not do this" in page.content()
    visitor.troubles.clear()  # the browser logs the 403 that was asked for


def test_progress_is_polled_until_the_job_ends(cast: Cast, open_browser: Open) -> None:
    from hetang.platform import jobs
    from hetang.platform.models import JobRun

    run = jobs.enqueue("test.none", "Reading", {}, created_by=cast.headquarters)
    JobRun.objects.filter(pk=run.pk).update(state=JobRun.RUNNING, done=40, total=100)
    visitor = open_browser()
    page = visitor.log_in("headquarters")
    visitor.go(f"/operations/jobs/{run.public_id}/")
    page.wait_for_selector("progress[value='40']")
    JobRun.objects.filter(pk=run.pk).update(state=JobRun.DONE)
    page.wait_for_selector("text=Done")


def test_the_search_is_walked_by_keys(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser()
    page = visitor.log_in("headquarters")
    page.keyboard.press("/")
    page.wait_for_selector("dialog.palette[open]")
    page.keyboard.type("customers")
    page.wait_for_selector(".palette-results a:has-text('Customers')")
    assert violations(visitor) == []
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")  # not by a function: the policy forbids its text
    page.wait_for_selector("input:focus", state="detached")
    page.keyboard.press("?")
    page.wait_for_selector("dialog.help-dialog[open]")
    assert violations(visitor) == []
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    page.keyboard.press("/")
    page.wait_for_selector("dialog.palette[open]")
    page.keyboard.type("m1")
    page.wait_for_selector(".palette-results a:has-text('王**')")
    page.keyboard.press("ArrowDown")
    chosen = page.evaluate("document.activeElement.getAttribute('href')")
    assert chosen == f"/customers/{people.customer('m1').public_id}/"


@pytest.mark.parametrize("address", ["/audiences/new", "/campaigns/broadcasts/new"])
def test_leaving_what_is_not_saved_asks_first(cast: Cast, open_browser: Open, address: str) -> None:
    from datetime import timedelta

    from hetang.campaigns import services as campaigns
    from hetang.platform import clock
    from hetang.platform.access import system
    from hetang.platform.models import OrgNode

    root = OrgNode.objects.get(code="brand")
    last = clock.today() + timedelta(days=7)
    campaigns.save_campaign(system("test"), campaigns.CampaignFields("Autumn", clock.today(), last, root.pk))
    visitor = open_browser()
    page = visitor.log_in("headquarters")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    visitor.go(address)
    page.click("nav.nav a[href='/customers/']")
    page.wait_for_url("**/customers/")
    assert asked == []
    visitor.go(address)
    page.locator("form[data-unsaved] [name=name]").press_sequentially("Regulars")
    with page.expect_event("dialog"):
        page.click("nav.nav a[href='/customers/']", no_wait_after=True)
    assert asked == ["beforeunload"]
    assert page.url.endswith(address)


def test_fields_speak_the_language_of_the_page_not_of_the_browser(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser(locale="zh-CN")
    page = visitor.log_in("headquarters")
    visitor.go("/campaigns/new")
    page.click("main form button.button-primary")
    name = page.locator("[name=name]")
    assert name.evaluate("field => field.validationMessage") == "Please fill this in."
    name.fill("Autumn")
    assert name.evaluate("field => field.checkValidity()")
    visitor.go("/imports/new")
    assert page.inner_text(".filepick") == "Choose a file\nnone chosen yet, or drop it here"
    page.set_input_files("[name=file]", {"name": "shops.csv", "mimeType": "text/csv", "buffer": b"code,name\nS1,One\n"})
    assert page.inner_text(".filepick .name") == "shops.csv"
    page.click("main form button.button-primary")  # sent with its progress, then on as ever
    page.wait_for_url("**/mapping")
    visitor.go("/imports/new")
    page.set_input_files("[name=file]", {"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
    page.click("main form button.button-primary")
    page.wait_for_selector("text=The file is empty.")
    assert page.locator(".filepick").count() == 1
    visitor.troubles.clear()  # the browser logs the 422 that was asked for


def test_what_is_printed_is_light_and_without_the_menu(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser(width=760, color_scheme="dark")
    page = visitor.log_in("headquarters")
    visitor.go("/customers/")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator("nav.nav").is_visible()
    assert not page.locator(".page-actions").is_visible()
    colours = page.evaluate(
        "['body', 'h1', 'tbody th a'].map(one => getComputedStyle(document.querySelector(one)).color)"
    )
    assert max(int(part) for colour in colours for part in colour[4:-1].split(", ")) < 128
    assert not visitor.scrolls_sideways()


def test_the_search_works_without_scripts(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser(java_script_enabled=False)
    page = visitor.log_in("headquarters")
    page.click(".search-open")
    page.fill("#everything", "m1")
    page.keyboard.press("Enter")
    page.click(".found-page a:has-text('王**')")
    assert "/customers/" in page.url


def test_a_new_installation_leads_to_its_first_step(transactional_db: None, open_browser: Open) -> None:
    brand.forget()
    visitor = open_browser(width=390, has_touch=True, is_mobile=True, locale="en-GB")
    page = visitor.go("/")
    found = violations(visitor)
    values = {"code": first_run.code(), "brand": "Lotus", "username": "lin", "password": "a long password"}
    for name, value in values.items():
        page.fill(f"[name={name}]", value)
    page.click("main button")
    page.wait_for_selector(".first-steps [aria-current=step]")
    assert "0 of 4 done" in page.content()
    assert not visitor.scrolls_sideways()
    found += violations(visitor)
    page.click(".first-steps a:has-text('Import files')")
    page.wait_for_url("**/imports/new")
    assert found == []
    brand.forget()
