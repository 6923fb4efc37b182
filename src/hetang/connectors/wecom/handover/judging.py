"""The job that prepares a hand-over: it asks WeCom who may serve customers, judges every customer and group of the
giver, and says of each to whom it goes.

Each step is a short transaction of its own, so twenty thousand customers hold nobody back; a run that died or was
cancelled goes on with what is not written yet. Who goes to whom is said anew from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from hetang.connectors.wecom.client import app_of, client_of
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.handover import leavers
from hetang.connectors.wecom.handover.errors import HandoverRefused
from hetang.connectors.wecom.handover.preparing import PREPARE
from hetang.connectors.wecom.handover.rules import LEFT_AT_MOST_DAYS, TRANSFERS, WINDOW_DAYS, shares
from hetang.connectors.wecom.models import Corp, Handover, HandoverItem
from hetang.connectors.wecom.protocol.directory import FOLLOW_USERS
from hetang.platform import clock
from hetang.platform.jobs import Work, job
from hetang.resources.models import Staff

CHUNK = 500
ASKING, JUDGING, SHARING = gettext_noop("asking WeCom"), gettext_noop("judging"), gettext_noop("sharing out")
_KINDS = (HandoverItem.CUSTOMER, HandoverItem.GROUP)


@job(PREPARE)
def run(work: Work) -> dict[str, Any]:
    """Prepare; what WeCom or the facts forbid ends as `refused` with its problem. Returns the count of items."""
    handover = Handover.objects.select_related("corp", "giver").get(pk=work.arguments["handover"])
    if handover.state != Handover.PREPARING:
        return {}
    try:
        takers = _takers(handover, work)
        count = _judge(handover, work)
        for kind in _KINDS:
            _share_out(handover, kind, takers, work)
    except HandoverRefused as refused:
        _end(handover, Handover.REFUSED, refused.code)
        return {"refused": refused.code}
    _end(handover, Handover.PREPARED)
    return {"items": count}


def _end(handover: Handover, state: str, problem: str = "") -> None:
    mine = Handover.objects.filter(pk=handover.pk, state=Handover.PREPARING)
    mine.update(state=state, problem=problem)


def _takers(handover: Handover, work: Work) -> list[Staff]:
    """Those of the takers asked for who may serve customers, as WeCom knows. Raises HandoverRefused."""
    work.progress(0, None, ASKING)
    try:
        app = app_of(handover.corp_id)
        if app is None:
            raise HandoverRefused("unreachable")
        serving = {one.lower() for one in client_of(app).call(FOLLOW_USERS).follow_user}
        if handover.kind == Handover.LEFT:
            leavers.refresh(app)
    except (NotConnected, NotSent, Unanswered, WeComError) as problem:
        raise HandoverRefused("unreachable") from problem
    others = list(Staff.objects.filter(pk__in=handover.asked["takers"], active=True))
    found = [one for one in others if one.userid.lower() in serving]
    if not found:
        raise HandoverRefused("no_function" if others else "nobody")
    return found


def _judge(handover: Handover, work: Work) -> int:
    """Write down each customer and group, or why it cannot go; returns how many there are. Raises HandoverRefused."""
    params = _params(handover)
    hers = {
        HandoverItem.CUSTOMER: _column(_HER_CUSTOMERS, params) if handover.asked["customers"] else [],
        HandoverItem.GROUP: _column(_HER_GROUPS, params) if handover.asked["groups"] else [],
    }
    total, done = sum(map(len, hers.values())), 0
    work.progress(0, total, JUDGING)
    for kind, statement in zip(_KINDS, (_CUSTOMERS, _GROUPS), strict=True):
        for keys in _chunks(hers[kind]):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement, {**params, "keys": keys})
            done += len(keys)
            work.progress(done, total, JUDGING)
    count = HandoverItem.objects.filter(handover=handover).count()
    if not count:
        raise HandoverRefused("nothing")
    return count


def _share_out(handover: Handover, kind: str, takers: Sequence[Staff], work: Work) -> None:
    """Say of every item that can go to whom, in the order of their keys; what nobody can take any more is left out."""
    able = HandoverItem.objects.filter(handover=handover, kind=kind)
    ids = list(able.filter(reason__in=("", "full")).order_by("key").values_list("id", flat=True))
    most = handover.corp.customers_per_member if kind == HandoverItem.CUSTOMER else 10**9
    part = shares(_loads(handover.corp, kind, takers), len(ids), most)
    whose: Iterator[int] = (taker for taker, count in part.items() for _ in range(count))
    done = 0
    for some in _chunks(ids):
        theirs: list[int | None] = list(islice(whose, len(some)))
        theirs += [None] * (len(some) - len(theirs))
        with transaction.atomic(), connection.cursor() as cursor:
            params: dict[str, Any] = {"handover": handover.pk, "ids": some, "takers": theirs, "now": clock.now()}
            cursor.execute(_ASSIGN, params)
        done += len(some)
        work.progress(done, len(ids), SHARING)


def _params(handover: Handover) -> dict[str, Any]:
    now = clock.now()
    return {
        "handover": handover.pk,
        "corp": handover.corp_id,
        "corpid": handover.corp.corpid,
        "giver": handover.giver.userid,
        "staff": handover.giver_id,
        "home": handover.asked["home"],
        "on_job": handover.kind == Handover.ON_JOB,
        "most": TRANSFERS,
        "now": now,
        "since": now - timedelta(days=WINDOW_DAYS),
        "long_ago": now - timedelta(days=LEFT_AT_MOST_DAYS),
    }


def _loads(corp: Corp, kind: str, takers: Sequence[Staff]) -> dict[int, int]:
    statement = _FRIENDS if kind == HandoverItem.CUSTOMER else _OWNED
    with connection.cursor() as cursor:
        cursor.execute(statement, {"corp": corp.pk, "corpid": corp.corpid, "takers": [one.pk for one in takers]})
        return {one.pk: 0 for one in takers} | dict(cursor.fetchall())


def _column(statement: str, params: dict[str, Any]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [row[0] for row in cursor.fetchall()]


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    return (items[at : at + CHUNK] for at in range(0, len(items), CHUNK))


_RUNNING = """exists (select from wecom_handoveritem o where o.corp_id = %(corp)s and o.kind = '{kind}'
              and o.key = {key} and o.state in ('asking', 'unknown', 'waiting'))"""
# WeCom counts hand-overs of members in service: those that wait, and those that were done.
_TOO_OFTEN = """%(on_job)s and (select count(*) from wecom_handoveritem o join wecom_handover h on h.id = o.handover_id
              where o.corp_id = %(corp)s and o.kind = '{kind}' and o.key = {key} and h.kind = 'on_job'
                and o.state in ('waiting', 'done') and o.asked_at > %(since)s) >= %(most)s"""
# The order lets everything be judged before the first row is written: the judging looks into the table that is
# written, which the planner takes for small. What a run before wrote stays.
_CUSTOMERS = f"""
insert into wecom_handoveritem (handover_id, corp_id, kind, key, state, reason, code, settled_at)
select %(handover)s, %(corp)s, 'customer', external,
       case when reason = '' then 'planned' else 'left_out' end, reason, 0,
       case when reason <> '' then %(now)s::timestamptz end
