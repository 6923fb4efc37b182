"""Fixtures of the operations room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hetang.operations import configured
from tests.console.conftest import cast, headquarters, manager  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    configured.forget()
    yield
    configured.forget()
