"""How figures are written for people: money, numbers, shares, times. Used by templates and by CSV headers alike.

What is not known is an en dash; templates hand in an empty text for what they could not find.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, ngettext, pgettext

from hetang.platform import clock
from hetang.platform.brand import brand
from hetang.platform.money import sign, to_major

UNKNOWN = "–"


def currency_sign() -> str:
    """What stands before an amount of the brand's currency."""
    return sign(brand().currency)


def money(minor: Any) -> str:
    """`123456` -> `¥1,234.56` in the brand's currency."""
    if minor is None or minor == "":
        return UNKNOWN
    own = brand()
    amount = to_major(abs(int(minor)), own.currency_digits)
    return f"{'−' if minor < 0 else ''}{currency_sign()}{amount:,.{own.currency_digits}f}"


def signed(minor: Any) -> str:
    """A change of money: `+¥1,234.56`, `−¥1,234.56`, `¥0.00`."""
    return f"+{money(minor)}" if minor and minor > 0 else money(minor)


def signed_percent(share: Any) -> str:
    """A relative change: `+4.5%`, `−4.5%`."""
    return f"+{percent(share)}" if share and share > 0 else percent(share)


def tone(change: Any) -> str:
    """`good` for more, `bad` for less, nothing for no change: the sign says it too."""
    return "" if not change else "good" if change > 0 else "bad"


def number(value: Any) -> str:
    """`1234567` -> `1,234,567`; decimals keep at most two places."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, float | Decimal):
        text = f"{value:,.2f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    return str(value)


def distance(metres: float) -> str:
    """`< 1 km`, `2 km`, `37 km`: in whole kilometres, since from finer ones to a few stores a door can be found."""
    return "< 1 km" if metres < 1000 else f"{metres / 1000:.0f} km"


def percent(share: Any, places: int = 1) -> str:
    """`0.1234` -> `12.3%`."""
    return UNKNOWN if share is None or share == "" else f"{share * 100:.{places}f}%".replace("-", "−")


def gap() -> str:
    """What stands between two sentences in the language of the page."""
    return "" if (get_language() or "").startswith("zh") else " "


def by_kind(kind: str, value: Any) -> str:
    """One figure in the form that its kind has: number, money, percent."""
    writers = {"number": number, "money": money, "percent": percent}
    return writers[kind](value)


def moment(at: datetime | None) -> SafeString:
    """An instant in the active zone, to the minute."""
    if not at:
        return mark_safe(UNKNOWN)  # noqa: S308 - constant
    local = timezone.localtime(at)
    exact = at.astimezone(UTC).isoformat(timespec="seconds")
    return format_html('<time datetime="{}" class="nowrap">{}</time>', exact, local.strftime("%Y-%m-%d %H:%M"))


def clock_time(at: datetime | None) -> SafeString:
    """The time of day of an instant in the active zone; the whole instant is in the element."""
    if not at:
        return mark_safe(UNKNOWN)  # noqa: S308 - constant
    exact = at.astimezone(UTC).isoformat(timespec="seconds")
    return format_html('<time datetime="{}">{}</time>', exact, timezone.localtime(at).strftime("%H:%M"))


def day(value: date | datetime | None) -> SafeString:
    """A day; instants are taken in the active zone."""
    if not value:
        return mark_safe(UNKNOWN)  # noqa: S308 - constant
    local = timezone.localdate(value) if isinstance(value, datetime) else value
    return format_html('<time datetime="{}" class="nowrap">{}</time>', local.isoformat(), local.isoformat())


def long_day(value: date) -> str:
    """A day with its weekday, in the language of the page."""
    return formats.date_format(value, pgettext("day with weekday, as Django's date filter writes it", "l, j F Y"))


def short_day(value: date) -> str:
    """A day with its weekday, as short as it can be told; the year only where it is another one."""
    if value.year == clock.today().year:
        return formats.date_format(
            value, pgettext("short day with weekday, as Django's date filter writes it", "D j M")
        )
    return value.isoformat()


def ago(at: datetime | None) -> SafeString:
    """How long ago in one unit, with the instant as title."""
    if not at:
        return mark_safe(UNKNOWN)  # noqa: S308 - constant
    exact = timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S")
    return format_html('<time datetime="{}" title="{}" class="nowrap">{}</time>', at.isoformat(), exact, _ago(at))


def _ago(at: datetime) -> str:
    passed = clock.now() - at
    if passed < timedelta(0):
        return timezone.localtime(at).strftime("%Y-%m-%d %H:%M")
    seconds = int(passed.total_seconds())
    if seconds < 5:
        return gettext("just now")
    if seconds < 60:
        return ngettext("%(n)d second ago", "%(n)d seconds ago", seconds) % {"n": seconds}
    if seconds < 3600:
        return ngettext("%(n)d minute ago", "%(n)d minutes ago", seconds // 60) % {"n": seconds // 60}
    if seconds < 86400:
        return ngettext("%(n)d hour ago", "%(n)d hours ago", seconds // 3600) % {"n": seconds // 3600}
    return ngettext("%(n)d day ago", "%(n)d days ago", seconds // 86400) % {"n": seconds // 86400}
