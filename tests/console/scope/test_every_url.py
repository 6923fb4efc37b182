"""Every address x every shipped role x every scope: what is somebody else's is neither returned nor changed.

Each view is called as the resolver finds it, with its decorators and without the middleware, which has tests of its
own. What a page returns is searched for the marks of places; what it changes is seen at the database. Where somebody
may do a thing it must also work, or the walk would prove nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import Http404, HttpResponseNotAllowed
from django.test import RequestFactory
from django.urls import ResolverMatch, resolve, reverse
from django.utils import translation

from hetang.audiences import services as audiences
from hetang.console import context
from hetang.platform import brand
from hetang.platform.access import Actor, actor_for
from hetang.platform.models import User
from hetang.platform.roles import ROLES, WHOLE_BRAND
from tests.console.cast import user
from tests.console.conftest import empty_everything
from tests.console.scope.listed import LISTED
from tests.console.scope.world import IDENTITY, NAME, THING, World, make
from tests.console.test_access import ENDS_SESSION, PUBLIC, VIEWS

WRITES = re.compile(r"\b(insert into|update|delete from|truncate)\s+\"?(\w+)", re.IGNORECASE)
UNLISTED = """{name} is not listed. Say in tests/console/scope/listed.py what it is about: which object its address
names (`path`), what its GET and POST carry (`query`, `body`). If it is about nothing in particular, `Listed()`."""
REVEALS = {"customers:reveal"}  # with a reason, counted and limited: tests/privacy/test_reveals.py
PLACES = ("own", "other", "foreign", "above")


@dataclass
class Asker:
    """Somebody with one role at one node."""

    role: str
    at: str
    user: User
    actor: Actor


@dataclass
class Findings:
    """What the walk found wrong, and where something worked as it should."""

    wrong: list[str] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    accepts_post: set[str] = field(default_factory=set)
    not_allowed: set[tuple[str, str]] = field(default_factory=set)
    drawn: Counter[tuple[str, str]] = field(default_factory=Counter)


class _Session(SessionBase):
    """A session that lies nowhere."""

    session_key = "walk"

    def load(self) -> dict[str, Any]:
        return {}

    def save(self, must_create: bool = False) -> None:
        pass

    def cycle_key(self) -> None:
        pass

    def delete(self, session_key: str | None = None) -> None:
        pass


class _Messages(BaseStorage):
    def _get(self, *_args: Any, **_values: Any) -> tuple[list[Any], bool]:
        return [], True

    def _store(self, *_args: Any, **_values: Any) -> list[Any]:
        return []


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    with django_db_blocker.unblock():
        brand.forget()
        made = make()
    yield made
    with django_db_blocker.unblock():
        empty_everything()


def test_every_address_is_listed() -> None:
    names = {name for name, _route, _entry in VIEWS}
    unlisted = [UNLISTED.format(name=name) for name, _route, entry in VIEWS if not _judged_elsewhere(name, entry)]
    assert unlisted == []
    assert sorted(LISTED.keys() - names) == []  # what is gone must not stay listed


def _judged_elsewhere(name: str, entry: Any) -> bool:
    return name in LISTED or name in PUBLIC | ENDS_SESSION or _of_the_whole_brand(entry.callback)


def _of_the_whole_brand(view: Any) -> bool:
    return getattr(view, "permission", "") in WHOLE_BRAND or getattr(view, "whole_brand", False)


def test_what_is_somebody_elses_is_neither_returned_nor_changed(
    db: None, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audiences, "take_snapshot", _take_snapshot)
    monkeypatch.setattr(context, "menu_of", lambda _request: [])  # the same on each page
    found = Findings()
    with translation.override("en"):
        for asker in _askers(world):
            for name, _route, entry in VIEWS:
                if name not in PUBLIC | ENDS_SESSION:
                    _ask_for(asker, name, entry.callback, world, found)
    assert found.wrong == []
    dead = sorted(name for name in LISTED.keys() - found.shown - found.changed if not LISTED[name].elsewhere)
    assert dead == [], "nobody could open these: the walk proves nothing of them"
    silent = {name for name, one in LISTED.items() if one.silent}
    assert sorted(found.accepts_post - found.changed - silent) == [], "nobody could change anything by these"


def _askers(world: World) -> Iterator[Asker]:
    """Each role in the region, and for the whole brand."""
    for at, node in (("region", world.north), ("brand", world.root)):
        for role in ROLES:
            one = user(f"{role}-{at}", role, node)
            yield Asker(role, at, one, actor_for(one))


def _ask_for(asker: Asker, name: str, view: Any, world: World, found: Findings) -> None:
    permission = getattr(view, "permission", "")
    lacking = bool(permission) and not asker.actor.can(permission)
    if lacking or (_of_the_whole_brand(view) and asker.at == "region"):
        _must_refuse(asker, name, view, found)
    elif name in LISTED:
        for kind in _kinds(asker, name, found):
            for method in ("get", "post"):
                if _worth(asker, name, kind, method, found):
                    with _undone() if method == "post" else nullcontext():
                        _call(asker, name, kind, world, method, found)


def _kinds(asker: Asker, name: str, found: Findings) -> tuple[str, ...]:
    """Whose things are asked for. What names nothing of a place is asked once."""
    if not LISTED[name].of_a_place:
        return ("own",)
    if asker.at == "region":
        return PLACES
    works = name in found.changed or (name in found.shown and LISTED[name].silent)
    return ("foreign",) if works else ("own", "foreign")


def _worth(asker: Asker, name: str, kind: str, method: str, found: Findings) -> bool:
    """One's own page is drawn for the first who may, headquarters mostly: what she sees beyond the scope is sought in
    it. For the whole brand, pages that open are drawn for two roles. What lies above may be seen."""
    listed = LISTED[name]
    if (name, method) in found.not_allowed:
        return False
    if method == "get" and (kind == "above" or (asker.at == "brand" and found.drawn[name, kind] >= 2)):
        return False
    if kind != "own":
        return True
    if method == "post":
        return name not in found.changed and not (listed.silent and name in found.accepts_post)
    return not listed.of_a_place or name not in found.shown


def _must_refuse(asker: Asker, name: str, view: Any, found: Findings) -> None:
    """Whoever lacks the permission is refused before anything is looked at."""
    for method in ("get", "post"):
        request = _request(asker, method, "/", {})
        with _watched() as writes:
            try:
                refused = isinstance(view(request), HttpResponseNotAllowed)
            except PermissionDenied:
                refused = True
            except Exception:
                refused = False  # it went on, and missed the parts of its address
        if not refused or writes:
            found.wrong.append(f"{asker.role} ({asker.at}) {method} {name}: not refused")


def _call(asker: Asker, name: str, kind: str, world: World, method: str, found: Findings) -> None:
    listed, place = LISTED[name], getattr(world, kind)
    if kind == "own" and listed.mine:
        _hand_over(asker, listed.mine, place)
    said = f"{asker.role} ({asker.at}) {method} {name} of {kind}"
    request, match = _asked(asker, name, place, method)
    with _watched() as writes:
        try:
            answer = match.func(request, *match.args, **match.kwargs)
        except (Http404, PermissionDenied):
            answer = None
        except Exception as problem:
            found.wrong.append(f"{said}: {type(problem).__name__} {problem}")
            return
    if isinstance(answer, HttpResponseNotAllowed):
        found.not_allowed.add((name, method))
        return
    content = b"" if answer is None else b"".join(answer)
    typed = str((listed.path(place), listed.query(place), listed.body(place)))
    leaks = [] if name in REVEALS else _leaks(asker, world, content.decode(), typed)
    found.wrong += [f"{said}: shows {mark}" for mark in leaks]
    if content and asker.at == "brand":
        found.drawn[name, kind] += 1
    if method == "post" and answer is not None:
        found.accepts_post.add(name)
    if kind == "own" and answer is not None and answer.status_code in (200, 204, 302, 422):
        found.shown.add(name)
    if writes and listed.forbids(kind, asker.at):
        found.wrong.append(f"{said}: writes to {sorted(set(writes))}")
    elif writes and kind == "own":
        found.changed.add(name)


def _asked(asker: Asker, name: str, place: SimpleNamespace, method: str) -> tuple[Any, ResolverMatch]:
    listed = LISTED[name]
    address = reverse(name, kwargs=listed.path(place))
    values = listed.query(place) if method == "get" else listed.body(place)
    if method == "post" and listed.query(place):
        address += "?" + urlencode(listed.query(place))
    request = _request(asker, method, address, values)
    request.resolver_match = resolve(address.partition("?")[0])
    return request, request.resolver_match


def _leaks(asker: Asker, world: World, content: str, typed: str) -> list[str]:
    """Marks that must not be in any page: everything of another place, who people of another company are, and of
    nobody a name or a phone number in full, one's own customers included, but for what was `typed`."""
    marks = [IDENTITY + world.foreign.letter, NAME]
    if asker.at == "region":
        marks += [IDENTITY + world.other.letter, THING + world.other.letter]
    phones = [place.phone for place in (world.own, world.other, world.foreign) if place.phone not in typed]
    return [mark for mark in (*marks, *phones) if mark in content]


