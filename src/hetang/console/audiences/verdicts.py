"""What a condition found on one person, as people read it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _

from hetang.audiences import rules
from hetang.audiences.district import InDistrict
from hetang.audiences.first_source import FirstSource
from hetang.audiences.first_source_sentences import BY_NAMES, ORDER_CHANNELS
from hetang.audiences.rules import (
    AtStore,
    Attribute,
    Behaviour,
    Catalogue,
    ConsentGiven,
    DateOf,
    Followed,
    Friends,
    Friendship,
    InBucket,
    InGroups,
    LeftAlone,
    LifeStage,
    Metric,
    Moved,
    NearStore,
    Node,
    Tagged,
    WasInPond,
    WasMember,
)
from hetang.audiences.sentences import ADDED_NAMES
from hetang.audiences.standing_rules import Percentile, RfmCell
from hetang.audiences.standing_sentences import SEGMENT_NAMES, is_money
from hetang.console import figures
from hetang.console.audiences.fields import code_label, named
from hetang.platform.masking import HIDDEN


def shown_value(  # noqa: PLR0911, PLR0912 - one for each kind
    node: Node, found: Any, known: Catalogue, hidden: set[str]
) -> str:
    """The found value in words; nothing found is said so, and an attribute of these codes is not told."""
    if found not in (None, "") and _attribute_of(node) in hidden:
        return HIDDEN
    if isinstance(node, Tagged):
        return _listed([known.tags[code].name for code in found])
    if isinstance(node, AtStore):
        codes = found if isinstance(found, list) else [found] if found else []
        return _listed([known.stores[code].name if code in known.stores else code for code in codes])
    if isinstance(node, NearStore):
        return _near(found, known)
    if isinstance(node, InDistrict):
        return _district(found, known)
    if isinstance(node, Friends | Friendship):
        return _listed([known.staff[userid].name if userid in known.staff else userid for userid in found])
    if isinstance(node, FirstSource):
        return _first_source(found, known)
    if isinstance(node, InGroups):
        return _listed([name or _("Without a name") for name in found])
    if isinstance(node, ConsentGiven):
        return _("has agreed") if found else _("has not agreed")
    if isinstance(node, LeftAlone):
        return _("is on") if found else _("is off")
    if isinstance(node, WasInPond):
        return _ponds(found, known)
    if isinstance(node, WasMember):
        return _("in since %(at)s") % {"at": _moment(found)} if found else _("not in it")
    if isinstance(node, Moved):
        return _moment(found) if found else _("not in these days")
    if isinstance(node, LifeStage):
        names = {stage.code: stage.name for stage in known.stage_models[node.model].course.stages}
        return _listed([names[code] for code in found])
    if isinstance(node, InBucket):
        return _("bucket %(n)d") % {"n": found}
    if isinstance(node, Metric):
        return _metric(node, found, known)
    if isinstance(node, Behaviour):
        if found is None:
            return _("nothing")
        return figures.money(found) if node.deed.event == "spent" else figures.number(found)
    if isinstance(node, Percentile):
        return _percentile(node, *found)
    if isinstance(node, RfmCell):
        return _rfm(*found) if found else _("never bought, so not among those who are compared")
    if isinstance(node, Followed):
        return " → ".join(_moment(at) for at in found) or _("nothing")
    return str(found) if found not in (None, "") else _("nothing")


def _attribute_of(node: Node) -> str:
    """The attribute whose value a condition tells; empty for none. Of a position only the nearest store is told."""
    if isinstance(node, Attribute):
        return node.code
    if isinstance(node, Percentile):
        return node.attribute
    return node.of.removeprefix("attribute:") if isinstance(node, DateOf) else ""


def _near(found: list[Any] | None, known: Catalogue) -> str:
    if not found:
        return _("no position, or no store near it")
    code, metres = found
    return _("%(store)s, %(distance)s away") % {
        "store": known.stores[code].name if code in known.stores else code,
        "distance": figures.distance(metres),
    }


def _percentile(node: Percentile, value: float | None, border: float | None, people: int) -> str:
    def shown(one: float) -> str:
        return figures.money(one) if is_money(node) else figures.number(one)

    if value is None or border is None:
        return _("nothing to compare; %(n)s customers have a value") % {"n": figures.number(people)}
    said = {"value": shown(value), "border": shown(border), "n": figures.number(people)}
    return _("%(value)s; the border is %(border)s, among %(n)s customers") % said


def _rfm(scores: list[int], means: list[float], segment: str, last: str, orders: int, money: int) -> str:  # noqa: PLR0917
    """R 2 (mean 3.0) · …: the scores beside what they are compared with, and what they come from."""
    letters = [
        _("%(letter)s %(score)d (mean %(mean).1f)") % {"letter": letter, "score": score, "mean": mean}
        for letter, score, mean in zip("RFM", scores, means, strict=True)
    ]
    names = SEGMENT_NAMES[segment]
    said = {
        "scores": " · ".join(letters),
        "segment": names[0] if (get_language() or "").startswith("zh") else names[1],
        "day": last,
        "orders": figures.number(orders),
        "money": figures.money(money),
    }
    return _("%(scores)s: %(segment)s; last order %(day)s, orders %(orders)s, %(money)s") % said


def _first_source(found: dict[str, Any], known: Catalogue) -> str:
    """How and when she came; what is known of it."""
    if not found:
        return _("nothing")
    way = next((code for code, number in rules.ADDED.items() if number == found.get("way")), "")
    channel, store, staff = (found.get(key, "") for key in ("channel", "store", "staff"))
    parts = [
        named(BY_NAMES[found["by"]]),
        named(ADDED_NAMES[way]) if way else "",
        *_code(found.get("channel_state", ""), known),
        known.staff[staff].name if staff in known.staff else staff,
        found.get("name", ""),
        named(ORDER_CHANNELS.get(channel, (channel, channel))),
        found.get("source", ""),
        known.stores[store].name if store in known.stores else store,
        _moment(found["at"]),
    ]
    return " · ".join(part for part in parts if part)


def _code(state: str, known: Catalogue) -> list[str]:
    """The code by which she came, and its campaign where the rule names that."""
    one = known.codes.get(state)
    campaign = known.campaigns.get(one.campaign) if one else None
    return [code_label(state, known), *([campaign.name] if campaign else [])] if state else []


def _ponds(found: dict[str, str], known: Catalogue) -> str:
    """The ponds with the days that are kept: that of the question may be missing."""
    if not found:
        return _("not in it")
    names = {code: known.ponds[code].name or pgettext("pond", "Everybody else") for code in found}
    said = _("%(pond)s, as of %(day)s")
    return _listed([said % {"pond": names[code], "day": day} for code, day in found.items()])


def _district(found: list[Any] | None, known: Catalogue) -> str:
    if not found:
        return _("no position, or no centre near it")
    code, metres = found
    return _("about %(district)s, its centre is %(distance)s away") % {
        "district": known.districts[code].shown,
        "distance": figures.distance(metres),
    }


def _moment(found: str) -> str:
    return f"{timezone.localtime(datetime.fromisoformat(found)):%Y-%m-%d %H:%M}"


def _metric(node: Metric, found: Any, known: Catalogue) -> str:
    if found in (None, ""):
        return _("nothing")
    if node.metric == rules.LATENESS:
        return figures.percent(found / 100, 0)
    if node.metric in rules.MONEY:
        return figures.money(found)
    if node.metric == "favourite_store":
        return known.stores[found].name if found in known.stores else str(found)
    if node.metric == "favourite_category":
        names = known.categories.get(found, (found, found))
        return str(names[0] if (get_language() or "").startswith("zh") else names[1])
    return figures.number(found)


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else _("nothing")
