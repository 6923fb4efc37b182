"""Which way each group of tags goes between here and WeCom: chosen, and how far the two sides agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from hetang.connectors.wecom import corp_tags, tag_catalogue
from hetang.connectors.wecom.client import connected_app
from hetang.connectors.wecom.models import Corp, CorpTag, TagDirection, TagStep
from hetang.customers.models import Tag, TagGroup
from hetang.platform import audit, clock
from hetang.platform.access import Actor

IN_STEP, WAITING, UNKNOWN, REFUSED, DELETED, ABSENT = "in_step", "waiting", "unknown", "refused", "deleted", "absent"


@dataclass(frozen=True)
class State:
    """How a tag of ours (or a group's name) stands in WeCom. `code` is why it was refused."""

    word: str
    code: int = 0


@dataclass(frozen=True)
class Standing:
    """A group against the corp that sends: what was chosen, the state of its name and of each of its tags by id.

    `there` is how many living tags WeCom has in all groups, `lacking` how many of this group it has not.
    """

    direction: str
    name: State
    tags: dict[int, State]
    there: int
    lacking: int

    @property
    def worst(self) -> State:
        """What somebody should see first."""
        states = [self.name, *self.tags.values()]
        for word in (REFUSED, DELETED, UNKNOWN, WAITING, IN_STEP):
            for state in states:
                if state.word == word:
                    return state
        return State(ABSENT)


def choose(actor: Actor, group: TagGroup, direction: str) -> bool:
    """Let a group go another way from now on; false if it does already. Nothing is deleted on either side by it, so the
    way back is to choose again. Raises Forbidden, ValueError."""
    actor.require_everywhere("audiences:edit")
    if direction not in TagDirection.ALL:
        raise ValueError(direction)
    with transaction.atomic():
        held = TagGroup.objects.select_for_update().get(pk=group.pk)
        before = corp_tags.directions([held.pk]).get(held.pk, "")
        if before == direction:
            return False
        said = {"direction": direction, "chosen_at": clock.now(), "chosen_by": actor.name[:80]}
        TagDirection.objects.update_or_create(group=held, defaults=said)
        corp_tags.align(held)
        changes = {"name": held.name, "direction": [before, direction]}
        audit.record(actor, "tag_group.wecom", "tag_group", held.pk, changes)
    return True


def try_again(actor: Actor, group: TagGroup) -> int:
    """Ask WeCom once more for what it refused, and make again what was deleted there. Returns of how many. Raises
    Forbidden."""
    actor.require_everywhere("audiences:edit")
    with transaction.atomic():
        count = tag_catalogue.try_again(group)
        if count:
            changes = {"name": group.name, "tags": count}
            audit.record(actor, "tag_group.wecom_again", "tag_group", group.pk, changes)
    return count


def named_by_wecom(tag: Tag) -> bool:
    """Whether the tag's name only comes from WeCom, so that another one given here would not last."""
    chosen = TagDirection.objects.filter(group=tag.group_id, direction=TagDirection.INWARD)
    return chosen.exists() and CorpTag.objects.filter(ours=tag, deleted_at=None).exists()


def standings(groups: Iterable[TagGroup]) -> dict[int, Standing]:
    """How groups and their living tags stand in WeCom, by the group's id; nothing where no corp is set up. Five
    statements for any number."""
    app = connected_app()
    if app is None:
        return {}
    wanted = [group.pk for group in groups]
    chosen = corp_tags.directions(wanted)
    tags = list(Tag.objects.filter(group__in=wanted, archived_at=None).values_list("pk", "group_id"))
    steps = list(TagStep.objects.filter(corp=app.corp))
    of_tags = {step.tag_id: _of_step(step) for step in steps if step.tag_id}
    of_groups = {step.group_id: _of_step(step) for step in steps if step.group_id}
    living, gone = _known(app.corp)
    found: dict[int, Standing] = {}
    for number in wanted:
        direction = chosen.get(number, "")
        states = {
            tag: of_tags.get(tag) or _without_step(direction, tag in living, tag in gone)
            for tag, group in tags
            if group == number
        }
        lacking = sum(1 for tag in states if tag not in living)
        name = of_groups.get(number) or State(IN_STEP if lacking < len(states) else ABSENT)
        found[number] = Standing(direction, name, states, len(living), lacking)
    return found


def _known(corp: Corp) -> tuple[set[int], set[int]]:
    living: set[int] = set()
    gone: set[int] = set()
    rows = CorpTag.objects.filter(corp=corp, ours__isnull=False).values_list("ours_id", "deleted_at")
    for ours, deleted_at in rows:
        (living if deleted_at is None else gone).add(int(ours or 0))
    return living, gone - living


def _of_step(step: TagStep) -> State:
    words = {TagStep.REFUSED: REFUSED, TagStep.UNKNOWN: UNKNOWN}
    return State(words.get(step.state, WAITING), step.code)


def _without_step(direction: str, living: bool, gone: bool) -> State:
    if direction == TagDirection.NEITHER:
        return State(ABSENT)
    if living:
        return State(IN_STEP)
    if gone and direction != TagDirection.OUTWARD:
        return State(DELETED)
    return State(WAITING if direction in TagDirection.GOES_OUT else ABSENT)
