"""The job that asks WeCom for what is planned, a hundred at a time for each taker.

What is asked for is written down before (`asking`): nothing is asked twice. A call without an answer leaves its items
`unknown`, and so does one that a dying worker made; `following` finds out what became of them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext_noop

from hetang.connectors.wecom.client import Client, client_of_corp
from hetang.connectors.wecom.errors import OF_ONE_MEMBER, Action, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.feed import Patience
from hetang.connectors.wecom.models import Handover, HandoverItem
from hetang.connectors.wecom.protocol.handover import (
    CUSTOMERS_PER_CALL,
    GROUPS_A_DAY,
    GROUPS_PER_CALL,
    TRANSFER,
    TRANSFER_GROUPS,
    TRANSFER_GROUPS_OF_LEAVER,
    TRANSFER_OF_LEAVER,
    GroupTransfer,
    OnJobTransfer,
    Transfer,
)
from hetang.platform import clock
from hetang.platform.jobs import Work, job
from hetang.resources.models import Staff

log = logging.getLogger(__name__)

STAGE = gettext_noop("handing over")
LONG_S = 600.0  # a limit that lasts longer is not waited for: the follow-up begins the job again
# Codes of one item (reference 14 and 27). A customer who is under way already may be so by a call of ours that got no
# answer: that is looked up.
UNDER_WAY = frozenset({40129, 40100})
_LIMIT_OF_THE_DAY = 45009
REASONS: dict[int, tuple[str, str]] = {
    40128: (HandoverItem.REJECTED, "too_often"),
    40099: (HandoverItem.FULL, "full"),
    40131: (HandoverItem.REJECTED, "no_relation"),
    84061: (HandoverItem.REJECTED, "no_relation"),
    40096: (HandoverItem.REJECTED, "no_relation"),
    40097: (HandoverItem.REJECTED, "not_left"),
    40130: (HandoverItem.REJECTED, "same"),
    40098: (HandoverItem.REJECTED, "not_real_named"),
    84074: (HandoverItem.REJECTED, "no_function"),
    41054: (HandoverItem.REJECTED, "not_activated"),
    60111: (HandoverItem.REJECTED, "unknown_member"),
    50002: (HandoverItem.REJECTED, "out_of_range"),
    60011: (HandoverItem.REJECTED, "out_of_range"),
    90500: (HandoverItem.REJECTED, "not_left"),
    90501: (HandoverItem.REJECTED, "group_gone"),
    90502: (HandoverItem.REJECTED, "has_left"),
    90503: (HandoverItem.FULL, "full"),
}
_OF_ITS_MEMBERS = OF_ONE_MEMBER | {40097, 40130, 84074}


@dataclass(frozen=True)
class _Batch:
    taker: Staff
    kind: str
    ids: Mapping[str, int]  # key -> item


@job("wecom.handover")
def carry_out(work: Work) -> dict[str, Any]:
    """Ask for everything that is planned. Returns how many were asked for. What a limit of the day holds back is asked
    for on the next one."""
    handover = Handover.objects.select_related("corp", "giver").get(pk=work.arguments["handover"])
    client = client_of_corp(handover.corp_id)
    left = HandoverItem.objects.filter(handover=handover, state=HandoverItem.ASKING)  # by a worker that died
    left.update(state=HandoverItem.UNKNOWN)
    asked, total = 0, HandoverItem.objects.filter(handover=handover, state=HandoverItem.PLANNED).count()
    while (batch := _claim(handover)) is not None:
        _ask(client, handover, batch, work)
        asked += len(batch.ids)
        work.progress(asked, max(asked, total), STAGE)
    Handover.objects.filter(pk=handover.pk).update(looked_at=None)  # what became of it is looked at soon
    return {"asked": asked}


def _claim(handover: Handover) -> _Batch | None:
    """The next items for one taker, written down as being asked for; None when there are none left."""
    while True:
        with contextlib.suppress(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            # Somebody else's hand-over may have them under way since ours was prepared.
            params: dict[str, Any] = {"handover": handover.pk, "corp": handover.corp_id, "now": clock.now()}
            params |= {"customers": CUSTOMERS_PER_CALL, "groups": GROUPS_PER_CALL, "a_day": GROUPS_A_DAY}
            params |= {"today": _today(), "tomorrow": _today() + timedelta(days=1)}
            cursor.execute(_ELSEWHERE, params)
            cursor.execute(_OVER_TODAY, params)
            cursor.execute(_CLAIM, params)
            rows = cursor.fetchall()
            if not rows:
                return None
            taker = Staff.objects.get(pk=rows[0][2])
            return _Batch(taker, rows[0][3], {key: pk for pk, key, _, _ in rows})


def _today() -> datetime:
    return datetime.combine(clock.today(), time(), clock.zone())


def _ask(client: Client, handover: Handover, batch: _Batch, work: Work) -> None:
    """One call, and what WeCom says of each item."""
    patience = Patience(threading.Event(), work.checkpoint)
    try:
        codes = patience(lambda: _call(client, handover, batch))
    except WeComError as problem:
        if problem.code in _OF_ITS_MEMBERS or problem.action in {Action.PERMANENT, Action.SKIP}:
            _note(batch, dict.fromkeys(batch.ids, problem.code))
            return
        _put_back(batch)
        raise
    except BaseException:  # nothing was sent: WeCom is away, or it was cancelled while it waited
        _put_back(batch)
        raise
    _note(batch, codes)


def _call(client: Client, handover: Handover, batch: _Batch) -> dict[str, int]:
    """What WeCom answers for each key; -1 for a call without an answer."""
    try:
        return _codes(client, handover, batch)
    except RateLimited as problem:
        if problem.wait_s > LONG_S:
            return dict.fromkeys(batch.ids, _LIMIT_OF_THE_DAY)
        raise
    except Unanswered as problem:
        log.warning("the outcome of a hand-over is not known: %s", problem)
        return dict.fromkeys(batch.ids, -1)


def _codes(client: Client, handover: Handover, batch: _Batch) -> dict[str, int]:
    keys, left = list(batch.ids), handover.kind == Handover.LEFT
    if batch.kind == HandoverItem.GROUP:
        api = TRANSFER_GROUPS_OF_LEAVER if left else TRANSFER_GROUPS
        failed = client.call(api, GroupTransfer(chat_id_list=keys, new_owner=batch.taker.userid)).failed_chat_list
        return dict.fromkeys(keys, 0) | {one.chat_id: one.errcode for one in failed}
    giver, taker = handover.giver.userid, batch.taker.userid
    if left:
        answer = client.call(TRANSFER_OF_LEAVER, Transfer(giver, taker, keys))
    else:
        answer = client.call(TRANSFER, OnJobTransfer(giver, taker, keys, handover.message))
    said = {one.external_userid: one.errcode for one in answer.customer}
    return {key: said.get(key, -1) for key in keys}  # one that is not mentioned is looked up


def _put_back(batch: _Batch) -> None:
    """They are planned as before."""
    asking = HandoverItem.objects.filter(pk__in=batch.ids.values(), state=HandoverItem.ASKING)
    asking.update(state=HandoverItem.PLANNED, asked_at=None)


def _note(batch: _Batch, codes: Mapping[str, int]) -> None:
    """Write what WeCom said of each. One statement."""
    words = [(batch.ids[key], *_became(code), code) for key, code in codes.items() if key in batch.ids]
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {**_columns(words), "now": clock.now(), "tomorrow": _today() + timedelta(days=1)})


def _became(code: int) -> tuple[str, str]:
    if code == 0:
        return HandoverItem.WAITING, ""
    if code in UNDER_WAY or code == -1:
        return HandoverItem.UNKNOWN, ""
    if code == _LIMIT_OF_THE_DAY:
        return HandoverItem.PLANNED, "over_limit"
    if code in {90504, 90507, 90508}:  # hers already, or on its way: the look at the group will say whose it is
        return HandoverItem.WAITING, ""
    return REASONS.get(code, (HandoverItem.REJECTED, "refused_by_wecom"))


def _columns(words: Sequence[tuple[int, str, str, int]]) -> dict[str, Any]:
    ids, states, reasons, codes = zip(*words, strict=True)
    return {"ids": list(ids), "states": list(states), "reasons": list(reasons), "codes": list(codes)}


_ELSEWHERE = """
update wecom_handoveritem i set state = 'left_out', reason = 'running', settled_at = %(now)s
where i.handover_id = %(handover)s and i.state = 'planned' and exists (
  select from wecom_handoveritem o where o.corp_id = i.corp_id and o.kind = i.kind and o.key = i.key and o.id <> i.id
    and o.state in ('asking', 'unknown', 'waiting'))
