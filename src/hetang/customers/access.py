"""What it means that a customer lies inside a part of the organisation: an active relation or the home store does."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet

from hetang.customers.models import Customer, Relation
from hetang.platform.access import Scope


def visible(scope: Scope) -> QuerySet[Customer]:
    """Living customers (neither absorbed nor erased) inside the scope."""
    living = Customer.objects.filter(merged_into=None, erased_at=None)
    if scope.everything:
        return living
    if scope.nothing:
        return living.none()
    nodes = scope.org_nodes().values("pk")
    friends = Relation.objects.filter(customer=OuterRef("pk"), state=Relation.ACTIVE, staff__org_node__in=nodes)
    return living.filter(Q(home_store__org_node__in=nodes) | Exists(friends))
