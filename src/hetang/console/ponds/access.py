"""Which pond sets the actor may see and change."""

from __future__ import annotations

from django.http import Http404
from django.shortcuts import get_object_or_404

from hetang.audiences import ponds
from hetang.audiences.models import PondSet
from hetang.platform.access import Actor


def seen_or_404(actor: Actor, public_id: str) -> PondSet:
    """The pond set, if the actor may see it."""
    visible = ponds.visible(actor.scope("audiences:view"))
    return get_object_or_404(visible.select_related("created_by"), public_id=public_id)


def own_or_404(actor: Actor, public_id: str) -> PondSet:
    """The pond set, if the actor may change it: those of the nodes above she only sees."""
    found = get_object_or_404(ponds.visible(actor.scope("audiences:edit")), public_id=public_id)
    if not actor.own_scope("audiences:edit").covers(found.org_node.path):
        raise Http404
    return found
