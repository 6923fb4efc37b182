"""What it means that a customer lies inside a part of the organisation: an active relation or the home store does."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet

from hetang.customers.models import Customer, Relation
from hetang.platform.access import Scope
from hetang.platform.models import OrgNode

# The people of so few places are collected by index; of more it is cheaper to look at everybody until a page is full.
FEW_PLACES = 20


def visible(scope: Scope) -> QuerySet[Customer]:
    """Living customers (neither absorbed nor erased) inside the scope.

    Who has neither a home store nor a friend is nobody's in particular: she lies in scopes of the whole brand only.
    A scope that is not the whole brand costs a small query here, for its places.
    """
    living = Customer.objects.filter(merged_into=None, erased_at=None)
    if scope.nothing:
        return living.none()
    inside = scope.org_nodes()
    if not scope.everything:
        places = list(inside.values_list("pk", flat=True)[: FEW_PLACES + 1])
        return living.filter(_collected(places) if len(places) <= FEW_PLACES else _linked(inside))
    if not scope.without:
        return living
    return living.filter(_linked(inside) | ~_linked(OrgNode.objects.exclude(pk__in=inside.values("pk"))))


def _collected(places: list[int]) -> Q:
    """The same people as `_linked`. Of one of 800 stores that is a thousand probes, not a look at a million; the
    places are named, since PostgreSQL cannot tell how many a pattern of paths means."""
    at_home = Customer.objects.filter(home_store__org_node__in=places).values("pk")
    friends = Relation.objects.filter(state=Relation.ACTIVE, staff__org_node__in=places).values("customer")
    return Q(pk__in=at_home.union(friends, all=True))


def _linked(nodes: QuerySet[OrgNode]) -> Q:
    """Asked of each person in turn."""
    ids = nodes.values("pk")
    friends = Relation.objects.filter(customer=OuterRef("pk"), state=Relation.ACTIVE, staff__org_node__in=ids)
    # a missing home store must read as false, not as unknown, where this is negated
    return Q(home_store__isnull=False, home_store__org_node__in=ids) | Q(Exists(friends))
