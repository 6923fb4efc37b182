"""What is to be known of campaigns and of the split of a broadcast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q, QuerySet
from pyroaring import BitMap

from hetang.audiences.ports import Use
from hetang.audiences.rules import Sent
from hetang.campaigns.models import Broadcast, Campaign
from hetang.campaigns.rules import extra_taps
from hetang.platform.access import Scope
from hetang.touch.channels import is_direct, people_per_unit
from hetang.touch.models import CONTROL, Plan
from hetang.touch.rules import REASONS, Request, tasks_needed


def visible_campaigns(scope: Scope) -> QuerySet[Campaign]:
    """Campaigns at the nodes of a scope, and those of the nodes above, which reach into it."""
    campaigns = Campaign.objects.select_related("org_node", "owner")
    if scope.everything:
        return campaigns
    inside = Q(pk__in=[])
    for path in scope.paths:
        above = [int(node) for node in path.strip(".").split(".")]
        inside |= Q(org_node__path__startswith=path) | Q(org_node_id__in=above)
    return campaigns.filter(inside)


def visible_broadcasts(scope: Scope) -> QuerySet[Broadcast]:
    """Broadcasts of the campaigns that a scope may see."""
    found = Broadcast.objects.select_related("campaign__org_node", "audience", "programme", "dry_run")
    return found if scope.everything else found.filter(campaign__in=visible_campaigns(scope))


def drafts_to(audience_id: int) -> list[Use]:
    """Broadcasts that are written to an audience and not sent yet: without it they need another one."""
    drafts = Broadcast.objects.filter(audience_id=audience_id, programme=None).order_by("-id")
    return [Use(name, public_id) for name, public_id in drafts.values_list("name", "public_id")]


def messages_of(campaigns: Sequence[UUID], broadcasts: Sequence[UUID]) -> tuple[dict[str, Sent], dict[str, Sent]]:
    """Campaigns with the programmes of their broadcasts, and broadcasts that were sent with their own. Three queries at
    most."""
    names = dict(Campaign.objects.filter(public_id__in=campaigns).values_list("public_id", "name"))
    programmes = defaultdict(list)
    of_them = Broadcast.objects.filter(campaign__public_id__in=list(names)).exclude(programme=None)
    for public_id, programme in of_them.order_by("id").values_list("campaign__public_id", "programme"):
        programmes[public_id].append(programme)
    single = Broadcast.objects.filter(public_id__in=broadcasts).exclude(programme=None)
    return (
        {str(one): Sent(name, tuple(programmes[one])) for one, name in names.items()},
        {
            str(one): Sent(name, (programme,))
            for one, name, programme in single.values_list("public_id", "name", "programme")
        },
    )


@dataclass
class Split:
    """Where everybody of the audience goes; the parts add up to `audience`."""

    audience: int
    excluded: list[tuple[str, int]] = field(default_factory=list)  # every reason, in the order in which they count
    control: int = 0
    variants: list[tuple[int, int]] = field(default_factory=list)  # (variant, people)
    tasks: int = 0
    senders: int = 0
    extra_taps: int = 0  # confirmations that variants cost beyond one text for all
    direct: bool = False

    @property
    def to_send(self) -> int:
        return sum(people for _, people in self.variants)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why people do not get it, the control group last; only reasons that hold for somebody."""
        return [(reason, people) for reason, people in [*self.excluded, (CONTROL, self.control)] if people]

    @property
    def decided(self) -> int:
        """Equal to `audience` once the plan is done."""
        return self.to_send + self.control + sum(people for _, people in self.excluded)


def split(plan: Plan) -> Split:
    """The split of a plan or dry run, as far as it has come."""
    request = Request.from_json(plan.parameters)
    counts = {(group.reason, group.variant): group.count for group in plan.groups.defer("members")}
    loads: dict[int, dict[int, int]] = defaultdict(dict)
    for staff, variant, people in plan.senders.values_list("staff_id", "variant", "people"):
        loads[staff][variant] = people
    per_unit = people_per_unit(request.channel)
    direct = is_direct(request.channel)
    return Split(
        audience=plan.people,
        excluded=[(reason, counts.get((reason, 0), 0)) for reason in REASONS],
        control=counts.get((CONTROL, 0), 0),
        variants=[(number, counts.get(("", number), 0)) for number in range(1, len(request.weights) + 1)],
        tasks=0 if direct else tasks_needed([n for texts in loads.values() for n in texts.values()], per_unit),
        senders=0 if direct else len(loads),
        extra_taps=0 if direct else extra_taps(loads, per_unit),
        direct=direct,
    )


def people_of(plan: Plan, reason: str, variant: int = 0) -> BitMap:
    """The people under one heading of a plan."""
    group = plan.groups.filter(reason=reason, variant=variant).first()
    return BitMap.deserialize(bytes(group.members)) if group else BitMap()


def page_of(members: BitMap, after: int, size: int) -> list[int]:
    """The next `size` customer numbers beyond `after`: keyset paging over a set."""
    start = members.rank(after) if after > 0 else 0
    return list(members[start : start + size])
