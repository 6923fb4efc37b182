"""Mass messages that we did not send: made in WeCom's console, by another app, or by members on their own.

They use the caps that ours use, so who got them is kept for a month: read once for each sender who confirmed, in the
way in which our own results are read (section 10.3). There is no event of it.
"""

from __future__ import annotations

import calendar
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Max, Q

from hetang.connectors.wecom.client import Client, client_of, default_app
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.models import Corp, MassMessage, MassReceipt, MassSender
from hetang.connectors.wecom.protocol.messages import (
    TASK_RESULTS,
    TASK_SENDERS,
    TASKS,
    GroupMessage,
    ResultsQuery,
    SendResult,
    TaskQuery,
    TasksRequest,
)
from hetang.platform import clock
from hetang.platform.loops import Loop
from hetang.touch.models import PlatformLimit, SendTask
from hetang.touch.ports import OutsideMessages
from hetang.touch.rules import platform_window

log = logging.getLogger(__name__)

KEPT = timedelta(days=31)  # the longest window of a cap
LAG = timedelta(days=1)  # a new message may be missing from the list for some seconds; clocks differ
LIST_EVERY_S = 1800.0
CHANNEL = "wecom"
LOOK_EVERY = timedelta(minutes=30)
AT_ONCE = 20
_SPAN = timedelta(days=30)
_PER_PAGE, _RESULTS_PER_PAGE = 100, 1000
_LOOK_S, _AWAY_S = 30.0, 300.0
_CONFIRMED, _SENT = 2, 1
_listed_at: dict[int, float] = {}  # of this process


@dataclass(frozen=True)
class Used:
    """Mass messages that somebody (or a group) got since a day and that are not ours."""

    by_corp: int = 0
    by_members: int = 0


@dataclass(frozen=True)
class GroupCap:
    """The platform's cap of a group: by month, week or day (or `none`), since which day it counts, and how many."""

    mode: str
    since: date
    most: int | None


def run_once() -> float:
    """List new messages when it is time, read a few that are not settled. Returns seconds until the next look."""
    try:
        app = default_app()
    except NotConnected:
        return _LOOK_S
    try:
        client = client_of(app)
        if time.monotonic() - _listed_at.get(app.corp_id, float("-inf")) >= LIST_EVERY_S:
            list_new(client, app.corp)
            _listed_at[app.corp_id] = time.monotonic()
        return 0.0 if look(client, app.corp) else _LOOK_S
    except (WeComError, NotSent, Unanswered) as problem:
        log.warning("mass messages of others are not known: %s", problem)
        return _AWAY_S


def list_new(client: Client, corp: Corp) -> int:
    """Keep messages that were made since the last listing, of the last month at first. Returns how many are new."""
    now = clock.now()
    newest = MassMessage.objects.filter(corp=corp).aggregate(at=Max("made_at"))["at"]
    start = max(now - KEPT, newest - LAG) if newest else now - KEPT
    count = 0
    for to_groups in (False, True):
        end = now + LAG
        while end > start:
            begin = max(start, end - _SPAN)
            asked = TasksRequest(
                chat_type="group" if to_groups else "single",
                start_time=int(begin.timestamp()),
                end_time=int(end.timestamp()),
            )
            for page in client.pages(TASKS, asked, _PER_PAGE):
                count += _keep(corp, page.group_msg_list, to_groups=to_groups)
            end = begin
    return count


def look(client: Client, corp: Corp) -> int:
    """Read a few messages that are due, those never looked at first. Returns how many."""
    now = clock.now()
    MassMessage.objects.filter(corp=corp, settled=False, made_at__lt=now - KEPT).update(settled=True)
    due = Q(looked_at=None) | Q(looked_at__lte=now - LOOK_EVERY)
    rows = MassMessage.objects.filter(due, corp=corp, settled=False)
    some = list(rows.order_by(F("looked_at").asc(nulls_first=True), "id")[:AT_ONCE])
    ours = set(
        SendTask.objects.filter(provider_id__in=[one.msgid for one in some]).values_list("provider_id", flat=True)
    )
    for one in some:
        mine = MassMessage.objects.filter(pk=one.pk)
        if one.msgid in ours:
            mine.update(ours=True, settled=True, looked_at=now)
            continue
        mine.update(looked_at=now)
        if _read(client, one):
            mine.update(settled=True)
    return len(some)


