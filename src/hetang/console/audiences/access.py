"""Which audiences the actor may change."""

from __future__ import annotations

from django.http import Http404
from django.shortcuts import get_object_or_404

from hetang.audiences import queries
from hetang.audiences.models import Audience
from hetang.platform.access import Actor


def own_or_404(actor: Actor, public_id: str) -> Audience:
    """The audience, if the actor may change it: those of the nodes above, and another company's, she only sees."""
    found = get_object_or_404(queries.visible(actor.scope("audiences:edit")), public_id=public_id)
    if not actor.own_scope("audiences:edit").covers(found.org_node.path):
        raise Http404
    return found
