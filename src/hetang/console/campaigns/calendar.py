"""The marketing calendar (营销日历): a month of campaigns, broadcasts and the days that matter, in the brand's days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import formats
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from hetang.campaigns.forecast import Crowding, crowding
from hetang.campaigns.models import Broadcast, Campaign
from hetang.campaigns.queries import visible_broadcasts, visible_campaigns
from hetang.console import figures
from hetang.console.approvals import words as approval_words
from hetang.console.campaigns import words
from hetang.console.campaigns.access import EDIT, VIEW
from hetang.console.campaigns.quota import cap_label
from hetang.console.customers.words import CHANNELS
from hetang.platform import approvals, clock
from hetang.platform.access import actor_of, needs
from hetang.platform.almanac import occasions
from hetang.platform.almanac.lunar import LunarDay
from hetang.platform.brand import brand
from hetang.platform.models import Approval, User
from hetang.touch.models import Programme
from hetang.touch.queries import Load, loads

DRAFT, SCHEDULED = "draft", "scheduled"
STATES: dict[str, tuple[Any, str]] = {
    DRAFT: (gettext_lazy("Draft"), ""),
    SCHEDULED: (gettext_lazy("Scheduled"), "accent"),
    **{code: shown for code, shown in words.PROGRAMME.items() if code != Programme.PLANNING},
}
_MOST = 1000  # campaigns or broadcasts of one month
_LANES = 8  # campaigns drawn above one another in a week
_NO_LOAD = Load()


@dataclass
class Entry:
    """A broadcast on its day. `people` is whom it reached or may reach; of a draft, at most."""

    broadcast: Broadcast
    at: datetime
    state: str
    label: Any
    tone: str
    load: Load
    people: int | None
    crowding: Crowding | None = None

    @property
    def crowded(self) -> list[str]:
        """Each cap that it would meet, as a sentence."""
        if self.crowding is None:
            return []
        return [
            ngettext(
                "%(n)s of %(all)s person would be left out by “%(cap)s”",
                "%(n)s of %(all)s people would be left out by “%(cap)s”",
                self.crowding.people,
            )
            % {
                "n": figures.number(people),
                "all": figures.number(self.crowding.people),
                "cap": cap_label(cap) if cap else _("the platform's own cap"),
            }
            for cap, people in self.crowding.over
        ]


@dataclass(frozen=True)
class Bar:
    """A campaign within one week: the first column (1 to 7), how many days, whether it begins and ends here."""

    campaign: Campaign
    column: int
    days: int
    lane: int
    begins: bool
    ends: bool


@dataclass
class Cell:
    """A day of the month as it is drawn."""

    about: occasions.Day
    column: int
    inside: bool  # of the month that is shown
    today: bool
    past: bool
    entries: list[Entry] = field(default_factory=list)
    holiday_begins: bool = False

    @property
    def day(self) -> date:
        return self.about.day

    @property
    def named(self) -> list[occasions.Occasion]:
        """What the day is called: a holiday of many days is named on its first."""
        return [
            one
            for one in self.about.occasions
            if one.kind != occasions.WORKDAY and (one.kind != occasions.HOLIDAY or self.holiday_begins)
        ]

    @property
    def lunar(self) -> str:
        return lunar_day(self.about.lunar) if self.about.lunar else ""

    @property
    def mark(self) -> str:
        """The one word of Chinese calendars for a day off or a make-up workday."""
        if self.about.off:
            return pgettext("calendar", "Off")
        return pgettext("calendar", "Work") if self.about.make_up else ""

    @property
    def people(self) -> int:
        """Whom the day's messages reached or may reach, counted per message."""
        return sum(one.people or 0 for one in self.entries)

    @property
    def sent(self) -> int:
        return sum(one.load.sent for one in self.entries)

    @property
    def empty(self) -> bool:
        """Nothing to say in a list of days."""
        return not self.entries and not self.about.make_up and not any(o.kind != occasions.TERM for o in self.named)


@dataclass
class Week:
    cells: list[Cell]
    bars: list[Bar] = field(default_factory=list)
    more: int = 0  # campaigns that found no lane

    @property
    def inside(self) -> bool:
        """Whether any of its days is of the month."""
        return any(cell.inside for cell in self.cells)


