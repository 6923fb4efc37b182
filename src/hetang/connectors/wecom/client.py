"""The HTTP client of one app: token, limits, and the retry rules of section 27. Logs paths and codes, never values.

It asks the database for its turn and its token, so it is never called inside a transaction that others wait for.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import threading
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx
import msgspec

from hetang.connectors.wecom import tokens
from hetang.connectors.wecom.errors import (
    BUSY,
    CONCURRENCY,
    RATE_LIMIT,
    TOO_LARGE,
    Action,
    NotConnected,
    NotSent,
    RateLimited,
    Unanswered,
    WeComError,
)
from hetang.connectors.wecom.limiter import Limiter
from hetang.connectors.wecom.models import App
from hetang.connectors.wecom.protocol.access import GET_TOKEN, TokenRequest
from hetang.connectors.wecom.protocol.envelope import Answer, Api, Page, Request, encoded, queried
from hetang.platform import clock, trust
from hetang.platform.metrics import Counter, Histogram
from hetang.platform.sealing import unseal

log = logging.getLogger(__name__)

CALLS = Counter("hetang_wecom_calls_total", "Calls of WeCom by what it answered (0 is good).", ("api", "answer"))
TOOK = Histogram("hetang_wecom_call_seconds", "Time until WeCom answered.", ("api",))

TRIES = 3
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_PAUSES_S = (0.2, 0.8)
_NOT_TRUSTED = 60020
_FROM = re.compile(r"from ip: ([0-9A-Fa-f.:]{3,45}?)(?=[,\s\"])")
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_A = TypeVar("_A", bound=Answer)
_P = TypeVar("_P", bound=Page)
_Q = TypeVar("_Q", bound=Request)
Upload = tuple[str, bytes]  # file name and content


class Client:
    """Calls WeCom for one app. Safe to share between threads."""

    def __init__(self, app: App) -> None:
        self._app_id = app.pk
        self._corpid = app.corp.corpid
        self._secret = unseal(app.secret).decode()
        self._limiter = Limiter(
            app.corp_id,
            calls_per_minute=app.corp.calls_per_minute,
            calls_per_hour=app.corp.calls_per_hour,
            concurrency=app.corp.concurrency,
        )
        self._address = f"{app.corp.address}/cgi-bin/"
        self._http = self._open()
        self._places: dict[str, tuple[str, httpx.URL]] = {}
        self._calls = 0
        self._retired = False
        self._counting = threading.Lock()

    def __del__(self) -> None:
        if "_http" in self.__dict__:  # nobody holds it any more: do not leave sockets to be collected
            self._http.close()

    def _open(self) -> httpx.Client:
        return httpx.Client(base_url=self._address, timeout=TIMEOUT, verify=trust.context())

    def retire(self) -> None:
        """Close the connections as soon as no call is under way in any thread."""
        with self._counting:
            self._retired = True
            unused = self._calls == 0
        if unused:
            self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, api: Api[_Q, _A], request: _Q | None = None, upload: Upload | None = None) -> _A:
        """One call with its retries; an upload has the request in its query.

        Raises WeComError for an answer other than 0, RateLimited (one of them) when the API may not be called for
        longer than a minute, NotSent when nothing left this machine, Unanswered when it is not known whether the call
        took effect (only for APIs that are not `repeatable`, or after three tries).
        """
        with self._under_way():
            return self._call(api, request, upload)

    def pages(self, api: Api[_Q, _P], request: _Q, limit: int) -> Iterator[_P]:
        """All pages from the request's cursor on. A page that is too large (45029) is asked for in halves from then on.

        Raises like `call`.
        """
        cursor = getattr(request, "cursor", "")
        while True:
            page, limit = self.page(api, msgspec.structs.replace(request, cursor=cursor, limit=limit), limit)
            yield page
            cursor = page.next_cursor
            if not cursor:
                return

    def page(self, api: Api[_Q, _P], request: _Q, limit: int) -> tuple[_P, int]:
        """One page at the request's cursor, and the limit that worked. Raises like `call`."""
        while True:
            try:
                return self.call(api, msgspec.structs.replace(request, limit=limit)), limit
            except WeComError as problem:
                if problem.code != TOO_LARGE or limit == 1:
                    raise
                limit = max(1, limit // 2)

    def _call(self, api: Api[_Q, _A], request: _Q | None, upload: Upload | None) -> _A:
        token = tokens.current(self._app_id, self._fetch_token)
        refreshed = False
        tried = 0
        while True:
            tried += 1
            try:
                return self._once(api, request, upload, token)
            except WeComError as problem:
                if problem.action is Action.REFRESH and not refreshed:
                    refreshed, tried = True, tried - 1
                    token = tokens.replace(self._app_id, self._fetch_token, stale=token)
                    continue
                self._give_up_or_wait(api, problem, tried)
            except (NotSent, Unanswered) as problem:
                if tried >= TRIES or (isinstance(problem, Unanswered) and not api.repeatable):
                    raise
                _pause(tried)

    def _give_up_or_wait(self, api: Api[Any, Any], problem: WeComError, tried: int) -> None:
        """Raise unless waiting a moment may help. Busy (-1) says nothing about whether the work was done."""
        if isinstance(problem, RateLimited):
            raise problem
        if problem.code == RATE_LIMIT:
            raise RateLimited(api.path, self._limiter.met_limit(api.path, clock.zone().key)) from None
        if problem.code == BUSY and not api.repeatable:
            raise Unanswered(f"{api.path} answered busy") from None
        if problem.code == CONCURRENCY:
            self._limiter.met_crowd(api.path)
        if problem.action is not Action.WAIT or problem.code == TOO_LARGE or tried >= TRIES:
            raise problem
        _pause(tried)

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._counting:
            self._calls += 1
            if self._http.is_closed:  # it was replaced between our being handed out and this call
                self._http = self._open()
        try:
            yield
        finally:
            with self._counting:
                self._calls -= 1
                last = self._retired and self._calls == 0
            if last:
                self.close()

    def _once(self, api: Api[_Q, _A], request: _Q | None, upload: Upload | None, token: str) -> _A:
        query: dict[str, Any] = {}
        body: dict[str, Any] = {}
        if request is not None and (api.method == "GET" or upload is not None):
            query |= queried(request)
        elif api.method == "POST":
            body["content"] = encoded(request) if request is not None else b"{}"
            body["headers"] = {"Content-Type": "application/json"}
        if upload is not None:
            body = {"files": {"media": upload}}
        with self._limiter.slot(api.path, api.at_once):
            answer = self._send(api, self._place(api.path, token, query), body)
        self._limiter.went_well(api.path)
        return answer

    def _place(self, path: str, token: str, query: dict[str, Any]) -> httpx.URL:
        """The address of a call. Reading one takes httpx a third of a millisecond, so those of POSTs are kept."""
        if query:
            return httpx.URL(self._address + path, params={"access_token": token, **query})
        known = self._places.get(path)
        if known is None or known[0] != token:
            known = self._places[path] = (token, httpx.URL(self._address + path, params={"access_token": token}))
        return known[1]

    def _send(self, api: Api[_Q, _A], place: httpx.URL, body: dict[str, Any]) -> _A:
        started = time.monotonic()
        try:
            response = self._http.request(api.method, place, **body)
        except _NOT_SENT as problem:
            CALLS.add(api.path, "not_sent")
            raise NotSent(f"{api.path}: {type(problem).__name__}") from None
        except httpx.HTTPError as problem:
            CALLS.add(api.path, "none")
            raise Unanswered(f"{api.path}: {type(problem).__name__}") from None
        log.debug("%s %s in %.3f s", api.path, response.status_code, time.monotonic() - started)
        TOOK.observe(time.monotonic() - started, api.path)
        if response.status_code != 200:
            CALLS.add(api.path, f"http_{response.status_code}")
            raise Unanswered(f"{api.path}: status {response.status_code}")
        return _read(api, response.content)

    def prove(self) -> None:
        """Ask for a token, whatever is stored: whether corp and secret fit together. Raises as `call` does."""
        self._fetch_token()

    def _fetch_token(self) -> tuple[str, int]:
        asked = TokenRequest(corpid=self._corpid, corpsecret=self._secret)
        place = httpx.URL(self._address + GET_TOKEN.path, params=queried(asked))
        answer = self._send(GET_TOKEN, place, {})
        if not answer.access_token:
            raise Unanswered("gettoken answered no token")
        return answer.access_token, answer.expires_in


def _read(api: Api[_Q, _A], content: bytes) -> _A:
    """The answer, if it is a good one. A refusal counts as one also where the rest of it is not what was promised."""
    try:
        answer = msgspec.json.decode(content, type=api.answer)
    except msgspec.DecodeError:
        try:
            code = msgspec.json.decode(content, type=Answer).errcode
        except msgspec.DecodeError:
            code = 0
        if code == 0:
            raise Unanswered(f"{api.path}: the answer cannot be read") from None
    else:
        code = answer.errcode
    CALLS.add(api.path, str(code))
    if code != 0:
        raise WeComError(api.path, code, _seen_from(content.decode("utf-8", "replace")) if code == _NOT_TRUSTED else "")
    return answer


_clients: dict[tuple[int, object], Client] = {}
_lock = threading.Lock()


def client_of(app: App) -> Client:
    """The process's client of an app, made anew when the app or its corp was changed."""
    if app.listen_only:
        raise NotConnected("this app only listens")
    corp = app.corp
    limits = (corp.calls_per_minute, corp.calls_per_hour, corp.concurrency)
    key = (app.pk, (app.changed_at, corp.address, *limits))
    with _lock:
        if key not in _clients:
            for old in [known for known in _clients if known[0] == app.pk]:
                _clients.pop(old).retire()
            _clients[key] = Client(app)
        return _clients[key]


def calling_app(app: App) -> App:
    """The app by which something of this one's is asked or said: itself, or for one that only listens another one of
    its corp. Raises NotConnected."""
    if not app.listen_only:
        return app
    found = app_of(app.corp_id)
    if found is None:
        raise NotConnected("all apps of this corp only listen")
    return found


def app_of(corp_id: int) -> App | None:
    """The app by which a corp is asked: the first that was added of those that do not only listen."""
    return App.objects.select_related("corp").filter(corp_id=corp_id, listen_only=False).order_by("id").first()


def client_of_corp(corp_id: int) -> Client:
    """The client by which a corp is asked. Raises NotConnected."""
    app = app_of(corp_id)
    if app is None:
        raise NotConnected("all apps of this corp only listen")
    return client_of(app)


def connected_app() -> App | None:
    """The app that sends: that of the default corp; None where no corp is set up."""
    apps = App.objects.select_related("corp").filter(corp__is_default=True, listen_only=False)
    return apps.order_by("id").first()


def default_app() -> App:
    """The same. Raises NotConnected."""
    app = connected_app()
    if app is None:
        raise NotConnected("no WeCom corp is set up")
    return app


def _seen_from(answer: str) -> str:
    """Our address as a refusal names it (reference section 1): the one thing that only its text tells."""
    found = _FROM.search(answer)
    return found[1] if found else ""


def _pause(tried: int) -> None:
    time.sleep(_PAUSES_S[min(tried, len(_PAUSES_S)) - 1] * random.uniform(0.75, 1.25))  # noqa: S311 - not a secret
