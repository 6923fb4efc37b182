"""What the console itself remembers: failed log-ins."""

from __future__ import annotations

from django.db import models


class LoginFailure(models.Model):
    """Failed log-ins in a row under one key: a name tried from one address, or an address with any name."""

    key = models.CharField(max_length=64, primary_key=True)
    failures = models.IntegerField()
    last_at = models.DateTimeField()
