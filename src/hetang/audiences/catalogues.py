"""What rules may name: tags, attributes, stores, staff, categories, saved audiences. Kept for two seconds."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from hetang.audiences.models import Audience, AutomaticTag
from hetang.audiences.rules import AttributeType, Catalogue, Named, OrgStores, SavedRule, named_in
from hetang.customers.models import AttributeDefinition, Tag
from hetang.platform.brand import brand
from hetang.platform.models import OrgNode
from hetang.resources.models import CategoryLabel, Product, Staff, Store

_TTL_S = 2.0
_cached: tuple[float, Catalogue] = (float("-inf"), Catalogue())


def catalogue(document: Any = None, fresh: bool = False) -> Catalogue:
    """Everything but the products, of which only those that `document` names. `fresh` reads the database now
    (about ten small queries); otherwise it may be two seconds old."""
    global _cached  # noqa: PLW0603 - one cache per process is the point
    read_at, known = _cached
    if fresh or time.monotonic() - read_at > _TTL_S:
        known = _read()
        _cached = (time.monotonic(), known)
    skus = named_in(document, "sku")
    if not skus:
        return known
    return replace(known, products=dict(Product.objects.filter(sku__in=skus).values_list("sku", "name")))


def forget() -> None:
    """Drop what is kept (after a change in this process, and in tests)."""
    global _cached  # noqa: PLW0603
    _cached = (float("-inf"), Catalogue())


def _read() -> Catalogue:
    known = brand()
    tags = Tag.objects.filter(archived_at=None).order_by("group__position", "group_id", "position", "id")
    stores = Store.objects.order_by("name", "code").values_list("id", "code", "name")
    staff = Staff.objects.order_by("name", "userid").values_list("id", "userid", "name")
    saved = Audience.objects.filter(archived_at=None).order_by("name")
    return Catalogue(
        tags={
            code: Named(pk, f"{group}·{name}")
            for pk, code, group, name in tags.values_list("id", "code", "group__name", "name")
        },
        attributes={
            one.code: AttributeType(one.type, one.label_zh, one.label_en, tuple(str(choice) for choice in one.choices))
            for one in AttributeDefinition.objects.order_by("code")
        },
        stores={code: Named(pk, name) for pk, code, name in stores},
        nodes=_nodes(),
        staff={userid: Named(pk, name) for pk, userid, name in staff},
        categories=_categories(),
        audiences={
            str(public): SavedRule(pk, name, rule)
            for pk, public, name, rule in saved.values_list("id", "public_id", "name", "rule")
        },
        kept={
            code: str(public) for code, public in AutomaticTag.objects.values_list("tag__code", "audience__public_id")
        },
        currency_digits=known.currency_digits,
        currency=known.currency,
    )


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
    sold = Product.objects.exclude(category="").order_by("category").values_list("category", flat=True).distinct()
    labels = {label.category: (label.zh_hans, label.en) for label in CategoryLabel.objects.order_by("category")}
    return {
        code: (labels.get(code, ("", ""))[0] or code, labels.get(code, ("", ""))[1] or code)
        for code in sorted({*sold, *labels})
    }
