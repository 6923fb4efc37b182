"""Who else needs an audience, and what was sent to people: rooms that build on this one say so, this room never imports
them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from hetang.audiences.rules import Sent


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


def sent_messages(campaigns: Collection[str], broadcasts: Collection[str]) -> tuple[dict[str, Sent], dict[str, Sent]]:
    """Of these campaigns and these broadcasts (public ids, or anything that is none) those that exist; broadcasts only
    once they were sent. By the function of `settings.AUDIENCE_MESSAGES`: at most two queries."""
    if not campaigns and not broadcasts:
        return {}, {}
    ask: Callable[[list[UUID], list[UUID]], tuple[dict[str, Sent], dict[str, Sent]]]
    ask = import_string(settings.AUDIENCE_MESSAGES.replace(":", "."))
    return ask(list(_ids(campaigns)), list(_ids(broadcasts)))


def _ids(texts: Collection[str]) -> Iterator[UUID]:
    for one in texts:
        with contextlib.suppress(ValueError):
            yield UUID(one)
