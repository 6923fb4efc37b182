"""Where callbacks are kept before they are answered: many of them in one transaction, while the one before commits.

Whoever finds nobody writing writes for all who wait, so a burst costs one commit for many events and a single event
waits for nothing. 500 events a second need about a tenth of a core of PostgreSQL.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from hetang.connectors.wecom.events import EDITED
from hetang.platform import clock

_MOST = 200  # events of one transaction


@dataclass
class Arrived:
    """An event as it is kept: sealed body, sealed welcome code if it brought one."""

    app_id: int
    dedupe_key: str
    event: str
    change: str
    body: bytes
    userid: str = ""
    external_userid: str = ""
    channel_state: str = ""
    code: bytes | None = None
    happened_at: str = ""  # WeCom's second


@dataclass
class _Waiting:
    arrived: Arrived
    told: threading.Event = field(
        default_factory=threading.Event
    )  # that it is written, or that it is her turn to write
    done: bool = False
    problem: BaseException | None = None


_lock = threading.Lock()  # of the two below
_waiting: list[_Waiting] = []
_somebody_writes = False


def keep(arrived: Arrived) -> None:
    """Keep one event; returns when it is committed. Raises what the database raises: then it is not kept."""
    mine = _Waiting(arrived)
    if not _first_in_line(mine):
        mine.told.wait()
    if not mine.done:
        try:
            _write_batch()
        finally:
            _hand_on()
    if mine.problem is not None:
        raise mine.problem


def _first_in_line(mine: _Waiting) -> bool:
    """Line up; whether nobody writes, so that we must."""
    global _somebody_writes
    with _lock:
        _waiting.append(mine)
        first, _somebody_writes = not _somebody_writes, True
    return first


def _hand_on() -> None:
    """Let one of those who came meanwhile write. Each thread is woken once: were they all to wait for one lock, it
    would go through every one of them before the next batch, and each has to wait for the interpreter first."""
    global _somebody_writes  # noqa: PLW0603
    with _lock:
        if _waiting:
            _waiting[0].told.set()
        else:
            _somebody_writes = False


def _write_batch() -> None:
    """Write what waits. Ours is the first of it: whoever wrote before took all that came before us."""
    with _lock:
        batch = _waiting[:_MOST]
        del _waiting[:_MOST]
    try:
        _write_over_a_good_connection([one.arrived for one in batch])
    except BaseException as problem:
        for one in batch:
            one.problem = problem
        raise
    finally:
        for one in batch:
            one.done = True
            one.told.set()


def _write_over_a_good_connection(arrived: list[Arrived]) -> None:
    """Asking beforehand whether the connection still stands would cost as much as the write. One that has ended since
    is noticed by the write, which goes once more over a new one: an event is kept once however often it is written."""
    connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs lack it
    try:
        _write(arrived)
    except (InterfaceError, OperationalError):
        if connection.in_atomic_block:
            raise
        connection.close()
        _write(arrived)


def _write(arrived: list[Arrived]) -> None:
    """Once per event however often it comes, in one statement. An edit that comes again may be another one of the same
    second: it is looked at once more."""
    newest = {one.dedupe_key: one for one in arrived}
    rows = [newest[key] for key in sorted(newest)]
    parameters: dict[str, Any] = {
        "apps": [one.app_id for one in rows],
        "keys": [one.dedupe_key for one in rows],
        "events": [one.event[:40] for one in rows],
        "changes": [one.change[:40] for one in rows],
        "bodies": [one.body for one in rows],
        "now": clock.now(),
        "edited": EDITED,
    }
    welcomes = [one for one in rows if one.code is not None]
    if welcomes:
        parameters |= {
            "of": [one.dedupe_key for one in welcomes],
            "userids": [one.userid for one in welcomes],
            "externals": [one.external_userid for one in welcomes],
            "states": [one.channel_state for one in welcomes],
            "codes": [one.code for one in welcomes],
            "happened": [int(one.happened_at or 0) for one in welcomes],
        }
    with connection.cursor() as cursor:
        cursor.execute(_WITH_WELCOMES if welcomes else _MESSAGES, parameters)


_MESSAGES = """
insert into wecom_callbackmessage as m (app_id, dedupe_key, event, change, received_at, body, state)
select app, key, event, change, %(now)s, body, 'waiting'
from unnest(%(apps)s::bigint[], %(keys)s::text[], %(events)s::text[], %(changes)s::text[], %(bodies)s::bytea[])
  as n(app, key, event, change, body)
on conflict (dedupe_key) do update set state = 'waiting' where m.state = 'applied' and m.change = %(edited)s
"""
_WITH_WELCOMES = f"""
with fresh as ({_MESSAGES} returning m.dedupe_key, m.id, m.app_id)
insert into wecom_welcome (message_id, app_id, userid, external_userid, channel_state, code, happened_at, state, tries)
select id, app_id, userid, external, left(channel, 64), code, to_timestamp(happened), 'waiting', 0
from unnest(%(of)s::text[], %(userids)s::text[], %(externals)s::text[], %(states)s::text[], %(codes)s::bytea[],
            %(happened)s::bigint[]) as n(dedupe_key, userid, external, channel, code, happened)
join fresh using (dedupe_key)
on conflict do nothing
"""
