"""All addresses of the product: the console at the root, the JSON API below /api/v1."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from hetang.api.urls import urls as api_urls

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api_urls()),
]
