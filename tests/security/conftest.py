"""Fixtures of the security tests: those of the console's."""

from __future__ import annotations

from tests.console.conftest import cast, headquarters, manager

__all__ = ["cast", "headquarters", "manager"]
