"""The base's rhythm, read from its own purchases, and how far what it says comes true. Pure, with numpy,
which only the nightly job and waits that are worked out for the first time load.

The likelihood of a customer: each of her gaps, and that she has not bought since the last purchase (she has left, or
takes longer). How likely she leaves after a purchase falls with the number of purchases before it. The leaving is only
there so that those who left do not make everybody slower, and for the comparison with what happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from hetang.commerce.rhythm import (
    BORDERS,
    EARLY,
    LATE,
    LEAST_DAYS,
    LEAST_GAPS,
    MILLI,
    WINDOW_DAYS,
    Base,
    Bin,
    Calibration,
)

Floats = np.ndarray[Any, np.dtype[np.float64]]

_START = (1.5, 1.0, 30.0, 0.2, 1.0)
_STEPS = 400


@dataclass(frozen=True, slots=True)
class Model:
    """The base's rhythm, and by how much people leave: after `n` gaps with the chance leave / (leave + stay + n)."""

    base: Base
    leave: float
    stay: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """Customers up to a day: number of gaps, days they lasted together, days since the last purchase, sum of the
    logarithms of all gaps."""

    gaps: Floats
    span: Floats
    since: Floats
    logs: float


def fit(purchases: Sequence[Sequence[int]], until: int) -> Model | None:
    """The model of customers, each by the ordinals of her days of purchases in order, as seen before the day `until`.
    None if there are too few gaps. Some seconds for ten thousand customers."""
    seen = _seen(purchases, until)
    if seen.gaps.sum() < LEAST_GAPS:
        return None
    best = _minimum(lambda point: _unlikelihood(point, seen), [math.log(value) for value in _START])
    shape, gaps, days, leave, stay = (math.exp(value) for value in best)
    whole = Base(max(1, round(shape * MILLI)), max(1, round(gaps * MILLI)), max(1, round(days)))
    return Model(whole, leave, stay)


def calibrate(purchases: Sequence[Sequence[int]], until: int) -> Calibration | None:
    """Let a model that sees nothing of the last `WINDOW_DAYS` before `until` say who buys in them, and compare. None if
    the history is too short or too small."""
    first = min((days[0] for days in purchases), default=until)
    cut = until - WINDOW_DAYS
    model = fit(purchases, cut) if until - first >= LEAST_DAYS else None
    if model is None:
        return None
    known = [days for days in purchases if len(days) > 1 and days[1] < cut]
    seen = _seen(known, cut)
    bought = np.array([any(cut <= day < until for day in days) for days in known])
    late = _late(model, seen.gaps, seen.span, seen.since)
    later = _late(model, seen.gaps, seen.span, seen.since + WINDOW_DAYS)
    gone = model.leave / (model.leave + model.stay + seen.gaps)
    expected = (1 - gone) * (later - late) / (gone + (1 - gone) * (1 - late))
    bins = []
    for low, high in pairwise(BORDERS):
        here = (late >= low / 100) & ((late < high / 100) | (high == 100))
        bins.append(Bin(low, high, int(here.sum()), float(expected[here].sum()), int(bought[here].sum())))
    inside, held_out = _held_out(purchases, model, cut, until)
    return Calibration(date.fromordinal(cut), tuple(bins), inside, held_out)


def beta_quantiles(share: float, a: float, b: Floats) -> Floats:
    """The quantiles of beta distributions with one first parameter, by bisection."""
    low, high = np.zeros_like(b, float), np.ones_like(b, float)
    for _ in range(36):
        middle = (low + high) / 2
        below = incomplete_beta(a, b, middle) < share
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found: Floats = (low + high) / 2
    return found


def incomplete_beta(a: float, b: Floats, x: Floats) -> Floats:
    """The regularised incomplete beta function, by its continued fraction on the fast side; 0 < x < 1 where it
    matters."""
    x = np.clip(x, 1e-300, 1 - 1e-16)
    turned = x > (a + 1) / (a + b + 2)
    p, q = np.where(turned, b, a), np.where(turned, a, b)
    y = np.where(turned, 1 - x, x)
    front = _log_gamma(a + b) - math.lgamma(a) - _log_gamma(b) + p * np.log(y) + q * np.log1p(-y)
    part = np.exp(front) * _fraction(p, q, y) / p
    found: Floats = np.where(turned, 1 - part, part)
    return found


def _fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """Evaluated forwards (Lentz)."""
    c = np.ones_like(x)
    d = 1 / (1 - (a + b) * x / (a + 1))
    found = d.copy()
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d)
            c = 1 + term / c
            found *= c * d
        if m % 4 == 0 and float(np.abs(c * d - 1).max(initial=0.0)) < 1e-12:
            break
    return found


