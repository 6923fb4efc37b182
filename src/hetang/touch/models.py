"""The send ledger: programmes, plans, one row per promise to reach a person, and the tasks by which they leave.

The row is the reservation: caps are counted over `touch_touch`, nothing else. `touch_touch`, `touch_key` and
`touch_tally` are made by RunSQL (partitions, counters); the ORM only reads them.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id
from hetang.platform.models import OrgNode
from hetang.resources.models import Staff

MESSAGE_CLASSES = ("marketing", "service", "transaction")
PLANNED, HELD, CLAIMED, TASKED, SENT = "planned", "held", "claimed", "tasked", "sent"
FAILED, UNKNOWN, CANCELLED, EXPIRED = "failed", "unknown", "cancelled", "expired"
STATES = (PLANNED, HELD, CLAIMED, TASKED, SENT, FAILED, UNKNOWN, CANCELLED, EXPIRED)
RELEASED = (FAILED, CANCELLED, EXPIRED)  # these no longer count against a cap
EXCLUDED, CONTROL = "excluded", "control"  # rows of the tally only: people who have no touch
CONTROL_ARM, SEND_ARM = "control", "send"


class Programme(models.Model):
    """Whatever touches people and is measured; here a broadcast. `planned_at` is the ledger month of all its rows."""

    DRAFT, PLANNING, RUNNING, PAUSED = "draft", "planning", "running", "paused"
    CANCELLING, CANCELLED, DONE = "cancelling", "cancelled", "done"
    STATES: ClassVar = [(state, state) for state in (DRAFT, PLANNING, RUNNING, PAUSED, CANCELLING, CANCELLED, DONE)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    kind = models.CharField(max_length=20, default="broadcast")
    name = models.CharField(max_length=120)
    campaign_id = models.BigIntegerField(null=True, db_index=True)
    org_node = models.ForeignKey(OrgNode, models.PROTECT, null=True)
    channel = models.CharField(max_length=20)
    message_class = models.CharField(max_length=12, default="marketing")
    state = models.CharField(max_length=12, choices=STATES, default=DRAFT)
    version = models.SmallIntegerField(default=1)
    planned_at = models.DateTimeField(null=True)
    slot_at = models.DateTimeField()
    expires_at = models.DateTimeField()  # what is not confirmed by then expires
    window_days = models.SmallIntegerField(default=7)
    target_url = models.CharField(max_length=2048, blank=True, default="")
    replan_after_quiet = models.BooleanField(default=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["state"], name="programme_state")]


class Variant(models.Model):
    """A text of a programme. Numbers start at 1; `weight` is its part of the people."""

    id = models.BigAutoField(primary_key=True)
    programme = models.ForeignKey(Programme, models.CASCADE, related_name="variants")
    number = models.SmallIntegerField()
    text = models.TextField()
    attachments = models.JSONField(default=list)
    weight = models.SmallIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["programme", "number"], name="variant_once")]


class Plan(models.Model):
    """Who of an audience gets what, decided at one moment. A dry run has no programme and writes no touch.

    A plan is made in committed chunks of ascending customer numbers, in one lane or in several side by side. `members`
    is the audience as a roaring bitmap.
    """

    RUNNING, DONE = "running", "done"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    programme = models.OneToOneField(Programme, models.CASCADE, null=True, related_name="plan")
    parameters = models.JSONField()  # touch.rules.Request without the members
    members = models.BinaryField()
    people = models.BigIntegerField()
    state = models.CharField(max_length=8, default=RUNNING)
    at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)


class PlanLane(models.Model):
    """A range of a plan's customer numbers, walked in ascending order: decided up to `cursor`, at its end at `until`
    (both inclusive). After a crash it goes on from there."""

    id = models.BigAutoField(primary_key=True)
    plan = models.ForeignKey(Plan, models.CASCADE, related_name="lanes")
    number = models.SmallIntegerField()
    cursor = models.BigIntegerField()
    until = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["plan", "number"], name="plan_lane_once")]


class PlanGroup(models.Model):
    """The people of a plan under one heading: excluded for a reason, held out as control group, or sent a variant."""

    id = models.BigAutoField(primary_key=True)
    plan = models.ForeignKey(Plan, models.CASCADE, related_name="groups")
    reason = models.CharField(max_length=24)  # "" for people who will be sent
    variant = models.SmallIntegerField(default=0)
    members = models.BinaryField()
    count = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["plan", "reason", "variant"], name="plan_group_once")]


class PlanSender(models.Model):
    """How many people a member of staff would send one variant to. `staff_id` 0: a direct channel, nobody sends."""

    id = models.BigAutoField(primary_key=True)
    plan = models.ForeignKey(Plan, models.CASCADE, related_name="senders")
    staff_id = models.BigIntegerField()
    variant = models.SmallIntegerField()
    people = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["plan", "staff_id", "variant"], name="plan_sender_once")
        ]


class PlanHoldout(models.Model):
    """Whom the held-out people of one planning chunk would have heard from: parallel columns of big-endian int8."""

    id = models.BigAutoField(primary_key=True)
    plan = models.ForeignKey(Plan, models.CASCADE, related_name="holdouts")
    customers = models.BinaryField()
    staff = models.BinaryField()
    stores = models.BinaryField()
    variants = models.BinaryField()


class ShortLink(models.Model):
    """An address of ours that leads on to `target` and counts who follows it; the mark of a task."""

    code = models.CharField(max_length=16, primary_key=True)
    target = models.CharField(max_length=2048)
    programme_id = models.BigIntegerField(null=True, db_index=True)
    clicks = models.BigIntegerField(default=0, db_default=0)
    identified = models.BigIntegerField(default=0, db_default=0)  # clicks of which it is known whose they are
    created_at = models.DateTimeField()


class SendTask(models.Model):
    """The unit that leaves the house: one text, one sender, at most as many people as the channel takes.

    For a direct channel it is one batch. `attempt` is written before the call; `claim_expires` and `next_look_at` are
    wall-clock times, because a lease must not run out when the demo turns its clock.
    """

    CREATED, CLAIMED, UNKNOWN, WAITING = "created", "claimed", "unknown", "waiting"
    DONE, CANCELLED, EXPIRED = "done", "cancelled", "expired"
    STATES: ClassVar = [(state, state) for state in (CREATED, CLAIMED, UNKNOWN, WAITING, DONE, CANCELLED, EXPIRED)]

    id = models.BigAutoField(primary_key=True)
    programme = models.ForeignKey(Programme, models.CASCADE, related_name="tasks")
    channel = models.CharField(max_length=20)
    variant = models.SmallIntegerField()
    staff = models.ForeignKey(Staff, models.PROTECT, null=True, db_constraint=False)
    org_node_id = models.BigIntegerField(null=True)
    seq = models.IntegerField()
    people = models.IntegerField(db_default=0, default=0)
    link = models.ForeignKey(ShortLink, models.PROTECT, db_constraint=False)
    state = models.CharField(max_length=10, choices=STATES, default=CREATED, db_default=CREATED)
    slot_at = models.DateTimeField()
    attempt = models.UUIDField(null=True)
    attempts = models.IntegerField(default=0, db_default=0)
    claimed_at = models.DateTimeField(null=True)
    claim_expires = models.DateTimeField(null=True)
    provider_id = models.CharField(max_length=120, blank=True, default="", db_default="")
    tasked_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    next_look_at = models.DateTimeField(null=True)
    looks = models.IntegerField(default=0, db_default=0)
    sent = models.IntegerField(default=0, db_default=0)
    failed = models.IntegerField(default=0, db_default=0)
    error = models.CharField(max_length=200, blank=True, default="", db_default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["programme", "variant", "staff", "seq"], name="send_task_once", nulls_distinct=False
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["slot_at", "id"], name="send_task_queue", condition=models.Q(state="created")),
            models.Index(
                fields=["next_look_at"],
                name="send_task_open",
                condition=models.Q(state__in=["claimed", "unknown", "waiting"]),
            ),
        ]


class Reminder(models.Model):
    """A reminder to the sender of a task, written before the call: the platform allows three in 24 hours."""

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(SendTask, models.CASCADE, related_name="reminders")
    at = models.DateTimeField()
    outcome = models.CharField(max_length=20, default="pending")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["task", "at"], name="reminder_of_task")]


class Cap(models.Model):
    """At most `limit` marketing messages per person in any `days` days, by one channel or ("") by all together."""

    id = models.BigAutoField(primary_key=True)
    channel = models.CharField(max_length=20, blank=True)
    limit = models.SmallIntegerField()
    days = models.SmallIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["channel", "days"], name="cap_once")]


class PlatformLimit(models.Model):
    """The platform's own cap per person, for every class of message."""

    MONTH, DAY, WEEK, NONE = "month", "day", "week", "none"
    MODES: ClassVar = [(mode, mode) for mode in (MONTH, DAY, WEEK, NONE)]

    channel = models.CharField(max_length=20, primary_key=True)
    mode = models.CharField(max_length=8, choices=MODES, default=MONTH)
    limit = models.SmallIntegerField(null=True)  # null: a month as many as it has days, a day 1, a week 7


