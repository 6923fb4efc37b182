"""What events make us ask WeCom: side by side, as far as its limits allow; not any more in a batch once it is
silent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Generic, TypeVar

from django.db import connection

from hetang.connectors.wecom.client import Client, calling_app, client_of
from hetang.connectors.wecom.errors import NotConnected, NotSent, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.models import App
from hetang.connectors.wecom.protocol.contacts import CUSTOMER, Contact, CustomerQuery
from hetang.connectors.wecom.protocol.groups import GROUP, GroupRequest, OneGroup
from hetang.platform import clock

log = logging.getLogger(__name__)
K = TypeVar("K")
V = TypeVar("V")


class Answer(Generic[V]):
    """What WeCom said of something when it was asked at `at`: an answer, a code of its own, or nothing at all."""

    def __init__(self, at: datetime, value: V | None = None, code: int = 0, silence: str = "") -> None:
        self.at, self.value, self.code, self.silence = at, value, code, silence


class Asked:
    """Asks for one batch of events. Without a usable app (listen-only, not connected) everything is silence."""

    def __init__(self, app: App) -> None:
        self._at_once = app.corp.concurrency
        self._silent = ""
        self._client: Client | None = None
        try:
            self._client = client_of(calling_app(app))
        except NotConnected as problem:
            self._silent = str(problem)

    def customers(self, external_userids: Iterable[str]) -> dict[str, Answer[Contact]]:
        """Details of customers."""
        return self._all(
            external_userids, lambda client, one: client.call(CUSTOMER, CustomerQuery(external_userid=one))
        )

    def groups(self, chat_ids: Iterable[str]) -> dict[str, Answer[OneGroup]]:
        """Whole groups."""
        return self._all(chat_ids, lambda client, one: client.call(GROUP, GroupRequest(chat_id=one)))

    def once(self, ask: Callable[[Client], V]) -> Answer[V]:
        """Something else."""
        return self._one("", lambda client, _: ask(client))

    def _all(self, wanted: Iterable[str], ask: Callable[[Client, str], V]) -> dict[str, Answer[V]]:
        keys = sorted(set(wanted))
        if self._at_once <= 1 or len(keys) <= 1:
            return {key: self._one(key, ask) for key in keys}
        with ThreadPoolExecutor(min(self._at_once, len(keys)), initializer=None) as pool:
            return dict(zip(keys, pool.map(lambda key: self._in_thread(key, ask), keys), strict=True))

    def _in_thread(self, key: str, ask: Callable[[Client, str], V]) -> Answer[V]:
        try:
            return self._one(key, ask)
        finally:
            connection.close()

    def _one(self, key: str, ask: Callable[[Client, str], V]) -> Answer[V]:
        at = clock.now()
        if self._silent or self._client is None:
            return Answer(at, silence=self._silent)
        try:
            return Answer(at, ask(self._client, key))
        except (NotSent, Unanswered, RateLimited) as problem:
            self._silent = str(problem)
            log.warning("no details for events: %s", problem)
            return Answer(at, silence=str(problem))
        except WeComError as problem:
            log.info("no details for an event: %s", problem)
            return Answer(at, code=problem.code)
