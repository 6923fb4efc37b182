"""The mirror of what WeCom lists as waiting to be handed over: customers of members who left, with the day of leaving.

Read every hour and before a hand-over is prepared, so that members who left before we were connected are seen, too.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from django.db import connection, transaction

from hetang.connectors.wecom.client import client_of, default_app
from hetang.connectors.wecom.errors import NotConnected, NotSent, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.models import App, Corp, Unassigned
from hetang.connectors.wecom.protocol.handover import UNASSIGNED, UNASSIGNED_PER_PAGE, UnassignedRequest
from hetang.connectors.wecom.protocol.handover import Unassigned as Listed
from hetang.platform import clock
from hetang.platform.loops import Loop
from hetang.resources.models import Staff
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff

log = logging.getLogger(__name__)
EVERY_S = 3600.0
_LOOK_S = 30.0
_read_at: dict[int, float] = {}  # of this process: reading again after a restart does no harm


def run_once() -> float:
    """Read the list again when an hour has passed. Returns seconds until the next look."""
    try:
        app = default_app()
    except NotConnected:
        return _LOOK_S
    if time.monotonic() - _read_at.get(app.corp_id, float("-inf")) < EVERY_S:
        return _LOOK_S
    _read_at[app.corp_id] = time.monotonic()
    try:
        refresh(app)
    except (WeComError, NotSent, Unanswered) as problem:
        log.warning("who waits to be handed over is not known: %s", problem)
    return _LOOK_S


def refresh(app: App) -> int:
    """Read the whole list; who is no longer in it is no longer waiting. Returns how many there are.

    Raises what `Client.call` raises; then the mirror keeps what was read, and what it had.
    """
    client, corp, begun = client_of(app), app.corp, clock.now()
    asked = UnassignedRequest(page_size=UNASSIGNED_PER_PAGE)
    count = 0
    while True:
        page = client.call(UNASSIGNED, asked)
        count += len(page.info)
        _keep(corp, page.info, begun)
        if page.is_last or not page.next_cursor:
            break
        asked = UnassignedRequest(page_size=UNASSIGNED_PER_PAGE, cursor=page.next_cursor)
    Unassigned.objects.filter(corp=corp, seen_at__lt=begun).delete()
    return count


def try_refresh(app: App) -> bool:
    """The same where an outage may be lived with; returns whether the list is new."""
    try:
        refresh(app)
    except (NotSent, Unanswered, RateLimited):
        return False
    return True


@transaction.atomic
def _keep(corp: Corp, listed: list[Listed], now: datetime) -> None:
    rows = {(one.handover_userid, one.external_userid): one for one in listed}
    userids = {userid for userid, _ in rows}
    known = set(Staff.objects.filter(userid__in=userids).values_list("userid", flat=True))
    upsert_staff(
        StaffRow(userid=userid, name=userid, active=False, simulated=corp.simulated)
        for userid in sorted(userids - known)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into wecom_unassigned (corp_id, userid, external_userid, left_at, seen_at)"
            " select %(corp)s, userid, external, at, %(now)s"
            " from unnest(%(userids)s::text[], %(externals)s::text[], %(ats)s::timestamptz[])"
            " as n(userid, external, at)"
            " on conflict (corp_id, userid, external_userid) do update"
            " set left_at = excluded.left_at, seen_at = greatest(wecom_unassigned.seen_at, excluded.seen_at)",
            {
                "corp": corp.pk,
                "now": now,
                "userids": [userid for userid, _ in rows],
                "externals": [external for _, external in rows],
                "ats": [datetime.fromtimestamp(one.dimission_time, UTC) for one in rows.values()],
            },
        )


loop = Loop("wecom.leavers", run_once)
