"""What rules may name: tags, attributes, stores, staff, categories, saved audiences, groups. Kept until it changes."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection

from hetang.audiences import naming, nearness, ports
from hetang.audiences.district import Place
from hetang.audiences.first_source import Code
from hetang.audiences.models import AutomaticTag, Pond
from hetang.audiences.rules import (
    AttributeType,
    Catalogue,
    Named,
    OrgStores,
    PondRule,
    SavedRule,
    StageModel,
    StorePlace,
    named_in,
)
from hetang.commerce.queries import rhythm_base
from hetang.communities.models import GroupChat
from hetang.customers import life_stages
from hetang.customers.models import AttributeDefinition, ChannelCode, Tag
from hetang.platform import clock, positions
from hetang.platform.brand import brand
from hetang.platform.models import OrgNode
from hetang.resources.models import CategoryLabel, District, Product, Staff, Store

MESSAGES = ("campaigns", "broadcasts")
_TTL_S = 2.0
_OLDEST_S = 60.0  # the names of products and group chats, which no state looks at, may be so old
_State = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was read, from what state, when, and when that state was last looked at (monotonic seconds); and the
    campaigns and broadcasts that saved audiences name."""

    known: Catalogue
    state: _State
    read_at: float
    looked_at: float
    messages: dict[str, set[str]]


_kept: _Kept | None = None


def catalogue(document: Any = None, fresh: bool = False) -> Catalogue:
    """Everything; of products, group chats, campaigns and broadcasts, of which there may be many thousands, only those
    that `document` or a saved audience names. `fresh` asks the database whether anything changed (one query, a row's
    header each), and reads it again if so (about fifteen); otherwise it may be two seconds old."""
    known = _newest(fresh)
    skus = named_in(document, "sku") - known.products.keys()
    groups = named_in(document, "groups") - known.groups.keys()
    if skus:
        known = replace(known, products={**known.products, **_products(skus)})
    if groups:
        known = replace(known, groups={**known.groups, **_groups(groups)})
    messages = {key: named_in(document, key) - getattr(known, key).keys() for key in MESSAGES}
    if any(messages.values()):
        campaigns, broadcasts = ports.sent_messages(**messages)
        known = replace(
            known, campaigns={**known.campaigns, **campaigns}, broadcasts={**known.broadcasts, **broadcasts}
        )
    return known


def forget() -> None:
    """Drop what is kept."""
    global _kept  # noqa: PLW0603 - one cache per process is the point
    _kept = None


def _newest(fresh: bool) -> Catalogue:
    global _kept  # noqa: PLW0603
    kept, now = _kept, time.monotonic()
    if kept is not None and not fresh and now - kept.looked_at <= _TTL_S:
        return kept.known
    state = _state()  # before reading, so that what changes meanwhile is found at the next look
    if kept is None or kept.state != state or now - kept.read_at > _OLDEST_S:
        known = _read()
        rules = [one.rule for one in known.audiences.values()]
        kept = _Kept(known, state, now, now, {key: named_in(rules, key) for key in MESSAGES})
    if any(kept.messages.values()):  # what was sent grows with each broadcast, which no state looks at
        campaigns, broadcasts = ports.sent_messages(**kept.messages)
        kept = replace(kept, known=replace(kept.known, campaigns=campaigns, broadcasts=broadcasts))
    _kept = replace(kept, looked_at=now)
    return kept.known


def _state() -> _State:
    """Differs whenever a row that `_read` uses was written, deleted or made: each version of a row has its own place
    (`ctid`) and writer (`xmin`). Seen from this transaction, so that it is right before a commit, too."""
    known = brand()
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        return (*cursor.fetchall(), clock.today(), known.currency, known.currency_digits)


def _read() -> Catalogue:
    known = brand()
    tags = Tag.objects.filter(archived_at=None).order_by("group__position", "group_id", "position", "id")
    stores = Store.objects.order_by("name", "code").values_list("id", "code", "name")
    staff = Staff.objects.order_by("name", "userid").values_list("id", "userid", "name")
    saved = list(naming.in_use())
    rules = {"rules": [one.rule for one in saved]}
    return Catalogue(
        tags={
            code: Named(pk, f"{group}·{name}")
            for pk, code, group, name in tags.values_list("id", "code", "group__name", "name")
        },
        attributes={
            one.code: AttributeType(
                one.type, one.label_zh, one.label_en, tuple(str(choice) for choice in one.choices), one.birth_date
            )
            for one in AttributeDefinition.objects.order_by("code")
        },
        stores={code: Named(pk, name) for pk, code, name in stores},
        places=_places(),
        districts=_districts(),
        nodes=_nodes(),
        staff={userid: Named(pk, name) for pk, userid, name in staff},
        categories=_categories(),
        audiences={
            str(one.public_id): SavedRule(one.pk, one.title, one.rule, one.pond_set_id is not None) for one in saved
        },
        products=_products(named_in(rules, "sku")),
        groups=_groups(named_in(rules, "groups")),
        ponds=_ponds(),
        kept={
            code: str(public) for code, public in AutomaticTag.objects.values_list("tag__code", "audience__public_id")
        },
        stage_models={
            str(one.public_id): StageModel(one.name, life_stages.course_of(one), one.attribute, one.member_kind)
            for one in life_stages.active()
        },
        codes={
            state: Code(name, str(campaign or ""))
            for state, name, campaign in ChannelCode.objects.order_by("state").values_list("state", "name", "campaign")
        },
        rhythm=rhythm_base(),
        currency_digits=known.currency_digits,
        currency=known.currency,
    )


