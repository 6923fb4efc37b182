"""Fixtures of the console's tests."""

from __future__ import annotations

import pytest
from django.test import Client

from hetang.platform import brand
from tests.console import cast as people
from tests.console.cast import Cast


@pytest.fixture
def cast(db: None) -> Cast:
    """The fixed cast."""
    brand.forget()
    return people.make()


@pytest.fixture
def headquarters(cast: Cast) -> Client:
    """A browser in which headquarters is logged in, in English."""
    return _client(cast.headquarters)


@pytest.fixture
def manager(cast: Cast) -> Client:
    """A browser in which the manager of store A is logged in, in English."""
    return _client(cast.manager_a)


def _client(user: object) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)  # type: ignore[arg-type]
    return client
