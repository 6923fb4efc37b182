"""Customers who open the link of a message that reached them, with a configurable chance.

Whether and when somebody opens is drawn when the message is sent to her and written down; she acts when time has come
that far, by a real GET of Hetang's short link, as her phone would. Each opening waits in its row until Hetang has
answered, and carries a key of its own (`Idempotency-Key`): one that is asked again after a crash counts once.

Nothing else is ever fetched: only an http(s) address below Hetang's own base counts as a link, and where it leads is
not followed. The page there is played, too: it knows some of its visitors, and tells Hetang whose click it was.
"""

from __future__ import annotations

import hashlib
import http
import http.client
import logging
import re
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hetang.simulator import ids
from hetang.simulator.population import post
from hetang.simulator.state import State

log = logging.getLogger(__name__)
BATCH = 200
_TIMEOUT_S = 10.0
_PAUSE_S = 1.0
_ADDRESS = re.compile(r"https?://[^\s<>\"'“”，。；（）]+")
_PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Mobile MicroMessenger/8.0 (simulated)"


def link_of(text: str, attachments: list[dict[str, Any]], base: str) -> str | None:
    """The path, below `base`, of the first link to Hetang in a message: in a link attachment, else in the text."""
    cards = [str(one["link"].get("url", "")) for one in attachments if isinstance(one.get("link"), dict)]
    for address in (*cards, *_ADDRESS.findall(text)):
        path = path_below(address, base)
        if path is not None:
            return path
    return None


def path_below(address: str, base: str) -> str | None:
    """What of an http(s) address comes after Hetang's base; None for any other address."""
    try:
        here, there = urlsplit(address), urlsplit(base)
        same = (here.scheme, here.hostname, here.port) == (there.scheme, there.hostname, there.port)
    except ValueError:
        return None
    root = there.path.rstrip("/") + "/"
    if not same or here.scheme not in {"http", "https"} or not here.hostname or "@" in here.netloc:
        return None
    if not here.path.startswith(root) or not here.path.isascii() or re.search(r"[\s\\]|/\.\.?(/|$)", here.path):
        return None
    return "/" + here.path.removeprefix(root)


# The people whom a member's part of a message (?2, ?3) reached: customers, and those in the groups.
REACHED = (
    "select external_userid from group_message_recipient where msgid = ?2 and userid = ?3 and status = 1"
    " and not exists (select 1 from chat where chat_id = external_userid)"
    " union select c.userid from group_message_recipient r join chat_member c on c.chat_id = r.external_userid"
    " where r.msgid = ?2 and r.userid = ?3 and r.status = 1 and c.kind = 2"
)


def expect(state: State, db: sqlite3.Connection, msgid: str, userid: str, at: float) -> None:
    """A member's part of a message was sent at `at`: draw which of those who got it will open its link, and when."""
    rate, delay_s = state.settings.click_rate, state.settings.click_delay_s
    target = state.value("hetang")
    if rate <= 0 or not target:
        return
    row = db.execute("select text, attachments from group_message where msgid = ?", [msgid]).fetchone()
    base = target.get("public_url") or target["url"]
    path = link_of(row["text"], msgspec.json.decode(row["attachments"]), base)
    if path is None:
        return
    reached = db.execute(REACHED, [None, msgid, userid])
    db.executemany(
        "insert or ignore into click (key, msgid, external_userid, path, at) values (?, ?, ?, ?, ?)",
        _drawn(state.settings.seed, (rate, delay_s), (msgid, path, at), (one[0] for one in reached.fetchall())),
    )


def _drawn(
    seed: int, chance: tuple[float, float], message: tuple[str, str, float], people: Iterator[str]
) -> Iterator[tuple[str, str, str, str, float]]:
    rate, delay_s = chance
    msgid, path, at = message
    for person in people:
        opens, moment, _, _ = ids.chances(seed, "click", msgid, person)
        if opens < rate:
            key = ids.token("open-", seed, "open", msgid, person, length=32)
            yield key, msgid, person, path, at + 2 * delay_s * moment


def due(db: sqlite3.Connection, start: float, end: float) -> int:
    """How many openings fall into (start, end]."""
    return int(db.execute("select count(*) from click where at > ? and at <= ?", [start, end]).fetchone()[0])


class Clicker:
    """The thread that opens links: an opening is done when Hetang answered it, whatever it said."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.problem = ""

    def run(self, stopped: threading.Event) -> None:
        """Open links until told to stop."""
        while not stopped.is_set():
            if self.open_due(stopped) == 0:
                with self._state.wake:
                    self._state.wake.wait(_PAUSE_S)

    def open_due(self, stopped: threading.Event | None = None) -> int:
        """Open what is due, up to a batch. Returns how many were answered; `problem` says why the next one was not."""
        target = self._state.value("hetang")
        if not target:
            return 0
        with self._state.transaction() as db:
            rows = db.execute(
                "select number, key, external_userid, path, at from click where answered_at is null and at <= ?"
                " order by at, number limit ?",
                [float(self._state.value("acted_until", 0.0)), BATCH],
            ).fetchall()
        answered = 0
        for row in rows:
            if stopped is not None and stopped.is_set():
                break
            status = self._open(target["url"], row)
            if not status:
                break
            with self._state.transaction() as db:
                db.execute(
                    "update click set answered_at = ?, status = ? where number = ? and answered_at is null",
                    [self._state.now(), status, row["number"]],
                )
                if status == http.HTTPStatus.FOUND:
                    self._arrive(db, row)
            answered += 1
        return answered

    def _arrive(self, db: sqlite3.Connection, row: sqlite3.Row) -> None:
        """She comes to the page behind a link; if it knows her, it tells."""
        root, _slash, code = row["path"].partition("/l/")
        draw, *_others = ids.chances(self._state.settings.seed, "known", row["key"])
        if root or not code or draw >= self._state.settings.known_rate:
            return
        person = db.execute(
            "select identities from person where external_userid = ?", [row["external_userid"]]
        ).fetchone()
        known = msgspec.json.decode(person["identities"]) if person else []
        who = [{"kind": kind, "value": value} for kind, value in known or [("external_userid", row["external_userid"])]]
        post(db, "click.identified", f"click-{row['key']}", row["at"], {"who": who, "body": {"link": code}})

    def _open(self, base: str, row: sqlite3.Row) -> int:
        """GET one link. Returns the status of the answer, 0 when there was none or the server was in trouble."""
        place = urlsplit(base)
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        home = place.hostname or ""
        source = _phone_of(row["external_userid"]) if home.startswith("127.") else None
        connection = kind(home, place.port, timeout=_TIMEOUT_S, source_address=source)
        try:
            headers = {"User-Agent": _PHONE, "Idempotency-Key": row["key"]}
            connection.request("GET", place.path.rstrip("/") + row["path"], headers=headers)
            answer = connection.getresponse()
            answer.read(2000)
        except (OSError, http.client.HTTPException) as problem:
            return self._wait(type(problem).__name__)
        finally:
            connection.close()
        if answer.status >= 500 or answer.status == 429:
            return self._wait(f"status {answer.status}")
        self.problem = ""
        return answer.status

    def _wait(self, problem: str) -> int:
        if problem != self.problem:
            log.warning("links are not opened now: %s", problem)
        self.problem = problem
        return 0


def _phone_of(person: str) -> tuple[str, int]:
    """A loopback address of her own: to Hetang, customers come from different places, as they do in life."""
    one, two, three = hashlib.blake2b(person.encode(), digest_size=3).digest()
    return f"127.{64 + one % 128}.{two}.{1 + three % 254}", 0
