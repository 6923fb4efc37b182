"""What it means that a customer lies inside a part of the organisation: an active relation or the home store does."""

from __future__ import annotations

from collections.abc import Sequence

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


def visible_sql(paths: Sequence[str], alias: str = "c") -> tuple[str, dict[str, object]]:
    """The same rule as a condition on `customers_customer {alias}`, with its named parameters, for set SQL.

    `paths` are those of `Scope.paths`; none of them means nobody. The caller adds that she lives.
    """
    nodes = "select n.id from platform_orgnode n where n.path like any(%(visible_paths)s)"
    condition = f"""(
      {alias}.home_store_id in (select s.id from resources_store s where s.org_node_id in ({nodes}))
      or exists (
        select from customers_relation r join resources_staff s on s.id = r.staff_id
        where r.customer_id = {alias}.number and r.state = 'active' and s.org_node_id in ({nodes})
      )
    )"""
    return condition, {"visible_paths": [f"{path}%" for path in paths]}
