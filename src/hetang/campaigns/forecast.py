"""Whom the broadcasts that are planned but not sent would meet too often, before anybody makes their split.

Everything is an intersection of sets: the people that each sent or planned broadcast is meant for, by its time. It
counts whoever may get a message as if she got it, so it says at most; the split says exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pyroaring import BitMap

from hetang.audiences.models import AudienceSnapshot
from hetang.audiences.stored import read_members
from hetang.campaigns.models import Broadcast
from hetang.platform import clock
from hetang.touch.models import Cap, Plan, PlanGroup, PlatformLimit, Programme
from hetang.touch.rules import CapRule, PlatformWindow, in_at_least, over_cap, platform_window

_OVER = (Programme.CANCELLING, Programme.CANCELLED)
_WIDEST = timedelta(days=62)  # the widest window of a cap, and a month


@dataclass(frozen=True)
class Crowding:
    """How a planned broadcast stands with the caps: `people` it is meant for, and how many of them each cap would leave
    out. A cap of None is the platform's own."""

    people: int
    exact: bool  # by its split; else by the newest look at its audience
    over: tuple[tuple[CapRule | None, int], ...] = ()


@dataclass(frozen=True)
class _Sending:
    key: tuple[str, int]
    at: datetime
    channel: str
    marketing: bool
    members: BitMap


@dataclass(frozen=True)
class _Rules:
    """All caps, read once."""

    caps: list[CapRule]
    platform: dict[str, PlatformLimit]
    zone: ZoneInfo

    @classmethod
    def read(cls) -> _Rules:
        caps = [CapRule(row.channel, row.limit, row.days) for row in Cap.objects.order_by("channel", "days")]
        return cls(caps, {row.channel: row for row in PlatformLimit.objects.all()}, clock.zone())

    def caps_of(self, sending: _Sending) -> list[CapRule]:
        return [cap for cap in self.caps if sending.marketing and cap.channel in {"", sending.channel}]

    def window_of(self, sending: _Sending) -> PlatformWindow | None:
        rule = self.platform.get(sending.channel)
        return platform_window(rule.mode, rule.limit, sending.at, self.zone) if rule else None


def crowding(drafts: Sequence[Broadcast]) -> dict[int, Crowding]:
    """The standing of each draft with a time in the future, by its id. Drafts whose people nobody has looked at yet
    have no entry. Half a dozen queries, and a few milliseconds for each set of a million.

    Other drafts count with their people, too: of two that collide, both are told.
    """
    now = clock.now()
    timed = [one for one in drafts if one.programme_id is None and one.slot_at is not None and one.slot_at > now]
    members = _members(timed)
    meant = [
        _Sending(("draft", one.pk), one.slot_at, one.channel, one.message_class == "marketing", members[one.pk])
        for one in timed
        if one.pk in members and one.slot_at is not None
    ]
    if not meant:
        return {}
    span = (min(one.at for one in meant) - _WIDEST, max(one.at for one in meant) + _WIDEST)
    all_of_them = meant + _launched(*span)
    rules = _Rules.read()
    exact = {one.pk for one in timed if one.dry_run is not None and one.dry_run.state == Plan.DONE}
    return {one.key[1]: _crowding(one, all_of_them, rules, one.key[1] in exact) for one in meant}


def _crowding(sending: _Sending, among: Sequence[_Sending], rules: _Rules, exact: bool) -> Crowding:
    others = [one for one in among if one.key != sending.key]
    over: list[tuple[CapRule | None, int]] = []
    for cap in rules.caps_of(sending):
        counted = [(one.at, one.members) for one in others if one.marketing and cap.channel in {"", one.channel}]
        over.append((cap, len(over_cap(sending.members, sending.at, counted, cap))))
    window = rules.window_of(sending)
    if window is not None:
        inside = [
            one.members & sending.members
            for one in others
            if one.channel == sending.channel and window.start <= one.at < window.end
        ]
        over.append((None, len(in_at_least(inside, window.limit))))
    return Crowding(len(sending.members), exact, tuple(part for part in over if part[1]))


def _members(drafts: Sequence[Broadcast]) -> dict[int, BitMap]:
    """Whom each draft is for: by its split whoever would be sent or is held back by a cap, else its whole audience."""
    found: dict[int, BitMap] = {}
    split = {one.dry_run_id: one.pk for one in drafts if one.dry_run is not None and one.dry_run.state == Plan.DONE}
    for plan, packed in PlanGroup.objects.filter(plan__in=split, reason__in=["", "capped"]).values_list(
        "plan", "members"
    ):
        draft = split[plan]
        found[draft] = found.get(draft, BitMap()) | BitMap.deserialize(bytes(packed))
    rest = [one for one in drafts if one.pk not in found]
    looked_at = _newest({one.audience_id for one in rest})
    return found | {one.pk: looked_at[one.audience_id] for one in rest if one.audience_id in looked_at}


def _newest(audiences: set[int]) -> dict[int, BitMap]:
    rows = AudienceSnapshot.objects.filter(audience__in=audiences).order_by("audience", "-sequence")
    newest = rows.distinct("audience").values_list("audience", "pk")
    return {audience: read_members(pk) for audience, pk in newest}


def _launched(first: datetime, last: datetime) -> list[_Sending]:
    """What was sent or will be, with whom it was planned for."""
    programmes = Programme.objects.filter(slot_at__gt=first, slot_at__lt=last).exclude(state__in=_OVER)
    groups = PlanGroup.objects.filter(plan__programme__in=programmes, reason="").values_list(
        *("plan__programme", "plan__programme__slot_at", "plan__programme__channel"),
        *("plan__programme__message_class", "members"),
    )
    return [
        _Sending(("programme", pk), at, channel, kind == "marketing", BitMap.deserialize(bytes(packed)))
        for pk, at, channel, kind, packed in groups
    ]
