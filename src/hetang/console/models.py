"""What the console itself remembers: failed log-ins, chosen columns, saved views."""

from __future__ import annotations

import builtins
from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id
from hetang.platform.models import User


class LoginFailure(models.Model):
    """Failed log-ins in a row under one key: a name tried from one address, or an address with any name."""

    key = models.CharField(max_length=64, primary_key=True)
    failures = models.IntegerField()
    last_at = models.DateTimeField()


class Dismissal(models.Model):
    """Something that somebody does not want to be shown any more, such as the first steps."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    code = models.CharField(max_length=40)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "code"], name="dismissal_once")]


class ListColumns(models.Model):
    """Which columns somebody chose to see in a list; the fixed ones are not counted."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    list = models.CharField(max_length=40)
    columns = models.JSONField(default=builtins.list)  # `list` is the field above

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "list"], name="list_columns_once")]


class SavedView(models.Model):
    """A named way of looking at a list: its filters and order (parameters of the address) and its columns."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    list = models.CharField(max_length=40)
    name = models.CharField(max_length=40)
    owner = models.ForeignKey(User, models.CASCADE, related_name="+")
    shared = models.BooleanField(default=False)
    query = models.JSONField(default=dict)
    columns = models.JSONField(default=builtins.list)  # `list` is the field above
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "list", "name"], name="saved_view_once")]
        indexes: ClassVar = [models.Index(fields=["list", "name"], name="saved_view_of_list")]
