"""The page on which one tries the API out."""

from __future__ import annotations

import re

from django.contrib.staticfiles import finders
from django.test import Client

from tests.console.cast import user
from tests.console.conftest import client_of


def test_its_scripts_are_ours_and_it_names_the_schema(db: None) -> None:
    browser = client_of(user("lin", "administrator"))
    page = browser.get("/api/v1/docs").content.decode()
    asked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(asked) >= 4
    assert [one for one in asked if finders.find(one.removeprefix("/static/")) is None] == []
    assert '"url": "/api/v1/openapi.json"' in page
    assert browser.get("/api/v1/openapi.json").json()["paths"].keys() == {"/api/v1/facts"}
    assert Client().get("/api/v1/docs").status_code == 302
