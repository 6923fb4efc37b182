"""The second factor: codes of the app, recovery codes, remembered devices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from django.db import connections

from hetang.platform import clock, login_rules, organisation, sealing, two_factor
from hetang.platform.access import system
from hetang.platform.models import Grant, RecoveryCode, TrustedDevice, TwoFactor, User
from hetang.platform.roles import HEADQUARTERS

NOW = datetime(2026, 5, 4, 3, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    login_rules.forget()
    clock.freeze(NOW)
    yield
    clock.freeze(None)
    login_rules.forget()


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create(username="ann", created_at=NOW)


def code(user: User, at: datetime = NOW) -> str:
    secret = sealing.unseal(TwoFactor.objects.get(user=user).secret).decode()
    return pyotp.TOTP(secret).at(at)


def turned_on(user: User) -> list[str]:
    two_factor.begin(user)
    codes = two_factor.confirm(user, code(user))
    assert codes is not None
    return codes


def test_it_is_on_only_after_a_first_code(ann: User) -> None:
    setup = two_factor.begin(ann)
    assert two_factor.begin(ann).secret == setup.secret
    assert setup.picture.startswith("data:image/svg+xml")
    assert bytes(TwoFactor.objects.get().secret).find(setup.secret.replace(" ", "").encode()) == -1
    assert two_factor.confirm(ann, "000000") is None
    assert not two_factor.is_on(ann)
    assert two_factor.check(ann, code(ann)) == ""
    assert two_factor.confirm(ann, code(ann)) is not None
    assert two_factor.is_on(ann)
    with pytest.raises(ValueError, match="already"):
        two_factor.begin(ann)


def test_the_vectors_of_the_rfc_are_met(ann: User) -> None:
    secret = pyotp.random_base32()
    assert pyotp.TOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", digits=8).at(59) == "94287082"  # RFC 6238, appendix B
    assert len(secret) == 32


def test_a_code_works_once_and_with_a_clock_that_is_a_step_off(ann: User) -> None:
    turned_on(ann)
    assert two_factor.check(ann, code(ann)) == ""  # the one that turned it on
    clock.freeze(NOW + timedelta(seconds=90))
    for at, expected in ((90, "app"), (90, ""), (60, ""), (120, "app"), (30, ""), (180, "")):
        assert two_factor.check(ann, code(ann, NOW + timedelta(seconds=at))) == expected
    assert two_factor.check(ann, "12 34") == ""


def test_a_clock_that_went_back_keeps_nobody_out_and_lets_no_code_in_twice(ann: User) -> None:
    turned_on(ann)
    clock.freeze(NOW + timedelta(hours=2))
    assert two_factor.check(ann, code(ann, NOW + timedelta(hours=2))) == "app"
    clock.freeze(NOW + timedelta(minutes=5))
    now = code(ann, NOW + timedelta(minutes=5))
    assert two_factor.check(ann, now) == "app"
    assert two_factor.check(ann, now) == ""


def test_recovery_codes_work_once_however_they_are_typed(ann: User) -> None:
    codes = turned_on(ann)
    assert len(codes) == 10 == len(set(codes))
    assert two_factor.check(ann, codes[0].upper().replace("-", " ")) == "recovery"
    assert two_factor.check(ann, codes[0]) == ""
    assert two_factor.left(ann) == 9
    fresh = two_factor.new_codes(ann)
    assert two_factor.check(ann, codes[1]) == ""
    assert two_factor.check(ann, fresh[1]) == "recovery"
    assert all(plain.replace("-", "") not in row.code_hash for row in RecoveryCode.objects.all() for plain in fresh)


def test_one_persons_code_is_not_anothers(ann: User) -> None:
    bob = User.objects.create(username="bob", created_at=NOW)
    codes = turned_on(ann)
    turned_on(bob)
    assert two_factor.check(bob, codes[0]) == ""


def test_a_device_is_remembered_for_its_days_and_its_user(ann: User) -> None:
    bob = User.objects.create(username="bob", created_at=NOW)
    token, seconds = two_factor.remember(ann, "Firefox")
    assert seconds == 14 * 24 * 3600
    assert two_factor.is_remembered(ann, token)
    assert not two_factor.is_remembered(bob, token)
    assert not two_factor.is_remembered(ann, "")
    clock.freeze(NOW + timedelta(days=14))
    assert not two_factor.is_remembered(ann, token)


def test_no_device_is_remembered_where_the_rules_forbid_it(ann: User) -> None:
    token, _seconds = two_factor.remember(ann, "Firefox")
    numbers = {"idle_minutes": 60, "absolute_hours": 12, "password_length": 10, "trust_days": 0}
    login_rules.change(system("t"), numbers, [HEADQUARTERS])
    login_rules.forget()
    assert two_factor.remember(ann, "Firefox") == ("", 0)
    assert not two_factor.is_remembered(ann, token)


def test_it_is_required_by_the_roles_of_the_rules(ann: User) -> None:
    assert not two_factor.is_required(ann)
    Grant.objects.create(user=ann, role=HEADQUARTERS, org_node=organisation.root())
    numbers = {"idle_minutes": 60, "absolute_hours": 12, "password_length": 10, "trust_days": 14}
    login_rules.change(system("t"), numbers, [HEADQUARTERS])
    login_rules.forget()
    assert two_factor.is_required(ann)


def test_turned_off_nothing_of_it_is_left(ann: User) -> None:
    turned_on(ann)
    two_factor.remember(ann, "Firefox")
    assert two_factor.turn_off(system("t"), ann)
    assert not two_factor.turn_off(system("t"), ann)
    assert not any(model.objects.exists() for model in (TwoFactor, RecoveryCode, TrustedDevice))


@pytest.mark.django_db(transaction=True)
def test_of_two_log_ins_with_one_code_at_once_one_passes() -> None:
    ann = User.objects.create(username="ann", created_at=NOW)
    codes = turned_on(ann)
    clock.freeze(NOW + timedelta(seconds=60))
    for given in (code(ann, NOW + timedelta(seconds=60)), codes[0]):
        results: list[str] = []
        barrier = threading.Barrier(2)

        def attempt(given: str = given, results: list[str] = results, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            results.append(two_factor.check(ann, given))
            connections.close_all()

        threads = [threading.Thread(target=attempt) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results)[0] == ""
        assert sorted(results)[1] in {"app", "recovery"}
