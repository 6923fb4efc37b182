"""Live codes and links by which people come (渠道码): how many by each, what they are called, and for which campaign
they are. WeCom tells the state of a code only; the brand says the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from hetang.campaigns.models import Campaign
from hetang.customers.models import ChannelCode
from hetang.platform import audit, clock
from hetang.platform.access import Actor

MAX_STATE, MAX_NAME = 64, 60


@dataclass(frozen=True, slots=True)
class Came:
    """A code: friendships that began and stays in groups by it, in all and since a time; `last_at` is when somebody
    last came. `campaign` is a public id."""

    state: str
    name: str
    campaign: UUID | None
    friends: int
    joined: int
    recent: int
    last_at: datetime | None


def came(since: datetime, words: Sequence[str] = (), campaign: str = "", unnamed: bool = False) -> list[Came]:
    """Codes that somebody came by, or that have a name or a campaign; those that most came by since then first. `words`
    are all in state or name; `campaign` is a public id; `unnamed`: those without a name only.

    One statement: a scan of the friendships that began by a code and of such stays in groups, 0.2 s for a million.
    """
    tests = ["true", *["position(%s in lower(state || ' ' || name)) > 0"] * len(words)]
    tests += ["campaign::text = %s"] if campaign else []
    tests += ["name = ''"] if unnamed else []
    values: list[datetime | str] = [since, *(word.lower() for word in words), *([campaign] if campaign else [])]
    with connection.cursor() as cursor:
        cursor.execute(_CAME.format(tests=" and ".join(tests)), values)
        return [Came(*row) for row in cursor.fetchall()]


def find(state: str) -> ChannelCode | None:
    """A code that has a name or a campaign, or by which somebody came. Costs as much as `came` where it has neither."""
    known = ChannelCode.objects.filter(pk=state).first()
    if known is None and state in {one.state for one in came(clock.now(), [state])}:
        return ChannelCode(state=state)
    return known


def campaign_of(code: ChannelCode) -> Campaign | None:
    """The campaign that a code is for."""
    return Campaign.objects.filter(public_id=code.campaign).first() if code.campaign else None


@transaction.atomic
def describe(actor: Actor, state: str, name: str, campaign: Campaign | None) -> None:
    """Say what a code is called and for which campaign it is; neither takes back what was said. The state need not have
    been seen: a code may be named before anybody scans it. Raises Forbidden, ValueError for what cannot be a state.
    """
    actor.require_everywhere("campaigns:edit")
    if not 0 < len(state) <= MAX_STATE or len(name) > MAX_NAME or not state.isprintable() or not name.isprintable():
        raise ValueError(state)
    before = ChannelCode.objects.select_for_update().filter(pk=state).first() or ChannelCode(state=state)
    public_id = campaign.public_id if campaign else None
    changes: dict[str, list[str]] = {}
    if before.name != name:
        changes["name"] = [before.name, name]
    if before.campaign != public_id:
        was = campaign_of(before)
        changes["campaign"] = [was.name if was else "", campaign.name if campaign else ""]
    if not changes:
        return
    if name or public_id:
        said = {"name": name, "campaign": public_id, "updated_at": clock.now()}
        ChannelCode.objects.update_or_create(state=state, defaults=said)
    else:
        ChannelCode.objects.filter(pk=state).delete()
    audit.record(actor, "channel_code.changed", "channel_code", state, changes)


_CAME = """
select state, name, campaign, friends, joined, recent, last_at from (
  select coalesce(c.state, k.state) as state, coalesce(k.name, '') as name, k.campaign,
         coalesce(c.friends, 0) as friends, coalesce(c.joined, 0) as joined, coalesce(c.recent, 0) as recent, c.last_at
  from (
    select state, count(*) filter (where friend) as friends, count(*) filter (where not friend) as joined,
           count(*) filter (where at >= %s) as recent, max(at) as last_at
    from (
      select begun_state as state, true as friend, begun_at as at from customers_relation where begun_state <> ''
      union all
      select channel_state, false, joined_at from communities_groupmember where channel_state <> '' and not is_staff
    ) b group by state
  ) c full join customers_channelcode k on k.state = c.state
) f where {tests} order by recent desc, friends + joined desc, state
"""