from (
  select external, case
    when left_at < %(long_ago)s then 'left_long_ago'
    when standing = 'half' then 'half'
    when standing = 'lost_by_customer' and left_at is null then 'lost'
    when {_RUNNING.format(kind="customer", key="external")} then 'running'
    when {_TOO_OFTEN.format(kind="customer", key="external")} then 'too_often'
    else '' end as reason
  from (
    select coalesce(p.external_userid, u.external_userid) as external, p.standing, u.left_at
    from (select external_userid, standing from wecom_pair
          where corp_id = %(corp)s and userid = %(giver)s and standing <> 'gone'
            and external_userid = any(%(keys)s)) p
    full join (select external_userid, left_at from wecom_unassigned
          where corp_id = %(corp)s and userid = %(giver)s and external_userid = any(%(keys)s))
    u on u.external_userid = p.external_userid
  ) hers
  where %(home)s::bigint is null or exists (
    select from customers_identity i join customers_customer c on c.number = i.customer_id
    where i.kind = 'external_userid' and i.key = hers.external and c.home_store_id = %(home)s)
) judged order by external
on conflict (handover_id, kind, key) do nothing
"""
_GROUPS = f"""
insert into wecom_handoveritem (handover_id, corp_id, kind, key, state, reason, code, settled_at)
select %(handover)s, %(corp)s, 'group', chat_id, case when reason = '' then 'planned' else 'left_out' end, reason, 0,
       case when reason <> '' then %(now)s::timestamptz end
from (
  select g.chat_id, case
    when {_RUNNING.format(kind="group", key="g.chat_id")} then 'running'
    when {_TOO_OFTEN.format(kind="group", key="g.chat_id")} then 'too_often'
    else '' end as reason
  from communities_groupchat g where g.owner_id = %(staff)s and g.dissolved_at is null and g.corpid = %(corpid)s
    and g.chat_id = any(%(keys)s)
) judged order by chat_id
on conflict (handover_id, kind, key) do nothing
"""
_HER_CUSTOMERS = """
select external_userid from wecom_pair where corp_id = %(corp)s and userid = %(giver)s and standing <> 'gone'
union select external_userid from wecom_unassigned where corp_id = %(corp)s and userid = %(giver)s
order by 1
"""
_HER_GROUPS = """
select chat_id from communities_groupchat
where owner_id = %(staff)s and dissolved_at is null and corpid = %(corpid)s order by 1
"""
_ASSIGN = """
update wecom_handoveritem i set
  taker_id = n.taker, state = case when n.taker is null then 'left_out' else 'planned' end,
  reason = case when n.taker is null then 'full' else '' end,
  settled_at = case when n.taker is null then %(now)s::timestamptz end
from unnest(%(ids)s::bigint[], %(takers)s::bigint[]) as n(id, taker)
where i.id = n.id and i.handover_id = %(handover)s
"""
_FRIENDS = """
select s.id, count(*) from resources_staff s
join wecom_pair p on p.corp_id = %(corp)s and p.userid = s.userid and p.standing in ('listed', 'lost_by_customer')
where s.id = any(%(takers)s) group by s.id
"""
_OWNED = """
select owner_id, count(*) from communities_groupchat
where owner_id = any(%(takers)s) and dissolved_at is null and corpid = %(corpid)s group by owner_id
"""
