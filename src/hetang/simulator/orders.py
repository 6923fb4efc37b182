"""The thread that tells Hetang what people did: posts the outbox to its public API until every fact is acknowledged."""

from __future__ import annotations

import http.client
import logging
import threading
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hetang.simulator.state import State

log = logging.getLogger(__name__)
BATCH = 1000
_TIMEOUT_S = 30.0
_PAUSE_S = 1.0


class Poster:
    """Facts leave in order, in batches; a fact is done when Hetang answered for its batch (keys make repeats safe)."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.problem = ""

    def run(self, stopped: threading.Event) -> None:
        """Post until told to stop."""
        while not stopped.is_set():
            posted = self.post()
            if posted == 0:
                with self._state.wake:
                    self._state.wake.wait(_PAUSE_S)

    def post(self) -> int:
        """One batch. Returns how many facts were acknowledged; `problem` says why none were."""
        target = self._state.value("hetang")
        if not target:
            return 0
        with self._state.transaction() as db:
            rows = db.execute(
                "select number, fact from outbox where posted_at is null order by number limit ?", [BATCH]
            ).fetchall()
        if not rows:
            return 0
        body = msgspec.json.encode(
            {"source": target["source"], "facts": [msgspec.Raw(row["fact"].encode()) for row in rows]}
        )
        self.problem = self._send(target, body)
        if self.problem:
            log.warning("orders are waiting: %s", self.problem)
            return 0
        with self._state.transaction() as db:
            db.execute(
                "update outbox set posted_at = ?, fact = '' where number between ? and ? and posted_at is null",
                [self._state.now(), rows[0]["number"], rows[-1]["number"]],
            )
        return len(rows)

    def _send(self, target: dict[str, Any], body: bytes) -> str:
        place = urlsplit(target["url"])
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        connection = kind(place.netloc, timeout=_TIMEOUT_S)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {target['api_key']}"}
        try:
            connection.request("POST", f"{place.path.rstrip('/')}/api/v1/facts", body, headers)
            answer = connection.getresponse()
            said = answer.read(2000)
        except (OSError, http.client.HTTPException) as problem:
            return type(problem).__name__
        finally:
            connection.close()
        if answer.status // 100 == 2 or answer.status == 422:  # 422: all refused, and kept by Hetang
            self._count_rejected(said)
            return ""
        return f"status {answer.status}: {said[:200].decode(errors='replace')}"

    def _count_rejected(self, said: bytes) -> None:
        """Hetang keeps refused facts itself; here they are only worth a line in the log."""
        try:
            rejected = msgspec.json.decode(said).get("rejected")
        except (msgspec.DecodeError, AttributeError):
            return
        if rejected:
            log.warning("hetang refused facts: %s", str(rejected)[:300])
