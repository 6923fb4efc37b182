"""Targets whose rows stand for themselves: stores, products, staff become rows; customers, refunds, visits facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from collections.abc import Mapping as Values
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hetang.facts.intake import Draft
from hetang.imports import households, rules
from hetang.imports.mapping import LegalBasis
from hetang.imports.targets import CUSTOMERS, DISTRICTS, IDENTITY_FIELDS, PRODUCTS, REFUNDS, STAFF, STORES, VISITS
from hetang.platform import clock, positions
from hetang.resources import services as resources
from hetang.resources.rules import DistrictRow, ProductRow, StaffRow, StoreRow

Record = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What a row's facts depend on besides the row: when the file's statements hold, and its legal basis."""

    as_of: datetime
    basis: LegalBasis
    country: str = ""  # judged for stores that name none
    tags: Values[str, str] = field(default_factory=dict)  # what may be written -> the code of a tag


def key_of(target: str, record: Record) -> str:
    """By what a row is recognised as a repetition of another; empty where repetitions mean nothing."""
    if target == CUSTOMERS:
        return next((f"{kind}:{record[kind]}" for kind in IDENTITY_FIELDS if kind in record), "")
    column = {STORES: "code", DISTRICTS: "code", PRODUCTS: "sku", STAFF: "userid", REFUNDS: "refund"}.get(target)
    return str(record[column]) if column else ""


def who_of(record: Record) -> list[tuple[str, str]]:
    """The identities that a row names, the subject first."""
    return [(kind, record[kind]) for kind in IDENTITY_FIELDS if kind in record]


def drafts_of(target: str, row: int, record: Record, context: Context) -> list[Draft]:
    """The facts that a row states. Keys depend on nothing but the row's content and number, so the same file again
    is recognised. Raises rules.BadValue for a row that names nobody where somebody is needed."""
    return _DRAFTS[target](row, record, context)


def _customer(row: int, record: Record, context: Context) -> list[Draft]:
    """A later row of the same file counts as the later word: statements are a microsecond apart."""
    who = who_of(record)
    if not who:
        raise rules.BadValue("nobody_named")
    at: datetime = record.get("updated_at") or context.as_of + timedelta(microseconds=row)
    subject = f"{who[0][0]}:{who[0][1]}"
    mark = _digest(record)
    attributes = {name.partition(":")[2]: value for name, value in record.items() if name.startswith("attribute:")}
    if (position := _position(record, context.country)) is not None:
        attributes[positions.USUAL] = position
    body = _without_empty(
        attributes=attributes,
        home_store=record.get("home_store"),
        owner=record.get("owner"),
    )
    drafts = [Draft("customer.described", _key("described", subject, mark), at, who, body, None, record.get("name"))]
    drafts += [
        Draft("tag.changed", _key("tag", subject, f"{code}:{mark}"), at, who[:1], {"tag": code, "on": True})
        for code in (context.tags.get(written, written) for written in record.get("tags", ()))
    ]
    drafts += _household(who, at, record, context)
    if (consent := _consent(record, context)) is not None:
        given_at = record.get("consent_at", at)
        said = _once({**consent, "at": record.get("consent_at")}, mark, wanted=consent["given"])
        drafts.append(Draft("consent.changed", _key("consent", subject, said), given_at, who[:1], consent))
    if "do_not_disturb" in record:
        body = {"on": record["do_not_disturb"]}
        said = _once(body, mark, wanted=not body["on"])
        drafts.append(Draft("do_not_disturb.changed", _key("quiet", subject, said), at, who[:1], body))
    return drafts


def _once(said: Record, mark: str, *, wanted: bool) -> str:
    """What marks a word on being written to. A yes is said once, whatever else of the row changes: said again under the
    time of each file, it would stand above her withdrawal of the meantime. A no counts again with each changed row."""
    return _digest(said) if wanted else mark


def _household(who: list[tuple[str, str]], at: datetime, record: Record, context: Context) -> list[Draft]:
    subject, mark = f"{who[0][0]}:{who[0][1]}", _digest(record)
    found = households.members_of(record, clock.local_day(context.as_of))
    return [
        Draft(
            "household.member_described",
            _key("household", subject, f"{place}:{mark}"),
            at,
            who[:1],
            {"member": f"{_open(subject, 48)}.{place}", **body},
            None,
            name,
        )
        for place, body, name in found
    ]


