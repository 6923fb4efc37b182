"""Whose home somebody gets, and which part of the brand is hers there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from hetang.customers.models import Customer, Relation
from hetang.platform.access import Actor, own_customers
from hetang.platform.models import OrgNode
from hetang.platform.roles import ADVISER
from hetang.resources.logins import staff_of
from hetang.resources.models import Staff

OPERATOR, STORE, ADVISER_HOME = "operator", "store", "adviser"
PEOPLE = "customers:view"


@dataclass(frozen=True)
class Home:
    """`kind`: OPERATOR, STORE or ADVISER_HOME. `staff`: who the actor is among the staff; `stores`: her places."""

    kind: str
    stores: Sequence[OrgNode] = ()
    staff: Staff | None = None

    @property
    def place(self) -> str:
        """What her places are called."""
        return " · ".join(node.name for node in self.stores if node.name)


def of(actor: Actor) -> Home:
    """The home of an actor: an adviser's for those who look after customers of their own and see no results, a store's
    for those whose customers all lie in stores and who see the results there. Two small queries, none for who sees the
    customers of the whole brand or nobody's."""
    scope = actor.scope(PEOPLE)
    if scope.everything or scope.nothing:
        return Home(OPERATOR)
    staff = staff_of(actor.user_id)
    stores = list(OrgNode.objects.filter(path__in=scope.paths).order_by("name"))
    if not actor.can("board:view"):
        serves = staff is not None or any(held.role == ADVISER for held in actor.held)
        return Home(ADVISER_HOME if serves else OPERATOR, stores, staff)
    if all(node.kind == OrgNode.STORE for node in stores):
        return Home(STORE, stores, staff)
    return Home(OPERATOR, stores, staff)


@dataclass(frozen=True)
class Charge:
    """Who is in somebody's charge: customers, and the staff (id -> name) whose work with them she may see."""

    people: QuerySet[Customer]
    staff: Mapping[int, str]


def charge_of(actor: Actor, home: Home) -> Charge:
    """An adviser's own (friends, or hers to serve) and herself; else the customers and staff of the actor's scope. Only
    of her company, since they are shown by name. One query."""
    seen = own_customers(actor, PEOPLE)
    if home.kind != ADVISER_HOME:
        places = actor.own_scope(PEOPLE).org_nodes().values("pk")
        return Charge(seen, dict(Staff.objects.filter(org_node__in=places).values_list("pk", "name")))
    if home.staff is None:
        return Charge(seen.none(), {})
    friends = Relation.objects.filter(customer=OuterRef("pk"), state=Relation.ACTIVE, staff=home.staff)
    return Charge(seen.filter(Q(owner=home.staff) | Exists(friends)), {home.staff.pk: home.staff.name})
