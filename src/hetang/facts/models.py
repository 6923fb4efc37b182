"""The fact log: what happened, deduplicated for ever, in partitions by month of receipt.

A fact row carries its position `(epoch, tx, id)`: transaction id and number, and the epoch that a restore or a
move raises. Readers follow it below the oldest running transaction, so nothing that commits late is skipped.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class LogEpoch(models.Model):
    """One row: the epoch that new facts are written in."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.SmallIntegerField(default=1)

    class Meta:
        managed = False
        db_table = "facts_epoch"


class IntakeBatch(models.Model):
    """What came through the door, as it came (compressed and sealed), before anything was made of it."""

    pk = models.CompositePrimaryKey("received_at", "id")
    id = models.BigIntegerField()
    received_at = models.DateTimeField()
    door = models.CharField(max_length=12)  # api, file, callback, internal
    source = models.CharField(max_length=60)
    body = models.BinaryField()
    body_bytes = models.IntegerField()
    accepted = models.IntegerField(default=0)
    duplicates = models.IntegerField(default=0)
    rejected = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "facts_intake"


class FactKey(models.Model):
    """The unique key of every fact ever accepted, apart from the partitions, which could not hold it."""

    key_hash = models.UUIDField(primary_key=True)

    class Meta:
        managed = False
        db_table = "facts_key"


class Fact(models.Model):
    """Something that happened. `who` names identities `[[kind, key], ...]`, never a number; the subject is that of
    `facts.rules.subject_of`.

    Direct identifiers (phone, email) appear in `who` as keyed hashes; their sealed values are in `sealed`
    (a JSON object `{"phone": "..."}`, sealed). `members` is a roaring bitmap of customer numbers for set facts.
    """

    pk = models.CompositePrimaryKey("received_at", "id")
    id = models.BigIntegerField()
    epoch = models.SmallIntegerField()
    tx = models.BigIntegerField()  # xid8 in the database
    received_at = models.DateTimeField()
    occurred_at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    source = models.CharField(max_length=60)
    key = models.CharField(max_length=200)
    subject_kind = models.CharField(max_length=20, null=True)
    subject_key = models.CharField(max_length=120, null=True)
    who = models.JSONField(null=True)
    body = models.JSONField()
    sealed = models.BinaryField(null=True)
    members = models.BinaryField(null=True)

    class Meta:
        managed = False
        db_table = "facts_fact"


class HeldFact(models.Model):
    """A fact that could not be validated or applied: kept whole with its reason until it is replayed or set aside."""

    OPEN, REPLAYED, DISMISSED = "open", "replayed", "dismissed"
    STATES: ClassVar = [(state, state) for state in (OPEN, REPLAYED, DISMISSED)]

    id = models.BigAutoField(primary_key=True)
    received_at = models.DateTimeField()
    door = models.CharField(max_length=12)
    source = models.CharField(max_length=60)
    kind = models.CharField(max_length=60, blank=True, default="")
    key = models.CharField(max_length=200, blank=True, default="")
    stage = models.CharField(max_length=40)  # "validate", or the name of the subscription that could not apply it
    reason = models.CharField(max_length=60)  # a code of facts.errors
    detail = models.JSONField(
        default=dict
    )  # parameters of the message: field, value kind, limit; never personal values
    body = models.BinaryField()  # the fact as it came, sealed
    state = models.CharField(max_length=10, choices=STATES, default=OPEN)
    replayed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["state", "-id"], name="held_state_newest")]


class SubscriptionCursor(models.Model):
    """How far a named reader has come, and why it stopped if it did."""

    name = models.CharField(max_length=40, primary_key=True)
    epoch = models.SmallIntegerField(default=0)
    tx = models.BigIntegerField(default=0)
    fact_id = models.BigIntegerField(default=0)
    applied = models.BigIntegerField(default=0)
    applied_until = models.DateTimeField(null=True)  # received_at of the last fact applied
    failed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")
    attempts = models.IntegerField(default=0)
    updated_at = models.DateTimeField(null=True)
