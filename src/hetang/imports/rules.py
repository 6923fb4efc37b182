"""What a cell may hold and what it means; which column is which; what looks wrong. Pure.

A parser takes the trimmed, non-empty text of a cell and raises BadValue with a code. Empty cells never reach it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from hetang.facts.kinds import FIRST_BIRTH, LAST_BIRTH
from hetang.imports.targets import ATTRIBUTES, BIRTHDAY, CUSTOMERS, Target
from hetang.platform.positions import datum_of

SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
MAX_CELL = 2000
_MAX_MINOR = 10**13  # a hundred thousand million yuan in one cell is a mistake
_MAX_QUANTITY = Decimal(10) ** 9
_ERAS = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
REPLACEMENT = "�"  # what the reader puts where bytes are no text


class BadValue(ValueError):
    """A cell cannot be read as what its column is said to hold."""

    def __init__(self, code: str, field: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.field = field  # where more than one was looked at


@dataclass(frozen=True)
class Conventions:
    """How the file writes values: its time format and zone, days to shift, money unit and digits, decimal mark."""

    time_format: str = "iso"
    zone: tzinfo = UTC
    shift: timedelta = timedelta()
    shift_zone: tzinfo = UTC
    minor: bool = False
    digits: int = 2
    decimal: str = "."


Parser = Callable[[str, Conventions], Any]

# -- text ----------------------------------------------------------------------------------------------------------


def parse_text(text: str, limit: int = 120) -> str:
    """Printable text without control characters."""
    if REPLACEMENT in text or "\x00" in text:
        raise BadValue("broken_text")
    if len(text) > limit:
        raise BadValue("too_long")
    return " ".join(text.split()) if not text.isprintable() else text


def parse_code(text: str, limit: int = 64) -> str:
    """A code: `330`, and `330` for the `330.0` that spreadsheets make of it."""
    value = parse_text(text, limit + 2)
    if value.endswith(".0") and value[:-2].isdigit():
        value = value[:-2]
    if len(value) > limit:
        raise BadValue("too_long")
    return value


def is_odd_phone(text: str) -> bool:
    """Whether this cannot be a Chinese number in full: a mobile has eleven digits, a landline at least seven."""
    digits = re.sub(r"^(?:\+|00)86|\D", "", re.sub(r"[^\d+]", "", text))
    return len(digits) != 11 if digits.startswith("1") else len(digits) < 7


_BIRTH_DATE = re.compile(r"(\d{4})(?:(\d\d)(\d\d)|\D{1,2}(\d{1,2})\D{1,2}(\d{1,2}))(?:日|[T ].*)?")
_WITHOUT_YEAR = re.compile(r"\d{1,2}\D\d{1,2}\D?")


def parse_birth_date(text: str) -> str:
    """A date of birth as ISO text, however its parts are divided. Without a year (05-17) it stays as it is written."""
    return text if _WITHOUT_YEAR.fullmatch(text) else _calendar_day(text).isoformat()


def _calendar_day(text: str) -> date:
    """Year, month and day however they are divided; 202411 is a month and no day."""
    found = _BIRTH_DATE.fullmatch(text)
    if found is None:
        raise BadValue("not_a_date")
    try:
        return date(*(int(part) for part in found.groups() if part))
    except ValueError:
        raise BadValue("not_a_date") from None


def parse_member_day(text: str, conventions: Conventions) -> date:
    """The birthday or due date of somebody of the household, moved like the times of the file (demo data only)."""
    if _WITHOUT_YEAR.fullmatch(text):
        raise BadValue("day_without_year")
    if conventions.time_format in {"day_month_year", "month_day_year", "epoch_s", "epoch_ms"}:
        try:
            day = parse_day(text, conventions)
        except BadValue:
            day = _calendar_day(text)
    else:
        day = _calendar_day(text)
    if not FIRST_BIRTH <= day <= LAST_BIRTH:
        raise BadValue("day_out_of_range")
    return day + conventions.shift


_MEMBER_KINDS = {
    word: kind
    for kind, words in {
        "child": "child kid baby son daughter boy girl 孩子 宝宝 子女 小孩 儿子 女儿 大宝 二宝 三宝",
        "partner": "partner spouse husband wife 伴侣 配偶 爱人 丈夫 妻子 老公 老婆",
        "parent": "parent father mother 父母 父亲 母亲 爸爸 妈妈 长辈 老人",
        "pet": "pet cat dog 宠物 猫 狗",
        "other": "other somebodyelse 其他 其它 其他人",
    }.items()
    for word in words.split()
}
_SEXES = {
    **dict.fromkeys(("f", "female", "girl", "woman", "女", "女孩", "女宝", "女性", "女宝宝"), "female"),
    **dict.fromkeys(("m", "male", "boy", "man", "男", "男孩", "男宝", "男性", "男宝宝"), "male"),
    **dict.fromkeys(("u", "unknown", "未知", "保密", "不详"), None),
}


def parse_member_kind(text: str) -> str:
    """Who somebody of the household is, in the words of both languages."""
    kind = _MEMBER_KINDS.get(re.sub(r"\s+", "", text.lower()))
    if kind is None:
        raise BadValue("unknown_member_kind")
    return kind


def parse_member_sex(text: str) -> str | None:
    """Female or male, in the words of both languages; None where the file says that it is not known."""
    try:
        return _SEXES[text.lower()]
    except KeyError:
        raise BadValue("unknown_sex") from None


_YES = frozenset({"1", "y", "yes", "true", "t", "on", "是", "有", "同意", "已同意", "已授权", "√", "✓", "对"})
_NO = frozenset({"0", "n", "no", "false", "f", "off", "否", "无", "不同意", "未同意", "未授权", "拒绝", "×", "✗", "错"})


def parse_yes_no(text: str) -> bool:
    """Yes or no, in the words of both languages."""
    word = text.lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise BadValue("not_yes_no")


def parse_channel(text: str) -> str:
    """A channel code: lower case, spaces become underscores."""
    value = re.sub(r"\s+", "_", text.strip().lower())
    if not re.fullmatch(r"[a-z0-9_.-]{1,40}", value):
        raise BadValue("bad_channel")
    return value


def parse_codes(text: str) -> list[str]:
    """Several codes in one cell, separated by comma, semicolon, bar or 、."""
    return [parse_code(part.strip()) for part in re.split("[,;|\u3001\uff0c\uff1b]", text) if part.strip()]


def parse_country(text: str) -> str:
    """Two letters, upper case."""
    if not re.fullmatch(r"[A-Za-z]{2}", text):
        raise BadValue("not_country")
    return text.upper()


def parse_zone(text: str) -> str:
    """The name of a time zone, such as Asia/Shanghai."""
    try:
        return ZoneInfo(text).key
    except (KeyError, ValueError, OSError):
        raise BadValue("unknown_time_zone") from None


# -- numbers -------------------------------------------------------------------------------------------------------

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # what Chinese keyboards type
_CURRENCY = re.compile(
    r"^(?:CN¥|US\$|[\u00a5\uffe5$\u20ac\u00a3]|CNY|RMB|USD|EUR|GBP)\s*|\s*(?:元|CNY|RMB|USD|EUR|GBP)$", re.IGNORECASE
)
_PLAIN = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,2})?|[+-]?\.\d{1,30}")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d{0,30})?")


def parse_number(text: str, decimal: str = ".") -> Decimal:
    """An exact decimal: `1,234.50`, `(12.50)` as negative, full-width digits, a currency sign before or after."""
    value = text
    if not _PLAIN.fullmatch(value) or decimal == ",":
        value = _tidy_number(text, decimal)
    try:
        return Decimal(value)
    except InvalidOperation:
        raise BadValue("not_a_number") from None


def _tidy_number(text: str, decimal: str) -> str:
    value = text.translate(_FULL_WIDTH).strip()
    negative = value.startswith("(") and value.endswith(")")
    if negative:
        value = value[1:-1]
    sign = ""
    if value[:1] in "+-":
        sign, value = value[0], value[1:].strip()
    value = sign + _CURRENCY.sub("", value.strip()).replace(" ", "").replace("'", "").replace("\u00a0", "")
    if decimal == ",":
        value = value.replace(".", "\0").replace(",", ".").replace("\0", ",")
    if _GROUPED.fullmatch(value):
        value = value.replace(",", "")
    if not _PLAIN.fullmatch(value):
        raise BadValue("not_a_number")
    return f"-{value}" if negative else value


def parse_money(text: str, conventions: Conventions) -> int:
    """Minor units, rounded half away from zero."""
    number = parse_number(text, conventions.decimal)
    scaled = number if conventions.minor else number.scaleb(conventions.digits)
    minor = int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP)) if abs(scaled) < _MAX_MINOR else None
    if minor is None:
        raise BadValue("too_large")
    return minor


def parse_price(text: str, conventions: Conventions) -> Decimal:
    """A unit price in minor units with six decimals: rounded only after it is multiplied by a quantity."""
    number = parse_number(text, conventions.decimal)
    scaled = number if conventions.minor else number.scaleb(conventions.digits)
    if abs(scaled) >= _MAX_MINOR:
        raise BadValue("too_large")
    return scaled.quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)


def parse_quantity(text: str, conventions: Conventions) -> Decimal:
    """A quantity with three decimals."""
    number = parse_number(text, conventions.decimal)
    if abs(number) > _MAX_QUANTITY:
        raise BadValue("too_large")
    return number.quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)


def parse_coordinate(text: str) -> Decimal:
    """Degrees with six decimals, between -180 and 180; whether it can be a latitude is judged with its row."""
    number = parse_number(text)
    if abs(number) > 180:
        raise BadValue("not_a_coordinate")
    return number.quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)


def parse_datum(text: str) -> str:
    """The datum that a text names: WGS-84, GCJ-02 or BD-09, or a map that uses it."""
    datum = datum_of(text)
    if not datum:
        raise BadValue("unknown_datum")
    return datum


def quantity_text(quantity: Decimal) -> str:
    """`2` for 2.000, `0.355` for 0.355: the form in which facts carry quantities."""
    text = f"{quantity:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# -- time ----------------------------------------------------------------------------------------------------------

TIME_FORMATS: dict[str, tuple[str, ...]] = {
    "iso": (),
    "year_month_day": ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y.%m.%d %H:%M:%S", "%Y.%m.%d"),
    "day_month_year": ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y", "%d.%m.%Y"),
    "month_day_year": ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%m-%d-%Y %H:%M:%S", "%m-%d-%Y"),
    "chinese": ("%Y年%m月%d日 %H:%M:%S", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日"),
    "compact": ("%Y%m%d%H%M%S", "%Y%m%d %H%M%S", "%Y%m%d"),
    "epoch_s": (),
    "epoch_ms": (),
}
_GUESSES = (
    ("iso", re.compile(r"\d{4}-\d{1,2}-\d{1,2}.*")),
    ("chinese", re.compile(r"\d{4}年.*")),
    ("year_month_day", re.compile(r"\d{4}[/.]\d{1,2}[/.]\d{1,2}.*")),
    ("epoch_ms", re.compile(r"1\d{12}")),
    ("epoch_s", re.compile(r"[01]?\d{9}")),
    ("compact", re.compile(r"(19|20)\d{6}( ?\d{6})?")),
)


def parse_time(text: str, conventions: Conventions) -> datetime:
    """An instant, aware, UTC. A time without zone is in the file's zone; a shift moves the wall clock of `shift_zone`,
    so what happened at nine still does where summer time begins on another day."""
    at = _read_time(text, conventions.time_format)
    if at.tzinfo is None:
        at = at.replace(tzinfo=conventions.zone)
    if conventions.shift:
        at = at.astimezone(conventions.shift_zone) + conventions.shift
    at = at.astimezone(UTC)
    if not _ERAS[0] <= at < _ERAS[1]:
        raise BadValue("time_out_of_range")
    return at


def parse_day(text: str, conventions: Conventions) -> date:
    """A calendar day."""
    return _read_time(text, conventions.time_format).date()


def _read_time(text: str, time_format: str) -> datetime:
    try:
        if time_format == "iso":
            return datetime.fromisoformat(text)
        if time_format == "epoch_s":
            return datetime.fromtimestamp(int(text), UTC)
        if time_format == "epoch_ms":
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        return _strptime(text, TIME_FORMATS[time_format])
    except (ValueError, OverflowError, OSError):
        raise BadValue("not_a_time") from None


def _strptime(text: str, formats: Sequence[str]) -> datetime:
    for candidate in formats:
        try:
            return datetime.strptime(text, candidate)  # noqa: DTZ007 - the zone is the file's, added by the caller
        except ValueError:
            continue
    return datetime.fromisoformat(text)  # spreadsheets give real dates as ISO whatever the cells show


def guess_time_format(samples: Iterable[str]) -> str:
    """The format that the samples are written in; 3/4/2026 is read by whichever part exceeds 12, else day first."""
    texts = [text for text in samples if text]
    if not texts:
        return "iso"
    for name, pattern in _GUESSES:
        if all(pattern.fullmatch(text) for text in texts):
            return name
    parts = [match for text in texts if (match := re.match(r"(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}", text))]
    if not parts:
        return "iso"
    if any(int(match[2]) > 12 for match in parts):
        return "month_day_year"
    return "day_month_year"


def guess_decimal_mark(samples: Iterable[str]) -> str:
    """A comma only where every number with a comma has one or two digits behind its last one."""
    with_comma = [text for text in samples if "," in text]
    if with_comma and all(re.search(r",\d{1,2}$", text) for text in with_comma):
        return ","
    return "."


PARSERS: dict[str, Parser] = {
    "text": lambda text, _: parse_text(text),
    "long_text": lambda text, _: parse_text(text, 300),
    "label": lambda text, _: parse_text(text),
    "code": lambda text, _: parse_code(text),
    "key": lambda text, _: parse_code(text, 190),
    "identity": lambda text, _: parse_code(text, 120),
    "attribute": lambda text, _: parse_text(text, 500),
    "birth_date": lambda text, _: parse_birth_date(text),
    "member_kind": lambda text, _: parse_member_kind(text),
    "member_sex": lambda text, _: parse_member_sex(text),
    "member_day": parse_member_day,
    "codes": lambda text, _: parse_codes(text),
    "channel": lambda text, _: parse_channel(text),
    "country": lambda text, _: parse_country(text),
    "zone": lambda text, _: parse_zone(text),
    "yes_no": lambda text, _: parse_yes_no(text),
    "coordinate": lambda text, _: parse_coordinate(text),
    "datum": lambda text, _: parse_datum(text),
    "money": parse_money,
    "price": parse_price,
    "quantity": parse_quantity,
    "time": parse_time,
    "day": parse_day,
}

# -- columns -------------------------------------------------------------------------------------------------------


def normalised_header(header: str) -> str:
    """`Invoice No.` and `invoice_no` are one header."""
    return re.sub(r"[\s_.()/\uff08\uff09-]+", "", header.strip().lower())


def suggest_columns(target: Target, headers: Sequence[str]) -> dict[str, str]:
    """Field -> header, by alias in the order of the aliases; no column is used twice."""
    by_name = {normalised_header(header): header for header in reversed(headers)}
    taken: set[str] = set()
    columns: dict[str, str] = {}
    for field in target.fields:
        names = (field.name, field.label_zh, field.label_en, *field.aliases)
        for alias in map(normalised_header, names):
            header = by_name.get(alias)
            if header is not None and header not in taken:
                columns[field.name] = header
                taken.add(header)
                break
    return columns


def attribute_code(header: str) -> str:
    """The code by which an attribute of that heading goes: the usual one, else its own letters and digits."""
    plain = normalised_header(header)
    usual = next((code for code, names in ATTRIBUTES.items() if plain in names.split()), "")
    return usual or re.sub(r"\W+", "_", header.strip().lower()).strip("_")[:60]


def suggest_attributes(target: Target, headers: Sequence[str], taken: set[str]) -> dict[str, str]:
    """Attribute code -> header of what is kept unless somebody says no: the birthday, which protects children."""
    if target.name != CUSTOMERS:
        return {}
    found = [header for header in headers if header not in taken and attribute_code(header) == BIRTHDAY]
    return {BIRTHDAY: found[0]} if found else {}


def headers_with_spaces(headers: Sequence[str]) -> list[str]:
    """Headers that begin or end with white space, or hold characters that cannot be seen."""
    return [header for header in headers if header != header.strip() or not header.isprintable() or "\ufeff" in header]


# -- files ---------------------------------------------------------------------------------------------------------


def nearly_all_changed(known: int, in_file: int, in_both: int) -> bool:
    """Whether a file's store codes hardly meet the known ones: a renumbering, or the wrong file."""
    return known >= 5 and in_file >= 5 and in_both < 0.2 * min(known, in_file)


def is_cancellation(order: str) -> bool:
    """Invoices that many tills number `C` + the digits of a cancellation."""
    return re.fullmatch(r"[Cc]\d+", order) is not None


# -- what people may see of bad rows -------------------------------------------------------------------------------


def shortened(text: str, limit: int = 80) -> str:
    """At most `limit` characters, for messages."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
