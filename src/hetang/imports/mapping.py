"""What the columns of a file mean, and the conventions under which its values are read."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from hetang.imports import rules
from hetang.imports.errors import BadMapping
from hetang.imports.targets import CUSTOMERS, TARGETS, Target
from hetang.platform.positions import datum_of

PURPOSES = ("marketing", "service", "transaction")
CONSENT_CHANNELS = ("wecom", "sms", "email")
BASES = ("consent", "contract", "legal_duty", "public_interest", "unknown")


class Money(msgspec.Struct, frozen=True):
    """`unit` says whether 12.50 is written `12.50` (major) or `1250` (minor); `decimal` is the decimal mark."""

    unit: str = "major"
    decimal: str = "."
    currency: str = ""  # ISO code that the file is in; empty: the brand's


class LegalBasis(msgspec.Struct, frozen=True):
    """What the source's consent rests on. `unknown` records no consent at all: nobody may then be sent marketing.

    `everybody` says that all people of the file have consented, where no column tells.
    """

    purpose: str = "marketing"
    channel: str = "wecom"
    basis: str = "unknown"
    text_version: str = ""
    everybody: bool = False
    simulated: bool = False


class Mapping(msgspec.Struct, frozen=True):
    """`columns` maps field -> header, `attributes` maps attribute code -> header, `constants` field -> value for all
    rows. Times without a zone are read in `time_zone`, then moved by `shift_days` (demo data only)."""

    source: str = "file"
    columns: dict[str, str] = {}
    attributes: dict[str, str] = {}
    constants: dict[str, str] = {}
    time_format: str = "iso"
    time_zone: str = ""
    shift_days: int = 0
    money: Money = Money()
    legal_basis: LegalBasis = LegalBasis()
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""


def decode(value: object) -> Mapping:
    """A mapping from stored JSON. Raises BadMapping."""
    try:
        return msgspec.convert(value, Mapping)
    except msgspec.ValidationError as fault:
        raise BadMapping("mapping_malformed", {"problem": str(fault)[:200]}) from None


def encode(mapping: Mapping) -> dict[str, object]:
    """A mapping as JSON to be stored."""
    value: dict[str, object] = msgspec.to_builtins(mapping)
    return value


def suggest(target: Target, headers: Sequence[str], samples: dict[str, list[str]]) -> Mapping:
    """A first mapping from header names and sample values: exact aliases first, then the shape of the values."""
    columns = rules.suggest_columns(target, headers)

    def shown(*kinds: str) -> list[str]:
        mapped = [header for name, header in columns.items() if target.field(name).kind in kinds]
        return [value for header in mapped for value in samples[header]]

    return Mapping(
        columns=columns,
        attributes=rules.suggest_attributes(target, headers, set(columns.values())),
        time_format=rules.guess_time_format(shown("time", "day") or shown("member_day")),
        money=Money(decimal=rules.guess_decimal_mark(shown("money", "price"))),
    )


def check(target: Target, mapping: Mapping, headers: Sequence[str], currency: str) -> None:
    """Raise BadMapping with the first thing that cannot work."""
    known = set(headers)
    names = {field.name for field in target.fields}
    for name, header in {**mapping.columns, **mapping.attributes}.items():
        if header not in known:
            raise BadMapping("column_missing", {"field": name, "column": header})
    if unknown := sorted(set(mapping.columns) - names):
        raise BadMapping("unknown_field", {"field": unknown[0]})
    given = set(mapping.columns) | {name for name, value in mapping.constants.items() if value}
    for field in target.fields:
        if field.required and field.name not in given:
            raise BadMapping("field_unmapped", {"field": field.name})
    if target.needs_datum(given):
        raise BadMapping("datum_undeclared")
    if (said := mapping.constants.get("datum", "").strip()) and not datum_of(said):
        raise BadMapping("unknown_datum", {"datum": said[:20]})
    for group in target.needs_one_of:
        if not given.intersection(group):
            raise BadMapping("one_of_unmapped", {"fields": ", ".join(group)})
    _check_conventions(mapping, currency)
    if target.name == CUSTOMERS:
        _check_basis(mapping)


def _check_conventions(mapping: Mapping, currency: str) -> None:
    if not rules.SOURCE.fullmatch(mapping.source):
        raise BadMapping("bad_source", {"source": mapping.source[:60]})
    if mapping.time_format not in rules.TIME_FORMATS:
        raise BadMapping("unknown_time_format", {"format": mapping.time_format[:40]})
    if mapping.time_zone:
        try:
            ZoneInfo(mapping.time_zone)
        except (KeyError, ValueError, OSError):
            raise BadMapping("unknown_time_zone", {"zone": mapping.time_zone[:40]}) from None
    if mapping.money.unit not in {"major", "minor"} or mapping.money.decimal not in {".", ","}:
        raise BadMapping("unknown_money_format")
    if mapping.money.currency and mapping.money.currency != currency:
        raise BadMapping("other_currency", {"file": mapping.money.currency[:3], "brand": currency})


def _check_basis(mapping: Mapping) -> None:
    basis = mapping.legal_basis
    if basis.purpose not in PURPOSES or basis.channel not in CONSENT_CHANNELS or basis.basis not in BASES:
        raise BadMapping("unknown_basis")
    if basis.basis == "consent" and not basis.text_version.strip():
        raise BadMapping("text_version_missing")


def target_of(name: str) -> Target:
    """The target of that name. Raises BadMapping."""
    if name not in TARGETS:
        raise BadMapping("unknown_target", {"target": name[:20]})
    return TARGETS[name]
