"""The API's addresses. Its calls need a key instead of a login; the schema and its pages need a login."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern

from hetang.api.app import api

_PAGES = {"openapi-json", "openapi-view", "api-root"}


def urls() -> tuple[list[Any], str, str]:
    """What `path()` takes. LoginRequiredMiddleware is told to leave the calls to their keys."""
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        if isinstance(pattern, URLPattern) and pattern.name not in _PAGES:
            setattr(pattern.callback, "login_required", False)  # noqa: B010 - a mark on a function
    return patterns, app_name, namespace
