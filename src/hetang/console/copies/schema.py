"""The JSON form of a customer's copy, described: JSON Schema made from the same declaration as the page."""

from __future__ import annotations

from typing import Any

from django.utils.translation import override

from hetang.console.copies import fields
from hetang.console.copies.fields import TABLES, Field, Table

_UNIT = "Whole minor units of the brand's currency, such as cents."
_TIME = "ISO 8601 with its zone."
_TYPES: dict[str, tuple[list[str], str]] = {
    fields.NUMBER: (["integer", "null"], ""),
    fields.MONEY: (["integer", "null"], _UNIT),
    fields.MOMENT: (["string", "null"], _TIME),
    fields.YES: (["boolean", "null"], ""),
}
_CODES = {
    fields.PURPOSE: "A code: marketing, service, transaction, guardian, personalisation.",
    fields.CHANNEL: "A code: wecom, sms, email, store, ...",
    fields.RELATION: "A code: active, half, lost_by_customer, lost_by_staff.",
}


def schema() -> dict[str, Any]:
    """The schema, in English. A part that could not be read at that moment is null."""
    with override("en"):
        parts = {code: _part(tables) for code, tables in TABLES.items()}
    parts["commerce"]["properties"]["unit"] = {"type": "string", "description": "What amounts are."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Everything that is held about one customer",
        "description": "What the customer's own page gives as JSON. Parts of which nothing is held are empty.",
        "type": "object",
        "properties": parts,
        "additionalProperties": False,
    }


def _part(tables: tuple[Table, ...]) -> dict[str, Any]:
    whole = next((table for table in tables if not table.path), None)
    if whole is not None and len(tables) == 1:
        return {**_list(whole), "type": ["array", "null"]}
    properties = _record(whole)["properties"] if whole is not None else {}
    properties |= {table.path: _list(table) for table in tables if table.path}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _list(table: Table) -> dict[str, Any]:
    return {"type": "array", "description": str(table.title), "items": _record(table)}


def _record(table: Table) -> dict[str, Any]:
    properties = {field.name: _property(field) for field in table.fields}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _property(field: Field) -> dict[str, Any]:
    if field.name == "body":
        return {"type": "object", "description": "As its kind says: see the reference of fact kinds."}
    if field.kind == fields.ANY:
        return {"description": str(field.label)}
    types, more = _TYPES.get(field.kind, (["string", "null"], _CODES.get(field.kind, "")))
    if field.kind == fields.WORD:
        more = f"A code: {', '.join(field.words or {})}."
    found: dict[str, Any] = {"type": types, "description": ". ".join(one for one in (str(field.label), more) if one)}
    return found | ({"format": "date-time"} if field.kind == fields.MOMENT else {})
