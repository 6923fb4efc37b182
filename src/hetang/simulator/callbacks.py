"""The thread that delivers callbacks: encrypts, signs, posts; three tries; doubles and shuffles on request."""

from __future__ import annotations

import http.client
import logging
import random
import sqlite3
import threading
import time
from urllib.parse import urlencode, urlsplit

from hetang.simulator import crypto
from hetang.simulator.state import State

log = logging.getLogger(__name__)
_BATCH = 50


class Deliverer:
    """Delivers waiting events in order (or shuffled), one after the other."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._chance = random.Random(state.settings.seed)  # noqa: S311 - a simulation

    def run(self, stopped: threading.Event) -> None:
        """Deliver until told to stop."""
        while not stopped.is_set():
            if not self.deliver():
                with self._state.wake:
                    self._state.wake.wait(0.5)

    def deliver(self) -> int:
        """Try one batch. Returns how many events were waiting."""
        with self._state.transaction() as db:
            rows = db.execute(
                "select c.*, a.callback_url, a.callback_token, a.callback_aes_key from callback c"
                " join app a using (agentid) where c.state = 'waiting' order by c.number limit ?",
                [_BATCH],
            ).fetchall()
        if self._state.settings.callback_shuffle:
            self._chance.shuffle(rows)
        for row in rows:
            self._deliver_one(row)
        return len(rows)

    def _deliver_one(self, row: sqlite3.Row) -> None:
        settings = self._state.settings
        copies = 2 if self._chance.random() < settings.callback_duplicate_rate else 1
        problem = ""
        for _ in range(copies):
            problem = self._post(row)
        tries = row["tries"] + 1
        state = "delivered" if not problem else "waiting" if tries < settings.callback_tries else "lost"
        with self._state.transaction() as db:
            db.execute(
                "update callback set tries = ?, state = ?, error = ? where number = ?",
                [tries, state, problem, row["number"]],
            )
        if problem:
            log.info("callback %s try %s: %s", row["number"], tries, problem)
            time.sleep(0.05)

    def _post(self, row: sqlite3.Row) -> str:
        corpid = self._state.value("corpid", "")
        encrypted = crypto.encrypt(row["callback_aes_key"], row["body"], corpid)
        timestamp, nonce = str(int(self._state.now())), str(self._chance.randrange(10**9))
        signature = crypto.sign(row["callback_token"], timestamp, nonce, encrypted)
        query = urlencode({"msg_signature": signature, "timestamp": timestamp, "nonce": nonce})
        body = (
            f"<xml><ToUserName><![CDATA[{corpid}]]></ToUserName><AgentID><![CDATA[{row['agentid']}]]></AgentID>"
            f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )
        return post(row["callback_url"], query, body.encode(), self._state.settings.callback_timeout_s)


def post(url: str, query: str, body: bytes, timeout_s: float) -> str:
    """POST to a callback address. Returns "" or what went wrong."""
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.netloc, timeout=timeout_s)
    try:
        connection.request("POST", f"{place.path}?{query}", body, {"Content-Type": "text/xml"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as problem:
        return type(problem).__name__
    finally:
        connection.close()
    return "" if answer.status == 200 else f"status {answer.status}"
