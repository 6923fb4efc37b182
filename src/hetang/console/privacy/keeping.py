"""What is kept how long and why, what was removed last; another time after showing what it would remove."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hetang.console.privacy.tabs import tabs
from hetang.platform.access import actor_of, needs
from hetang.platform.keeping import COUNTED, Keeping
from hetang.privacy import retention
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import KeepingRun
from hetang.privacy.retention import Last


@dataclass(frozen=True)
class Line:
    """One kind of data as the page shows it."""

    kind: Keeping
    days: int
    last: Last | None


class DaysForm(forms.Form):
    """For how many days."""

    days = forms.IntegerField(label=gettext_lazy("Days"))


@require_GET
@needs("privacy:view")
def schedule(request: HttpRequest) -> HttpResponse:
    """Every kind of data with its time, the reason, and what the newest run removed."""
    days, last = retention.days_of(), retention.last_removals()
    lines = [Line(kind, days.get(kind.code, 0), last.get(kind.code)) for kind in retention.all_kinds()]
    values = {
        "timed": [line for line in lines if line.kind.store is not None],
        "others": [line for line in lines if line.kind.store is None],
        "running": retention.running(),
        "newest": KeepingRun.objects.exclude(finished_at=None).order_by("-id").first(),
        "at": retention.AT.strftime("%H:%M"),
        "tabs": tabs("keeping"),
    }
    return render(request, "console/privacy/keeping.html", values)


@require_http_methods(["GET", "POST"])
@needs("privacy:view")
def kind(request: HttpRequest, code: str) -> HttpResponse:
    """One kind: its time, and with `?days=` how much another one would remove. A POST (who manages privacy) sets it."""
    known = retention.kind_of(code)
    if known is None or known.store is None:
        raise Http404
    now, problem = retention.days_of()[code], ""
    given = request.POST if request.method == "POST" else request.GET
    form = DaysForm(given if "days" in given else {"days": now})
    wanted = form.cleaned_data["days"] if form.is_valid() else now
    if request.method == "POST" and form.is_valid():
        try:
            retention.change(actor_of(request), known, wanted)
        except PrivacyRefused as refused:
            problem = refusal_text(refused)
        else:
            messages.success(request, _("Saved. It counts from the next run on."))
            return redirect("privacy:keeping")
    inside = known.least <= wanted <= known.most
    values = {
        "kind": known,
        "form": form,
        "problem": problem or ("" if inside else refusal_text(_out_of_bounds(known))),
        "now": now,
        "wanted": wanted,
        "inside": inside,
        "goes": retention.older_than(known, wanted) if inside and wanted != now else None,
        "most_counted": COUNTED,
        "oldest": retention.oldest_of(known),
        "may_change": actor_of(request).can("privacy:manage"),
    }
    return render(request, "console/privacy/keeping_kind.html", values, status=422 if values["problem"] else 200)


@require_GET
@needs("privacy:view")
def due(request: HttpRequest) -> HttpResponse:
    """How much of each kind a run would remove now; asked for when somebody is about to start one."""
    days = retention.days_of()
    counted = [(one.label, retention.older_than(one, days[one.code])) for one in retention.all_kinds() if one.store]
    values = {"due": [(label, count) for label, count in counted if count], "most_counted": COUNTED}
    return render(request, "console/privacy/keeping_due.html", values)


@require_POST
@needs("privacy:manage")
def run_now(request: HttpRequest) -> HttpResponse:
    """Remove what is over without waiting for the night."""
    try:
        retention.begin_now(actor_of(request))
    except PrivacyRefused as refused:
        messages.error(request, refusal_text(refused))
    return redirect("privacy:keeping")


def _out_of_bounds(known: Keeping) -> PrivacyRefused:
    return PrivacyRefused("out_of_bounds", low=known.least, high=known.most)
