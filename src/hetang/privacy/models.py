"""What the privacy room keeps: seals of the audit log, reveals, the register of exports, erasures, texts of consent."""

from __future__ import annotations

from django.db import models


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
