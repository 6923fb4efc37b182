"""Fixtures of the console's tests."""

from __future__ import annotations

import pytest
from django.test import Client

from hetang.console.campaigns import quota
from hetang.platform import brand
from tests.console import cast as people
from tests.console.cast import Cast
from tests.emptying import empty_the_database
from tests.touch.conftest import shipped_limits

__all__ = ["cast", "shipped_limits"]


@pytest.fixture
def cast(db: None) -> Cast:
    """The fixed cast."""
    brand.forget()
    quota.forget()
    return people.make()


@pytest.fixture
def headquarters(cast: Cast) -> Client:
    """A browser in which headquarters is logged in, in English."""
    return client_of(cast.headquarters)


@pytest.fixture
def manager(cast: Cast) -> Client:
    """A browser in which the manager of store A is logged in, in English."""
    return client_of(cast.manager_a)


def client_of(user: object) -> Client:
    """A browser in which the user is logged in, in English."""
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)  # type: ignore[arg-type]
    return client


def empty_everything() -> None:
    """Empty the test database after data that a module committed."""
    empty_the_database()
    brand.forget()
