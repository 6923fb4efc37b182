"""Sessions: their times, their end, their keys; and that an ended one does not come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.sessions.backends.base import UpdateError

from hetang.platform import clock, login_rules, sessions
from hetang.platform.access import system
from hetang.platform.models import Session, User
from hetang.platform.sessions import SessionStore

NOW = datetime(2026, 5, 4, 3, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    login_rules.forget()
    clock.freeze(NOW)
    yield
    clock.freeze(None)
    login_rules.forget()


def opened(user: User | None = None) -> SessionStore:
    store = SessionStore()
    store["colour"] = "green"
    if user is not None:
        store["_auth_user_id"] = str(user.pk)
    store.save()
    return store


def again(store: SessionStore) -> SessionStore:
    return SessionStore(store.session_key)


@pytest.fixture
def ann() -> User:
    return User.objects.create(username="ann", created_at=NOW)


def test_what_was_kept_is_read_again_and_the_key_is_not_in_the_database(ann: User) -> None:
    store = opened(ann)
    assert again(store)["colour"] == "green"
    row = Session.objects.get()
    assert row.user == ann
    assert store.session_key is not None
    assert store.session_key not in (row.key_hash, row.data)


def test_a_session_ends_without_use_and_lives_with_it(ann: User) -> None:
    store = opened(ann)
    clock.freeze(NOW + timedelta(minutes=119))
    used = again(store)
    assert used["colour"] == "green"
    sessions.note_use(used)
    clock.freeze(NOW + timedelta(minutes=238))
    assert again(store).get("colour") == "green"
    clock.freeze(NOW + timedelta(minutes=240))
    assert again(store).get("colour") is None


def test_a_session_ends_at_last_however_much_it_is_used(ann: User) -> None:
    store = opened(ann)
    for hour in range(1, 13):
        clock.freeze(NOW + timedelta(hours=hour) - timedelta(seconds=1))
        used = again(store)
        assert used["colour"] == "green"
        sessions.note_use(used)
    assert again(store).get("colour") == "green"
    clock.freeze(NOW + timedelta(hours=12))
    assert again(store).get("colour") is None


def test_shorter_rules_hold_for_open_sessions(ann: User) -> None:
    store = opened(ann)
    numbers = {"idle_minutes": 5, "absolute_hours": 12, "password_length": 10, "trust_days": 0}
    login_rules.change(system("t"), numbers, [])
    login_rules.forget()
    clock.freeze(NOW + timedelta(minutes=6))
    assert again(store).get("colour") is None
    with pytest.raises(ValueError, match="idle_minutes"):
        login_rules.change(system("t"), numbers | {"idle_minutes": 1}, [])


def test_a_new_key_keeps_content_and_age_and_ends_the_old_one(ann: User) -> None:
    store = opened(ann)
    old = store.session_key
    clock.freeze(NOW + timedelta(hours=1))
    fresh = again(store)
    fresh.cycle_key()
    fresh.save()
    assert fresh.session_key != old
    assert SessionStore(old).get("colour") is None
    assert again(fresh)["colour"] == "green"
    assert Session.objects.get().started_at == NOW


def test_an_ended_session_is_not_brought_back_by_a_request_that_was_under_way(ann: User) -> None:
    store = again(opened(ann))
    store["colour"] = "blue"
    sessions.end_all(ann)
    with pytest.raises(UpdateError):
        store.save()
    assert not Session.objects.exists()


def test_one_or_all_sessions_are_ended_and_only_ones_own(ann: User) -> None:
    bob = User.objects.create(username="bob", created_at=NOW)
    first, second, his = opened(ann), opened(ann), opened(bob)
    ids = {store: Session.objects.get(key_hash=sessions.hash_of(store.session_key or "")).pk for store in (first, his)}
    assert not sessions.end(ann, ids[his])
    assert sessions.end(ann, ids[first])
    assert again(first).get("colour") is None
    assert [one.user for one in sessions.of_user(ann)] == [ann]
    assert sessions.end_all(ann) == 1
    assert again(second).get("colour") is None
    assert again(his).get("colour") == "green"


def test_strangers_sessions_last_an_hour_and_what_is_over_is_removed(ann: User) -> None:
    stranger, known = opened(), opened(ann)
    clock.freeze(NOW + timedelta(minutes=61))
    assert again(stranger).get("colour") is None
    assert again(known).get("colour") == "green"
    SessionStore.clear_expired()
    assert Session.objects.get().user == ann


def test_an_unknown_key_is_not_taken_over(ann: User) -> None:
    """Session fixation: who plants a key of her own gets no session under it."""
    planted = SessionStore("a" * 32)
    assert planted.get("colour") is None
    planted["colour"] = "red"
    planted.save()
    assert planted.session_key != "a" * 32
    assert SessionStore("a" * 32).get("colour") is None
