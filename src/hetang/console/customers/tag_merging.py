"""Merging two tags: those who wear the one get the other, as a change to many that is previewed, approved and undone
like any; the first is then archived."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hetang.audiences import automatic
from hetang.console.customers.bulk import refusal
from hetang.customers import bulk
from hetang.customers.bulk import Wanted
from hetang.customers.errors import BulkRefused
from hetang.customers.kept import NOT_KEPT
from hetang.customers.models import BulkChange, Tag
from hetang.platform.access import actor_of, needs


@require_POST
@needs("audiences:edit", whole_brand=True)
def tag_merge(request: HttpRequest, tag_id: int) -> HttpResponse:
    """Fix who gets the tag `into` because she wears this one. Refused while rules ask for this one."""
    actor = actor_of(request)
    actor.require_everywhere(bulk.EDIT)
    in_use = Tag.objects.filter(NOT_KEPT, archived_at=None)
    tag = get_object_or_404(in_use, pk=tag_id)
    into = in_use.filter(code=request.POST.get("into", "")).exclude(pk=tag.pk).first()
    users = automatic.using(tag.code)
    if users:
        names = ", ".join(user.title for user in users)
        messages.error(
            request, _("Audiences ask for this tag: %(names)s. Change their rules first.") % {"names": names}
        )
    elif into is None:
        messages.error(request, _("Choose the tag that stays."))
    else:
        try:
            change = bulk.preview(actor, Wanted(BulkChange.TAG_ON, into), {"tag": tag.code})
        except BulkRefused as refused:
            messages.error(request, refusal(refused))
        else:
            said = _("Look at it and start it. When it is done, archive “%(name)s” on the page of the tags.")
            messages.info(request, said % {"name": tag.name})
            return redirect("customers:bulk", change.public_id)
    return redirect("customers:tags")
