"""Addresses of the privacy pages."""

from __future__ import annotations

from django.urls import path

from hetang.console.privacy import consents, keeping, rotating, rules

app_name = "privacy"
urlpatterns = [
    path("consents/", consents.register, name="consents"),
    path("consents/count", consents.count_now, name="consents-count"),
    path("keeping/", keeping.schedule, name="keeping"),
    path("keeping/run", keeping.run_now, name="keeping-run"),
    path("keeping/<slug:code>/", keeping.kind, name="keeping-kind"),
    path("keys/", rotating.key_page, name="keys"),
    path("keys/rotate", rotating.rotate, name="keys-rotate"),
    path("rules/", rules.rules, name="rules"),
]
