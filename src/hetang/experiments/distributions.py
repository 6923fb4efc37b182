"""The few quantiles and tails that the estimators need, without scipy (the reference in the tests)."""

from __future__ import annotations

import math
from statistics import NormalDist

_TINY = 1e-300
_CLOSE = 1e-15


def normal_quantile(probability: float) -> float:
    """The standard normal quantile."""
    return NormalDist().inv_cdf(probability)


def t_quantile(probability: float, df: float) -> float:
    """Student's t quantile for any real `df` > 0, to about seven digits; found by bisection on the tail."""
    if not 0 < probability < 1 or df <= 0:
        raise ValueError("needs 0 < probability < 1 and df > 0")
    if probability < 0.5:
        return -t_quantile(1 - probability, df)
    low, high = 0.0, 2.0
    while t_tail(high, df) > 1 - probability:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, df) > 1 - probability else (low, middle)
    return (low + high) / 2


def t_tail(value: float, df: float) -> float:
    """P(T > value) for Student's t."""
    half = _incomplete_beta(df / 2, 0.5, df / (df + value * value)) / 2
    return half if value >= 0 else 1 - half


def chi_square_tail(value: float, df: float) -> float:
    """P(X > value) for chi-square: the p-value of a goodness-of-fit statistic."""
    if value <= 0:
        return 1.0
    return _upper_gamma(df / 2, value / 2)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function, by the continued fraction on its fast side."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return math.exp(log_front) * _beta_fraction(a, b, x) / a
    return 1 - math.exp(log_front) * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, evaluated forwards (Lentz)."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            fraction *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return fraction


def _upper_gamma(a: float, x: float) -> float:
    """Regularised upper incomplete gamma function: series below the mean, continued fraction above."""
    log_front = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1:
        term = total = 1 / a
        step = a
        while term > total * _CLOSE:
            step += 1
            term *= x / step
            total += term
        return 1 - math.exp(log_front) * total
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for i in range(1, 1000):
        term = -i * (i - a)
        b += 2
        d = 1 / _away(term * d + b)
        c = _away(b + term / c)
        fraction *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return math.exp(log_front) * fraction


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
