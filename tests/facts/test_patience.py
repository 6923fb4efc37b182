from __future__ import annotations

import pytest

from hetang.facts import subscriptions
from hetang.facts.subscriptions import Subscription


def test_a_patient_stream_gives_way_while_others_are_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    eager = Subscription("eager", lambda _: None, batch=10)
    patient = Subscription("patient", lambda _: None, batch=10, patient=True)
    found = {"eager": 10, "patient": 10}
    ran: list[str] = []
    now = [100.0]

    def advance(one: Subscription) -> int:
        ran.append(one.name)
        return found[one.name]

    monkeypatch.setattr(subscriptions, "all_subscriptions", lambda: (eager, patient))
    monkeypatch.setattr(subscriptions, "advance", advance)
    monkeypatch.setattr(subscriptions, "_last_ran", {})
    monkeypatch.setattr(subscriptions, "_behind", {})
    monkeypatch.setattr("hetang.facts.subscriptions.time.monotonic", lambda: now[0])

    def ran_at(second: float) -> list[str]:
        now[0] = 100.0 + second
        ran.clear()
        subscriptions.run_once()
        return list(ran)

    assert ran_at(0) == ["eager", "patient"]
    assert ran_at(1) == ["eager"]
    assert ran_at(3) == ["eager", "patient"]
    found["eager"] = 3  # no longer behind
    assert ran_at(3.5) == ["eager"]
    assert ran_at(4) == ["eager", "patient"]
    assert ran_at(4.1) == ["eager", "patient"]  # its last window was full: it catches up
    found["patient"] = 0
    assert ran_at(4.2) == ["eager", "patient"]
    assert ran_at(4.3) == ["eager"]


def test_a_stream_that_is_behind_takes_larger_windows_while_they_are_quick() -> None:
    stream = Subscription("eager", lambda _: None, batch=10, most=40)

    def after(size: int, count: int, seconds: float) -> int:
        return subscriptions._next_size(stream, size, count, seconds)

    assert after(10, 10, 0.1) == 20
    assert after(20, 20, 0.1) == 40
    assert after(40, 40, 0.1) == 40
    assert after(40, 40, 0.5) == 40  # neither quick nor slow
    assert after(40, 40, 0.9) == 20
    assert after(10, 10, 0.9) == 10
    assert after(40, 39, 0.1) == 10  # no longer behind
    steady = Subscription("steady", lambda _: None, batch=10)
    assert subscriptions._next_size(steady, 10, 10, 0.1) == 10
