"""Fixtures of the console's tests."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from hetang.console.campaigns import quota
from hetang.platform import brand
from tests.console import cast as people
from tests.console.cast import Cast
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
    with connection.cursor() as cursor:
        cursor.execute(
            "select string_agg(quote_ident(relname), ', ') from pg_class"
            " where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and not relispartition"
            " and relname not in ('django_migrations', 'django_content_type', 'facts_epoch')"
        )
        cursor.execute(f"truncate {cursor.fetchone()[0]} restart identity cascade")
    brand.forget()
