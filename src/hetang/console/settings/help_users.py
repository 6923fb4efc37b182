"""Help for users who cannot log in: password, second factor, waiting time; and the end of their sessions."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from hetang.console import login_limit
from hetang.console.settings.users import seen_or_404, sentence
from hetang.platform import audit, users
from hetang.platform.access import actor_of, needs
from hetang.platform.users import UserRefused


@never_cache
@require_POST
@needs("users:manage")
def reset_password(request: HttpRequest, user_id: int) -> HttpResponse:
    """A first password anew. It is in this answer and nowhere else."""
    user = seen_or_404(actor_of(request), user_id)
    try:
        plain = users.reset_password(actor_of(request), user)
    except UserRefused as refused:
        messages.error(request, sentence(refused))
        return redirect("settings:user", user_id)
    return render(request, "console/settings/first_password.html", {"person": user, "plain": plain})


@require_POST
@needs("users:manage")
def reset_two_factor(request: HttpRequest, user_id: int) -> HttpResponse:
    """For who has lost her phone and her recovery codes."""
    user = seen_or_404(actor_of(request), user_id)
    try:
        done = users.reset_two_factor(actor_of(request), user)
    except UserRefused as refused:
        messages.error(request, sentence(refused))
    else:
        messages.success(request, _("The second factor is off.") if done else _("There was no second factor."))
    return redirect("settings:user", user_id)


@require_POST
@needs("users:manage")
def end_sessions(request: HttpRequest, user_id: int) -> HttpResponse:
    """Log somebody out everywhere."""
    user = seen_or_404(actor_of(request), user_id)
    ended = users.end_sessions(actor_of(request), user)
    messages.success(request, ngettext("%(n)d session is ended.", "%(n)d sessions are ended.", ended) % {"n": ended})
    return redirect("settings:user", user_id)


@require_POST
@needs("users:manage")
def unlock(request: HttpRequest, user_id: int) -> HttpResponse:
    """Let who typed a wrong password too often try again at once."""
    user = seen_or_404(actor_of(request), user_id)
    users.require_whole(actor_of(request), user)
    with transaction.atomic():
        login_limit.succeeded(name=user.username, code=str(user.pk))
        audit.record(actor_of(request), "user.unlocked", "user", user.pk)
    messages.success(request, _("%(name)s can try again now.") % {"name": user.username})
    return redirect("settings:user", user_id)
