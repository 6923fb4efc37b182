"""What the brand has: stores, staff and products."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id
from hetang.platform.models import OrgNode, User


class Store(models.Model):
    """A shop. Its place in the organisation is its node; orders keep the store of then.

    Its position is kept as it was given, with the datum (`platform.positions`) that it was given in; empty where nobody
    said which one: then no rule measures from it.
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    code = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    org_node = models.OneToOneField(OrgNode, models.PROTECT, related_name="store")
    address = models.CharField(max_length=300, blank=True, default="")
    city = models.CharField(max_length=80, blank=True, default="")
    country = models.CharField(max_length=2, blank=True, default="")
    latitude = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    longitude = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    datum = models.CharField(max_length=5, blank=True, default="", db_default="")
    time_zone = models.CharField(max_length=64, blank=True, default="")
    opened_on = models.DateField(null=True)
    closed_on = models.DateField(null=True)


class Staff(models.Model):
    """A person who serves customers: an adviser, a store manager. `userid` is the WeCom account.

    `user`: the login of the same person, so that her home can show her own tasks and customers. It gives no right.
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    userid = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=80)
    store = models.ForeignKey(Store, models.SET_NULL, null=True, related_name="staff")
    org_node = models.ForeignKey(OrgNode, models.PROTECT)
    active = models.BooleanField(default=True)
    simulated = models.BooleanField(default=False)
    user = models.OneToOneField(User, models.SET_NULL, null=True, related_name="staff")


class Product(models.Model):
    """Something that is sold. `cost` in minor units where the brand gave it."""

    id = models.BigAutoField(primary_key=True)
    sku = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=120, blank=True, default="")
    department = models.CharField(max_length=120, blank=True, default="")
    brand = models.CharField(max_length=80, blank=True, default="")
    cost = models.BigIntegerField(null=True)
    price = models.BigIntegerField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["category"], name="product_category")]


class District(models.Model):
    """A district of the brand's own list (a county, a part of a city), below a city (`parent`, by its name), with its
    centre: as it was given, with the datum that it was given in. Without a centre it is no longer used."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    parent = models.CharField(max_length=120, blank=True, default="")
    latitude = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    longitude = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    datum = models.CharField(max_length=5, blank=True, default="")


class CategoryLabel(models.Model):
    """What a product category is called in each language of the console."""

    category = models.CharField(max_length=120, primary_key=True)
    zh_hans = models.CharField(max_length=120, blank=True, default="")
    en = models.CharField(max_length=120, blank=True, default="")
