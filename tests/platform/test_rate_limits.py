"""What a key may send in a minute: counted once for all processes, told in headers, and the wait is long enough."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from hetang.platform import api_keys, rate_limits
from hetang.platform.models import ApiKey, ApiKeyUse
from hetang.platform.rate_limits import Used

LIMITS = api_keys.Limits(requests=5, facts=1000)


def key(limits: api_keys.Limits = LIMITS) -> ApiKey:
    return api_keys.create("till", ["facts:write"], None, limits=limits)[0]


@given(
    used=st.builds(Used, st.just("facts"), st.integers(1, 50), st.integers(0, 50), st.integers(0, 50)),
    amount=st.integers(1, 50),
    second=st.floats(0, 60),
)
def test_after_the_wait_it_fits_and_not_long_before(used: Used, amount: int, second: float) -> None:
    amount = min(amount, used.limit)
    used = Used(used.unit, used.limit, min(used.now, used.limit), min(used.before, used.limit))
    wait = used.wait(amount, second)
    assert _fits(used, amount, second + wait + 1e-6)
    assert wait < 1e-6 or not _fits(used, amount, second + wait - 0.01)
    assert 0 <= wait <= 2 * rate_limits.WINDOW_S


def _fits(used: Used, amount: int, at: float) -> bool:
    """The rule, said once more."""
    now, before = (used.now, used.before) if at < 60 else (0, used.now)
    if at >= 120:
        return amount <= used.limit
    return before * (1 - at % 60 / 60) + now + amount <= used.limit + 1e-9


@pytest.mark.django_db
def test_what_is_over_the_limit_is_refused_and_not_counted() -> None:
    one = key()
    _begin_of_a_minute()
    assert [rate_limits.charge(one, 200).refused for _ in range(5)] == [""] * 5
    over = rate_limits.charge(one, 1)
    assert (over.refused, over.of("requests").now, over.of("facts").now) == ("requests", 5, 1000)
    assert 1 <= over.retry_after <= 72
    headers = over.headers()
    assert headers["RateLimit-Policy"] == '"requests";q=5;w=60, "facts";q=1000;w=60'
    assert headers["RateLimit"].startswith('"requests";r=0;t=') and headers["Retry-After"] == str(over.retry_after)
    assert rate_limits.charge(key(), 1000).refused == ""  # another key's


@pytest.mark.django_db
def test_the_minute_before_counts_by_what_is_left_of_it() -> None:
    one = key()
    rate_limits.charge(one, 900)
    ApiKeyUse.objects.update(minute=_minute() - 1)
    found = rate_limits.charge(one, 0)
    assert (found.of("facts").before, found.of("requests").now) == (900, 1)
    refused = rate_limits.charge(one, 1000)
    assert refused.refused == "facts" and rate_limits.charge(one, 99).refused == ""
    ApiKeyUse.objects.update(minute=_minute() - 2)
    assert rate_limits.charge(one, 1000).of("facts").before == 0
    ApiKeyUse.objects.update(minute=_minute() + 5)  # the clock went back
    assert rate_limits.charge(one, 1).refused == "facts"


@pytest.mark.django_db(transaction=True)
def test_processes_together_let_no_more_pass() -> None:
    one = key(api_keys.Limits(requests=25, facts=1000))
    _begin_of_a_minute()
    admitted: list[bool] = []

    def send() -> None:
        try:
            admitted.extend(not rate_limits.charge(one, 1).refused for _ in range(8))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(admitted), sum(admitted)) == (40, 25)


@pytest.mark.django_db
def test_new_limits_hold_and_last_use_is_told() -> None:
    one, plain = api_keys.create("till", ["facts:write"], None)
    assert rate_limits.used_lately(one) == (0, 0)
    assert api_keys.set_limits(one, LIMITS)
    assert not api_keys.set_limits(one, LIMITS)
    found = api_keys.verify(plain, "facts:write")
    assert found is not None and (found.requests_a_minute, found.facts_a_minute) == (5, 1000)
    rate_limits.charge(found, 70)
    assert rate_limits.used_lately(ApiKey.objects.select_related("use").get()) == (1, 70)


def _minute() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select floor(extract(epoch from clock_timestamp()) / 60)::bigint")
        return int(cursor.fetchone()[0])


def _begin_of_a_minute() -> None:
    """A test that counts within one minute must not begin at its very end."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_sleep(case when extract(second from clock_timestamp()) > 57"
            " then 60.01 - extract(second from clock_timestamp()) else 0 end)"
        )
