"""Imports: a file, what its columns mean, what the check found, and which pieces of it are already written."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id
from hetang.platform.models import JobRun, StoredFile, User


class Preset(models.Model):
    """A saved column mapping, offered again for files of the same target with the same headers."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    name = models.CharField(max_length=80, unique=True)
    target = models.CharField(max_length=20)
    mapping = models.JSONField()
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True)


class Import(models.Model):
    """One file on its way in. It is mapped, checked (预检), confirmed where a warning asks for it, and run.

    The file is either uploaded (sealed below the home) or lies at `server_path`, whose fingerprint is kept so that a
    file changed between check and run is noticed.
    """

    DRAFT, CHECKING, CHECKED, RUNNING, DONE, FAILED, CANCELLED = (
        "draft", "checking", "checked", "running", "done", "failed", "cancelled",
    )  # fmt: skip
    STATES: ClassVar = [(s, s) for s in (DRAFT, CHECKING, CHECKED, RUNNING, DONE, FAILED, CANCELLED)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    target = models.CharField(max_length=20)
    title = models.CharField(max_length=200)
    stored_file = models.ForeignKey(StoredFile, models.PROTECT, null=True)
    server_path = models.CharField(max_length=500, blank=True, default="")
    fingerprint = models.CharField(max_length=64)
    form = models.CharField(max_length=10)  # csv, excel, parquet
    columns = models.JSONField(
        default=list
    )  # headers and sample values (masked where personal), see `blocks.Inspection`
    mapping = models.JSONField(default=dict)
    parts = models.IntegerField(default=1)  # spool partitions of an order import; fixed when the import is made
    as_of = models.DateTimeField()  # when the file's statements hold, where no column says so
    state = models.CharField(max_length=12, choices=STATES, default=DRAFT)
    check_result = models.JSONField(default=dict)
    confirmed = models.JSONField(default=list)  # codes of warnings that somebody confirmed
    result = models.JSONField(default=dict)
    failure = models.JSONField(default=dict)  # {"code": ..., parameters of its message}
    check_job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")
    run_job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["-id"], name="import_newest")]


class ImportChunk(models.Model):
    """A piece of an import that is written, with its counts. Committed together with what it wrote, so that a run
    that died continues behind it and counts nothing twice."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Import, models.CASCADE, related_name="chunks", db_column="import_id")
    part = models.IntegerField()
    number = models.IntegerField()
    counts = models.JSONField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "part", "number"], name="chunk_once")]
