"""What WeCom's statistics tell of group chats: per owner and day, ready the next day, 180 days back (section 7).

A loop reads one missing day of the last thirty at a time, the newest first, a hundred owners a call.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from django.db import transaction
from django.db.models import QuerySet

from hetang.communities.models import GroupChat
from hetang.connectors.wecom.client import Client, client_of, default_app
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.models import Corp, OwnerDay
from hetang.connectors.wecom.protocol.groups import (
    GROUP_STATISTIC,
    OWNERS_PER_CALL,
    GroupStatisticRequest,
    OwnerFigures,
    OwnerFilter,
)
from hetang.platform import clock
from hetang.platform.loops import Loop

log = logging.getLogger(__name__)

DAYS = 30
READY = time(4)  # of the brand's next day
_PER_PAGE = 1000
_LOOK_S = 60.0
_AWAY_S = 600.0


def run_once() -> float:
    """Read one day that is missing. Returns seconds until the next look."""
    try:
        app = default_app()
        day = missing_day(app.corp, clock.now())
        if day is None:
            return _LOOK_S
        read(client_of(app), app.corp, day)
    except NotConnected:
        return _LOOK_S
    except (WeComError, NotSent, Unanswered) as problem:
        log.warning("statistics of group chats are not known: %s", problem)
        return _AWAY_S
    return 0.0


def missing_day(corp: Corp, now: datetime) -> date | None:
    """The newest of the last thirty days that is over and was not read; None when all were, or there are no groups."""
    if not GroupChat.objects.filter(corpid=corp.corpid).exists():
        return None
    local = now.astimezone(clock.zone())
    newest = local.date() - timedelta(days=1 if local.time() >= READY else 2)
    days = [newest - timedelta(days=number) for number in range(DAYS)]
    read_days = set(OwnerDay.objects.filter(corp=corp, owner="", day__gte=days[-1]).values_list("day", flat=True))
    return next((day for day in days if day not in read_days), None)


def read(client: Client, corp: Corp, day: date) -> int:
    """Read one day of every owner. Returns how many owners WeCom told of. Raises like `Client.call`."""
    owners = list(
        GroupChat.objects.filter(corpid=corp.corpid)
        .exclude(owner_userid="")
        .order_by("owner_userid")
        .values_list("owner_userid", flat=True)
        .distinct()
    )
    begin = int(datetime.combine(day, time(), clock.zone()).timestamp())
    count = 0
    for start in range(0, len(owners), OWNERS_PER_CALL):
        asked = OwnerFilter(userid_list=owners[start : start + OWNERS_PER_CALL])
        answer = client.call(
            GROUP_STATISTIC,
            GroupStatisticRequest(day_begin_time=begin, day_end_time=begin, owner_filter=asked, limit=_PER_PAGE),
        )
        _keep(corp, day, answer.items)
        count += len(answer.items)
    OwnerDay.objects.get_or_create(corp=corp, owner="", day=day)
    return count


def of_owner(userid: str, since: date) -> QuerySet[OwnerDay]:
    """The days of an owner from `since` on, the newest first."""
    return OwnerDay.objects.filter(owner=userid, day__gte=since).exclude(owner="").order_by("-day")


@transaction.atomic
def _keep(corp: Corp, day: date, items: Sequence[OwnerFigures]) -> None:
    rows = [
        OwnerDay(
            corp=corp,
            day=day,
            owner=one.owner[:64],
            new_groups=one.data.new_chat_cnt,
            groups=one.data.chat_total,
            groups_that_spoke=one.data.chat_has_msg,
            new_members=one.data.new_member_cnt,
            members=one.data.member_total,
            members_who_spoke=one.data.member_has_msg,
            messages=one.data.msg_total,
        )
        for one in {one.owner.lower(): one for one in items if one.owner}.values()
    ]
    figures = ["new_groups", "groups", "groups_that_spoke", "new_members", "members", "members_who_spoke", "messages"]
    OwnerDay.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["corp", "owner", "day"], update_fields=figures
    )


loop = Loop("wecom.group_days", run_once)