@dataclass(frozen=True)
class Chosen:
    """The filters of the address, read without refusing anything."""

    first: date
    owner: str = ""
    state: str = ""
    channel: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Chosen:
        try:
            first = date.fromisoformat(f"{query.get('month', '')}-01")
        except ValueError:
            first = clock.today().replace(day=1)
        owner, state, channel = (query.get(name, "") for name in ("owner", "state", "channel"))
        return cls(
            first=min(max(first, date(2000, 1, 1)), date(2100, 1, 1)),
            owner=owner if owner.isdecimal() and len(owner) < 12 else "",
            state=state if state in STATES else "",
            channel=channel if channel in CHANNELS else "",
        )

    @property
    def last(self) -> date:
        return _next_month(self.first) - timedelta(days=1)


@require_GET
@needs(VIEW)
def month(request: HttpRequest) -> HttpResponse:
    """One month, with the weeks that it touches."""
    actor, chosen = actor_of(request), Chosen.of(request.GET)
    scope = actor.scope(VIEW)
    span = (
        chosen.first - timedelta(days=chosen.first.weekday()),
        chosen.last + timedelta(days=6 - chosen.last.weekday()),
    )
    campaigns = _campaigns(scope, chosen, *span)
    entries, undated = _entries(scope, chosen, *span)
    weeks = _weeks(chosen, *span)
    _place(weeks, campaigns, entries)
    shown = [one for week in weeks for cell in week.cells if cell.inside for one in cell.entries]
    values = {
        "weeks": weeks,
        "weekdays": [formats.date_format(span[0] + timedelta(days=place), "D") for place in range(7)],
        "title": formats.date_format(chosen.first, "YEAR_MONTH_FORMAT"),
        "chosen": chosen,
        "today": clock.today(),
        "earlier": f"{chosen.first - timedelta(days=1):%Y-%m}",
        "later": f"{_next_month(chosen.first):%Y-%m}",
        "this_month": chosen.first == clock.today().replace(day=1),
        "can_edit": actor.can(EDIT),
        "owners": _owners(scope),
        "states": [(code, label) for code, (label, _tone) in STATES.items()],
        "channels": list(CHANNELS.items()),
        "undated": undated,
        "crowded": [one for one in entries if one.crowded],
        "sends": len(shown),
        "people": sum(one.people or 0 for one in shown),
        "sent": sum(one.load.sent for one in shown),
        "busiest": max((cell.people for week in weeks for cell in week.cells), default=0),
        "unknown_years": occasions.unknown_years(chosen.first, chosen.last, brand().country),
        "nothing": not campaigns and not shown and not undated and not (chosen.owner or chosen.state or chosen.channel),
    }
    return render(request, "console/campaigns/calendar.html", values)


def lunar_day(day: LunarDay) -> str:
    """A lunar day as calendars print it: the month on its first day, else the day. Only where it can be read."""
    if not (get_language() or "").startswith("zh"):
        return ""
    if day.day == 1:
        return f"{'闰' if day.leap else ''}{_MONTHS[day.month - 1]}月"
    tens, ones = divmod(day.day - 1, 10)
    return {10: "初十", 20: "二十", 30: "三十"}.get(day.day) or f"{'初十廿'[tens]}{'一二三四五六七八九十'[ones]}"


_MONTHS = "正二三四五六七八九十冬腊"


def _next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def _campaigns(scope: Any, chosen: Chosen, first: date, last: date) -> list[Campaign]:
    found = visible_campaigns(scope).filter(starts_on__lte=last, ends_on__gte=first)
    if chosen.owner:
        found = found.filter(owner=int(chosen.owner))
    return list(found.order_by("starts_on", "-ends_on", "id")[:_MOST])


def _entries(scope: Any, chosen: Chosen, first: date, last: date) -> tuple[list[Entry], int]:
    """The broadcasts of these days, and how many drafts have no day yet."""
    zone = clock.zone()
    start = datetime.combine(first, time(), zone)
    end = datetime.combine(last + timedelta(days=1), time(), zone)
    found = visible_broadcasts(scope).select_related("programme", "campaign", "dry_run")
    if chosen.owner:
        found = found.filter(campaign__owner=int(chosen.owner))
    if chosen.channel:
        found = found.filter(channel=chosen.channel)
    dated = Q(programme__slot_at__gte=start, programme__slot_at__lt=end)
    dated |= Q(programme=None, slot_at__gte=start, slot_at__lt=end)
    broadcasts = list(found.filter(dated).defer("variants", "dry_run__members", "dry_run__parameters")[:_MOST])
    undated = found.filter(programme=None, slot_at=None).count() if chosen.state in {"", DRAFT} else 0
    entries = _described(broadcasts)
    return [one for one in entries if chosen.state in {"", one.state}], undated


