"""The thread that delivers callbacks: encrypts, signs, posts; three tries; doubles and shuffles on request.

Connections are kept; with several senders (a setting) events go side by side, in no order.
"""

from __future__ import annotations

import http.client
import logging
import random
import secrets
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

from hetang.simulator import crypto
from hetang.simulator.state import State

log = logging.getLogger(__name__)
_BATCH = 200


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
        settings = self._state.settings
        if settings.callback_shuffle:
            self._chance.shuffle(rows)
        if settings.callback_senders > 1 and len(rows) > 1:
            with ThreadPoolExecutor(settings.callback_senders) as senders:
                told = list(
                    senders.map(
                        self._deliver_all,
                        (rows[n :: settings.callback_senders] for n in range(settings.callback_senders)),
                    )
                )
        else:
            told = [self._deliver_all(rows)]
        problems = dict(pair for part in told for pair in part)
        self._note(rows, problems)
        if any(problems.values()):
            time.sleep(0.05)
        return len(rows)

    def _deliver_all(self, rows: list[sqlite3.Row]) -> list[tuple[int, str]]:
        """(number, problem or "") of each row, over one kept connection per address."""
        lines = Lines(self._state.settings.callback_timeout_s)
        try:
            return [(row["number"], self._deliver_one(row, lines)) for row in rows]
        finally:
            lines.close()

    def _deliver_one(self, row: sqlite3.Row, lines: Lines) -> str:
        copies = 2 if self._chance.random() < self._state.settings.callback_duplicate_rate else 1
        problem = ""
        for _ in range(copies):
            problem = self._post(row, lines)
        return problem

    def _note(self, rows: list[sqlite3.Row], problems: dict[int, str]) -> None:
        most = self._state.settings.callback_tries
        changes = []
        for row in rows:
            problem, tries = problems[row["number"]], row["tries"] + 1
            state = "delivered" if not problem else "waiting" if tries < most else "lost"
            changes.append((tries, state, problem, row["number"]))
            if problem:
                log.info("callback %s try %s: %s", row["number"], tries, problem)
        with self._state.transaction() as db:
            db.executemany("update callback set tries = ?, state = ?, error = ? where number = ?", changes)

    def _post(self, row: sqlite3.Row, lines: Lines) -> str:
        corpid = self._state.value("corpid", "")
        encrypted = crypto.encrypt(row["callback_aes_key"], row["body"], corpid)
        timestamp, nonce = str(int(self._state.now())), str(self._chance.randrange(10**9))
        signature = crypto.sign(row["callback_token"], timestamp, nonce, encrypted)
        query = urlencode({"msg_signature": signature, "timestamp": timestamp, "nonce": nonce})
        body = (
            f"<xml><ToUserName><![CDATA[{corpid}]]></ToUserName><AgentID><![CDATA[{row['agentid']}]]></AgentID>"
            f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )
        return lines.post(row["callback_url"], query, body.encode())


class Lines:
    """Kept connections to callback addresses, of one thread."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def post(self, url: str, query: str, body: bytes) -> str:
        """POST to a callback address. Returns "" or what went wrong."""
        return self._ask("POST", url, query, body)[0]

    def get(self, url: str, query: str) -> tuple[str, bytes]:
        """GET a callback address: what went wrong, or "" and the answer's body."""
        return self._ask("GET", url, query, None)

    def close(self) -> None:
        """Hang up."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _ask(self, method: str, url: str, query: str, body: bytes | None) -> tuple[str, bytes]:
        place = urlsplit(url)
        key = (place.scheme, place.netloc)
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        kept = self._open.get(key)
        connection = kept or kind(place.netloc, timeout=self._timeout_s)
        self._open[key] = connection
        try:
            connection.request(method, f"{place.path}?{query}", body, {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            del self._open[key]
            if kept is not None and not isinstance(problem, TimeoutError):  # it had hung up while we were silent
                return self._ask(method, url, query, body)
            return type(problem).__name__, b""
        return ("" if answer.status == 200 else f"status {answer.status}"), content


def check_address(corpid: str, app: sqlite3.Row, timestamp: int) -> str:
    """What the platform does when a callback address is saved: send an encrypted text, want it back in the clear.

    Returns "" or what is wrong.
    """
    echo = secrets.token_hex(8)
    encrypted = crypto.encrypt(app["callback_aes_key"], echo, corpid)
    nonce = secrets.token_hex(5)
    signature = crypto.sign(app["callback_token"], str(timestamp), nonce, encrypted)
    query = {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": encrypted}
    lines = Lines(1.0)  # an answer is due within one second
    try:
        problem, content = lines.get(app["callback_url"], urlencode(query))
    finally:
        lines.close()
    return problem or ("" if content == echo.encode() else "the answer is not the decrypted text alone")