def _position(record: Record, country: str) -> str | None:
    """Where she is, in the one datum; somebody may live abroad. Raises rules.BadValue where the row is wrong."""
    fault = judge(record, country)
    if fault == "outside_country":
        fault = "" if "datum" in record else "no_datum"
    if fault:
        raise rules.BadValue(fault, "datum" if fault == "no_datum" else "latitude")
    if "latitude" not in record:
        return None
    return positions.written(record["latitude"], record["longitude"], record["datum"])


def _consent(record: Record, context: Context) -> Record | None:
    """A no always counts; a yes only on a declared basis, since nobody could later show what it rested on."""
    basis = context.basis
    said = record.get("consent", True if basis.everybody else None)
    if said is None or (said and basis.basis == "unknown"):
        return None
    return {
        "purpose": basis.purpose,
        "channel": basis.channel,
        "given": said,
        "basis": basis.basis,
        "text_version": basis.text_version,
        "simulated": basis.simulated,
    }


def _refund(_row: int, record: Record, _context: Context) -> list[Draft]:
    amount = abs(record["amount"])
    if amount == 0:
        raise rules.BadValue("nothing_refunded")
    body = _without_empty(
        order=record["order"], amount=amount, store=record.get("store"), channel=record.get("channel")
    )
    key = f"refund:{record['refund']}"
    return [Draft("order.refunded", key, record["refunded_at"], who_of(record), body)]


def _visit(_row: int, record: Record, _context: Context) -> list[Draft]:
    who = who_of(record)
    if not who:
        raise rules.BadValue("nobody_named")
    body = _without_empty(
        store=record.get("store"), channel=record.get("channel"), simulated=record.get("simulated") or None
    )
    mark = _digest({"who": who, **record})
    return [Draft("visit.recorded", _key("visit", f"{who[0][0]}:{who[0][1]}", mark), record["at"], who, body)]


_DRAFTS: dict[str, Callable[[int, Record, Context], list[Draft]]] = {
    CUSTOMERS: _customer,
    REFUNDS: _refund,
    VISITS: _visit,
}


def _key(word: str, subject: str, mark: str) -> str:
    """At most 200 characters, whatever the identity: long ones are hashed."""
    return f"{word}:{_open(subject, 80)}:{mark}"


def _open(subject: str, limit: int) -> str:
    """An identity as it may be stored in the clear: nothing of a direct identifier, a hash of what is too long."""
    if subject.startswith(("phone:", "email:")):
        return ""
    return subject if len(subject) <= limit else hashlib.blake2b(subject.encode(), digest_size=16).hexdigest()


def _digest(record: Values[str, Any]) -> str:
    text = json.dumps(record, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _without_empty(**values: Any) -> Record:
    return {name: value for name, value in values.items() if value not in (None, {}, [])}


# -- rows of resources ---------------------------------------------------------------------------------------------


def judge(record: Record, country: str) -> str:
    """What is wrong with the place of a row: empty for nothing, else one of `positions.FAULTS`."""
    latitude, longitude = record.get("latitude"), record.get("longitude")
    fault = positions.judge(latitude, longitude, country)
    return fault or ("no_datum" if latitude is not None and "datum" not in record else "")


def store_row(record: Record, country: str) -> tuple[StoreRow, str]:
    """A store, and what is wrong with its place (see `judge`); a wrong place is left out."""
    fault = judge(record, record.get("country") or country)
    fields = ("code", "name", "region", "address", "city", "country", "time_zone", "opened_on", "closed_on")
    values: dict[str, Any] = {name: record.get(name) for name in fields}
    if not fault:
        values |= {name: record.get(name) for name in ("latitude", "longitude", "datum")}
    return StoreRow(**values), fault


def upsert(target: str, records: list[Record], country: str) -> resources.Upserted:
    """Write a chunk of stores, products, staff or districts. Raises resources.errors.UnknownStores for staff of unknown
    stores."""
    if target == STORES:
        return resources.upsert_stores(store_row(record, country)[0] for record in records)
    if target == DISTRICTS:
        return resources.upsert_districts(DistrictRow(**_only(record, _DISTRICT_FIELDS)) for record in records)
    if target == STAFF:
        return resources.upsert_staff(StaffRow(**_only(record, _STAFF_FIELDS)) for record in records)
    return resources.upsert_products(ProductRow(**_only(record, _PRODUCT_FIELDS)) for record in records)


_DISTRICT_FIELDS = ("code", "name", "parent", "latitude", "longitude", "datum")
_STAFF_FIELDS = ("userid", "name", "store", "simulated")
_PRODUCT_FIELDS = ("sku", "name", "category", "department", "brand", "cost", "price")


def _only(record: Record, names: tuple[str, ...]) -> Record:
    return {name: record.get(name) for name in names}
