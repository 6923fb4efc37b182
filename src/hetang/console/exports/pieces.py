"""Small things that several kinds of export share: times as text, the one object that is meant."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils import timezone

from hetang.privacy.errors import PrivacyRefused


def moment(at: datetime) -> str:
    """Day and minute in the brand's zone."""
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M")


def day(at: Any) -> str:
    """The day in the brand's zone; empty where there is no time."""
    return timezone.localtime(at).date().isoformat() if at else ""


def one_of(rows: QuerySet[Any], public_id: str) -> Any:
    """The row of a public id among those that the actor may see. Raises PrivacyRefused("thing_gone")."""
    try:
        found: Model | None = rows.filter(public_id=UUID(public_id)).first()
    except (ValueError, ValidationError):
        found = None
    if found is None:
        raise PrivacyRefused("thing_gone")
    return found
