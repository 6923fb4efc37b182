"""Preparing a hand-over: everything of the giver is written down, with to whom it goes or why it cannot; then the word.

Nothing is told to WeCom here but the question who may serve customers at all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from hetang.connectors.wecom.client import client_of, default_app
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.handover import leavers
from hetang.connectors.wecom.handover.errors import HandoverRefused
from hetang.connectors.wecom.handover.rules import LEFT_AT_MOST_DAYS, TRANSFERS, WINDOW_DAYS, shares
from hetang.connectors.wecom.models import App, Corp, Handover, HandoverItem
from hetang.connectors.wecom.protocol.directory import FOLLOW_USERS
from hetang.platform import audit, clock, jobs
from hetang.platform.access import Actor
from hetang.platform.models import JobRun
from hetang.resources.models import Staff, Store

HAND_OVER = "customers:hand_over"
KIND = "wecom.handover"


@dataclass(frozen=True)
class Wanted:
    """What is to be handed over and to whom: `takers` is one member, or those who share. With a `home_store` only the
    customers who are at home there: who moves to another store takes the others along."""

    giver: Staff
    takers: Sequence[Staff]
    rule: str = Handover.ONE
    customers: bool = True
    groups: bool = True
    message: str = ""
    home_store: Store | None = None


def prepare(actor: Actor, wanted: Wanted) -> Handover:
    """Write down who goes to whom. Nothing is handed over yet.

    Raises HandoverRefused, and Forbidden when giver or a taker lies outside the part of the actor's own company where
    she may hand over. Asks WeCom who may serve customers: up to thirty seconds without an answer.
    """
    actor.require_own_at(HAND_OVER, wanted.giver.org_node)
    for taker in wanted.takers:
        actor.require_own_at(HAND_OVER, taker.org_node)
    try:
        app = default_app()
        serving = {one.lower() for one in client_of(app).call(FOLLOW_USERS).follow_user}
        if not wanted.giver.active:
            leavers.refresh(app)
    except (NotConnected, NotSent, Unanswered, WeComError) as problem:
        raise HandoverRefused("unreachable") from problem
    takers = _takers(wanted, serving)
    with transaction.atomic():
        handover = _written(actor, app, wanted, takers)
        details = {"staff": wanted.giver.userid, "to": [one.userid for one in takers][:20], "rule": wanted.rule}
        audit.record(actor, "handover.prepared", "handover", handover.public_id, details, handover.org_node_id)
    return handover


def start(actor: Actor, handover: Handover) -> None:
    """The word: a job begins to ask WeCom. Also goes on with one that was stopped or failed. Raises HandoverRefused."""
    actor.require_own_at(HAND_OVER, handover.org_node)
    with transaction.atomic():
        mine = Handover.objects.select_for_update().get(pk=handover.pk)
        if mine.state == Handover.DONE or _under_way(mine):
            raise HandoverRefused("begun")
        first = mine.state == Handover.PREPARED
        mine.state, mine.started_at = Handover.RUNNING, mine.started_at or clock.now()
        mine.job = enqueue(mine)
        mine.save(update_fields=["state", "started_at", "job"])
        action = "handover.started" if first else "handover.continued"
        audit.record(actor, action, "handover", mine.public_id, {"staff": mine.giver.userid}, mine.org_node_id)


def enqueue(handover: Handover) -> JobRun:
    """Plan the job that asks for what is planned, in the caller's transaction."""
    return jobs.enqueue(KIND, gettext_noop("Handing over customers and groups"), {"handover": handover.pk})


def discard(actor: Actor, handover: Handover) -> None:
    """Throw away what was only prepared. Raises HandoverRefused once it has begun."""
    actor.require_own_at(HAND_OVER, handover.org_node)
    with transaction.atomic():
        mine = Handover.objects.select_for_update().filter(pk=handover.pk, state=Handover.PREPARED).first()
        if mine is None:
            raise HandoverRefused("begun")
        details = {"staff": mine.giver.userid}
        audit.record(actor, "handover.discarded", "handover", mine.public_id, details, mine.org_node_id)
        HandoverItem.objects.filter(handover=mine).delete()
        mine.delete()


def give_up(actor: Actor, handover: Handover) -> None:
    """Leave what was not asked for yet where it is. What WeCom has taken goes on: it cannot be called back."""
    actor.require_own_at(HAND_OVER, handover.org_node)
    with transaction.atomic():
        mine = Handover.objects.select_for_update().get(pk=handover.pk)
        if mine.state != Handover.RUNNING or _under_way(mine):
            raise HandoverRefused("running")
        planned = HandoverItem.objects.filter(handover=mine, state=HandoverItem.PLANNED)
        count = planned.update(state=HandoverItem.LEFT_OUT, reason="given_up", settled_at=clock.now())
        Handover.objects.filter(pk=mine.pk).update(looked_at=None)
        details = {"staff": mine.giver.userid, "left_out": count}
        audit.record(actor, "handover.given_up", "handover", mine.public_id, details, mine.org_node_id)


def _under_way(handover: Handover) -> bool:
    return handover.job is not None and handover.job.state in {JobRun.WAITING, JobRun.RUNNING}


