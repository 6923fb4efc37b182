"""A group as a platform tells of it. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

NAME_LIMIT = 200


class Stay(msgspec.Struct, frozen=True, gc=False):
    """Somebody who is in a group now."""

    member: str
    joined_at: datetime
    is_staff: bool = False
    join_scene: int = 0
    invited_by: str = ""
    channel_state: str = ""


class GroupTold(msgspec.Struct, frozen=True, gc=False):
    """A whole group as it was at `told_at`."""

    chat_id: str
    corpid: str
    told_at: datetime
    name: str
    owner: str
    made_at: datetime | None
    version: str
    members: list[Stay]
    status: int | None = None
    simulated: bool = False


class Leave(msgspec.Struct, frozen=True, gc=False):
    """Somebody who left, as an event told it: when, and whether by herself (0) or removed (1)."""

    chat_id: str
    member: str
    left_at: datetime
    quit_scene: int | None = None
