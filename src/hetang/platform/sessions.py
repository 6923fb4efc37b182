"""Sessions: who is logged in with which browser, and their end. Django keeps them here (settings.SESSION_ENGINE).

A session ends when nobody used it for a while, a set time after it began, when its user ends it, and at once when she
is switched off or her rights change. The database holds a hash of the cookie's value, so that reading it opens nothing.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from hetang.platform import clock
from hetang.platform.login_rules import rules
from hetang.platform.models import Session, User

_USER = "_auth_user_id"  # where Django keeps who is logged in
_FROM = "_from"  # address and browser, noted at log-in
_NOTED = timedelta(minutes=1)  # use is written down at most so often


class SessionStore(SessionBase):
    """What Django asks of a session engine, over `platform_session`."""

    row: Session | None = None
    _began: datetime | None = None  # carried over when the key changes: a new key is no longer life

    def load(self) -> dict[str, Any]:
        key = self.session_key
        row = _row_of(key) if key else None
        if row is None:
            self._session_key = None
            return {}
        self.row = row
        data: dict[str, Any] = self.decode(row.data)
        return data

    def exists(self, session_key: str) -> bool:
        return Session.objects.filter(key_hash=hash_of(session_key)).exists()

    def create(self) -> None:
        while True:
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        source = data.get(_FROM) or {}
        values: dict[str, Any] = {
            "data": self.encode(data),
            "user_id": int(data[_USER]) if _USER in data else None,
            "address": source.get("address"),
            "agent": source.get("agent", "")[:200],
        }
        if must_create:
            self._insert(values)
        elif not Session.objects.filter(key_hash=hash_of(self.session_key)).update(**values):
            raise UpdateError  # it was ended meanwhile and must not come back

    def _insert(self, values: dict[str, Any]) -> None:
        now = clock.wall()
        times = {"started_at": self._began or now, "seen_at": now}
        try:
            with transaction.atomic():
                self.row = Session.objects.create(key_hash=hash_of(self.session_key or ""), **times, **values)
        except IntegrityError as clash:
            raise CreateError from clash

    def cycle_key(self) -> None:
        """A new key for the same session: what was stolen before is worth nothing after."""
        data = self._session  # type: ignore[attr-defined] # loads, so that `row` is known
        self._began = self.row.started_at if self.row else None
        old = self.session_key
        self.create()
        self._session_cache = data
        if old:
            self.delete(old)

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            Session.objects.filter(key_hash=hash_of(key)).delete()

    @classmethod
    def clear_expired(cls) -> None:
        """Remove what is over; `manage.py clearsessions` and `tidy` call it."""
        Session.objects.exclude(pk__in=alive().values("pk")).delete()


def hash_of(key: str) -> str:
    """How the database knows a cookie's value."""
    return hashlib.sha256(key.encode()).hexdigest()


def alive() -> QuerySet[Session]:
    """Sessions that are neither idle for too long nor too old. A stranger's lasts an hour."""
    seen, started, started_by_stranger = _oldest()
    unknown_too_old = Q(user=None, started_at__lte=started_by_stranger)
    return Session.objects.filter(seen_at__gt=seen, started_at__gt=started).exclude(unknown_too_old)


def _oldest() -> tuple[datetime, datetime, datetime]:
    """When a session must have been used since, and begun since: somebody's, and a stranger's."""
    now, known = clock.wall(), rules()
    started = now - timedelta(hours=known.absolute_hours)
    return now - timedelta(minutes=known.idle_minutes), started, now - timedelta(hours=1)


def _row_of(key: str) -> Session | None:
    """The session of a cookie's value if it is `alive`, as SQL: every request asks for it, and making the text of
    Django's query took as long as the answer."""
    return next(iter(Session.objects.raw(_OF_KEY, [hash_of(key), *_oldest()])), None)


_OF_KEY = """
select * from platform_session
where key_hash = %s and seen_at > %s and started_at > %s and (user_id is not null or started_at > %s)
"""


def of_user(user: User) -> QuerySet[Session]:
    """A user's open sessions, last used first."""
    return alive().filter(user=user).order_by("-seen_at", "-id")


def note_use(session: SessionBase) -> None:
    """Somebody is working in it. At most one update a minute."""
    row = getattr(session, "row", None)
    now = clock.wall()
    if row is not None and row.seen_at < now - _NOTED:
        Session.objects.filter(pk=row.pk).update(seen_at=now)


def end(user: User, session_id: int) -> bool:
    """End one of a user's sessions; False when it was over already."""
    return Session.objects.filter(user=user, pk=session_id).delete()[0] > 0


def end_all(user: User, but: int | None = None) -> int:
    """End a user's sessions (but one); how many there were. Takes effect with the next request of each."""
    found = Session.objects.filter(user=user)
    return (found if but is None else found.exclude(pk=but)).delete()[0]
