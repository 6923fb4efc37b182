"""What became of hand-overs: WeCom is asked until each item is settled, and our books follow.

Events about them only make us look at once. When WeCom says that a customer was taken over, her friendships, her
adviser and the mirror change here, unless an event has said so before. A group is done when WeCom names its new owner.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q

from hetang.communities import services as communities
from hetang.connectors.wecom import listing
from hetang.connectors.wecom.client import Client, client_of_corp
from hetang.connectors.wecom.errors import NotConnected, NotSent, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.handover import preparing
from hetang.connectors.wecom.models import Corp, Handover, HandoverItem, Pair
from hetang.connectors.wecom.pairs import SOURCE, told_pairs
from hetang.connectors.wecom.protocol.groups import GROUP, GroupRequest
from hetang.connectors.wecom.protocol.handover import (
    TRANSFER_RESULT,
    TRANSFER_RESULT_OF_LEAVER,
    TransferQuery,
    Transferred,
)
from hetang.connectors.wecom.relations import second
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.platform import audit, clock
from hetang.platform.loops import Loop
from hetang.platform.models import JobRun
from hetang.resources.models import Staff

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)
SURE_AFTER = timedelta(minutes=2)  # what WeCom does not list by then did not take effect
LOST_AFTER = timedelta(days=3)  # what it does not settle by then, nobody will
SLACK = timedelta(minutes=5)  # WeCom's clock against ours
GROUPS_AT_ONCE = 300
FACTS_AT_ONCE = 500
_IDLE_S = 6.0  # long enough to give the database connection back
_BY_ADMINISTRATOR = 202  # add_way
_TAKEN, _WAITING, _REFUSED, _FULL = 1, 2, 3, 4
_STATES = {_TAKEN: "done", _WAITING: "waiting", _REFUSED: "refused", _FULL: "full"}


@dataclass(frozen=True)
class _Taken:
    item: int
    external_userid: str
    taker: str
    at: datetime


def run_once() -> float:
    """Look after one hand-over that is due. Returns seconds until the next look."""
    due = Q(looked_at=None) | Q(looked_at__lte=clock.now() - EVERY)
    running = Handover.objects.filter(due, state=Handover.RUNNING).select_related("corp", "giver", "job")
    handover = running.order_by(F("looked_at").asc(nulls_first=True), "id").first()
    if handover is None:
        return _IDLE_S
    Handover.objects.filter(pk=handover.pk).update(looked_at=clock.now())
    try:
        look(handover)
    except (NotConnected, NotSent, Unanswered, WeComError) as problem:
        log.warning("what became of a hand-over is not known yet: %s", problem)
    return 0.0


def look(handover: Handover) -> None:
    """Ask what became of everything that is under way, write it down, go on or end. Raises like `Client.call`."""
    client = client_of_corp(handover.corp_id)
    mine = HandoverItem.objects.filter(handover=handover)
    under_way = mine.filter(state__in=(HandoverItem.WAITING, HandoverItem.UNKNOWN))
    takers = under_way.filter(kind=HandoverItem.CUSTOMER).values_list("taker", flat=True).distinct()
    for taker in Staff.objects.filter(pk__in=list(takers)).order_by("pk"):
        _look_at_customers(client, handover, taker)
    _look_at_groups(client, handover)
    _settle_the_silent(handover)
    _go_on_or_end(handover)


def prompt(corp: Corp, kind: str, keys: Collection[str]) -> None:
    """Events told something of these customers or groups: look at their hand-overs soon."""
    if not keys:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "update wecom_handover h set looked_at = null from wecom_handoveritem i"
            " where i.handover_id = h.id and h.state = 'running' and i.corp_id = %s and i.kind = %s"
            " and i.key = any(%s) and i.state in ('waiting', 'unknown')",
            [corp.pk, kind, sorted(keys)],
        )


def _look_at_customers(client: Client, handover: Handover, taker: Staff) -> None:
    api = TRANSFER_RESULT_OF_LEAVER if handover.kind == Handover.LEFT else TRANSFER_RESULT
    cursor = ""
    while True:
        page = client.call(api, TransferQuery(handover.giver.userid, taker.userid, cursor))
        _take_results(handover, taker, page.customer)
        cursor = page.next_cursor
        if not cursor:
            return


def _take_results(handover: Handover, taker: Staff, listed: Sequence[Transferred]) -> None:
    """One page of results. Where a customer went this way before, the list may still tell of that time: what is older
    than our asking does not count, and "waiting" is the newest word."""
    newest: dict[str, Transferred] = {}
    for one in listed:
        if one.status in _STATES and (one.external_userid not in newest or one.status != _WAITING):
            newest[one.external_userid] = one
    newest |= {one.external_userid: one for one in listed if one.status == _WAITING}
    if not newest:
        return
    params: dict[str, Any] = {
        "handover": handover.pk,
        "taker": taker.pk,
        "keys": list(newest),
        "states": [_STATES[one.status] for one in newest.values()],
        "ats": [
            datetime.fromtimestamp(one.takeover_time, UTC) if one.takeover_time else None for one in newest.values()
        ],
        "slack": SLACK,
        "now": clock.now(),
    }
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_RESULTS, params)
            done = [_Taken(pk, key, taker.userid, at) for pk, key, state, at in cursor.fetchall() if state == "done"]
        for start in range(0, len(done), FACTS_AT_ONCE):
            _change_our_books(handover, done[start : start + FACTS_AT_ONCE])


def _change_our_books(handover: Handover, done: Sequence[_Taken]) -> None:
    """The friendship with the giver ended, the one with the taker began, the adviser is another one."""
    corp, giver = handover.corp, handover.giver
    keys = [one.external_userid for one in done]
    standing = _standings(corp, [giver.userid, *{one.taker for one in done}], keys)
    owned = _owned(giver, keys)
    drafts: list[Draft] = []
    told: list[tuple[str, str, str, datetime, datetime]] = []
    for one in done:
        who = [("external_userid", one.external_userid)]
        mark = f"handover:{corp.corpid}:{one.item}"
        ended = second(int(one.at.timestamp()), "lost_by_staff")
        if standing.get((giver.userid, one.external_userid)) not in {None, Pair.GONE}:
            body = {"staff": giver.userid, "state": "lost_by_staff", "simulated": corp.simulated}
            drafts.append(Draft("relation.changed", f"{mark}:given", ended, who, body))
            told.append((giver.userid, one.external_userid, Pair.GONE, ended, one.at))
        if standing.get((one.taker, one.external_userid)) != Pair.LISTED:
            begun = second(int(one.at.timestamp()), "active")
            body = {"staff": one.taker, "state": "active", "since": one.at.isoformat(), "add_way": _BY_ADMINISTRATOR}
            drafts.append(Draft("relation.changed", f"{mark}:taken", begun, who, {**body, "simulated": corp.simulated}))
            told.append((one.taker, one.external_userid, Pair.LISTED, begun, one.at))
        if one.external_userid in owned:
            drafts.append(Draft("customer.described", f"{mark}:owner", one.at, who, {"owner": one.taker}))
    told_pairs(corp, told)
    for start in range(0, len(drafts), 1000):
        intake.record(SOURCE, drafts[start : start + 1000], "callback")


def _standings(corp: Corp, userids: Sequence[str], keys: Sequence[str]) -> dict[tuple[str, str], str]:
    pairs = Pair.objects.filter(corp=corp, userid__in=userids, external_userid__in=keys)
    return {(userid, key): word for userid, key, word in pairs.values_list("userid", "external_userid", "standing")}


def _owned(giver: Staff, keys: Sequence[str]) -> set[str]:
    """Those of the customers whose adviser is the giver."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.key from customers_identity i join customers_customer c on c.number = i.customer_id"
            " where i.kind = 'external_userid' and i.key = any(%s) and c.owner_id = %s",
            [list(keys), giver.pk],
        )
        return {row[0] for row in cursor.fetchall()}


