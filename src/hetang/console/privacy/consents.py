"""The register of consents: how many agreed to what, on which basis, from which source; and the texts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from hetang.console.customers import words
from hetang.console.privacy.tabs import tabs
from hetang.customers import minors
from hetang.customers.services import PERSONALISATION
from hetang.customers.wording import channel_word
from hetang.platform import jobs
from hetang.platform.access import actor_of, needs
from hetang.platform.models import JobRun, User
from hetang.privacy import bases, consents
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import BasisStatement, ConsentCount, ConsentText

_OPEN = (JobRun.WAITING, JobRun.RUNNING)
PURPOSES = {**words.PURPOSES, minors.GUARDIAN: words.GUARDIAN}


@dataclass
class Line:
    """A line of a table: what it is, how many said yes and count, for how many nobody knows the basis, how many took it
    back. `lots`: channels of those who wait, with the address at which their basis is stated."""

    labels: list[str]
    given: int = 0
    waiting: int = 0
    withdrawn: int = 0
    lots: list[tuple[str, str]] = field(default_factory=list)

    def add(self, one: ConsentCount) -> None:
        if consents.waits(one):
            self.waiting += one.people
            query = urlencode({"source": one.source, "purpose": one.purpose, "channel": one.channel})
            self.lots.append((str(channel_word(one.channel)), f"{reverse('privacy:basis')}?{query}"))
        elif one.given:
            self.given += one.people
        else:
            self.withdrawn += one.people


class TextForm(forms.Form):
    """A new version of a text."""

    version = forms.CharField(label=gettext_lazy("Version"), max_length=60, required=False)
    purpose = forms.ChoiceField(label=gettext_lazy("Purpose"), choices=list(PURPOSES.items()))
    zh_hans = forms.CharField(
        label=gettext_lazy("Text in Chinese"), widget=forms.Textarea(attrs={"rows": 3}), max_length=4000, required=False
    )
    en = forms.CharField(
        label=gettext_lazy("Text in English"), widget=forms.Textarea(attrs={"rows": 3}), max_length=4000, required=False
    )


@require_http_methods(["GET", "POST"])
@needs("privacy:view")
def register(request: HttpRequest) -> HttpResponse:
    """The newest count, and the texts; a POST (who manages privacy) adds a text."""
    actor = actor_of(request)
    form, problem = TextForm(request.POST if request.method == "POST" else None), ""
    if request.method == "POST":
        actor.require("privacy:manage")
        if form.is_valid():
            try:
                consents.add_text(actor, **form.cleaned_data)
            except PrivacyRefused as refused:
                problem = refusal_text(refused)
            else:
                messages.success(request, _("The text is kept. From now on customers are shown this one."))
                return redirect("privacy:consents")
    day = consents.newest_day()
    counted = consents.lines(day) if day else []
    values = {
        "day": day,
        "counted_at": consents.counted_at(),
        "uncounted": day is None and consents.any_known(),
        "running": _running(),
        "by_channel": _grouped(counted, _by_channel),
        "by_source": _grouped(counted, _by_source),
        "objected": sum(one.people for one in counted if one.purpose == PERSONALISATION and not one.given),
        "without_basis": sum(one.people for one in counted if consents.waits(one)),
        "statements": [_statement(one) for one in bases.newest()],
        "children": consents.children(),
        "trend": consents.trend("marketing"),
        "texts": [_text(one) for one in ConsentText.objects.select_related("created_by").order_by("-created_at")[:50]],
        "form": form,
        "problem": problem,
        "tabs": tabs("consents"),
    }
    return render(request, "console/privacy/consents.html", values, status=422 if problem or form.errors else 200)


@require_POST
@needs("privacy:manage")
def count_now(request: HttpRequest) -> HttpResponse:
    """Count without waiting for the worker's turn, unless a count is under way."""
    user = request.user if isinstance(request.user, User) else None
    if not JobRun.objects.filter(kind=consents.JOB, state__in=_OPEN).exists():
        jobs.enqueue(consents.JOB, _("Count of consents"), {}, user)
    return redirect("privacy:consents")


def _running() -> JobRun | None:
    return JobRun.objects.filter(kind__in=(consents.JOB, bases.JOB), state__in=_OPEN).order_by("-id").first()


def _grouped(counted: list[ConsentCount], labels_of: Any) -> list[Line]:
    found: dict[tuple[str, ...], Line] = defaultdict(lambda: Line([]))
    for one in counted:
        labels = labels_of(one)
        found[tuple(labels)].labels = labels
        found[tuple(labels)].add(one)
    return sorted(found.values(), key=lambda line: (-line.given - line.waiting - line.withdrawn, line.labels))


def _by_channel(one: ConsentCount) -> list[str]:
    return [_purpose(one.purpose), str(channel_word(one.channel))]


def _by_source(one: ConsentCount) -> list[str]:
    return [one.source, str(words.BASES.get(one.basis, one.basis)), _purpose(one.purpose), one.text_version]


def _purpose(code: str) -> str:
    own = {PERSONALISATION: _("Personalisation")}
    return str(own.get(code) or PURPOSES.get(code, code))


def _statement(one: BasisStatement) -> dict[str, Any]:
    return {
        "made": one,
        "what": [one.source, _purpose(one.purpose), str(channel_word(one.channel))],
        "basis": words.BASES.get(one.basis, one.basis),
        "stopped": bases.is_stopped(one),
    }


def _text(one: ConsentText) -> dict[str, Any]:
    chinese = (get_language() or "").startswith("zh")
    return {"text": one, "purpose": _purpose(one.purpose), "shown": one.zh_hans if chinese else one.en}