"""
# A new owner gets 300 groups a day, from whomever: the rest waits for tomorrow.
_OVER_TODAY = """
with today as (
  select taker_id, count(*) as n from wecom_handoveritem
  where kind = 'group' and asked_at >= %(today)s and state <> 'planned'
    and taker_id in (select taker_id from wecom_handoveritem where handover_id = %(handover)s and kind = 'group')
  group by taker_id
), ordered as (
  select i.id, row_number() over (partition by i.taker_id order by i.id) + coalesce(today.n, 0) as place
  from wecom_handoveritem i left join today on today.taker_id = i.taker_id
  where i.handover_id = %(handover)s and i.kind = 'group' and i.state = 'planned'
    and (i.again_at is null or i.again_at <= %(now)s)
)
update wecom_handoveritem i set again_at = %(tomorrow)s, reason = 'over_limit'
from ordered where i.id = ordered.id and ordered.place > %(a_day)s
"""
_CLAIM = """
with first as (
  select taker_id, kind from wecom_handoveritem
  where handover_id = %(handover)s and state = 'planned' and (again_at is null or again_at <= %(now)s)
  order by kind, taker_id limit 1
), picked as (
  select i.id from wecom_handoveritem i join first on first.taker_id = i.taker_id and first.kind = i.kind
  where i.handover_id = %(handover)s and i.state = 'planned' and (i.again_at is null or i.again_at <= %(now)s)
  order by i.id limit case when (select kind from first) = 'group' then %(groups)s else %(customers)s end
  for update of i skip locked
)
update wecom_handoveritem i set state = 'asking', asked_at = %(now)s, again_at = null, reason = ''
from picked where i.id = picked.id returning i.id, i.key, i.taker_id, i.kind
"""
# A frozen process may wake up after its items were taken for unknown: what it brings is the truth all the same.
_NOTE = """
update wecom_handoveritem i set state = n.state, reason = n.reason, code = n.code,
  again_at = case when n.state = 'planned' then %(tomorrow)s::timestamptz end,
  settled_at = case when n.state in ('rejected', 'full') then %(now)s::timestamptz end
from unnest(%(ids)s::bigint[], %(states)s::text[], %(reasons)s::text[], %(codes)s::int[]) as n(id, state, reason, code)
where i.id = n.id and i.state in ('asking', 'unknown')
"""
