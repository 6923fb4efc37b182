"""Sessions, links and forms as an attacker uses them: every address is walked, so a new one is tested when it comes."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.http import HttpResponse
from django.test import Client

from hetang.console import login_limit
from hetang.platform import audit, clock, jobs, signed_tokens
from hetang.platform.models import Brand, Grant, Session, User
from hetang.platform.roles import HEADQUARTERS, STORE_MANAGER
from hetang.privacy.models import Export
from hetang.touch.models import ShortLink
from tests.console.cast import PASSWORD, Cast, user
from tests.console.conftest import client_of
from tests.console.taking_out import ask, link_of
from tests.console.test_access import ENDS_SESSION, VIEWS, _address

SIGNED_BY_THE_CALLER = {"wecom-callback"}  # WeCom has no cookie of ours; its signature is checked instead


@pytest.fixture(autouse=True)
def _real_time() -> Iterator[None]:
    yield
    clock.freeze(None)


def browser(**more: Any) -> Client:
    return Client(headers={"accept-language": "en"}, **more)


def typed(client: Client, username: str, password: str = PASSWORD, **more: str) -> HttpResponse:
    return client.post("/login", {"username": username, "password": password, **more})


def later(seconds: float) -> None:
    clock.freeze(clock.wall() + timedelta(seconds=seconds))


# forms of other sites ---------------------------------------------------------------------------------------------


def test_no_address_takes_a_form_of_another_site(cast: Cast) -> None:
    client = browser(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(cast.headquarters)
    wrong = []
    for name, route, entry in VIEWS:
        if name not in SIGNED_BY_THE_CALLER:
            status = client.post(_address(route, entry)).status_code
            wrong += [f"{name}: {status}"] if status not in {403, 405} else []
    assert wrong == []
    assert Session.objects.filter(user=cast.headquarters).exists()  # not even the log-out


def test_a_form_needs_the_token_of_its_own_browser(cast: Cast) -> None:
    mine, hers = browser(enforce_csrf_checks=True), browser(enforce_csrf_checks=True)
    for client in (mine, hers):
        client.get("/login")
    stolen = mine.cookies["hetang_csrf"].value
    assert typed(hers, "manager_a", csrfmiddlewaretoken=stolen).status_code == 403
    assert typed(hers, "manager_a", csrfmiddlewaretoken=hers.cookies["hetang_csrf"].value).status_code == 302


# sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_key_that_somebody_planted_is_never_taken(cast: Cast) -> None:
    planted = browser()
    planted.cookies["hetang_session"] = "a" * 32
    typed(planted, "manager_a")
    assert planted.cookies["hetang_session"].value != "a" * 32
    thief = browser()
    thief.cookies["hetang_session"] = "a" * 32
    assert thief.get("/").status_code == 302


def test_the_key_changes_at_log_in_and_is_worth_nothing_after_the_log_out(cast: Cast) -> None:
    client = browser()
    typed(client, "manager_a")
    first = client.cookies["hetang_session"].value
    client.post("/logout")
    typed(client, "manager_a")
    assert client.cookies["hetang_session"].value != first
    thief = browser()
    thief.cookies["hetang_session"] = first
    assert thief.get("/").status_code == 302


def test_more_rights_end_the_sessions_that_had_fewer(headquarters: Client, cast: Cast) -> None:
    client = browser()
    typed(client, "manager_a")
    headquarters.post(f"/settings/users/{cast.manager_a.pk}/grants", {"role": HEADQUARTERS, "org_node": cast.root.pk})
    assert Grant.objects.filter(user=cast.manager_a, role=HEADQUARTERS).exists()
    assert client.get("/").status_code == 302


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(cast: Cast, settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True  # what an https address of the console sets
    client = browser()
    client.get("/login", secure=True)
    client.post("/login", {"username": "manager_a", "password": PASSWORD}, secure=True)
    wrong = [
        f"{name}: {cookie.OutputString()}"
        for name, cookie in client.cookies.items()
        if not (cookie["httponly"] and cookie["samesite"] == "Lax")
        or (name not in {"hetang_language", "hetang_theme"} and not cookie["secure"])
    ]
    assert wrong == []
    assert {"hetang_session", "hetang_csrf", "hetang_known"} <= set(client.cookies)


def test_pages_can_neither_be_framed_nor_kept_nor_read_as_something_else(headquarters: Client) -> None:
    wrong = []
    for name, route, entry in VIEWS:
        if name in ENDS_SESSION:
            continue
        answer = headquarters.get(_address(route, entry))
        kept = answer.get("Cache-Control", "")
        open_to_all = name in {"console:theme", "own-page:theme", "short-link", "wecom-callback"}
        good = (
            (open_to_all or "no-store" in kept)
            and answer["X-Content-Type-Options"] == "nosniff"
            and answer["X-Frame-Options"] == "DENY"
            and "frame-ancestors 'none'" in answer["Content-Security-Policy"]
            and answer["Referrer-Policy"] == "same-origin"
        )
        wrong += [] if good else [f"{name}: {dict(answer.headers)}"]
    assert wrong == []


# guessing ---------------------------------------------------------------------------------------------------------


def test_whoever_guesses_at_a_name_does_not_lock_its_owner_out(cast: Cast) -> None:
    hers, thief = browser(), browser()
    typed(hers, "manager_a")
    hers.post("/logout")
    for _ in range(4):  # for hours, from everywhere, and from her own office too
        for _ in range(40):
            typed(thief, "manager_a", "wrong")
        later(16 * 60)
    for _ in range(6):
        typed(thief, "manager_a", "wrong")
    assert "Too many failed attempts" in typed(browser(), "manager_a").content.decode()
    assert typed(hers, "manager_a").status_code == 302


def test_a_known_browser_may_not_guess_for_ever_either(cast: Cast) -> None:
    client = browser()
    typed(client, "manager_a")
    client.post("/logout")
    for _ in range(5):
        typed(client, "manager_a", "wrong")
    assert "Too many failed attempts" in typed(client, "manager_a").content.decode()


def test_the_mark_of_a_browser_is_of_one_name_and_cannot_be_forged() -> None:
    good = login_limit.token_for("ann")
    assert login_limit.keys_of("Ann ", "1.2.3.4", good) == {"browser": good}
    for name, token in (("bob", good), ("ann", good[:-2] + "AA"), ("ann", "x"), ("ann", "")):
        assert "name" in login_limit.keys_of(name, "1.2.3.4", token)
    later(181 * 86400)
    assert "name" in login_limit.keys_of("ann", "1.2.3.4", good)


def test_who_exists_shows_neither_in_the_answer_nor_in_the_time(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_user("gone", PASSWORD, created_at=clock.now(), is_active=False)
    User.objects.create_user("never", None, created_at=clock.now())
    hashed: Counter[str] = Counter()
    real = hashers.MD5PasswordHasher.encode
    names = ("manager_a", "gone", "never", "nobody-at-all")
    texts = {}
    for name in names:

        def encode(self: Any, *arguments: Any, name: str = name) -> str:
            hashed[name] += 1
            return real(self, *arguments)

        monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", encode)
        page = typed(browser(), name, "wrong").content.decode().replace(name, "")
        texts[name] = page.split("<main", 1)[1].partition("csrfmiddlewaretoken")[0]
    assert len(set(texts.values())) == 1, texts
    assert set(hashed.values()) == {1}, hashed  # the hash is what takes the time


# links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example/", "https:evil.example", "/\\evil.example", "\thttps://evil.example", "javascript:alert(1)"),
        *("https://testserver@evil.example/", "http:///evil.example", "/\t/evil.example", "///evil.example"),
    ],
)
def test_the_log_in_leads_nowhere_else(cast: Cast, target: str) -> None:
    assert typed(browser(), "manager_a", next=target)["Location"] == "/"
    assert browser().post("/language", {"language": "en", "next": target})["Location"] == "/"


def test_a_host_that_is_not_ours_is_refused_and_never_repeated(cast: Cast, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["console.brand.example"]
    assert browser().get("/login", headers={"host": "evil.example"}).status_code == 400
    settings.ALLOWED_HOSTS = ["*"]  # an installation that names no host yet
    answer = browser().get("/", headers={"host": "evil.example", "x-forwarded-host": "evil.example"})
    assert answer["Location"] == "/login?next=/"
    assert "evil.example" not in browser().get("/login", headers={"host": "evil.example"}).content.decode()


@pytest.mark.parametrize("target", ["javascript:alert(1)", "//evil.example", "data:text/html,x", "https://a\r\nX: y"])
def test_a_short_link_leads_to_what_is_stored_and_to_nothing_else(cast: Cast, target: str) -> None:
    ShortLink.objects.create(code="good", target="https://shop.example/", created_at=clock.now())
    ShortLink.objects.create(code="bad", target=target, created_at=clock.now())
    assert browser().get("/l/good", {"next": target, "url": target})["Location"] == "https://shop.example/"
    assert browser().get("/l/bad").status_code == 404


def test_links_to_files_are_of_one_person_one_file_and_a_quarter_of_an_hour(headquarters: Client, cast: Cast) -> None:
    audit.record("x", "tag.created", "tag", 1)
    export = ask(headquarters, "audit?target=tag")
    jobs.run_waiting()
    link = link_of(headquarters, export)
    assert headquarters.get(link).status_code == 200
    assert client_of(user("other", HEADQUARTERS, cast.root)).get(link).status_code == 404
    assert browser().get(link)["Location"].startswith("/login")
    for forged in _forged(link):
        assert headquarters.get(forged).status_code == 404, forged
    later(16 * 60)
    assert headquarters.get(link).status_code == 404
    assert Export.objects.get(pk=export.pk).downloads == 1


def _forged(link: str) -> list[str]:
    """A link of which one bit was turned here and there, one that is cut, one of another purpose, nonsense."""
    token = link.removeprefix("/exports/file/").removesuffix(".csv")
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    turned = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(0, len(raw), 5)]
    other = signed_tokens.make("another purpose", raw[4:-16], clock.wall() + timedelta(days=1))
    texts = [base64.urlsafe_b64encode(one).decode().rstrip("=") for one in [*turned, raw[:-1], raw[:20], raw[4:]]]
    return [f"/exports/file/{text}.csv" for text in [*texts, other, "x", "%00", "é"]]


def test_a_password_is_set_anew_by_a_person_only(headquarters: Client, cast: Cast) -> None:
    """There is no link by mail that could be guessed or replayed; what somebody else chose must be replaced at once."""
    reset = [route for _name, route, _entry in VIEWS if re.search("/reset|forgot|recover", route)]
    assert reset == []
    headquarters.post(f"/settings/users/{cast.manager_a.pk}/password")
    cast.manager_a.refresh_from_db()
    assert cast.manager_a.must_change_password
    assert not cast.manager_a.check_password(PASSWORD)


def test_the_cast_is_what_these_tests_take_it_for(cast: Cast) -> None:
    assert Brand.objects.get().name
    assert Grant.objects.get(user=cast.manager_a).role == STORE_MANAGER
