"""Who else needs an audience: rooms that build on this one say so, this room never imports them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class Use:
    """Something that still needs an audience, such as a broadcast that is not sent yet."""

    name: str
    public_id: UUID


def waiting_uses(audience_id: int) -> list[Use]:
    """Everything outside this room that could not go on without the audience: one query per user of
    `settings.AUDIENCE_USERS`."""
    users: list[Callable[[int], list[Use]]] = [
        import_string(path.replace(":", ".")) for path in settings.AUDIENCE_USERS
    ]
    return [use for user in users for use in user(audience_id)]