def _takers(wanted: Wanted, serving: Collection[str]) -> list[Staff]:
    """Those of the takers who are in service, may serve customers and are somebody else. Raises HandoverRefused."""
    if wanted.rule == Handover.ONE and any(one.pk == wanted.giver.pk for one in wanted.takers):
        raise HandoverRefused("same")
    others = [one for one in wanted.takers if one.active and one.pk != wanted.giver.pk]
    found = [one for one in others if one.userid.lower() in serving]
    if not found:
        raise HandoverRefused("no_function" if others else "nobody")
    return found


def _written(actor: Actor, app: App, wanted: Wanted, takers: Sequence[Staff]) -> Handover:
    kind = Handover.ON_JOB if wanted.giver.active else Handover.LEFT
    handover = Handover.objects.create(
        corp=app.corp,
        giver=wanted.giver,
        org_node_id=wanted.giver.org_node_id,
        kind=kind,
        rule=wanted.rule,
        message=wanted.message if kind == Handover.ON_JOB else "",
        actor=actor.name[:80],
        created_at=clock.now(),
    )
    params: dict[str, Any] = {
        "handover": handover.pk,
        "corp": app.corp_id,
        "corpid": app.corp.corpid,
        "giver": wanted.giver.userid,
        "staff": wanted.giver.pk,
        "home": wanted.home_store.pk if wanted.home_store else None,
        "on_job": kind == Handover.ON_JOB,
        "most": TRANSFERS,
        "now": clock.now(),
        "since": clock.now() - timedelta(days=WINDOW_DAYS),
        "long_ago": clock.now() - timedelta(days=LEFT_AT_MOST_DAYS),
    }
    with connection.cursor() as cursor:
        if wanted.customers:
            cursor.execute(_CUSTOMERS, params)
        if wanted.groups:
            cursor.execute(_GROUPS, params)
    if not HandoverItem.objects.filter(handover=handover).exists():
        raise HandoverRefused("nothing")
    _assign(handover, app.corp, HandoverItem.CUSTOMER, takers)
    _assign(handover, app.corp, HandoverItem.GROUP, takers)
    return handover


def _assign(handover: Handover, corp: Corp, kind: str, takers: Sequence[Staff]) -> None:
    """Say of every item that can go to whom; what nobody can take any more is left out."""
    planned = HandoverItem.objects.filter(handover=handover, kind=kind, state=HandoverItem.PLANNED)
    loads = _loads(corp, kind, takers)
    most = corp.customers_per_member if kind == HandoverItem.CUSTOMER else 10**9
    part = shares(loads, planned.count(), most)
    ends, end = [], 0
    for taker in part:
        end += part[taker]
        ends.append(end)
    with connection.cursor() as cursor:
        cursor.execute(
            _ASSIGN,
            {"handover": handover.pk, "kind": kind, "takers": list(part), "ends": ends, "now": clock.now()},
        )


def _loads(corp: Corp, kind: str, takers: Sequence[Staff]) -> dict[int, int]:
    statement = _FRIENDS if kind == HandoverItem.CUSTOMER else _OWNED
    with connection.cursor() as cursor:
        cursor.execute(statement, {"corp": corp.pk, "corpid": corp.corpid, "takers": [one.pk for one in takers]})
        return {one.pk: 0 for one in takers} | dict(cursor.fetchall())


_RUNNING = """exists (select from wecom_handoveritem o where o.corp_id = %(corp)s and o.kind = '{kind}'
              and o.key = {key} and o.state in ('asking', 'unknown', 'waiting'))"""
# WeCom counts hand-overs of members in service: those that wait, and those that were done.
_TOO_OFTEN = """%(on_job)s and (select count(*) from wecom_handoveritem o join wecom_handover h on h.id = o.handover_id
              where o.corp_id = %(corp)s and o.kind = '{kind}' and o.key = {key} and h.kind = 'on_job'
                and o.state in ('waiting', 'done') and o.asked_at > %(since)s) >= %(most)s"""
# The order lets everything be judged before the first row is written: the judging looks into the table that is
# written, which the planner takes for small.
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
          where corp_id = %(corp)s and userid = %(giver)s and standing <> 'gone') p
    full join (select external_userid, left_at from wecom_unassigned
          where corp_id = %(corp)s and userid = %(giver)s) u on u.external_userid = p.external_userid
  ) hers
  where %(home)s::bigint is null or exists (
    select from customers_identity i join customers_customer c on c.number = i.customer_id
    where i.kind = 'external_userid' and i.key = hers.external and c.home_store_id = %(home)s)
) judged order by external
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
) judged order by chat_id
"""
_ASSIGN = """
with parts as (
  select taker, coalesce(lag(upto) over (order by place), 0) as after, upto
  from unnest(%(takers)s::bigint[], %(ends)s::bigint[]) with ordinality as n(taker, upto, place)
), ordered as (
  select id, row_number() over (order by key) as place from wecom_handoveritem
  where handover_id = %(handover)s and kind = %(kind)s and state = 'planned'
)
update wecom_handoveritem i set
  taker_id = parts.taker, state = case when parts.taker is null then 'left_out' else 'planned' end,
  reason = case when parts.taker is null then 'full' else '' end,
  settled_at = case when parts.taker is null then %(now)s::timestamptz end
from ordered left join parts on ordered.place > parts.after and ordered.place <= parts.upto
where i.id = ordered.id
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
