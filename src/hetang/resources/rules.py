"""Rows of resources as other rooms hand them over. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A store. What is None is left as it is (or empty for a new store). `region` is the name of its region.

    A position is a whole: coordinates without a `datum` put one in the place of the old one whose datum nobody said.
    """

    code: str
    name: str | None = None
    region: str | None = None
    address: str | None = None
    city: str | None = None
    country: str | None = None
    latitude: Decimal | None = None
    longitude: Decimal | None = None
    datum: str | None = None
    time_zone: str | None = None
    opened_on: date | None = None
    closed_on: date | None = None

    @property
    def identity(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True)
class StaffRow:
    """A member of staff. What is None is left as it is; without a store she belongs to the brand's own node."""

    userid: str
    name: str | None = None
    store: str | None = None
    active: bool | None = None
    simulated: bool | None = None

    @property
    def identity(self) -> str:
        return self.userid


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product. What is None is left as it is. `cost` and `price` in minor units of the brand's currency."""

    sku: str
    name: str | None = None
    category: str | None = None
    department: str | None = None
    brand: str | None = None
    cost: int | None = None
    price: int | None = None

    @property
    def identity(self) -> str:
        return self.sku


@dataclass(frozen=True, slots=True)
class DistrictRow:
    """A district. Without a name or a parent these stay as they are; without a centre it is no longer used."""

    code: str
    name: str | None = None
    parent: str | None = None
    latitude: Decimal | None = None
    longitude: Decimal | None = None
    datum: str | None = None

    @property
    def identity(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """What a category is called. What is None is left as it is."""

    category: str
    zh_hans: str | None = None
    en: str | None = None

    @property
    def identity(self) -> str:
        return self.category


Row = TypeVar("Row", StoreRow, StaffRow, ProductRow, DistrictRow, CategoryRow)


def last_of_each(rows: Iterable[Row]) -> list[Row]:
    """One row of each identity: the last. An upsert cannot change a row twice."""
    return list({row.identity: row for row in rows}.values())
