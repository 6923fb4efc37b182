"""Group chats of customers (客户群) as objects, with who was in them when."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id
from hetang.platform.models import OrgNode
from hetang.resources.models import Staff, Store


class GroupChat(models.Model):
    """A group. It lies where its owner works; `kind` and `store` may be set by hand, which the sync leaves alone.

    `size` counts everybody in it, `customers` those from outside. `told_at` is when the platform said so: older words
    do not replace newer ones. A dissolved group stays, with all who were in it.
    """

    WELFARE, STORE, MEMBERS, EVENT, OTHER, UNSET = "welfare", "store", "members", "event", "other", ""
    KINDS: ClassVar = [(kind, kind) for kind in (WELFARE, STORE, MEMBERS, EVENT, OTHER, UNSET)]
    # What the platform says of its owner.
    IN_ORDER, OWNER_LEFT, HANDING_OVER, HANDED_OVER = 0, 1, 2, 3

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    chat_id = models.CharField(max_length=64, unique=True)
    corpid = models.CharField(max_length=64, blank=True, default="")  # of the platform's company that it belongs to
    name = models.CharField(max_length=200, blank=True, default="")
    kind = models.CharField(max_length=10, choices=KINDS, blank=True, default=UNSET)
    owner = models.ForeignKey(Staff, models.SET_NULL, null=True, related_name="group_chats")
    owner_userid = models.CharField(max_length=64, blank=True, default="")
    org_node = models.ForeignKey(OrgNode, models.PROTECT)
    store = models.ForeignKey(Store, models.SET_NULL, null=True, related_name="group_chats")
    placed_by_hand = models.BooleanField(default=False)
    status = models.SmallIntegerField(default=IN_ORDER)
    size = models.IntegerField(default=0)
    customers = models.IntegerField(default=0)
    member_version = models.CharField(max_length=64, blank=True, default="")
    made_at = models.DateTimeField(null=True)
    dissolved_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField()
    simulated = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["org_node", "-size"], name="group_of_node"),
            models.Index(fields=["-size", "-id"], name="group_by_size"),
        ]


class GroupMember(models.Model):
    """Somebody's stay in a group, from joining until leaving; who comes back has a second one.

    `member` is a userid of staff or an external_userid, which may be nobody's customer. Days are the brand's.
    """

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(GroupChat, models.CASCADE, related_name="members", db_index=False)
    member = models.CharField(max_length=64)
    is_staff = models.BooleanField(default=False)
    joined_at = models.DateTimeField()
    joined_on = models.DateField()
    join_scene = models.SmallIntegerField(default=0)  # 1 invited, 2 by a link, 3 by a code
    invited_by = models.CharField(max_length=64, blank=True, default="")
    channel_state = models.CharField(max_length=64, blank=True, default="")
    left_at = models.DateTimeField(null=True)
    left_on = models.DateField(null=True)
    quit_scene = models.SmallIntegerField(null=True)  # 0 by herself, 1 removed

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "member", "joined_at"], name="group_stay_once"),
            models.UniqueConstraint(
                fields=["group", "member"], name="group_member_once", condition=models.Q(left_at__isnull=True)
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["member"], name="group_of_member"),
            models.Index(fields=["group", "joined_on"], name="group_joins"),
            models.Index(fields=["group", "left_on"], name="group_leaves", condition=models.Q(left_at__isnull=False)),
        ]
