"""Everything that facts end in, with people named by their identities instead of their numbers."""

from __future__ import annotations

from hetang.commerce.models import CustomerCategory, CustomerMetric, CustomerStore, Order, Refund
from hetang.customers.models import (
    Consent,
    Customer,
    CustomerAttribute,
    CustomerTag,
    DoNotDisturb,
    Identity,
    Relation,
    Tag,
    TagGroup,
)
from hetang.platform.sealing import unseal
from hetang.resources import services as resources
from hetang.resources.rules import StaffRow, StoreRow

People = dict[int, frozenset[tuple[str, str]]]


def make_resources() -> None:
    """Two stores in different zones, two advisers, an exclusive group of two tags."""
    resources.upsert_stores([StoreRow("330", "North Gate"), StoreRow("331", "South", time_zone="America/New_York")])
    resources.upsert_staff([StaffRow("li", "Li", "330"), StaffRow("wu", "Wu", "331")])
    group = TagGroup.objects.create(name="level", exclusive=True)
    for code in ("gold", "silver"):
        Tag.objects.create(code=code, name=code, group=group)


def living_people() -> People:
    """The identities of each customer who is neither absorbed nor erased."""
    return {
        number: frozenset(Identity.objects.filter(customer=number).values_list("kind", "key"))
        for number in Customer.objects.filter(merged_into=None).values_list("number", flat=True)
    }


def sums_of(people: People) -> list[object]:
    def named(rows: object) -> list[tuple[object, ...]]:
        return sorted(((sorted(people[row[0]]), *row[1:]) for row in rows), key=repr)  # type: ignore[attr-defined]

    return [
        named(CustomerMetric.objects.exclude(orders=0, gmv=0, refunded=0, visits=0).values_list()),
        named(CustomerStore.objects.values_list("customer", "store__code", "orders", "gmv")),
        named(CustomerCategory.objects.values_list("customer", "category", "lines", "amount")),
    ]


def words_of(people: People) -> dict[str, object]:
    def named(rows: object) -> set[tuple[object, ...]]:
        return {(people.get(row[0]), *row[1:]) for row in rows}  # type: ignore[attr-defined]

    living = Customer.objects.filter(merged_into=None)
    return {
        "attributes": named(CustomerAttribute.objects.values_list("customer", "code", "value", "fact_key")),
        "profile": named(living.values_list("number", "home_store__code", "home_store_fact", "owner__userid")),
        "names": named((one.pk, bytes(unseal(one.name)) if one.name else None) for one in living),
        "tags": named(CustomerTag.objects.values_list("customer", "tag__code", "on", "fact_key")),
        "consents": named(
            Consent.objects.values_list(
                *("customer", "channel", "basis", "text_version"), *("given", "counts", "stated", "fact_key")
            )
        ),
        "disturb": named(DoNotDisturb.objects.values_list("customer", "on", "fact_key")),
        "relations": named(
            Relation.objects.values_list(
                *("customer", "external_userid", "state", "fact_key", "begun_at", "begun_way", "begun_state")
            )
        ),
        "orders": named(Order.objects.values_list("customer", "key", "net", "store__code")),
        "refunds": named(
            Refund.objects.values_list("customer", "key", "amount", "order__key", "store__code", "local_day")
        ),
    }