class Reserver(models.Model):
    """Turns at reserving on a channel ("": on any): how many there were, and whose the last ones are, since which."""

    channel = models.CharField(max_length=20, primary_key=True)
    holder = models.CharField(max_length=40)
    since = models.BigIntegerField()
    turns = models.BigIntegerField()


class QuietHours(models.Model):
    """One row: the hours in which no marketing leaves, in brand (or store) time; may cross midnight."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    on = models.BooleanField(default=True)
    start = models.TimeField()
    end = models.TimeField()


class Tally(models.Model):
    """How many people of a programme are in which state: changed in the transaction that changes the state."""

    pk = models.CompositePrimaryKey("programme", "channel", "arm", "variant", "state", "reason")
    programme = models.BigIntegerField()
    channel = models.CharField(max_length=20)
    arm = models.CharField(max_length=10)
    variant = models.SmallIntegerField()
    state = models.CharField(max_length=10)
    reason = models.CharField(max_length=24)
    count = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "touch_tally"


class Touch(models.Model):
    """One promise to reach one customer once."""

    pk = models.CompositePrimaryKey("planned_at", "id")
    id = models.BigIntegerField()
    planned_at = models.DateTimeField()
    programme = models.BigIntegerField()
    version = models.SmallIntegerField()
    step = models.SmallIntegerField()
    customer = models.BigIntegerField()
    occurrence = models.IntegerField()
    channel = models.CharField(max_length=20)
    message_class = models.CharField(max_length=12)
    arm = models.CharField(max_length=10)
    variant = models.SmallIntegerField()
    state = models.CharField(max_length=10)
    reason = models.CharField(max_length=24)
    reserved = models.BooleanField()
    attempt = models.UUIDField(null=True)
    task = models.BigIntegerField()
    slot_at = models.DateTimeField()
    local_day = models.DateField()
    staff = models.BigIntegerField(null=True)
    org_node = models.BigIntegerField(null=True)
    store = models.BigIntegerField(null=True)
    address = models.CharField(max_length=120)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "touch_touch"
