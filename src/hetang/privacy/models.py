"""What the privacy room keeps: seals of the audit log, reveals, the register of exports, erasures, texts of consent."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id
from hetang.platform.models import JobRun, User


class AuditSeal(models.Model):
    """A closed range of the audit log: `leaves` are (id, hash) of each row, `mac` signs them and the seal before."""

    number = models.BigIntegerField(primary_key=True)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    rows = models.IntegerField()
    leaves = models.BinaryField()
    mac = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()


class AuditRelease(models.Model):
    """Audit rows that the retention schedule removed, with a signature; `ids` is a 64-bit roaring bitmap."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    partition = models.CharField(max_length=80)
    rows = models.BigIntegerField()
    ids = models.BinaryField()
    mac = models.CharField(max_length=64)


class Erasure(models.Model):
    """One person to be erased, or erased. While it runs, `sealed` says who she was; after that only keyed hashes do.

    `hashes` are [kind, erasure key]; `report` has what each holding found and left; `certificate` is the signed proof.
    """

    WAITING, RUNNING, DONE, CANCELLED = "waiting", "running", "done", "cancelled"
    STATES: ClassVar = [(state, state) for state in (WAITING, RUNNING, DONE, CANCELLED)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    state = models.CharField(max_length=10, choices=STATES, default=WAITING)
    customer = models.BigIntegerField()  # her number; what is left of her record is a tombstone with it
    customer_id_shown = models.UUIDField()  # the opaque id by which the audit log names her
    objects_to_return = models.BooleanField(default=False)
    reason = models.CharField(max_length=20)
    asked_at = models.DateTimeField()
    ordered_at = models.DateTimeField()
    ordered_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    replays = models.UUIDField(null=True)  # the entry of the list that a restore made necessary again
    began_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    hashes = models.JSONField(default=list)
    sealed = models.BinaryField(null=True)
    report = models.JSONField(default=dict)
    waits_for = models.JSONField(default=list)  # codes of holdings whose store was away
    certificate = models.JSONField(default=dict)
    job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["customer"], name="one_erasure_at_a_time", condition=models.Q(state__in=["waiting", "running"])
            )
        ]
