"""The keys that protect what identifies people: how old they are, a rotation under way, starting one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from hetang.console.privacy.tabs import tabs
from hetang.platform.access import actor_of, needs
from hetang.platform.environment import secrets_of_home
from hetang.platform.models import JobRun
from hetang.privacy import rotation
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import KeyRotation


@require_GET
@needs("privacy:view")
def key_page(request: HttpRequest) -> HttpResponse:
    """The state of the keys and the rotations so far. No key is shown, nor anything made of one."""
    alive, known = rotation.under_way(), secrets_of_home()
    past = KeyRotation.objects.exclude(finished_at=None).select_related("started_by").order_by("-id")[:20]
    waiting = alive is not None and alive.job is not None and alive.job.state in (JobRun.WAITING, JobRun.RUNNING)
    values = {
        "alive": alive,
        "waiting": waiting,
        "done": _done(alive),
        "past": [(one, _done(one)) for one in past],
        "current": known.sealing_current,
        "older": sorted(set(known.sealing) - {known.sealing_current}),
        "tabs": tabs("keys"),
    }
    return render(request, "console/privacy/keys.html", values)


@require_POST
@needs("privacy:manage")
def rotate(request: HttpRequest) -> HttpResponse:
    """Start a rotation, or let one go on whose job has ended."""
    actor, alive = actor_of(request), rotation.under_way()
    try:
        if alive is None:
            rotation.begin(actor)
        else:
            rotation.start_again(actor, alive)
    except PrivacyRefused as refused:
        messages.error(request, refusal_text(refused))
    return redirect("privacy:keys")


def _done(one: KeyRotation | None) -> int:
    """How many values were written anew."""
    return sum(step.get("done", 0) for step in one.steps.values()) if one else 0