def _hand_over(asker: Asker, what: str, place: SimpleNamespace) -> None:
    thing = getattr(place, what)
    column = {"approval": "asked_by_id", "view": "owner_id", "job": "created_by_id"}.get(what, "user_id")
    type(thing).objects.filter(pk=thing.pk).update(**{column: asker.user.pk})


def _request(asker: Asker, method: str, address: str, values: dict[str, Any]) -> Any:
    request: Any = getattr(RequestFactory(), method)(address, values)
    request.user, request._actor = asker.user, asker.actor
    request.session, request.htmx = _Session(), False
    request._messages = _Messages(request)
    request._dont_enforce_csrf_checks = True
    return request


@contextmanager
def _watched() -> Iterator[list[str]]:
    """The tables that are written meanwhile, less the notes of who looked at whom."""
    written: list[str] = []

    def look(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if not sql.startswith(("SELECT", "select", "SAVEPOINT", "RELEASE", "ROLLBACK")) and context["cursor"].rowcount:
            tables = [table for _verb, table in WRITES.findall(sql)]
            noted = tables == ["platform_auditentry"] and str(params[2]).startswith("look.")
            written.extend(() if noted else tables)
        return result

    with connection.execute_wrapper(look):
        yield written


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _take_snapshot(audience_id: int) -> Any:
    """Without the engine: a snapshot is a write, whoever asks for it."""
    with connection.cursor() as cursor:
        cursor.execute("update audiences_audience set refreshed_at = now() where id = %s", [audience_id])
    return SimpleNamespace(count=1)