def _described(broadcasts: Sequence[Broadcast]) -> list[Entry]:
    drafts = [one for one in broadcasts if one.programme is None]
    crowds = crowding(drafts)
    by_programme = loads([one.programme_id for one in broadcasts if one.programme_id is not None])
    asked = _approvals(drafts)
    entries = []
    for one in broadcasts:
        state, label, tone = _state(one, asked.get(str(one.public_id)))
        load = by_programme.get(one.programme_id or 0, _NO_LOAD)
        crowd = crowds.get(one.pk)
        at = one.programme.slot_at if one.programme else one.slot_at
        people = load.people if one.programme else crowd.people if crowd else None
        if at is not None:
            entries.append(Entry(one, at, state, label, tone, load, people, crowd))
    return sorted(entries, key=lambda entry: (entry.at, entry.broadcast.pk))


def _approvals(drafts: Sequence[Broadcast]) -> dict[str, Approval]:
    """The newest question about each draft that is alive."""
    asked = Approval.objects.filter(
        kind=approvals.BROADCAST, target_id__in=[str(one.public_id) for one in drafts], state__in=approvals.ALIVE
    )
    return {one.target_id: one for one in asked.order_by("id").defer("content")}


def _state(broadcast: Broadcast, asked: Approval | None) -> tuple[str, Any, str]:
    if broadcast.programme is None:
        label, tone = approval_words.state_of(asked) if asked else STATES[DRAFT]
        return DRAFT, label, tone
    state = broadcast.programme.state
    waiting = broadcast.programme.slot_at > clock.now() and state in {Programme.PLANNING, Programme.RUNNING}
    code = SCHEDULED if waiting else Programme.RUNNING if state == Programme.PLANNING else state
    return code, *STATES[code]


def _weeks(chosen: Chosen, first: date, last: date) -> list[Week]:
    today, before = clock.today(), ""
    cells = []
    for place, about in enumerate(occasions.days(first, last, brand().country)):
        holiday = next((one.code for one in about.occasions if one.kind == occasions.HOLIDAY), "")
        cells.append(
            Cell(
                about=about,
                column=place % 7 + 1,
                inside=chosen.first <= about.day <= chosen.last,
                today=about.day == today,
                past=about.day < today,
                holiday_begins=bool(holiday) and holiday != before,
            )
        )
        festival = next((one.code for one in about.occasions if one.kind == occasions.FESTIVAL), "")
        before = holiday or (festival if about.off else "")
    return [Week(cells[at : at + 7]) for at in range(0, len(cells), 7)]


def _place(weeks: Sequence[Week], campaigns: Sequence[Campaign], entries: Sequence[Entry]) -> None:
    """Put campaigns into the lanes of their weeks and broadcasts onto their days."""
    by_day = defaultdict(list)
    for entry in entries:
        by_day[clock.local_day(entry.at)].append(entry)
    for week in weeks:
        for cell in week.cells:
            cell.entries = by_day[cell.day]
        _lay_out(week, campaigns)


def _lay_out(week: Week, campaigns: Sequence[Campaign]) -> None:
    """The first free lane for each campaign, the longest-running above."""
    first, last = week.cells[0].day, week.cells[-1].day
    taken: list[date] = []  # the last taken day of each lane
    for campaign in campaigns:
        start, end = max(campaign.starts_on, first), min(campaign.ends_on, last)
        if start > end:
            continue
        lane = next((number for number, until in enumerate(taken) if until < start), len(taken))
        if lane >= _LANES:
            week.more += 1
            continue
        taken[lane : lane + 1] = [end]
        begins, ends = campaign.starts_on >= first, campaign.ends_on <= last
        week.bars.append(Bar(campaign, (start - first).days + 1, (end - start).days + 1, lane + 1, begins, ends))


def _owners(scope: Any) -> list[tuple[str, str]]:
    """Who owns campaigns that may be seen."""
    owners = User.objects.filter(pk__in=visible_campaigns(scope).exclude(owner=None).order_by().values("owner"))
    rows = owners.order_by("display_name", "username").values_list("pk", "display_name", "username")
    return [(str(pk), display or username) for pk, display, username in rows[:300]]
