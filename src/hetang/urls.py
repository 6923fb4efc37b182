"""All addresses of the product: the console at the root, the JSON API below /api/v1."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, register_converter

from hetang.api.urls import urls as api_urls
from hetang.connectors.wecom.verification import VerificationName, verification_file
from hetang.connectors.wecom.webhook import callback as wecom_callback

register_converter(VerificationName, "verification")
urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api_urls()),
    path("wecom/callback/<uuid:app>", wecom_callback, name="wecom-callback"),
    path("<verification:name>", verification_file, name="wecom-verification"),
    path("", include("hetang.console.urls")),
]
handler400 = "hetang.console.errors.bad_request"
handler403 = "hetang.console.errors.forbidden"
handler404 = "hetang.console.errors.not_found"
handler500 = "hetang.console.errors.server_error"
