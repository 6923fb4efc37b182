"""Reading conditions on where somebody stands among all; like `reading`, of which this is a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetang.audiences.rules import MAX_DAYS, Condition, Path
from hetang.audiences.standing_rules import (
    ANY_SCORE,
    ATTRIBUTE,
    IN_PERIOD,
    LETTERS,
    MEASURED_BY,
    MILLE,
    NARROWED,
    SCORES,
    SEGMENTS,
    SIDES,
    Percentile,
    RfmCell,
)

if TYPE_CHECKING:
    from hetang.audiences.reading import Reader


_TO = ("category", "store")


def percentile(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """Among the best or worst per cent by a measure."""
    by = r.text(raw, "by", path)
    narrowed = NARROWED.get(by, ())
    r.only(raw, {"type", "side", "percent", "by", *narrowed} | ({"days"} if by in IN_PERIOD else set()), path)
    if by.startswith(ATTRIBUTE):
        _number_attribute(r, by.removeprefix(ATTRIBUTE), (*path, "by"))
    elif by not in MEASURED_BY:
        r.choice({"by": by}, "by", MEASURED_BY, path)
    side: Any = r.choice(raw, "side", SIDES, path, "top")
    mille = _mille(r, raw.get("percent"), (*path, "percent"))
    category, store = (r.text(raw, name, path, required=False) if name in narrowed else "" for name in _TO)
    r.known([category], r.catalogue.categories, "category", (*path, "category"))
    r.known([store], r.catalogue.stores, "store", (*path, "store"))
    return Percentile(side, mille, by, _days(r, raw, path), category, store)


def rfm(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """In segments, or with scores, of recency, frequency and money."""
    r.only(raw, {"type", "days", "segments", *LETTERS}, path)
    by_scores = any(letter in raw for letter in LETTERS)
    segments = r.texts(raw, "segments", path, required=not by_scores)
    if segments and by_scores:
        r.problem(path, "segments_or_scores")
    for segment in segments:
        if segment not in SEGMENTS:
            r.problem((*path, "segments"), "not_an_option", value=segment[:60], options=", ".join(SEGMENTS))
    recency, frequency, money = (_scores(r, raw, letter, path) for letter in LETTERS)
    return RfmCell(segments, recency, frequency, money, _days(r, raw, path))


def _days(r: Reader, raw: dict[str, Any], path: Path) -> int | None:
    days = raw.get("days")
    return None if days is None else r.whole(days, (*path, "days"), 1, MAX_DAYS)


def _number_attribute(r: Reader, code: str, path: Path) -> None:
    definition = r.catalogue.attributes.get(code)
    if definition is None:
        r.problem(path, "unknown_attribute", code=code[:60])
    elif definition.type != "number":
        r.problem(path, "not_a_number_attribute", code=code[:60])


def _mille(r: Reader, percent: Any, path: Path) -> int:
    """A share in thousandths, from a number of per cent with one decimal at most."""
    good = isinstance(percent, int | float) and not isinstance(percent, bool) and 0 < percent < MILLE // 10
    mille = round(percent * 10) if good else 0
    if not good or mille != float(f"{percent * 10:.6f}") or not 1 <= mille < MILLE:
        r.problem(path, "not_a_share")
        return 1
    return mille


def _scores(r: Reader, raw: dict[str, Any], letter: str, path: Path) -> tuple[int, int]:
    """From a score to another one; all of them if none are given."""
    scores, at = raw.get(letter), (*path, letter)
    if scores is None:
        return ANY_SCORE
    if not isinstance(scores, list) or len(scores) != len(ANY_SCORE):
        r.problem(at, "not_a_pair")
        return ANY_SCORE
    low, high = (r.whole(one, at, 1, SCORES) for one in scores)
    if low > high:
        r.problem(at, "wrong_way_round")
    return low, high
