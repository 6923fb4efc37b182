"""The fields by which each kind of condition is filled in: their names, forms and choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _

from hetang.audiences import behaviour_sentences, ponds, queries, rules, sentences
from hetang.audiences.first_source_sentences import ORDER_CHANNELS
from hetang.audiences.metric_names import METRIC_NAMES
from hetang.audiences.rules import Catalogue
from hetang.console.audiences import behaviour_fields, first_source_fields, place_fields, standing_fields
from hetang.console.audiences.field import Choices, Field
from hetang.platform import clock
from hetang.platform.access import Actor
from hetang.resources.models import Staff, Store

INLINE = 300
SEARCHED = frozenset(
    {
        *("products", "groups", "channel_states", "joining_codes", "tag_sources", "order_channels", "order_sources"),
        *("campaigns", "broadcasts"),
    }
)


def fields_of(leaf: dict[str, Any], known: Catalogue) -> list[Field]:  # noqa: PLR0911, PLR0912 - one for each kind
    """The fields of a condition as it is now."""
    match leaf.get("type"):
        case "tag":
            return _tag(leaf)
        case "behaviour":
            return behaviour_fields.behaviour(leaf, known)
        case "behaviour_at":
            return behaviour_fields.deed_at(leaf)
        case "behaviour_then":
            return behaviour_fields.followed(leaf)
        case "metric":
            return _metric(leaf, known)
        case "attribute":
            return _attribute(leaf, known)
        case "date":
            return _date(leaf, known)
        case "store":
            return _store(leaf)
        case "place":
            return place_fields.near(leaf, known)
        case "district":
            return place_fields.district(leaf, known)
        case "relation":
            return _relation(leaf)
        case "friendship":
            return _friendship(leaf)
        case "first_source":
            return first_source_fields.first_source(leaf)
        case "group_chat":
            return _groups(leaf)
        case "consent":
            return _consent(leaf)
        case "do_not_disturb":
            choices = [("yes", _("is on")), ("no", _("is off"))]
            return [Field("on", _("Do-not-disturb"), "truth", leaf.get("on", True), choices)]
        case "bucket":
            return _bucket(leaf)
        case "life_stage":
            return _life_stage(leaf, known)
        case "percentile":
            return standing_fields.percentile(leaf, known)
        case "rfm":
            return standing_fields.rfm(leaf)
        case "audience":
            return [_which(leaf)]
        case "pond":
            return [Field("ponds", _("Ponds"), "pick", leaf.get("ponds", []), source="ponds", many=True)]
        case "pond_at":
            return [
                Field("ponds", _("Ponds"), "pick", leaf.get("ponds", []), source="ponds", many=True),
                Field("date", _("When the day began"), "day", leaf.get("date", "")),
            ]
        case "audience_at":
            return [
                _which(leaf),
                Field("date", _("Day"), "day", leaf.get("date", "")),
                Field("time", _("Time"), "time", leaf.get("time", "00:00")),
            ]
        case "audience_moved":
            ways = [("entered", _("came into")), ("left", _("went out of"))]
            return [
                Field("way", _("What"), "select", leaf.get("way", "entered"), ways),
                _which(leaf),
                Field("days", _("In the last days"), "number", leaf.get("days", 7)),
            ]
        case _:
            return []


def label_of(leaf: dict[str, Any]) -> str:
    """What a kind of condition is called."""
    if leaf.get("type") == "behaviour":
        return behaviour_fields.event_names().get(str(leaf.get("event")), _("What she did"))
    return {
        "behaviour_at": _("First or last time"),
        "behaviour_then": _("One thing after another"),
        "tag": _("Tag"),
        "metric": _("Key figure"),
        "attribute": _("Attribute"),
        "date": _("Date"),
        "store": _("Store"),
        "place": _("Near a store"),
        "district": _("City or district (approximate)"),
        "relation": _("WeCom friend"),
        "friendship": _("How and when she was added"),
        "first_source": _("Where she first came from"),
        "group_chat": _("Group chat"),
        "consent": _("Consent given"),
        "do_not_disturb": _("Do-not-disturb"),
        "bucket": _("Random bucket"),
        "life_stage": _("Life stage"),
        "percentile": _("Top or bottom per cent"),
        "rfm": _("RFM cell"),
        "audience": _("Audience"),
        "pond": _("Pond"),
        "pond_at": _("Pond on an earlier day"),
        "audience_at": _("Audience at an earlier time"),
        "audience_moved": _("Came into or left an audience"),
    }.get(str(leaf.get("type")), "?")


def new_conditions(known: Catalogue) -> list[tuple[str, str, dict[str, Any]]]:
    """What can be added: (code, label, the condition with sensible values), in the order of daily use."""
    first_attribute = next(iter(known.attributes), "")
    offered: list[tuple[str, dict[str, Any]]] = [
        ("bought", {"type": "behaviour", "event": "bought", "op": "at_least", "value": 1, "days": 30}),
        ("spent", {"type": "behaviour", "event": "spent", "op": "at_least", "value": 10_000, "days": 90}),
        ("visited", {"type": "behaviour", "event": "visited", "op": "at_least", "value": 1, "days": 30}),
        ("received", {"type": "behaviour", "event": "received", "op": "at_most", "value": 0, "days": 7}),
        ("clicked", {"type": "behaviour", "event": "clicked", "op": "at_least", "value": 1, "days": 30}),
        ("fact", {"type": "behaviour", "event": "fact", "kind": "order.refunded", "op": "at_least", "value": 1}),
        ("first_or_last", {"type": "behaviour_at", "event": "bought", "end": "first", "op": "within_last", "days": 30}),
        ("then", behaviour_fields.VISITED_THEN_BOUGHT),
        ("tag", {"type": "tag", "op": "any", "tags": []}),
        ("metric", {"type": "metric", "metric": "orders", "op": ">=", "value": 1}),
        ("percentile", standing_fields.TOP_SPENDERS),
        ("rfm", standing_fields.AT_RISK),
        ("date", {"type": "date", "of": "last_order", "op": "within_last", "days": 30}),
        ("first_source", first_source_fields.NEW),
        ("store", {"type": "store", "op": "home", "stores": []}),
        ("relation", {"type": "relation", "number": 1, "staff": []}),
        ("friendship", {"type": "friendship", "state": "active", "days": 7}),
        ("group_chat", {"type": "group_chat", "number": 1, "groups": []}),
        ("consent", {"type": "consent", "purpose": "marketing", "channel": "wecom", "given": True}),
        ("do_not_disturb", {"type": "do_not_disturb", "on": True}),
        ("bucket", {"type": "bucket", "from": 1, "to": 10}),
        ("audience", {"type": "audience", "audience": ""}),
        *(_of_ponds() if known.ponds else []),
        ("audience_moved", {"type": "audience_moved", "audience": "", "way": "entered", "days": 7}),
        ("audience_at", {"type": "audience_at", "audience": "", "date": clock.today().isoformat(), "time": "00:00"}),
    ]
    if first_attribute:
        leaf = {"type": "attribute", "code": first_attribute, "op": "not_empty"}
        offered.insert(8, ("attribute", leaf))
    if known.places and (position := rules.position_of(known)):
        near: dict[str, Any] = {"type": "place", "of": position, "op": "within", "km": 3, "stores": []}
        offered.insert(14, ("place", near))
    if known.districts and (position := rules.position_of(known)):
        offered.insert(15, ("district", {"type": "district", "of": position, "districts": []}))
    for model, defined in list(known.stage_models.items())[:1]:
        first = [defined.course.stages[0].code]
        offered.append(
            ("life_stage", {"type": "life_stage", "model": model, "op": "in", "stages": first, "whose": "any"})
        )
    return [(code, label_of(leaf), leaf) for code, leaf in offered]


def _of_ponds() -> list[tuple[str, dict[str, Any]]]:
    week_ago = clock.today() - timedelta(days=7)
    return [
        ("pond", {"type": "pond", "ponds": []}),
        ("pond_at", {"type": "pond_at", "ponds": [], "date": week_ago.isoformat()}),
    ]


def kinds(known: Catalogue) -> list[tuple[str, list[tuple[str, str]]]]:
    """What can be added, under headings: (heading, [(code, label)])."""
    offered = {code: label for code, label, _leaf in new_conditions(known)}
    headings = [
        (_("What she did"), ("bought", "spent", "visited", "received", "clicked", "first_or_last", "then", "fact")),
        (
            _("Who she is"),
            (
                *("tag", "metric", "percentile", "rfm", "date", "life_stage", "attribute", "first_source"),
                *("store", "place", "district"),
            ),
        ),
        (_("May she be reached"), ("relation", "friendship", "group_chat", "consent", "do_not_disturb")),
        (_("People of other lists"), ("audience", "pond", "pond_at", "audience_moved", "audience_at", "bucket")),
    ]
    return [(heading, [(code, offered[code]) for code in codes if code in offered]) for heading, codes in headings]


def _first_up(text: str) -> str:
    """A name as it begins a line of a list."""
    return text[:1].upper() + text[1:]


def sources(known: Catalogue) -> dict[str, list[tuple[str, str]]]:
    """Everything that can be picked: (value, label). Of products and groups only those that rules name."""
    place = 0 if _chinese() else 1
    codes = [(state, code_label(state, known)) for state in known.codes]
    return {
        "tags": [(code, tag.name) for code, tag in known.tags.items()],
        "stores": [(code, store.name) for code, store in known.stores.items()],
        "placed_stores": [(code, store.name) for code, store in known.stores.items() if code in known.places],
        "districts": [(code, one.shown) for code, one in known.districts.items()],
        "cities": [(name, name) for name in dict.fromkeys(one.parent for one in known.districts.values()) if name],
        "nodes": [(code, node.name) for code, node in known.nodes.items()],
        "staff": [(userid, staff.name) for userid, staff in known.staff.items()],
        "categories": sorted(((c, names[place]) for c, names in known.categories.items()), key=lambda pair: pair[1]),
        "ways": [(code, named(names)) for code, names in sentences.ADDED_NAMES.items()],
        "tag_sources": [(code, named(names)) for code, names in sentences.TAG_SOURCE_NAMES.items()],
        "rfm_segments": standing_fields.segments(),
        "channel_states": codes,  # there may be thousands: searched, and called by themselves without a name
        "joining_codes": codes,
        "order_sources": [],
        "order_channels": [(code, named(names)) for code, names in ORDER_CHANNELS.items()],
        "audiences": [(code, one.name) for code, one in known.audiences.items() if not one.of_pond],
        "ponds": [
            (code, f"{one.set_name}·{one.name or pgettext('pond', 'Everybody else')}")
            for code, one in known.ponds.items()
        ],
        "groups": [(public_id, group.name) for public_id, group in known.groups.items()],
        "campaigns": [(public_id, one.name) for public_id, one in known.campaigns.items()],
        "broadcasts": [(public_id, one.name) for public_id, one in known.broadcasts.items()],
        "products": [(sku, product_label(sku, name)) for sku, name in known.products.items()],
        **{
            _stages_of(code): [(stage.code, stage.name) for stage in model.course.stages]
            for code, model in known.stage_models.items()
        },
    }


def within(known: Catalogue, actor: Actor) -> Catalogue:
    """What an actor may pick: the stores, places and audiences that she sees, and the staff of her own company. What a
    rule names already is called by its name all the same. No query for who sees the whole of one company."""
    seen, own = actor.scope("audiences:view"), actor.own_scope("audiences:view")
    if seen.everything and not own.without:
        return known
    nodes = seen.org_nodes()
    stores = set(Store.objects.filter(org_node__in=nodes).values_list("code", flat=True))
    staff = set(Staff.objects.filter(org_node__in=own.org_nodes()).values_list("userid", flat=True))
    places = set(nodes.values_list("code", flat=True))
    sets = ponds.visible(seen).values_list("public_id", "ponds__public_id")
    seen_ponds = {str(code) for pair in sets for code in pair}
    saved = {str(one) for one in queries.visible(seen).values_list("public_id", flat=True)}
    return replace(
        known,
        stores={code: one for code, one in known.stores.items() if code in stores},
        staff={userid: one for userid, one in known.staff.items() if userid in staff},
        nodes={code: one for code, one in known.nodes.items() if code in places},
        audiences={public_id: one for public_id, one in known.audiences.items() if public_id in saved},
        ponds={code: one for code, one in known.ponds.items() if code in seen_ponds},
    )


def short_lists(known: Catalogue) -> dict[str, list[tuple[str, str]]]:
    """The lists that travel with the page; longer ones, products and groups are searched on the server."""
    return {name: found for name, found in sources(known).items() if len(found) <= INLINE and name not in SEARCHED}


def code_label(state: str, known: Catalogue) -> str:
    """A channel code as lists show it."""
    name = known.codes[state].name if state in known.codes else ""
    return f"{name} · {state}" if name else state


def product_label(sku: str, name: str, category: str = "") -> str:
    """A product as lists show it."""
    return " · ".join(part for part in (name, category, sku) if part)


def _chinese() -> bool:
    return (get_language() or "").startswith("zh")


def named(names: tuple[str, str]) -> str:
    """A (Chinese, English) pair in the current language."""
    return names[0] if _chinese() else names[1]


def _tag(leaf: dict[str, Any]) -> list[Field]:
    ops = [("any", _("has any of")), ("all", _("has all of")), ("none", _("has none of"))]
    return [
        Field("op", _("How"), "select", leaf.get("op", "any"), ops),
        Field("tags", _("Tags"), "pick", leaf.get("tags", []), source="tags", many=True),
        Field("days", _("Put on in the last days"), "number", leaf.get("days"), optional=True, blank=_("ever")),
        Field(
            "sources", _("Put on by"), "pick", leaf.get("sources", []), source="tag_sources", many=True, optional=True
        ),
    ]


def _comparisons(ops: Sequence[str]) -> Choices:
    words = {
        "=": _("is"),
        "!=": _("is not"),
        "<": _("below"),
        "<=": _("at most"),
        ">": _("above"),
        ">=": _("at least"),
        "between": _("between"),
        "in": _("is one of"),
        "contains": _("contains"),
        "empty": _("is empty"),
        "not_empty": _("is not empty"),
    }
    return [(op, words[op]) for op in ops]


def _compared(leaf: dict[str, Any], kind: str, digits: int = 2, hint: str = "") -> list[Field]:
    """The value fields of a comparison."""
    op, value = leaf.get("op"), leaf.get("value")
    if op in {"empty", "not_empty"}:
        return []
    if op == "between":
        ends = value if isinstance(value, list) and len(value) == 2 else [value, value]
        return [Field("value", _("From and to"), kind, ends, pair=True, digits=digits, hint=hint)]
    single = value[0] if isinstance(value, list) and value else value
    return [Field("value", _("Value"), kind, single, digits=digits, hint=hint)]


def _metric(leaf: dict[str, Any], known: Catalogue) -> list[Field]:
    metric = leaf.get("metric", "orders")
    names = [(code, _first_up(named(METRIC_NAMES[code]))) for code in rules.METRICS]
    which = Field("metric", _("Key figure"), "select", metric, names, shape=True)
    if metric in rules.FAVOURITES:
        ops: Sequence[str] = ("in", "empty", "not_empty")
    else:
        ops = (*rules.COMPARISONS, "empty", "not_empty") if metric in rules.MAY_BE_MISSING else rules.COMPARISONS
    op = leaf.get("op") if leaf.get("op") in ops else (ops[0] if metric in rules.FAVOURITES else ">=")
    leaf = {**leaf, "op": op}
    how = Field("op", _("Compare"), "select", op, _comparisons(ops), shape=True)
    if metric in rules.FAVOURITES:
        if op != "in":
            return [which, how]
        source = "stores" if metric == "favourite_store" else "categories"
        value = leaf.get("value") if isinstance(leaf.get("value"), list) else []
        return [which, how, Field("value", _("Values"), "pick", value, source=source, many=True)]
    if metric in rules.MONEY:
        return [which, how, *_compared(leaf, "money", known.currency_digits, known.currency)]
    hint = _("days") if metric in rules.DAYS_SINCE else "%" if metric == rules.LATENESS else ""
    return [which, how, *_compared(leaf, "number", hint=hint)]


def _attribute(leaf: dict[str, Any], known: Catalogue) -> list[Field]:
    code = leaf.get("code", "")
    names = [(c, a.label_zh if _chinese() else a.label_en) for c, a in known.attributes.items()]
    which = Field("code", _("Attribute"), "select", code, names, shape=True)
    definition = known.attributes.get(code)
    if definition is None:
        return [which]
    ops = [op for op in rules.ATTRIBUTE_OPS[definition.type] if op != "in"]
    op = leaf.get("op") if leaf.get("op") in ops else ops[0]
    leaf = {**leaf, "op": op}
    how = Field("op", _("Compare"), "select", op, _comparisons(ops), shape=True)
    if op in {"empty", "not_empty"}:
        return [which, how]
    if definition.type == "boolean":
        choices = [("yes", _("yes")), ("no", _("no"))]
        return [which, how, Field("value", _("Value"), "truth", leaf.get("value", True), choices)]
    if definition.type == "choice":
        choices = [(choice, choice) for choice in definition.choices]
        return [which, how, Field("value", _("Value"), "select", leaf.get("value", ""), choices)]
    kind = {"number": "decimal", "date": "day"}.get(definition.type, "text")
    return [which, how, *_compared(leaf, kind)]


def _date(leaf: dict[str, Any], known: Catalogue) -> list[Field]:
    times = [(code, _first_up(named(names))) for code, names in sentences.TIME_NAMES.items()]
    for code, definition in known.attributes.items():
        if definition.type == "date":
            times.append((f"attribute:{code}", definition.label_zh if _chinese() else definition.label_en))
    ops = [
        ("within_last", _("within the last … days")),
        ("more_than_ago", _("more than … days ago")),
        ("within_next", _("within the next … days")),
        ("before", _("before")),
        ("after", _("after")),
    ]
    of, op = str(leaf.get("of", "last_order")), leaf.get("op", "within_last")
    if of.startswith("attribute:"):
        ops.append((rules.ANNIVERSARY, _("anniversary within the next … days")))
    elif op == rules.ANNIVERSARY:
        op = "within_next"
    found = [
        Field("of", _("Date"), "select", of, times, shape=True),
        Field("op", _("When"), "select", op, ops, shape=True),
    ]
    if op in {"before", "after"}:
        return [*found, Field("date", _("Day"), "day", leaf.get("date", ""))]
    return [*found, Field("days", _("Days"), "number", leaf.get("days", 30))]


def _store(leaf: dict[str, Any]) -> list[Field]:
    ops = [("home", _("home store is")), ("favourite", _("favourite store is")), ("bought_at", _("has bought at"))]
    by = "node" if leaf.get("node") or leaf.get("by") == "node" else "stores"
    found = [Field("op", _("How"), "select", leaf.get("op", "home"), ops)]
    if by == "stores":
        found.append(
            Field("stores", _("Stores"), "pick", leaf.get("stores", []), source="stores", many=True, optional=True)
        )
    if not leaf.get("stores"):
        hint = _("or everything below")
        found.append(Field("node", hint, "pick", leaf.get("node", ""), source="nodes", optional=True))
    return found


def _groups(leaf: dict[str, Any]) -> list[Field]:
    groups, stores, days = leaf.get("groups", []), leaf.get("stores", []), leaf.get("days")
    return [
        Field("number", _("In at least so many"), "number", leaf.get("number", 1)),
        Field("groups", _("Of these groups"), "pick", groups, source="groups", many=True, optional=True),
        Field("stores", _("Of these stores"), "pick", stores, source="stores", many=True, optional=True),
        Field("days", _("Joined in the last days"), "number", days, optional=True, blank=_("ever")),
    ]


def _relation(leaf: dict[str, Any]) -> list[Field]:
    return [
        Field("number", _("At least"), "number", leaf.get("number", 1), hint=_("WeCom friends")),
        Field("staff", _("With"), "pick", leaf.get("staff", []), source="staff", many=True, optional=True),
    ]


def _friendship(leaf: dict[str, Any]) -> list[Field]:
    state = leaf.get("state", "active")
    states = [("active", _("is a friend")), ("lost", _("is no friend any more")), ("any", _("either"))]
    staff, ways, codes = leaf.get("staff", []), leaf.get("ways", []), leaf.get("channel_states", [])
    return [
        Field("state", _("Friendship"), "select", state, states),
        Field("days", _("Added or lost in the last days"), "number", leaf.get("days"), optional=True, blank=_("ever")),
        Field("ways", _("Added by"), "pick", ways, source="ways", many=True, optional=True),
        Field(
            "campaigns",
            _("By codes of these campaigns"),
            "pick",
            leaf.get("campaigns", []),
            source="campaigns",
            many=True,
            optional=True,
        ),
        Field(
            "channel_states",
            _("Channel state of the code"),
            "pick",
            codes,
            source="channel_states",
            many=True,
            optional=True,
        ),
        Field("staff", _("With"), "pick", staff, source="staff", many=True, optional=True),
    ]


def _consent(leaf: dict[str, Any]) -> list[Field]:
    purposes = [(code, named(names)) for code, names in behaviour_sentences.PURPOSE_NAMES.items()]
    channels = [(code, named(names)) for code, names in sentences.CHANNEL_NAMES.items()]
    given = [("yes", _("has agreed")), ("no", _("has not agreed"))]
    return [
        Field("given", _("Consent given"), "truth", leaf.get("given", True), given),
        Field("purpose", _("Purpose"), "select", leaf.get("purpose", "marketing"), purposes),
        Field("channel", _("Channel"), "select", leaf.get("channel", "wecom"), channels),
    ]


def _which(leaf: dict[str, Any]) -> Field:
    return Field("audience", _("Audience"), "pick", leaf.get("audience", ""), source="audiences")


def _stages_of(model: str) -> str:
    return f"stages-{model}"


def _life_stage(leaf: dict[str, Any], known: Catalogue) -> list[Field]:
    code = str(leaf.get("model", ""))
    model = known.stage_models.get(code)
    found = [
        Field("model", _("Model"), "select", code, [(c, one.name) for c, one in known.stage_models.items()], shape=True)
    ]
    if model is None:
        return found
    ops = [
        ("in", _("is in")),
        ("entered_within", _("came into it within the last … days")),
        ("enters_within", _("comes into it within … days")),
    ]
    op = str(leaf.get("op", "in"))
    found.append(Field("op", _("How"), "select", op, ops, shape=True))
    known_codes = {stage.code for stage in model.course.stages}
    stages = [stage for stage in leaf.get("stages") or [] if stage in known_codes]
    found.append(Field("stages", _("Stages"), "pick", stages, source=_stages_of(code), many=True, optional=op != "in"))
    if op != "in":
        found.append(Field("days", _("Days"), "number", leaf.get("days", 7)))
    whose = [("any", _("herself or the household")), ("own", _("herself")), ("member", _("the household"))]
    if model.attribute and model.member_kind:
        found.append(Field("whose", _("Whose date"), "select", leaf.get("whose", "any"), whose))
    return found


def _bucket(leaf: dict[str, Any]) -> list[Field]:
    """Each of the hundred buckets holds about one per cent of everybody."""
    return [
        Field("from", _("From bucket"), "number", leaf.get("from", 1)),
        Field("to", _("To bucket"), "number", leaf.get("to", 10), hint=_("of 100, about 1% each")),
        Field("draw", _("Name of the draw (another name draws anew)"), "text", leaf.get("draw", ""), optional=True),
    ]
