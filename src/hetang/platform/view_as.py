"""Looking at the console as somebody else, or as a role somewhere: with a reason, for a while, and without changing
anything.

What is seen is what both may see: a permission that the viewer herself does not have at a place, for the company of
that place, is left out. So looking is no way to more rights. Who is looked at is noted with begin and end, and stands
beside the viewer's name in what she looks at.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from hetang.platform import audit, clock
from hetang.platform.access import Actor, Held, actor_for, held_at
from hetang.platform.models import OrgNode, User

VIEW_AS = "users:view_as"
MINUTES = (10, 30, 60)
LEAST_REASON = 4  # characters
READ_ONLY = "25006"  # PostgreSQL's code for a write in a transaction that may only read
_KEY = "view_as"

Session = MutableMapping[str, Any]


class ViewAsRefused(Exception):
    """`code`: reason_missing, itself, looking_already, nothing_to_see."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Look:
    """As whom: a user (`user`), or a `role` at the node `node`. `until` by the wall clock."""

    label: str
    reason: str
    until: datetime
    user: int = 0
    role: str = ""
    node: int = 0

    @property
    def over(self) -> bool:
        return clock.wall() >= self.until


def of(session: Session) -> Look | None:
    """The look that a session has under way."""
    kept = session.get(_KEY)
    return Look(**{**kept, "until": datetime.fromisoformat(kept["until"])}) if kept else None


def begin(viewer: Actor, session: Session, look: Look) -> None:
    """Look so from the next request on. Raises Forbidden, ViewAsRefused."""
    viewer.require(VIEW_AS)
    if of(session) is not None:
        raise ViewAsRefused("looking_already")
    if look.user == viewer.user_id:
        raise ViewAsRefused("itself")
    if len(look.reason.strip()) < LEAST_REASON:
        raise ViewAsRefused("reason_missing")
    seen = seen_as(viewer, look)
    if seen is None or not seen.permissions:
        raise ViewAsRefused("nothing_to_see")
    minutes = round((look.until - clock.wall()).total_seconds() / 60)
    audit.record(viewer, "view_as.begun", *_target(look), {"as": look.label, "reason": look.reason, "minutes": minutes})
    session[_KEY] = {
        **{"label": look.label, "reason": look.reason, "until": look.until.isoformat()},
        **{"user": look.user, "role": look.role, "node": look.node},
    }


def end(viewer: str, session: Session, how: str) -> None:
    """Be oneself again. `how`: by_hand, time, rights."""
    look = of(session)
    if look is not None:
        del session[_KEY]
        audit.record(viewer, "view_as.ended", *_target(look), {"as": look.label, "how": how})


def until(minutes: int) -> datetime:
    """The end of a look of so many minutes."""
    return clock.wall() + timedelta(minutes=minutes)


def seen_as(viewer: Actor, look: Look) -> Actor | None:
    """Who acts while the viewer looks so; None where there is nobody any more, or she may not look."""
    held = _held(look)
    if held is None or not viewer.can(VIEW_AS):
        return None
    # 0 is nobody's id: what belongs to no user must not look like one's own
    return Actor(viewer.name, look.user, tuple(_shared(viewer, one) for one in held), seen_as=look.label)


def left_out(viewer: Actor, look: Look) -> list[str]:
    """Permissions of whom she looks at that the viewer does not share, by code."""
    seen = seen_as(viewer, look)
    return sorted(Actor("", 0, _held(look) or ()).permissions - seen.permissions) if seen is not None else []


def _held(look: Look) -> tuple[Held, ...] | None:
    if look.user:
        user = User.objects.filter(pk=look.user, is_active=True).first()
        return actor_for(user).held if user is not None else None
    node = OrgNode.objects.filter(pk=look.node).first()
    return (held_at(look.role, node),) if node is not None else None


@contextmanager
def reading_only() -> Iterator[None]:
    """Whatever is done inside, PostgreSQL takes no write on this connection but notes of the audit log."""
    _switch("only")
    try:
        yield
    finally:
        _switch("write")


def _switch(to: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"set session characteristics as transaction read {to}")


def _shared(viewer: Actor, held: Held) -> Held:
    """A grant with those of its permissions that the viewer has there herself, for the company of the place."""
    both = frozenset(code for code in _allowed(held) if viewer.own_scope(code).covers(held.path))
    return replace(held, permissions=both)


def _allowed(held: Held) -> frozenset[str]:
    return Actor("", None, (held,)).permissions


def _target(look: Look) -> tuple[str, object]:
    return ("user", look.user) if look.user else ("role", look.role)
