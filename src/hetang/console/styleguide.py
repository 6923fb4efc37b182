"""The style guide: every template tag with real values, the target of accessibility and screenshot checks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from hetang.console.forms import DayInput
from hetang.console.paging import Page
from hetang.platform import clock
from hetang.platform.access import signed_in

SWATCHES = (
    "page",
    "surface",
    "sunken",
    "line-strong",
    "ink",
    "ink-3",
    "accent",
    "accent-soft",
    "good",
    "warn",
    "bad",
    "info",
)
ICONS = [
    "home",
    "customers",
    "person",
    "eye",
    "tag",
    "audience",
    "campaign",
    "send",
    "report",
    "board",
    "import",
    "export",
    "operations",
    "jobs",
    "held",
    "stream",
    "settings",
    "key",
    "audit",
    "simulator",
    "plus",
    "minus",
    "check",
    "close",
    "search",
    "menu",
    "more",
    "left",
    "right",
    "down",
    "up",
    "edit",
    "trash",
    "copy",
    "info",
    "help",
    "success",
    "error",
    "warning",
    "calendar",
    "clock",
    "link",
    "bell-off",
    "store",
    "cart",
    "refund",
    "visit",
    "heart",
    "shield",
    "merge",
    "download",
    "upload",
    "play",
    "pause",
    "stop",
    "refresh",
    "filter",
    "sun",
    "moon",
    "auto",
    "language",
    "logout",
    "chat",
    "image",
    "split",
    "lotus",
]


class SampleForm(forms.Form):
    """Every kind of field."""

    name = forms.CharField(label=_("Name"), help_text=_("As people say it."))
    kind = forms.ChoiceField(label=_("Kind"), choices=[("a", _("First")), ("b", _("Second"))])
    day = forms.DateField(label=_("Day"), widget=DayInput())
    note = forms.CharField(label=_("Note"), widget=forms.Textarea(attrs={"rows": 3}), required=False)
    sure = forms.BooleanField(label=_("I have read the consequence"))
    basis = forms.ChoiceField(
        label=_("Choose one"), choices=[("a", _("First")), ("b", _("Second"))], widget=forms.RadioSelect
    )


@signed_in
def styleguide(request: HttpRequest) -> HttpResponse:
    """Shows each part of the design system; `?toast=1` shows a toast."""
    if request.GET.get("toast"):
        messages.success(request, _("Saved."))
    return render(request, "console/styleguide.html", _samples())


def _samples() -> dict[str, Any]:
    return {
        "form": SampleForm(),
        "wrong": SampleForm({"name": "", "kind": "a"}, prefix="wrong"),
        "page": Page(rows=[1, 2, 3], earlier="e", later="l"),
        "now": clock.now(),
        "earlier": clock.now() - timedelta(hours=5),
        "labels": [_("Choose the audience"), _("Compose"), _("Check and send")],
        "tabs": [
            {"label": _("Overview"), "url": "?tab=1", "current": True},
            {"label": _("History"), "url": "?tab=2", "current": False},
        ],
        "swatches": SWATCHES,
        "icons": ICONS,
        "rows": [("C-1001", 1284050, 0.1834, (-0.012, 0.031)), ("C-1002", 99, 0.02, (0.004, 0.051))],
    }
