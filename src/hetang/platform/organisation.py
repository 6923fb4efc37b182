"""The tree of the organisation: brand, regions, stores, departments, and which parts are another company's."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from hetang.platform import audit
from hetang.platform.access import Actor, Forbidden
from hetang.platform.models import OrgNode


class PlaceRefused(Exception):
    """The place cannot be changed so. `code`: name_missing, brand_is_the_company."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def root() -> OrgNode:
    """The brand's own node; made on first use, by whichever process is the first."""
    found = _brand()
    if found is not None:
        return found
    try:
        return add_node(None, OrgNode.BRAND, "brand", "")
    except IntegrityError:
        found = _brand()
        if found is None:
            raise
        return found


def _brand() -> OrgNode | None:
    return OrgNode.objects.filter(kind=OrgNode.BRAND).order_by("id").first()


@transaction.atomic
def add_node(parent: OrgNode | None, kind: str, code: str, name: str) -> OrgNode:
    """A new node below `parent`; its path is the parent's path plus its own id."""
    node = OrgNode.objects.create(parent=parent, kind=kind, code=code, name=name, path=f"?{code}")
    node.path = f"{parent.path if parent else ''}{node.pk}."
    node.save(update_fields=["path"])
    return node


def change_place(actor: Actor, node: OrgNode, name: str, legal_entity: str) -> None:
    """Rename a place, and say whose it is: the name of another company (a franchisee), or empty for the brand's own.

    From the next click on a company's customers are shown to others without identity. Raises Forbidden, PlaceRefused.
    """
    if not actor.scope("users:manage").everything:
        raise Forbidden("users:manage")
    name, legal_entity = name.strip(), legal_entity.strip()
    if not name:
        raise PlaceRefused("name_missing")
    if legal_entity and node.kind == OrgNode.BRAND:
        raise PlaceRefused("brand_is_the_company")
    with transaction.atomic():
        now = OrgNode.objects.select_for_update().get(pk=node.pk)
        before, after = (
            {"name": now.name, "legal_entity": now.legal_entity},
            {"name": name, "legal_entity": legal_entity},
        )
        changes = {field: [before[field], after[field]] for field in after if before[field] != after[field]}
        if changes:
            OrgNode.objects.filter(pk=node.pk).update(**after)
            audit.record(actor, "org_node.changed", "org_node", node.code, changes, org_node_id=node.pk)


def company_of(node: OrgNode) -> str:
    """The other company to which a node belongs, by itself or by a node above; empty for the brand's own."""
    above = [int(part) for part in node.path.strip(".").split(".")]
    found = OrgNode.objects.filter(pk__in=above).exclude(legal_entity="").order_by("-path").first()
    return found.legal_entity if found else ""
