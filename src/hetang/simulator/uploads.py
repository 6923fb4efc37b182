"""Files that the platform fetches by itself (`media/upload_by_url`): the work of the jobs (reference section 19).

The simulator really asks the address, as the platform does. The codes of what can go wrong stand on the platform's page
of the job's result, which the reference does not hold: take them as likely.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import urllib.error
import urllib.request

from hetang.simulator import events
from hetang.simulator.state import State

DONE, FAILED = 2, 3
MOST_BYTES = 200 << 20
BAD_URL, NOT_FETCHED, BAD_SIZE, BAD_MD5 = 830001, 830003, 45001, 301019
_PATIENCE_S = 20.0


def work(state: State) -> int:
    """Fetch what waits, with no transaction open, and tell the apps. Returns how many jobs ended."""
    with state.transaction() as db:
        waiting = db.execute("select * from upload_job where status = 1 order by number").fetchall()
    for job in waiting:
        code, content = _fetch(job["url"], job["md5"])
        with state.transaction() as db:
            _end(state, db, job, code, content)
    if waiting:
        state.notify()
    return len(waiting)


def _fetch(url: str, md5: str) -> tuple[int, bytes]:
    if not url.startswith(("http://", "https://")):
        return BAD_URL, b""
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:  # noqa: S310 - http and https only
            content: bytes = answer.read(MOST_BYTES + 1)
    except (OSError, ValueError, urllib.error.URLError):
        return NOT_FETCHED, b""
    if not 5 < len(content) <= MOST_BYTES:
        return BAD_SIZE, b""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return (0, content) if found == md5.lower() else (BAD_MD5, b"")


def _end(state: State, db: sqlite3.Connection, job: sqlite3.Row, code: int, content: bytes) -> None:
    media_id = "" if code else secrets.token_urlsafe(48)
    if media_id:
        db.execute(
            "insert into media (media_id, kind, name, bytes, created_at, content) values (?, ?, ?, ?, ?, ?)",
            [media_id, job["kind"], job["filename"], len(content), state.now(), content],
        )
    db.execute(
        "update upload_job set status = ?, code = ?, media_id = ?, ended_at = ? where number = ?",
        [FAILED if code else DONE, code, media_id, state.now(), job["number"]],
    )
    events.queue(state, db, "upload_media_job_finish", "", {"JobId": job["jobid"]})
