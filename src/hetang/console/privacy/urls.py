"""Addresses of the privacy pages."""

from __future__ import annotations

from django.urls import path

from hetang.console.privacy import keeping, rules

app_name = "privacy"
urlpatterns = [
    path("keeping/", keeping.schedule, name="keeping"),
    path("keeping/run", keeping.run_now, name="keeping-run"),
    path("keeping/<slug:code>/", keeping.kind, name="keeping-kind"),
    path("rules/", rules.rules, name="rules"),
]
