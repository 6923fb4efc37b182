"""What the people who run an installation set and see: values of settings, alerts, and the notices about them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id
from hetang.platform.models import User


class SettingValue(models.Model):
    """The value that the console gave a setting of `platform.registry`; secret ones are sealed."""

    name = models.CharField(max_length=60, primary_key=True)
    value = models.JSONField(null=True)
    sealed = models.BinaryField(null=True)
    changed_at = models.DateTimeField()


class Alert(models.Model):
    """Something that is wrong, from when it was first seen until it is over. One row while it lasts.

    It opens after it has lasted for its patience, and closes when it has been gone for a while: both are told once.
    """

    WARN, BAD = "warn", "bad"
    SEVERITIES: ClassVar = [(WARN, WARN), (BAD, BAD)]

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=120, blank=True)
    severity = models.CharField(max_length=4, choices=SEVERITIES)
    detail = models.JSONField(default=dict)  # numbers and names of parts of the system, never personal values
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(User, models.SET_NULL, null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "subject"], name="alert_once", condition=models.Q(closed_at__isnull=True)
            )
        ]
        indexes: ClassVar = [models.Index(fields=["-closed_at", "-id"], name="alert_closed")]


class Notice(models.Model):
    """One message about an alert by one road: that it opened, or that it is over. Times are wall-clock times."""

    OPENED, CLOSED = "opened", "closed"
    MAIL, WEBHOOK = "mail", "webhook"
    WAITING, SENT, FAILED = "waiting", "sent", "failed"
    EVENTS: ClassVar = [(event, event) for event in (OPENED, CLOSED)]
    ROADS: ClassVar = [(road, road) for road in (MAIL, WEBHOOK)]
    STATES: ClassVar = [(state, state) for state in (WAITING, SENT, FAILED)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="notices")
    event = models.CharField(max_length=6, choices=EVENTS)
    road = models.CharField(max_length=7, choices=ROADS)
    state = models.CharField(max_length=7, choices=STATES, default=WAITING)
    attempts = models.IntegerField(default=0)
    next_try_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["alert", "event", "road"], name="notice_once")]
        indexes: ClassVar = [
            models.Index(fields=["next_try_at"], name="notice_waiting", condition=models.Q(state="waiting"))
        ]