def _look_at_groups(client: Client, handover: Handover) -> None:
    """Ask for groups that are not known to have their new owner yet; then compare with what we know."""
    waiting = HandoverItem.objects.filter(
        handover=handover, kind=HandoverItem.GROUP, state__in=(HandoverItem.WAITING, HandoverItem.UNKNOWN)
    )
    for chat_id in list(waiting.order_by("id").values_list("key", flat=True)[:GROUPS_AT_ONCE]):
        asked_at = clock.now()
        try:
            group = client.call(GROUP, GroupRequest(chat_id=chat_id)).group_chat
        except RateLimited:
            raise
        except WeComError as problem:
            log.info("a group that is handed over is not told: %s", problem)
            continue
        if group is not None:
            communities.keep([listing.told(group, handover.corp, asked_at, None)])
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS_DONE, {"handover": handover.pk, "now": clock.now()})


def _settle_the_silent(handover: Handover) -> None:
    """What WeCom does not know of: it never took effect and is planned again, or it is under way to somebody else, or
    nobody will ever say."""
    now = clock.now()
    params: dict[str, Any] = {"handover": handover.pk, "now": now, "sure": now - SURE_AFTER, "lost": now - LOST_AFTER}
    with connection.cursor() as cursor:
        cursor.execute(_SILENT, params)


