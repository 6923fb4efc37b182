"""Who did what to which object, and who looked at whom: one row per write, in the writer's transaction, data not prose.


Wording for people lives with the console (`hetang.console.audit.wording`); here are codes and values.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from hetang.platform import clock
from hetang.platform.access import Actor
from hetang.platform.masking import mask
from hetang.platform.origin import origin

_PERSONAL = {"phone": "phone", "mobile": "phone", "email": "email", "name": "name", "customer_name": "name"}
_SECRET = frozenset({"password", "token", "secret", "key"})


def record(  # noqa: PLR0917 - who, what, to which: always these, in this order
    actor: str | Actor,
    action: str,
    target_type: str,
    target_id: object,
    changes: dict[str, Any] | None = None,
    org_node_id: int | None = None,
) -> None:
    """Write one audit row in the caller's transaction. `changes` may hold `[before, after]` pairs or plain values.

    Values under `phone`, `email`, `customer_name` are masked; secrets are never written.
    `name` is masked only when the target is a customer: names of audiences and tags are not personal.
    """
    source = origin.get()
    row: list[Any] = [
        clock.now(),
        actor if isinstance(actor, str) else actor.name,
        action,
        target_type,
        str(target_id),
        org_node_id,
        json.dumps(masked(changes or {}, personal_names=target_type == "customer"), default=str, ensure_ascii=False),
        source.request_id,
        source.address,
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into platform_auditentry"
            " (at, actor, action, target_type, target_id, org_node_id, changes, request_id, address)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            row,
        )


LOOK = "look."  # actions of looking begin so
LOOK_AGAIN = timedelta(minutes=5)  # reloading a page within this time is the same look


def look(actor: Actor, action: str, target_type: str, target_id: object, details: dict[str, Any] | None = None) -> None:
    """Note that somebody looked at personal data: `action` is `look.` and a word, `details` never a personal value.

    The same person, action, object and details within five minutes are one look. One index probe, rarely a row.
    Looking through somebody else's eyes is noted with whose, although nothing else may be written then.
    """
    if not action.startswith(LOOK):
        raise ValueError(f"{action!r} is no way of looking")
    if actor.seen_as:
        details = {**(details or {}), "seen_as": actor.seen_as}
    recent = "select 1 from platform_auditentry where target_type = %s and target_id = %s and at > %s and actor = %s"
    wanted = json.dumps(details or {}, default=str, ensure_ascii=False)
    values: list[Any] = [target_type, str(target_id), clock.now() - LOOK_AGAIN, actor.name, action, wanted]
    with connection.cursor() as cursor:
        cursor.execute(f"{recent} and action = %s and changes = %s::jsonb limit 1", values)
        if cursor.fetchone():
            return
    with transaction.atomic():
        if actor.seen_as:
            _write_all_the_same()
        record(actor, action, target_type, target_id, details)


def _write_all_the_same() -> None:
    with connection.cursor() as cursor:
        cursor.execute("set transaction read write")  # as its first statement: see `view_as.reading_only`


def masked(changes: dict[str, Any], personal_names: bool = False) -> dict[str, Any]:
    """A copy without secrets, with direct identifiers masked."""
    return {field: _masked(field, value, personal_names) for field, value in changes.items()}


def _masked(field: str, value: Any, personal_names: bool) -> Any:
    if field in _SECRET:
        return "***"
    kind = _PERSONAL.get(field)
    if kind is None or (field == "name" and not personal_names):
        return value
    if isinstance(value, list):
        return [mask(kind, str(one)) if one else one for one in value]
    return mask(kind, str(value)) if value else value
