"""What the room of group chats keeps of a person: when she was in which group."""

from __future__ import annotations

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from hetang.communities.models import GroupChat, GroupMember
from hetang.platform.holdings import Checkpoint, Holding, Person

CHUNK = 500


def _ids(person: Person) -> list[str]:
    return [one.value for one in person.identities if one.kind == "external_userid"]


def _count(person: Person) -> int:
    return GroupMember.objects.filter(member__in=_ids(person), joined_at__lte=person.at).count()


def _tell(person: Person) -> list[dict[str, object]]:
    stays = GroupMember.objects.filter(member__in=_ids(person), joined_at__lte=person.at).select_related("group")
    return [
        {
            "group": stay.group.name,
            "joined_at": stay.joined_at.isoformat(),
            "left_at": stay.left_at and stay.left_at.isoformat(),
        }
        for stay in stays.order_by("joined_at")
    ]


def _erase(person: Person, checkpoint: Checkpoint) -> int:
    """Her stays go; the counts of groups that she is still in are put right by their next reading."""
    removed = 0
    while True:
        stays = list(
            GroupMember.objects.filter(member__in=_ids(person), joined_at__lte=person.at).values_list("pk", "group_id")[
                :CHUNK
            ]
        )
        if not stays:
            return removed
        GroupMember.objects.filter(pk__in=[pk for pk, _group in stays]).delete()
        GroupChat.objects.filter(pk__in={group for _pk, group in stays}, customers__gt=0).update(
            customers=F("customers") - 1
        )
        removed += len(stays)
        checkpoint()


HOLDINGS = [
    Holding(
        "groups",
        _("Group chats she was in"),
        _count,
        _erase,
        tell=_tell,
        kept=_("She stays in the groups themselves: their owner has to remove her there."),
        by_value=True,
    )
]
