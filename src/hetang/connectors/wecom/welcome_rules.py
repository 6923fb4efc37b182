"""Verbs on welcome rules: write, order, remove; and which one somebody would get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Max

from hetang.audiences.models import Audience
from hetang.connectors.wecom import enclosures, rules, welcoming
from hetang.connectors.wecom.client import client_of, default_app
from hetang.connectors.wecom.enclosures import Enclosed
from hetang.connectors.wecom.models import WelcomeRule
from hetang.connectors.wecom.protocol.media import UPLOAD_IMAGE
from hetang.platform import audit, clock, files
from hetang.platform.access import Actor
from hetang.platform.models import OrgNode, StoredFile


@dataclass(frozen=True)
class Said:
    """What somebody wrote into a rule. `picture`: address at WeCom and file name; None leaves it as it is."""

    name: str
    channel_states: list[str] = field(default_factory=list)
    org_node: OrgNode | None = None
    staff: list[str] = field(default_factory=list)
    from_minute: int | None = None
    until_minute: int | None = None
    audience: Audience | None = None
    text: str = ""
    link: dict[str, Any] = field(default_factory=dict)
    picture: tuple[str, str] | None = None
    enclosed: Enclosed = field(default_factory=Enclosed)
    enabled: bool = True


def save(actor: Actor, rule: WelcomeRule | None, said: Said) -> WelcomeRule:
    """Make a rule (last in order) or change one, with its audit row. Files that it no longer encloses go."""
    with transaction.atomic():
        rule, unused = _saved(actor, rule, said)
    for file in unused:
        files.remove(file)
    return rule


def _saved(actor: Actor, rule: WelcomeRule | None, said: Said) -> tuple[WelcomeRule, list[StoredFile]]:
    if rule is None:
        last = WelcomeRule.objects.aggregate(last=Max("position"))["last"]
        rule = WelcomeRule(position=0 if last is None else last + 1, version=0)
    rule.name, rule.text, rule.link, rule.enabled = said.name, said.text, said.link, said.enabled
    rule.channel_states, rule.staff = said.channel_states, said.staff
    rule.org_node, rule.audience = said.org_node, said.audience
    rule.from_minute, rule.until_minute = said.from_minute, said.until_minute
    if said.picture is not None:
        rule.picture_url, rule.picture_name = said.picture[0], said.picture[1][:120]
    unused = enclosures.write(rule, said.enclosed)
    rule.version += 1
    rule.changed_at, rule.changed_by = clock.now(), actor.name
    rule.save()
    audit.record(actor, "wecom.welcome_saved", "wecom", rule.public_id, {"name": rule.name, "enabled": rule.enabled})
    welcoming.forget()
    return rule, unused


@transaction.atomic
def move(actor: Actor, rule: WelcomeRule, *, up: bool) -> None:
    """Change places with the neighbour. Positions are written anew, so that doubled ones do no harm."""
    order = list(WelcomeRule.objects.select_for_update().order_by("position", "id"))
    place = next(number for number, one in enumerate(order) if one.pk == rule.pk)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(order):
        return
    order[place], order[other] = order[other], order[place]
    for number, one in enumerate(order):
        one.position = number
    WelcomeRule.objects.bulk_update(order, ["position"])
    audit.record(actor, "wecom.welcome_moved", "wecom", rule.public_id, {"name": rule.name, "to": other + 1})
    welcoming.forget()


def remove(actor: Actor, rule: WelcomeRule) -> None:
    """Take a rule away, with its files."""
    with transaction.atomic():
        audit.record(actor, "wecom.welcome_removed", "wecom", rule.public_id, {"name": rule.name})
        WelcomeRule.objects.filter(pk=rule.pk).delete()
        welcoming.forget()
    for file in enclosures.files_of(rule).values():
        files.remove(file)


def hand_over_picture(data: bytes, name: str) -> str:
    """Give a picture to WeCom; returns its address, which stays. Raises like `Client.call`, and NotConnected."""
    return client_of(default_app()).call(UPLOAD_IMAGE, upload=(name, data)).url


def winner_among(rows: Sequence[WelcomeRule], friend: rules.Friend) -> WelcomeRule | None:
    """The first of these rules that fits."""
    found = rules.winner([welcoming.condition(row) for row in rows], friend)
    return next((row for row in rows if row.pk == found), None)


def never_winning(rows: Sequence[WelcomeRule]) -> set[int]:
    """Ids of enabled rules that stand behind one that fits everybody they fit."""
    return rules.shadowed([welcoming.condition(row) for row in rows if row.enabled])
