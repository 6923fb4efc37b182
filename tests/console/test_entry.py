"""Log-in, language, appearance, theme, errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from hetang.platform import clock
from hetang.platform.models import AuditEntry, User
from tests.console.cast import PASSWORD, Cast


def _log_in(client: Client, username: str, password: str, **extra: str) -> object:
    return client.post("/login", {"username": username, "password": password, **extra})


def test_a_stranger_is_sent_to_the_login_page(cast: Cast) -> None:
    answer = Client().get("/")
    assert (answer.status_code, answer["Location"]) == (302, "/login?next=/")


def test_a_fragment_of_an_expired_session_sends_the_whole_page_to_the_login(cast: Cast) -> None:
    answer = Client().get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/login")


def test_login_opens_the_session_and_speaks_the_users_language(cast: Cast) -> None:
    client = Client()
    answer = _log_in(client, "headquarters", PASSWORD)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.cookies["hetang_language"].value == "en"
    assert AuditEntry.objects.get().action == "session.opened"
    assert "Home" in client.get("/").content.decode()


def test_login_goes_only_to_addresses_of_this_console(cast: Cast) -> None:
    answer = _log_in(Client(), "headquarters", PASSWORD, next="https://example.org/")
    assert answer["Location"] == "/"


def test_the_sixth_wrong_password_in_a_row_must_wait(cast: Cast) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    clock.freeze(start)
    try:
        client = Client(headers={"accept-language": "en"})
        for _ in range(5):
            assert "do not match" in _log_in(client, "manager_a", "wrong").content.decode()
        assert "Try again in 1 minute." in _log_in(client, "manager_a", PASSWORD).content.decode()
        clock.freeze(start + timedelta(seconds=61))
        assert _log_in(client, "manager_a", PASSWORD).status_code == 302
    finally:
        clock.freeze(None)


def test_the_language_switch_is_remembered_for_the_user(headquarters: Client) -> None:
    assert 'lang="en"' in headquarters.get("/").content.decode()
    headquarters.post("/language", {"language": "zh-hans", "next": "/"})
    assert 'lang="zh-Hans"' in headquarters.get("/").content.decode()
    assert User.objects.get(username="headquarters").language == "zh-hans"


@pytest.mark.parametrize(("chosen", "drawn"), [("dark", 'data-theme="dark"'), ("light", 'data-theme="light"')])
def test_the_appearance_is_kept_in_a_cookie(headquarters: Client, chosen: str, drawn: str) -> None:
    headquarters.post("/appearance", {"theme": chosen, "next": "/"})
    assert drawn in headquarters.get("/").content.decode()


def test_log_out_ends_the_session(headquarters: Client) -> None:
    assert headquarters.post("/logout")["Location"] == "/login"
    assert headquarters.get("/").status_code == 302


def test_the_theme_carries_the_accent_of_the_brand(cast: Cast) -> None:
    answer = Client().get("/console/theme.css")
    assert answer["Content-Type"] == "text/css; charset=utf-8"
    assert "--accent-fill:#2f7d6b;" in answer.content.decode()


def test_an_unknown_address_says_what_to_do_next(headquarters: Client) -> None:
    answer = headquarters.get("/no/such/page")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_the_style_guide_draws_every_part(headquarters: Client) -> None:
    page = headquarters.get("/styleguide?toast=1").content.decode()
    for part in ("<h-confirm>", 'class="stats"', 'class="steps"', 'class="empty"', "<h-toast", 'class="pager"'):
        assert part in page
    assert "style=" not in page


def test_pages_forbid_foreign_scripts_and_inline_styles(headquarters: Client) -> None:
    policy = headquarters.get("/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_whoever_has_chosen_no_language_keeps_the_one_in_which_she_logs_in(cast: Cast) -> None:
    User.objects.filter(username="headquarters").update(language="")
    client = Client(headers={"accept-language": "en"})
    assert _log_in(client, "headquarters", PASSWORD).status_code == 302
    assert client.cookies["hetang_language"].value == "en"
    assert User.objects.get(username="headquarters").language == "en"
