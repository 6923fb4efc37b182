"""The tree of the organisation: brand, regions, stores, departments."""

from __future__ import annotations

from django.db import transaction

from hetang.platform.models import OrgNode


def root() -> OrgNode:
    """The brand's own node; made on first use."""
    found = OrgNode.objects.filter(kind=OrgNode.BRAND).order_by("id").first()
    return found or add_node(None, OrgNode.BRAND, "brand", "")


@transaction.atomic
def add_node(parent: OrgNode | None, kind: str, code: str, name: str) -> OrgNode:
    """A new node below `parent`; its path is the parent's path plus its own id."""
    node = OrgNode.objects.create(parent=parent, kind=kind, code=code, name=name, path=f"?{code}")
    node.path = f"{parent.path if parent else ''}{node.pk}."
    node.save(update_fields=["path"])
    return node