def _log_gamma(values: Floats) -> Floats:
    """Few different values are expected."""
    different, where = np.unique(values, return_inverse=True)
    return np.array([math.lgamma(one) for one in different])[where]


def _seen(purchases: Sequence[Sequence[int]], until: int) -> _Seen:
    gaps, span, since, logs = [], [], [], 0.0
    for days in purchases:
        before = [day for day in days if day < until]
        if before:
            gaps.append(len(before) - 1)
            span.append(before[-1] - before[0])
            since.append(until - before[-1])
            logs += sum(math.log(b - a) for a, b in pairwise(before))
    return _Seen(np.array(gaps, float), np.array(span, float), np.array(since, float), logs)


def _late(model: Model, gaps: Floats, span: Floats, since: Floats) -> Floats:
    """The share of times in which she would have bought after so many days, if she stays."""
    shape, days = model.base.shape / MILLI, model.base.days
    return incomplete_beta(shape, model.base.gaps / MILLI + gaps * shape, since / (since + days + span))


def _unlikelihood(point: Sequence[float], seen: _Seen) -> float:
    """The negative logarithm of the likelihood, at the logarithms of shape, gaps, days, leave and stay."""
    if max(abs(one) for one in point) > 12:
        return math.inf
    shape, gaps, days, leave, stay = (math.exp(one) for one in point)
    weight = gaps + seen.gaps * shape
    stayed = _log_gamma(stay + seen.gaps) - math.lgamma(stay) + math.lgamma(leave + stay)
    stayed -= _log_gamma(leave + stay + seen.gaps)
    hers = _log_gamma(weight) - math.lgamma(gaps) - seen.gaps * math.lgamma(shape) + gaps * math.log(days)
    hers -= weight * np.log(days + seen.span)
    gone = leave / (leave + stay + seen.gaps)
    late = incomplete_beta(shape, weight, seen.since / (seen.since + days + seen.span))
    silent = np.log(gone + (1 - gone) * (1 - late))
    return -float((stayed + hers + silent).sum() + (shape - 1) * seen.logs)


def _held_out(purchases: Sequence[Sequence[int]], model: Model, cut: int, until: int) -> tuple[int, int]:
    """Of the gaps that begin at somebody's first purchase of the window before the cut and end before `until`: how many
    end within their days, and how many there are. A percentile counts among the gaps that can end in time."""
    begun = cut - 3 * WINDOW_DAYS
    rows = []
    for days in purchases:
        place = next((i for i, day in enumerate(days) if day >= begun), len(days))
        if 1 <= place < len(days) - 1 and days[place] < cut and days[place + 1] < until:
            start = days[place]
            rows.append((place, start - days[0], days[place + 1] - start, until - start))
    if not rows:
        return 0, 0
    gaps, span, took, could = np.array(rows, float).T
    # whole days: the middle of the day on which she came
    share = _late(model, gaps, span, took - 0.5) / _late(model, gaps, span, could)
    return int(((share >= EARLY / 100) & (share <= LATE / 100)).sum()), len(rows)


def _minimum(function: Callable[[Sequence[float]], float], start: Sequence[float]) -> list[float]:
    """Where a function of a few numbers is least, downhill by a simplex (Nelder and Mead)."""
    further = ([one + (0.5 if i == place else 0.0) for i, one in enumerate(start)] for place in range(len(start)))
    points = [list(start), *further]
    found = sorted(((function(one), one) for one in points), key=lambda pair: pair[0])
    for _ in range(_STEPS):
        if found[-1][0] - found[0][0] < 1e-3:
            break
        worst = found[-1]
        centre = [sum(one[i] for _v, one in found[:-1]) / (len(found) - 1) for i in range(len(start))]
        move = _between(function, centre, worst[1], -1.0)
        if move[0] < found[0][0]:
            move = min(move, _between(function, centre, worst[1], -2.0), key=lambda pair: pair[0])
        elif move[0] >= found[-2][0]:
            move = _between(function, centre, worst[1], -0.5 if move[0] < worst[0] else 0.5)
            if move[0] >= worst[0]:
                best = found[0][1]
                found = [found[0], *(_between(function, best, one, 0.5) for _v, one in found[1:])]
                found.sort(key=lambda pair: pair[0])
                continue
        found = sorted([*found[:-1], move], key=lambda pair: pair[0])
    return found[0][1]


def _between(
    function: Callable[[Sequence[float]], float], centre: Sequence[float], point: Sequence[float], share: float
) -> tuple[float, list[float]]:
    """The value and the place `share` of the way from the centre to a point (negative: away from it)."""
    place = [a + share * (b - a) for a, b in zip(centre, point, strict=True)]
    return function(place), place
