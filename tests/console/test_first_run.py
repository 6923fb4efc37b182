"""The first visit to an empty installation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from hetang.console import first_run
from hetang.platform import brand, environment
from hetang.platform.access import actor_for
from hetang.platform.models import User

VALUES = {
    "brand": "荷塘",
    "currency": "JPY",
    "time_zone": "Asia/Tokyo",
    "username": "first",
    "password": "a long password",
}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    brand.forget()
    (environment.home() / "setup-code").unlink(missing_ok=True)
    yield
    brand.forget()


def test_the_login_page_of_an_empty_installation_leads_to_the_set_up(db: None) -> None:
    assert Client().get("/login")["Location"] == "/setup"


def test_without_the_code_nothing_is_set_up(db: None) -> None:
    answer = Client(headers={"accept-language": "en"}).post("/setup", VALUES | {"code": "guess"})
    assert answer.status_code == 422
    assert "not the code of this installation" in answer.content.decode()
    assert not User.objects.exists()


def test_with_the_code_the_first_user_is_headquarters_and_logged_in(db: None) -> None:
    client = Client()
    answer = client.post("/setup", VALUES | {"code": first_run.code()})
    assert answer["Location"] == "/"
    user = User.objects.get()
    assert actor_for(user).scope("settings:edit").everything
    assert (brand.brand().name, brand.brand().currency_digits) == ("荷塘", 0)
    assert client.get("/").status_code == 200
    assert not (environment.home() / "setup-code").exists()


def test_the_set_up_is_gone_once_somebody_can_log_in(db: None) -> None:
    code = first_run.code()
    Client().post("/setup", VALUES | {"code": code})
    answer = Client().post("/setup", VALUES | {"code": code, "username": "second"})
    assert answer["Location"] == "/login"
    assert User.objects.count() == 1


def test_a_short_password_is_refused_in_the_language_of_the_page(db: None) -> None:
    client = Client(headers={"accept-language": "zh-hans"})
    page = client.post("/setup", {"password": "Lotus-26"}).content.decode()
    assert "密码太短，至少需要 10 位。" in page
    assert "This password" not in page
