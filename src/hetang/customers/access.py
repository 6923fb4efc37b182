"""What it means that a customer lies inside a part of the organisation: an active relation or the home store does."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet

from hetang.customers.models import Customer, Relation
from hetang.platform.access import Scope
from hetang.platform.models import OrgNode


def visible(scope: Scope) -> QuerySet[Customer]:
    """Living customers (neither absorbed nor erased) inside the scope.

    Who has neither a home store nor a friend is nobody's in particular: she lies in scopes of the whole brand only.
    """
    living = Customer.objects.filter(merged_into=None, erased_at=None)
    if scope.nothing:
        return living.none()
    if not scope.everything:
        return living.filter(_linked(scope.org_nodes()))
    if not scope.without:
        return living
    inside = scope.org_nodes()
    return living.filter(_linked(inside) | ~_linked(OrgNode.objects.exclude(pk__in=inside.values("pk"))))


def _linked(nodes: QuerySet[OrgNode]) -> Q:
    ids = nodes.values("pk")
    friends = Relation.objects.filter(customer=OuterRef("pk"), state=Relation.ACTIVE, staff__org_node__in=ids)
    # a missing home store must read as false, not as unknown, where this is negated
    return Q(home_store__isnull=False, home_store__org_node__in=ids) | Q(Exists(friends))