def _go_on_or_end(handover: Handover) -> None:
    now = clock.now()
    with transaction.atomic():
        mine = Handover.objects.select_for_update(of=("self",)).select_related("job").get(pk=handover.pk)
        items = HandoverItem.objects.filter(handover=mine)
        job = mine.job.state if mine.job is not None else JobRun.DONE
        if mine.state != Handover.RUNNING or job in {JobRun.WAITING, JobRun.RUNNING}:
            return
        due = items.filter(Q(again_at=None) | Q(again_at__lte=now), state=HandoverItem.PLANNED)
        if job == JobRun.DONE and due.exists():  # one that was stopped waits for somebody's word
            mine.job = preparing.enqueue(mine)
            mine.save(update_fields=["job"])
        elif not items.filter(state__in=(HandoverItem.PLANNED, *HandoverItem.OPEN)).exists():
            _end(mine, now)


def _end(handover: Handover, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select kind || ':' || state, count(*) from wecom_handoveritem where handover_id = %s group by 1",
            [handover.pk],
        )
        counts: dict[str, Any] = dict(cursor.fetchall())
    ended = Handover.objects.filter(pk=handover.pk, state=Handover.RUNNING)
    if ended.update(state=Handover.DONE, finished_at=now, counts=counts):
        audit.record(handover.actor, "handover.finished", "handover", handover.public_id, counts, handover.org_node_id)


# What is settled stays; a word on a time before ours does not count, whatever it says.
_RESULTS = """
update wecom_handoveritem i set state = n.state, reason = '', code = 0,
  settled_at = case when n.state <> 'waiting' then coalesce(n.at, %(now)s) end
from unnest(%(keys)s::text[], %(states)s::text[], %(ats)s::timestamptz[]) as n(key, state, at)
where i.handover_id = %(handover)s and i.taker_id = %(taker)s and i.kind = 'customer' and i.key = n.key
  and i.state in ('waiting', 'unknown') and i.state <> n.state
  and (n.state <> 'done' or coalesce(n.at, %(now)s) >= i.asked_at - %(slack)s)
returning i.id, i.key, i.state, coalesce(i.settled_at, %(now)s)
"""
_GROUPS_DONE = """
update wecom_handoveritem i set
  state = case when g.owner_id = i.taker_id then 'done' else 'rejected' end,
  reason = case when g.owner_id = i.taker_id then '' else 'group_gone' end, settled_at = %(now)s
from communities_groupchat g
where i.handover_id = %(handover)s and i.kind = 'group' and i.state in ('waiting', 'unknown') and g.chat_id = i.key
  and (g.owner_id = i.taker_id or g.dissolved_at is not null)
"""
_SILENT = """
update wecom_handoveritem i set
  state = case when i.state = 'waiting' or i.code in (40129, 40100) then 'rejected' else 'planned' end,
  reason = case when i.state = 'waiting' then 'no_answer' when i.code in (40129, 40100) then 'running'
           else '' end,
  settled_at = case when i.state = 'waiting' or i.code in (40129, 40100) then %(now)s::timestamptz end
where i.handover_id = %(handover)s
  and (i.state = 'unknown' and i.asked_at <= %(sure)s or i.state = 'waiting' and i.asked_at <= %(lost)s)
"""

loop = Loop("wecom.handovers", run_once)
