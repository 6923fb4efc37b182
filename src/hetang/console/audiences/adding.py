"""What can be added to a rule, found by typing: kinds of conditions, and the tags, figures, attributes, records, goods
and lists that a condition can be about. In both languages, whichever the page speaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import override

from hetang.audiences import behaviour_sentences, rules, sentences, standing_sentences
from hetang.audiences.first_source_sentences import BY_NAMES
from hetang.audiences.metric_names import METRIC_NAMES
from hetang.audiences.rules import Catalogue
from hetang.audiences.standing_rules import IN_PERIOD, MEASURED_BY
from hetang.commerce.rhythm import LATE
from hetang.console.audiences import first_source_fields
from hetang.console.audiences.fields import label_of, named, new_conditions
from hetang.console.audiences.standing_fields import AT_RISK, TOP_SPENDERS

Both = tuple[str, str]
_RANKED = "percentile top bottom 排名前后 百分比"
_WHEN = {rules.EXPECTED: {"op": "within_next", "days": 7}}


@dataclass(frozen=True)
class Offer:
    """Something to add: its code (`kind` or `kind:what`), what the list shows, and every word by which it is found."""

    code: str
    label: str
    words: str


def matching(known: Catalogue, words: list[str]) -> list[tuple[str, str]]:
    """(code, label) of what holds every word, what begins with the first one first."""
    found = [one for one in offers(known) if all(word in one.words for word in words)]
    if words:
        found.sort(key=lambda one: not any(part.startswith(words[0]) for part in one.words.split()))
    return [(one.code, one.label) for one in found]


def offers(known: Catalogue) -> Iterator[Offer]:
    """Everything that can be added, kinds of conditions first."""
    with override("zh-hans"):
        chinese = {code: label for code, label, _leaf in new_conditions(known)}
    with override("en"):
        english = {code: label for code, label, _leaf in new_conditions(known)}
    for code, label in chinese.items():
        yield _offer(code, "", (label, english[code]))
    for metric in rules.METRICS:
        yield _offer(f"metric:{metric}", label_of({"type": "metric"}), METRIC_NAMES[metric])
    for by in MEASURED_BY:
        names = standing_sentences.measure_name(by, known)
        yield _offer(f"percentile:{by}", label_of({"type": "percentile"}), names, _RANKED)
    for segment, names in standing_sentences.SEGMENT_NAMES.items():
        yield _offer(f"rfm:{segment}", label_of({"type": "rfm"}), names, "rfm 客群")
    for of, names in sentences.TIME_NAMES.items():
        yield _offer(f"date:{of}", label_of({"type": "date"}), names)
    for code, one in known.attributes.items():
        yield _offer(f"attribute:{code}", label_of({"type": "attribute"}), (one.label_zh, one.label_en), code)
    yield _offer(
        "received:campaign", behaviour_label("received"), ("某个活动的消息", "of a campaign"), "群发 broadcast"
    )
    yield _offer(
        "clicked:campaign",
        behaviour_label("clicked"),
        ("某个活动的链接", "of a campaign"),
        "群发 点击 broadcast opened",
    )
    for kind in rules.FACT_KINDS:
        yield _offer(f"fact:{kind}", behaviour_label("fact"), behaviour_sentences.FACT_NAMES[kind], kind)
    for by, words in first_source_fields.WORDS.items():
        yield _offer(f"first_source:{by}", label_of({"type": "first_source"}), BY_NAMES[by], words)
    yield _offer(
        "first_source:campaign",
        label_of({"type": "first_source"}),
        ("某个活动的渠道码", "by codes of a campaign"),
        "活码 来源 channel code source",
    )
    for code, names in known.categories.items():
        yield _offer(f"category:{code}", behaviour_label("bought"), names, code)
    for code, tag in known.tags.items():
        yield _offer(f"tag:{code}", label_of({"type": "tag"}), (tag.name, tag.name), code)
    for code, saved in ((code, one) for code, one in known.audiences.items() if not one.of_pond):
        yield _offer(f"audience:{code}", label_of({"type": "audience"}), (saved.name, saved.name))
    for code, model in known.stage_models.items():
        yield _offer(f"life_stage:{code}", label_of({"type": "life_stage"}), (model.name, model.name))


def behaviour_label(event: str) -> str:
    """What conditions on an event are called."""
    return label_of({"type": "behaviour", "event": event})


def new_condition(what: str, known: Catalogue) -> dict[str, Any]:
    """The condition that a code means, with sensible values. Raises LookupError."""
    kind, _colon, about = what.partition(":")
    for code, _label, leaf in new_conditions(known):
        if code == what:
            return dict(leaf)
    if what not in {one.code for one in offers(known)}:
        raise LookupError(what)
    if kind == "life_stage":
        stages = [known.stage_models[about].course.stages[0].code]
        return {"type": "life_stage", "model": about, "op": "in", "stages": stages, "whose": "any"}
    if kind == "metric":
        return _metric(about)
    if kind == "percentile":
        period = {"days": TOP_SPENDERS["days"]} if about in IN_PERIOD else {}
        return {"type": "percentile", "side": "top", "percent": TOP_SPENDERS["percent"], "by": about, **period}
    often = {"type": "behaviour", "op": "at_least", "value": 1}
    leaves: dict[str, dict[str, Any]] = {
        "tag": {"type": "tag", "op": "any", "tags": [about]},
        "attribute": {"type": "attribute", "code": about, "op": "not_empty"},
        "rfm": {**AT_RISK, "segments": [about]},
        "date": {"type": "date", "of": about, **_WHEN.get(about, {"op": "within_last", "days": 30})},
        "first_source": first_source_fields.new(about),
        "fact": {**often, "event": "fact", "kind": about},
        "received": {**often, "event": "received", "days": 30, "campaigns": []},
        "clicked": {**often, "event": "clicked", "days": 30, "campaigns": []},
        "category": {**often, "event": "bought", "days": 30, "category": about},
        "audience": {"type": "audience", "audience": about},
    }
    return leaves[kind]


def _metric(metric: str) -> dict[str, Any]:
    if metric in rules.FAVOURITES:
        return {"type": "metric", "metric": metric, "op": "not_empty"}
    value = 100_00 if metric in rules.MONEY else LATE if metric == rules.LATENESS else 1
    return {"type": "metric", "metric": metric, "op": ">=", "value": value}


def _offer(code: str, heading: str, names: Both, more: str = "") -> Offer:
    shown = named(names)
    label = shown if not heading else _("%(kind)s: %(name)s") % {"kind": heading, "name": shown}
    return Offer(code, label, f"{label} {names[0]} {names[1]} {more}".lower())
