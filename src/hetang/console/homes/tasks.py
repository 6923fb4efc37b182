"""A member of staff's own send tasks that wait for her in WeCom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import ngettext

from hetang.campaigns.models import Broadcast
from hetang.campaigns.queries import visible_broadcasts
from hetang.console import figures
from hetang.console.start import Item, broadcast_url
from hetang.platform.access import Actor
from hetang.resources.models import Staff
from hetang.touch.confirming import waiting_tasks
from hetang.touch.models import SendTask, Variant

_TASKS = 20


@dataclass(frozen=True)
class Task:
    """A task of hers, with the text that her customers will get."""

    task: SendTask
    broadcast: Broadcast
    text: str
    url: str


def of(actor: Actor, staff: Staff | None) -> list[Task]:
    """Her tasks that wait, the one that expires first at the top. Three queries, none for who is no staff."""
    if staff is None or not actor.can("campaigns:view"):
        return []
    nodes = actor.own_scope("campaigns:view").org_nodes().values("pk")
    waiting = waiting_tasks().filter(staff=staff, org_node_id__in=nodes).select_related("programme")
    found = list(waiting.order_by("programme__expires_at", "pk")[:_TASKS])
    programmes = {task.programme_id for task in found}
    if not programmes:
        return []
    seen = visible_broadcasts(actor.scope("campaigns:view")).filter(programme__in=programmes)
    broadcasts = {one.programme_id: one for one in seen}
    texts = {
        (programme, number): text
        for programme, number, text in Variant.objects.filter(programme__in=programmes).values_list(
            "programme", "number", "text"
        )
    }
    return [
        Task(
            task,
            broadcasts[task.programme_id],
            texts.get((task.programme_id, task.variant), ""),
            broadcast_url(broadcasts[task.programme_id]),
        )
        for task in found
        if task.programme_id in broadcasts
    ]


def items(mine: Sequence[Task]) -> list[Item]:
    """What a list of what needs her says of them: all in one line."""
    if not mine:
        return []
    people = sum(one.task.people for one in mine)
    text = ngettext(
        "You have %(n)d task to confirm in WeCom, for %(people)s customers.",
        "You have %(n)d tasks to confirm in WeCom, for %(people)s customers.",
        len(mine),
    ) % {"n": len(mine), "people": figures.number(people)}
    return [Item(text, mine[0].url if len(mine) == 1 else reverse("campaigns:broadcasts"), "clock", "warn")]
