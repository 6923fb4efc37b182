"""What uses an audience; archiving it, which looks at that first, and bringing it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hetang.audiences import ponds, queries, services
from hetang.audiences.errors import AudienceError, AudienceInUse, NameTaken
from hetang.audiences.models import Audience, PondSet
from hetang.audiences.ports import waiting_uses
from hetang.campaigns import queries as campaigns
from hetang.campaigns.models import Broadcast
from hetang.console.audiences.access import own_or_404
from hetang.console.campaigns.campaigns import state_of
from hetang.platform.access import Actor, actor_of, needs

BROADCASTS_SHOWN = 20


@dataclass
class Uses:
    """What the actor may see of an audience's use. `hidden` others and `hidden_ponds` include it where she may not
    look; `unsent` are all broadcasts that wait for it."""

    audiences: list[Audience] = field(default_factory=list)
    hidden: int = 0
    ponds: list[PondSet] = field(default_factory=list)
    hidden_ponds: int = 0
    broadcasts: list[tuple[Broadcast, dict[str, Any]]] = field(default_factory=list)
    more: bool = False
    unsent: list[str] = field(default_factory=list)

    @property
    def included(self) -> bool:
        """Whether other audiences or ponds are made from it: then it cannot be archived."""
        return bool(self.audiences or self.hidden or self.ponds or self.hidden_ponds)

    def __bool__(self) -> bool:
        return bool(self.included or self.broadcasts)


def uses_of(audience: Audience, actor: Actor) -> Uses:
    """The newest twenty broadcasts to it, and the audiences and pond sets that include it."""
    others = queries.used_by(audience)
    visible = queries.visible(actor.scope("audiences:view"))
    seen = set(visible.filter(id__in=[other.id for other in others]).values_list("id", flat=True))
    found = Uses([other for other in others if other.id in seen], len(others) - len(seen))
    sets = queries.ponds_of(audience)
    shown = set(ponds.visible(actor.scope("audiences:view")).filter(pk__in=[one.pk for one in sets]))
    found.ponds, found.hidden_ponds = [one for one in sets if one in shown], len(sets) - len(shown)
    if actor.can("campaigns:view"):
        to_it = campaigns.visible_broadcasts(actor.scope("campaigns:view")).filter(audience=audience).order_by("-id")
        rows = list(to_it[: BROADCASTS_SHOWN + 1])
        found.broadcasts = [(one, state_of(one)) for one in rows[:BROADCASTS_SHOWN]]
        found.more = len(rows) > BROADCASTS_SHOWN
    found.unsent = [use.name for use in waiting_uses(audience.id)]
    return found


@require_POST
@needs("audiences:edit")
def archive(request: HttpRequest, public_id: str) -> HttpResponse:
    """Put an audience away. `unsent=yes` says that broadcasts still written to it were seen."""
    audience = own_or_404(actor_of(request), public_id)
    try:
        services.archive(actor_of(request), audience, though_waiting=request.POST.get("unsent") == "yes")
    except AudienceInUse as used:
        messages.error(request, _refusal(used))
        return redirect("audiences:detail", audience.public_id)
    except AudienceError:
        messages.error(request, _("It has been changed or archived meanwhile."))
    else:
        messages.success(request, _("Archived. Its history is kept, and “Archived” in the list brings it back."))
    return redirect("audiences:list")


@require_POST
@needs("audiences:edit")
def restore(request: HttpRequest, public_id: str) -> HttpResponse:
    """Bring an archived audience back."""
    scope = actor_of(request).own_scope("audiences:edit")
    audience = get_object_or_404(queries.archived(scope), public_id=public_id)
    try:
        services.restore(actor_of(request), audience)
    except NameTaken:
        messages.error(
            request,
            _("There is an audience called “%(name)s” again. Rename that one first.") % {"name": audience.name},
        )
        return redirect("audiences:list")
    except AudienceError:
        messages.error(request, _("It has been changed or archived meanwhile."))
        return redirect("audiences:list")
    messages.success(request, _("It is back. Refresh it to see who is in now."))
    return redirect("audiences:detail", audience.public_id)


def _refusal(used: AudienceInUse) -> str:
    if used.tags:
        return _("It keeps tags: %(names)s. Stop these first, on the page of the tags.") % {
            "names": ", ".join(used.tags)
        }
    if used.ponds:
        return _("Ponds are made of it or ask for it, in: %(names)s. Change these first.") % {
            "names": ", ".join(used.ponds)
        }
    if used.names:
        names = ", ".join(used.names)
        return _("It is used by other audiences: %(names)s. Take it out of their rules first.") % {"names": names}
    names = ", ".join(used.waiting)
    return _("Broadcasts that are not sent yet are written to it: %(names)s. Look at them, then archive.") % {
        "names": names
    }
