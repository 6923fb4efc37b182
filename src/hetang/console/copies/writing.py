"""A customer's copy as she reads it: words of her language, money with its sign, times of the brand, names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import get_language, gettext

from hetang.console.copies import fields
from hetang.console.copies.fields import BODY, TABLES, Field, Table, Text
from hetang.console.figures import money, number
from hetang.customers.models import AttributeDefinition, Tag
from hetang.customers.wording import channel_word, message, purpose_word, relation_word
from hetang.platform import clock, positions
from hetang.privacy.copies import Part
from hetang.resources.models import Product
from hetang.resources.queries import staff_names, store_names


@dataclass(frozen=True)
class Entry:
    """One record: what it is, and its other fields as (label, value)."""

    title: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Section:
    """Records of one kind."""

    title: str
    entries: tuple[Entry, ...]


class Writer:
    """Writes the parts of one copy. What codes are called is read once: four small queries, and one for the products
    that appear."""

    def __init__(self, parts: list[Part]) -> None:
        self._stores, self._staff = store_names(), staff_names()
        self._tags = dict(Tag.objects.values_list("code", "name"))
        label = "label_zh" if (get_language() or "").startswith("zh") else "label_en"
        self._attributes = dict(AttributeDefinition.objects.values_list("code", label))
        bought = {line["sku"] for line in _lines_of(parts)}
        self._products = dict(Product.objects.filter(sku__in=bought).exclude(name="").values_list("sku", "name"))

    def sections(self, part: Part) -> list[Section]:
        """The records of a part by kind; kinds of which nothing is held are left out."""
        found = []
        inner = {table.path for table in TABLES.get(part.code, ())}
        for table in TABLES.get(part.code, ()):
            data = part.data.get(table.path) if table.path else part.data
            rows = [data] if isinstance(data, dict) else data or []
            entries = [self._fact(row) if part.code == "facts" else self._entry(table, row, inner) for row in rows]
            if entries := [one for one in entries if one.title or one.lines]:
                found.append(Section(str(table.title), tuple(entries)))
        return found

    def _entry(self, table: Table, row: Mapping[str, Any], inner: set[str]) -> Entry:
        written: dict[str, tuple[str, str]] = {}
        for name, value in row.items():
            if name not in inner and value not in (None, "", [], {}):
                field = table.field(name) or Field(name, name.replace("_", " "), fields.ANY)
                written[name] = (str(field.label), self._value(field, value))
        if table.path == "attributes":
            written["code"] = ("", self._attributes.get(row["code"], row["code"]))
        title = " · ".join(written[name][1] for name in table.head if name in written)
        return Entry(title, tuple(line for name, line in written.items() if name not in table.head))

    def _fact(self, row: Mapping[str, Any]) -> Entry:
        """As her timeline tells it, then all that it says."""
        names = {"stores": self._stores, "staff": self._staff, "tags": self._tags}
        title = f"{_moment(row['occurred_at'])} · {message(row['kind'], row['body'], names, money)}"
        lines = [*self._body(row["body"])]
        table = TABLES["facts"][0]
        for name in ("source", "key", "received_at"):
            field = table.field(name)
            assert field is not None  # noqa: S101 - declared above
            lines.append((str(field.label), self._value(field, row[name])))
        return Entry(title, tuple(lines))

    def _body(self, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, value in body.items():
            field = BODY.get(name) or Field(name, name.replace("_", " "), fields.ANY)
            if name == "lines":
                yield from ((str(field.label), self._line(line)) for line in value)
            elif name == "attributes":
                for code, said in value.items():
                    yield self._attributes.get(code, code), _any(said) if said is not None else gettext("removed")
            elif value not in (None, ""):
                yield str(field.label), self._value(field, value)

    def _line(self, line: Mapping[str, Any]) -> str:
        """`Baguette (BREAD) × 2 · ¥12.00 · Discount ¥1.00`."""
        category = f" ({line['category']})" if line.get("category") else ""
        product = self._products.get(line["sku"], line["sku"])
        told = [f"{product}{category} × {line.get('quantity', '1')}", money(line["amount"])]
        if line.get("discount"):
            told.append(f"{BODY['discount'].label} {money(line['discount'])}")
        return " · ".join(told)

    def _value(self, field: Field, value: Any) -> str:
        names: dict[str, Mapping[str, Text]] = {
            fields.STORE: self._stores,
            fields.STAFF: self._staff,
            fields.TAG: self._tags,
            fields.PRODUCT: self._products,
            fields.WORD: field.words or {},
        }
        said = {fields.PURPOSE: purpose_word, fields.CHANNEL: channel_word, fields.RELATION: relation_word}
        if field.kind in names:
            return str(names[field.kind].get(value, value))
        if field.kind in said:
            return str(said[field.kind](value))
        if field.kind == fields.MOMENT:
            return _moment(value)
        return money(value) if field.kind == fields.MONEY else _any(value)


def _lines_of(parts: list[Part]) -> Iterator[Mapping[str, Any]]:
    for part in parts:
        for row in part.data or [] if part.code == "facts" else []:
            yield from row["body"].get("lines", ())


def _any(value: Any) -> str:
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_any(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(_any(one) for one in value)
    return value.isoformat() if isinstance(value, date) else positions.shown(str(value))


def _moment(value: datetime | str) -> str:
    """Day and minute in the brand's zone; bodies of facts hold times as text."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(clock.zone()).strftime("%Y-%m-%d %H:%M")
