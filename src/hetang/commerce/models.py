"""Orders and what they add up to per person. Money in minor units of the brand's currency.

Lines live in the order's fact and in the ClickHouse history, not in a table here.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.customers.models import Customer
from hetang.resources.models import Staff, Store


class Order(models.Model):
    """An order. `net` is what was charged (lines after discounts); refunds are rows of their own on their own date."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=60)
    key = models.CharField(max_length=200)
    customer = models.ForeignKey(
        Customer, models.PROTECT, null=True, db_constraint=False, db_index=False
    )  # null: anonymous
    store = models.ForeignKey(Store, models.PROTECT, null=True, db_constraint=False, db_index=False)
    staff = models.ForeignKey(Staff, models.PROTECT, null=True, db_constraint=False, db_index=False)
    channel = models.CharField(max_length=40)
    placed_at = models.DateTimeField()
    local_day = models.DateField()
    net = models.BigIntegerField()
    discount = models.BigIntegerField(default=0)
    lines = models.IntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "key"], name="order_once")]
        indexes: ClassVar = [
            models.Index(fields=["customer", "placed_at"], name="order_of_customer"),
            models.Index(fields=["local_day", "store"], name="order_day_store"),
        ]


class Refund(models.Model):
    """Money given back. It may arrive before its order: `order` and `customer` are then filled in when that comes.

    It counts for the person of its order (for nobody if that is anonymous); while the order is not known, for
    whomever its own fact names.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=60)
    key = models.CharField(max_length=200)
    order_key = models.CharField(max_length=200)
    order = models.ForeignKey(Order, models.PROTECT, null=True, db_constraint=False, db_index=False)
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, db_constraint=False, db_index=False)
    store = models.ForeignKey(Store, models.PROTECT, null=True, db_constraint=False, db_index=False)
    channel = models.CharField(max_length=40)
    refunded_at = models.DateTimeField()
    local_day = models.DateField()
    amount = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "key"], name="refund_once")]
        indexes: ClassVar = [
            models.Index(fields=["source", "order_key"], name="refund_of_order"),
            models.Index(
                fields=["source", "order_key"], name="refund_without_order", condition=models.Q(order__isnull=True)
            ),
            models.Index(fields=["customer", "refunded_at"], name="refund_of_customer"),
            models.Index(fields=["local_day", "store"], name="refund_day_store"),
        ]


class CustomerMetric(models.Model):
    """Sums per person that only ever add, so any order of arrival ends the same. `gmv` is net of refunds."""

    customer = models.OneToOneField(Customer, models.PROTECT, primary_key=True, db_constraint=False)
    first_order_at = models.DateTimeField(null=True)
    last_order_at = models.DateTimeField(null=True)
    orders = models.IntegerField(default=0)
    gmv = models.BigIntegerField(default=0)
    refunded = models.BigIntegerField(default=0)
    visits = models.IntegerField(default=0)
    last_visit_at = models.DateTimeField(null=True)


class CustomerStore(models.Model):
    """Orders of a person at a store, `gmv` before refunds; the favourite is the one with most orders, then most
    money, then lowest id."""

    pk = models.CompositePrimaryKey("customer_id", "store_id")
    customer = models.ForeignKey(Customer, models.PROTECT, db_constraint=False, db_index=False)
    store = models.ForeignKey(Store, models.PROTECT, db_constraint=False, db_index=False)
    orders = models.IntegerField()
    gmv = models.BigIntegerField()


class CustomerCategory(models.Model):
    """Lines of a person in a category; the favourite is the one with most lines, then most money, then name."""

    pk = models.CompositePrimaryKey("customer_id", "category")
    customer = models.ForeignKey(Customer, models.PROTECT, db_constraint=False, db_index=False)
    category = models.CharField(max_length=120)
    lines = models.IntegerField()
    amount = models.BigIntegerField()


class RhythmFit(models.Model):
    """What one night read from the base's purchases; the newest counts. See `commerce.rhythm` and `rhythm_fit`.

    `shape` and `base_gaps` are in thousandths, `base_days` in days. `calibration` is empty while the history is short.
    """

    id = models.BigAutoField(primary_key=True)
    computed_at = models.DateTimeField()
    customers = models.IntegerField()  # that were read
    gaps = models.IntegerField()  # between their purchases
    shape = models.IntegerField()
    base_gaps = models.IntegerField()
    base_days = models.IntegerField()
    leave = models.FloatField()
    stay = models.FloatField()
    calibration = models.JSONField(default=dict)
