"""Saved audiences, every version of their rules, who was in them when that changed; pond sets and their days."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.audiences.schedules import Schedule
from hetang.customers.models import Tag
from hetang.platform.ids import public_id
from hetang.platform.models import OrgNode, User


def own_rule_title(pond_set: str, pond: str) -> str:
    """What a rule of a pond's own is called where audiences are named."""
    return f"{pond_set}·{pond}"


class Audience(models.Model):
    """A named rule. Its people are counted within `org_node`: for a store only those who are visible there.

    With a `pond_set` it is a rule that one of its ponds has of its own: it is called as the pond is, only the pond set
    can name it, and nobody refreshes or counts it by itself.
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True, default="")
    rule = models.JSONField()
    version = models.IntegerField(default=1)
    org_node = models.ForeignKey(OrgNode, models.PROTECT)
    pond_set = models.ForeignKey("PondSet", models.PROTECT, null=True, related_name="own_rules")
    live = models.BooleanField(default=False)  # refreshed by the worker, once a minute at most
    refresh_at = models.TimeField(null=True)  # of the brand's day: refreshed by the worker daily at this time, or
    refresh_weekday = models.SmallIntegerField(null=True)  # weekly on this day (0 is Monday)
    next_refresh_at = models.DateTimeField(null=True)  # of a scheduled one
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    updated_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)
    refreshed_at = models.DateTimeField(null=True)  # when its people were last compared with the newest snapshot
    count = models.BigIntegerField(null=True)  # of the newest snapshot
    problem = models.CharField(max_length=300, blank=True, default="")  # why it could not be refreshed

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["org_node", "name"],
                condition=models.Q(archived_at=None, pond_set=None),
                name="audience_name_once",
            ),
        ]

    @property
    def title(self) -> str:
        """What it is called beside audiences: its name, with that of the set before a pond's own rule."""
        return self.name if self.pond_set is None else own_rule_title(self.pond_set.name, self.name)

    @property
    def schedule(self) -> Schedule | None:
        """When it is refreshed by itself, if it is scheduled."""
        return None if self.refresh_at is None else Schedule(self.refresh_at, self.refresh_weekday)


class AudienceVersion(models.Model):
    """A rule as it was saved; never changed."""

    id = models.BigAutoField(primary_key=True)
    audience = models.ForeignKey(Audience, models.CASCADE, related_name="versions")
    version = models.IntegerField()
    rule = models.JSONField()
    at = models.DateTimeField()
    by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["audience", "version"], name="audience_version_once")]


class AudienceSnapshot(models.Model):
    """Who was in from `at` until the next snapshot: roaring bytes of customer numbers. Written only on a change.

    `members` is everybody, in key frames alone; the others differ from the one before by `moved`, or where that is null
    too, by who came and who went (see `stored`). `entered_members` and `left_members` say who came and went since the
    one before; null where the members themselves say it (the first one, and those of before these columns). A merge is
    no coming and going.
    """

    id = models.BigAutoField(primary_key=True)
    audience = models.ForeignKey(Audience, models.CASCADE, related_name="snapshots")
    sequence = models.IntegerField()  # 1, 2, 3 ... of its audience
    at = models.DateTimeField()
    version = models.IntegerField()  # of the rule
    members = models.BinaryField(null=True)
    count = models.BigIntegerField()
    entered = models.BigIntegerField()
    left = models.BigIntegerField()
    entered_members = models.BinaryField(null=True)
    left_members = models.BinaryField(null=True)
    moved = models.BinaryField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["audience", "sequence"], name="audience_snapshot_once")
        ]
        indexes: ClassVar = [models.Index(fields=["audience", "-at"], name="audience_snapshot_at")]


class AutomaticTag(models.Model):
    """A tag that the rule of a saved audience keeps: whoever is in it wears the tag, and whoever left it does for
    `stay_days` more days."""

    tag = models.OneToOneField(Tag, models.PROTECT, primary_key=True, related_name="+")
    audience = models.ForeignKey(Audience, models.PROTECT, related_name="automatic_tags")
    stay_days = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")


class Staying(models.Model):
    """People who have left the audience of an automatic tag and wear it until a time."""

    id = models.BigAutoField(primary_key=True)
    automatic = models.ForeignKey(AutomaticTag, models.CASCADE, related_name="staying")
    until = models.DateTimeField()
    members = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["automatic", "until"], name="staying_once")]


class PondSet(models.Model):
    """A partition of everybody within `org_node`: who fits several of its ponds is in the first one, who fits none is
    in the rest."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True, default="")
    org_node = models.ForeignKey(OrgNode, models.PROTECT)
    version = models.IntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    updated_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)  # when its people could not be counted, and why
    problem = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["org_node", "name"], condition=models.Q(archived_at=None), name="pond_set_name_once"
            ),
        ]


class Pond(models.Model):
    """A place in the order of a pond set: those who fit the rule of an audience and none of the ponds before. One that
    was taken out stays, for the days on which it was there."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    pond_set = models.ForeignKey(PondSet, models.CASCADE, related_name="ponds")
    name = models.CharField(max_length=80)
    audience = models.ForeignKey(Audience, models.PROTECT, related_name="ponds")
    position = models.IntegerField()
    removed_at = models.DateTimeField(null=True)


class PondDay(models.Model):
    """A pond set as it was found on a day of the brand's zone: once, in the first minutes of the day if nothing was in
    the way. A day without a row was missed; nobody can say afterwards who was where. `rules` are the ponds in their
    order: [id of the pond, id of its audience, version of that]."""

    id = models.BigAutoField(primary_key=True)
    pond_set = models.ForeignKey(PondSet, models.CASCADE, related_name="days")
    day = models.DateField()
    at = models.DateTimeField()
    rules = models.JSONField()
    people = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["pond_set", "day"], name="pond_day_once")]


class PondFrame(models.Model):
    """Roaring bytes of customer numbers, from which the same pond differs by little on several days."""

    id = models.BigAutoField(primary_key=True)
    pond_set = models.ForeignKey(PondSet, models.CASCADE, related_name="frames")
    members = models.BinaryField()


class PondShare(models.Model):
    """Who was in a pond (None: in the rest) on a day: those of the frame but for whom it differs by (null: nobody)."""

    id = models.BigAutoField(primary_key=True)
    day = models.ForeignKey(PondDay, models.CASCADE, related_name="shares")
    pond = models.ForeignKey(Pond, models.PROTECT, null=True, related_name="+")
    people = models.BigIntegerField()
    frame = models.ForeignKey(PondFrame, models.PROTECT, related_name="shares")
    differs = models.BinaryField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "pond"], name="pond_share_once", nulls_distinct=False)
        ]