def used(keys: Sequence[str], since: date) -> dict[str, Used]:
    """What each of these customers (external_userids) or groups (chat ids) got since a day. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_USED, [list(keys), since])
        return {key: Used(by_corp, by_members) for key, by_corp, by_members in cursor.fetchall()}


def of_customer(number: int, since: date) -> Used:
    """The same for a customer, by all her accounts together."""
    with connection.cursor() as cursor:
        cursor.execute(_USED_BY, [number, since])
        by_corp, by_members = cursor.fetchone()
    return Used(by_corp, by_members)


def sent_outside(first: datetime, last: datetime) -> OutsideMessages | None:
    """For the governor: mass messages to customers that were not ours, by when they were sent. None where there was
    none. A task of ours whose outcome was unknown when it was listed counts as ours as soon as it is found."""
    listed = MassMessage.objects.filter(to_groups=False, ours=False, made_at__gt=first - KEPT, made_at__lt=last)
    if not listed.exists():
        return None
    days = [clock.local_day(first) - timedelta(days=1), clock.local_day(last) + timedelta(days=1)]
    return OutsideMessages(CHANNEL, _OUTSIDE, [first, last, *days])


def cap_of_group(now: datetime) -> GroupCap:
    """What the platform lets the corp send to one group now, as the contact limits say (reference 10.4: the same as to
    one customer)."""
    rule = PlatformLimit.objects.filter(channel=CHANNEL).first() or PlatformLimit(channel=CHANNEL)
    window = platform_window(rule.mode, rule.limit, now, clock.zone())
    if window is None:
        return GroupCap(rule.mode, month_of(clock.local_day(now))[0], None)
    return GroupCap(rule.mode, clock.local_day(window.start), window.limit)


def month_of(day: date) -> tuple[date, int]:
    """The first day of the month and how many days it has: as many messages of the corp may somebody get in it."""
    return day.replace(day=1), calendar.monthrange(day.year, day.month)[1]


def _keep(corp: Corp, listed: Iterable[GroupMessage], *, to_groups: bool) -> int:
    rows = [
        MassMessage(
            corp=corp,
            msgid=one.msgid[:80],
            to_groups=to_groups,
            by_member=one.create_type == 1,
            creator=one.creator[:64],
            made_at=datetime.fromtimestamp(int(one.create_time), UTC),
        )
        for one in listed
    ]
    known = set(
        MassMessage.objects.filter(corp=corp, msgid__in=[one.msgid for one in rows]).values_list("msgid", flat=True)
    )
    MassMessage.objects.bulk_create(rows, ignore_conflicts=True)
    return len([one for one in rows if one.msgid not in known])


def _read(client: Client, message: MassMessage) -> bool:
    """Read senders who confirmed since the last look. Whether all of them have."""
    read = set(MassSender.objects.filter(message=message).values_list("userid", flat=True))
    waiting = 0
    for page in client.pages(TASK_SENDERS, TaskQuery(msgid=message.msgid), _RESULTS_PER_PAGE):
        for sender in page.task_list:
            if sender.status != _CONFIRMED:
                waiting += 1
            elif sender.userid not in read:
                asked = ResultsQuery(msgid=message.msgid, userid=sender.userid)
                for results in client.pages(TASK_RESULTS, asked, _RESULTS_PER_PAGE):
                    _keep_receipts(message, results.send_list)
                MassSender.objects.bulk_create(
                    [MassSender(message=message, userid=sender.userid)], ignore_conflicts=True
                )
    return not waiting


@transaction.atomic
def _keep_receipts(message: MassMessage, listed: Sequence[SendResult]) -> None:
    rows = []
    for one in listed:
        key = one.chat_id or one.external_userid
        if one.status == _SENT and key:
            at = datetime.fromtimestamp(one.send_time, UTC) if one.send_time else message.made_at
            rows.append(MassReceipt(message=message, key=key[:64], sent_at=at, sent_on=clock.local_day(at)))
    MassReceipt.objects.bulk_create(rows, ignore_conflicts=True)


_OUTSIDE = """
select i.customer_id as customer, r.sent_at as slot_at, not m.by_member as platform
from customers_identity i join wecom_massreceipt r on r.key = i.key and i.kind = 'external_userid'
join wecom_massmessage m on m.id = r.message_id and not m.to_groups and not m.ours
where r.sent_at > %s and r.sent_at < %s and r.sent_on between %s and %s
  and not exists (select from touch_sendtask k where k.provider_id = m.msgid)
"""
_USED = """
select r.key, count(*) filter (where not m.by_member)::int, count(*) filter (where m.by_member)::int
from wecom_massreceipt r join wecom_massmessage m on m.id = r.message_id
where r.key = any(%s) and r.sent_on >= %s group by r.key
"""
_USED_BY = """
select count(*) filter (where not m.by_member)::int, count(*) filter (where m.by_member)::int
from customers_identity i join wecom_massreceipt r on r.key = i.key join wecom_massmessage m on m.id = r.message_id
where i.kind = 'external_userid' and i.customer_id = %s and r.sent_on >= %s
"""

loop = Loop("wecom.mass_messages", run_once)