def _ponds() -> dict[str, PondRule]:
    """Every pond of the sets in use by its public id, and the rest of each by that of the set."""
    rows = Pond.objects.filter(removed_at=None, pond_set__archived_at=None).order_by("pond_set__name", "position")
    found: dict[str, PondRule] = {}
    sets: dict[tuple[str, str], list[str]] = {}
    for public, name, set_id, set_name, audience in rows.values_list(
        "public_id", "name", "pond_set__public_id", "pond_set__name", "audience__public_id"
    ):
        earlier = sets.setdefault((str(set_id), set_name), [])
        found[str(public)] = PondRule(set_name, name, str(audience), tuple(earlier))
        earlier.append(str(audience))
    rest = {code: PondRule(name, "", "", tuple(of)) for (code, name), of in sets.items()}
    return found | rest


def _products(skus: set[str]) -> dict[str, str]:
    return dict(Product.objects.filter(sku__in=skus).values_list("sku", "name")) if skus else {}


def _groups(named: set[str]) -> dict[str, Named]:
    """Group chats by public id, those that were dissolved, too."""
    ids = []
    for one in named:
        with contextlib.suppress(ValueError):
            ids.append(UUID(one))
    rows = GroupChat.objects.filter(public_id__in=ids).values_list("public_id", "id", "name") if ids else []
    return {str(public): Named(pk, name or str(public)[:8]) for public, pk, name in rows}


def _places() -> dict[str, StorePlace]:
    """Stores that said where they are and on which map, in the order of their codes."""
    rows = Store.objects.exclude(latitude=None).exclude(datum="").order_by("code")
    fields = ("code", "latitude", "longitude", "datum", "opened_on", "closed_on")
    today = clock.today()
    return {
        code: StorePlace(_at(north, east, datum), (opened or today) <= today and (closed is None or closed > today))
        for code, north, east, datum, opened, closed in rows.values_list(*fields)
    }


def _districts() -> dict[str, Place]:
    """Districts that have a centre, in the order of their codes."""
    rows = District.objects.exclude(latitude=None).exclude(datum="").order_by("code")
    fields = ("code", "name", "parent", "latitude", "longitude", "datum")
    return {
        code: Place(name, parent, _at(north, east, datum))
        for code, name, parent, north, east, datum in rows.values_list(*fields)
    }


@lru_cache(maxsize=20_000)
def _at(latitude: Decimal, longitude: Decimal, datum: str) -> nearness.Micro:
    return nearness.micro(positions.to_wgs84(latitude, longitude, datum))


def _nodes() -> dict[str, OrgStores]:
    """Every node with the stores below it. Paths hold the ids of all ancestors."""
    below: dict[int, list[str]] = {}
    for code, path in Store.objects.order_by("code").values_list("code", "org_node__path"):
        for node in path.strip(".").split("."):
            below.setdefault(int(node), []).append(code)
    nodes = OrgNode.objects.exclude(kind=OrgNode.STORE).order_by("path").values_list("id", "code", "name")
    return {code: OrgStores(name, tuple(below.get(pk, ()))) for pk, code, name in nodes}


def _categories() -> dict[str, tuple[str, str]]:
    """Every category of a product or with a label; without a label it is called by its code."""
    with connection.cursor() as cursor:
        cursor.execute(_SOLD)
        sold = {code for (code,) in cursor.fetchall()}
    labels = {label.category: (label.zh_hans, label.en) for label in CategoryLabel.objects.order_by("category")}
    return {
        code: (labels.get(code, ("", ""))[0] or code, labels.get(code, ("", ""))[1] or code)
        for code in sorted({*sold, *labels})
    }


# From each category to the next by the index, for there are few of them and many products.
_SOLD = """
with recursive sold(category) as (
  (select category from resources_product where category <> '' order by category limit 1)
  union all
  select (select category from resources_product where category > sold.category order by category limit 1)
  from sold where sold.category is not null
)
select category from sold where category is not null
"""

# All that `_read` reads, but products and group chats.
TABLES = (
    "customers_tag", "customers_taggroup", "customers_attributedefinition", "customers_lifestagemodel",
    "customers_channelcode",
    "resources_store", "resources_staff", "resources_categorylabel", "resources_district", "platform_orgnode",
    "commerce_rhythmfit",
    "audiences_audience", "audiences_automatictag", "audiences_pond", "audiences_pondset",
)  # fmt: skip
_STATE = " union all ".join(
    f"select '{table}', count(*), bit_xor(hashtextextended(ctid::text, xmin::text::bigint)) from {table}"
    for table in TABLES
)
_STATE += " union all select 'sold', count(*), hashtextextended(string_agg(category, ',' order by category), 0)"
_STATE += f" from ({_SOLD}) as sold"
