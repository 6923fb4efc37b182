"""Campaigns (活动) and their broadcasts (群发给客户): what is meant. What leaves the house is in the touch room."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.platform.ids import public_id
from hetang.platform.models import OrgNode, StoredFile, User
from hetang.touch.models import Plan, Programme


class Campaign(models.Model):
    """A purpose with a period and a budget. Everything that serves it carries its id."""

    OPEN, CLOSED = "open", "closed"
    STATES: ClassVar = [(OPEN, OPEN), (CLOSED, CLOSED)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    name = models.CharField(max_length=80)
    goal = models.CharField(max_length=300, blank=True, default="")
    starts_on = models.DateField()
    ends_on = models.DateField()
    budget = models.BigIntegerField(null=True)  # minor units of the brand's currency
    owner = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    org_node = models.ForeignKey(OrgNode, models.PROTECT)
    state = models.CharField(max_length=8, choices=STATES, default=OPEN)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(ends_on__gte=models.F("starts_on")), name="campaign_period")
        ]


class Picture(models.Model):
    """A picture for broadcasts: the uploaded bytes (sealed), the channel's address of them, and a small JPEG."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    org_node = models.ForeignKey(OrgNode, models.PROTECT, related_name="+")
    channel = models.CharField(max_length=20)
    address = models.CharField(max_length=2048)  # what the channel gave for it; shows nothing outside its apps
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=4)
    width = models.IntegerField()
    height = models.IntegerField()
    thumbnail = models.BinaryField()
    file = models.OneToOneField(StoredFile, models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    @property
    def attachment(self) -> dict[str, str]:
        """The image attachment of a text. `picture` names it to us, `image` to the channel."""
        return {"type": "image", "image": self.address, "name": self.name, "picture": str(self.public_id)}


class Broadcast(models.Model):
    """A message to an audience, as composed. `dry_run` is the newest split made before sending; `programme` what was
    sent. `variants` is a list of {text, attachments, weight}, where images and link cards name their `picture`. The
    seed of every draw is the public id, so the dry run and the plan draw the same people."""

    DRAFT, SCHEDULED = "draft", "scheduled"
    SINGLE, CLUSTER, PERSON = "single", "cluster", "person"
    DESIGNS: ClassVar = [(design, design) for design in (SINGLE, CLUSTER, PERSON)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="broadcasts")
    name = models.CharField(max_length=80)
    audience = models.ForeignKey(Audience, models.PROTECT, related_name="+")
    channel = models.CharField(max_length=20, default="wecom")
    message_class = models.CharField(max_length=12, default="marketing")
    design = models.CharField(max_length=8, choices=DESIGNS, default=SINGLE)
    variants = models.JSONField(default=list)
    control_bp = models.SmallIntegerField(default=1000)  # hundredths of a per cent
    target_url = models.CharField(max_length=2048)
    slot_at = models.DateTimeField(null=True)  # null: as soon as it is confirmed
    confirm_days = models.SmallIntegerField(default=3)  # what advisers have not confirmed by then expires
    window_days = models.SmallIntegerField(default=7)  # in which orders count, from the slot
    replan_after_quiet = models.BooleanField(default=True)
    state = models.CharField(max_length=10, default=DRAFT)
    snapshot = models.ForeignKey(AudienceSnapshot, models.PROTECT, null=True, related_name="+")
    dry_run = models.ForeignKey(Plan, models.SET_NULL, null=True, related_name="+")
    programme = models.OneToOneField(Programme, models.PROTECT, null=True, related_name="broadcast")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    updated_at = models.DateTimeField()
