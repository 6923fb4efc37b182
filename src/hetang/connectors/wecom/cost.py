"""What WeCom charges for: people served, customers of acquisition links, interface licences.

WeCom tells no bill. People served are counted in our books: everybody who is a friend of a member, and everybody who is
in a group only. The quota of links is asked for. What the contract says the brand writes down itself; prices of
vendors' pages are its beginning, and marked as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from hetang.connectors.wecom.client import app_of, client_of
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.models import Corp, CorpCost
from hetang.connectors.wecom.protocol.ways import LINK_QUOTA
from hetang.platform import audit, clock, jobs
from hetang.platform.access import Actor
from hetang.platform.jobs import Work, job
from hetang.platform.models import JobRun

KIND = "wecom.cost"
FIGURES = (
    *("free_people", "fee_per_thousand", "bought_people", "bought_until"),
    *("link_price", "licence_price", "licences"),
)
SOON = timedelta(days=60)


@dataclass(frozen=True)
class Fee:
    """People served against the fee: those beyond the free ones are paid for, by the thousand, in fen a year."""

    people: int
    paid: int
    fen_a_year: int
    room: int | None  # how many may come before what was bought is full; None where that is not said
    full_in_days: int | None  # at the pace of the last thirty days; None where it is not, or not within three years


def fee(cost: CorpCost) -> Fee:
    """The fee by what was counted and what was said of the contract."""
    people = cost.friends + cost.group_only
    paid = max(0, people - cost.free_people)
    thousands = -(-paid // 1000)
    room = None if cost.bought_people is None else cost.free_people + cost.bought_people - people
    days = None
    if room is not None and cost.new_in_30_days > 0:
        days = max(0, room) * 30 // cost.new_in_30_days
    return Fee(
        people, paid, thousands * cost.fee_per_thousand, room, days if days is not None and days < 3 * 365 else None
    )


def ends_soon(cost: CorpCost, today: date) -> bool:
    """Whether what was bought ends within sixty days."""
    return cost.bought_until is not None and cost.bought_until <= today + SOON


def write_down(actor: Actor, corp: Corp, figures: dict[str, Any], customers_per_member: int) -> None:
    """Keep what the brand says of its contract, and how many customers a member may have, with the audit row."""
    with transaction.atomic():
        cost, _made = CorpCost.objects.select_for_update().get_or_create(corp=corp)
        changes = {
            name: [getattr(cost, name), figures[name]] for name in FIGURES if getattr(cost, name) != figures[name]
        }
        if corp.customers_per_member != customers_per_member:
            changes["customers_per_member"] = [corp.customers_per_member, customers_per_member]
        if not changes:
            return
        CorpCost.objects.filter(pk=cost.pk).update(**figures)
        Corp.objects.filter(pk=corp.pk).update(customers_per_member=customers_per_member)
        audit.record(actor, "wecom.cost_figures", "wecom", corp.corpid, changes)


def begin(corp: Corp) -> bool:
    """Plan the count, unless one waits or runs. Returns whether it was planned."""
    with transaction.atomic():
        Corp.objects.select_for_update().get(pk=corp.pk)
        if JobRun.objects.filter(kind=KIND, state__in=(JobRun.WAITING, JobRun.RUNNING)).exists():
            return False
        jobs.enqueue(KIND, gettext_noop("Counting what WeCom charges for"), {"corp": corp.pk})
        return True


@job(KIND)
def count(work: Work) -> dict[str, Any]:
    """Count the people and ask for the quota of links. Reads everything once: some ten seconds for nine million."""
    corp = Corp.objects.get(pk=work.arguments["corp"])
    work.progress(0, 2, "counting")
    with connection.cursor() as cursor:
        params: dict[str, Any] = {"corp": corp.pk, "corpid": corp.corpid, "since": clock.now() - timedelta(days=30)}
        cursor.execute(_PEOPLE, params)
        friends, group_only, fresh = cursor.fetchone()
    CorpCost.objects.update_or_create(
        corp=corp,
        defaults={
            "counted_at": clock.now(), "friends": friends, "group_only": group_only, "new_in_30_days": fresh,
        },
    )  # fmt: skip
    work.progress(1, 2, "counting")
    _ask_for_quota(corp)
    return {"friends": friends, "group_only": group_only}


def _ask_for_quota(corp: Corp) -> None:
    """An app without the function is told so by its code; an outage leaves what was known."""
    app = app_of(corp.pk)
    if app is None:
        return
    try:
        answer = client_of(app).call(LINK_QUOTA)
    except WeComError as problem:
        CorpCost.objects.filter(corp=corp).update(quota_at=clock.now(), quota_code=problem.code)
        return
    except (NotConnected, NotSent, Unanswered):
        return
    ends = [
        [clock.local_day(datetime.fromtimestamp(one.expire_date, UTC)).isoformat(), one.balance]
        for one in sorted(answer.quota_list, key=lambda one: one.expire_date)
        if one.expire_date
    ]
    CorpCost.objects.filter(corp=corp).update(
        quota_at=clock.now(), quota_code=0, quota_bought=answer.total, quota_left=answer.balance, quota_ends=ends
    )


# Everybody once, however many friends she has here; who is in a group only counts, too.
_PEOPLE = """
with friends as (
  select external_userid as key, min(friends_since) as since from wecom_pair
  where corp_id = %(corp)s and standing <> 'gone' group by external_userid
), grouped as (
  select m.member as key, min(m.joined_at) as since from communities_groupmember m
  join communities_groupchat g on g.id = m.group_id
  where g.corpid = %(corpid)s and g.dissolved_at is null and m.left_at is null and not m.is_staff group by m.member
)
select count(f.key), count(*) filter (where f.key is null),
       count(*) filter (where least(f.since, g.since) >= %(since)s)
from friends f full join grouped g using (key)
"""
