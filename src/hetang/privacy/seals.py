"""Seals over the audit log: whoever alters or removes a sealed row cannot do it unnoticed.

Once a minute the rows up to a final id are hashed in the database, in id order, and sealed: the seal holds each row's
hash, is signed with a key that is not in the database and carries on the signature of the seal before it. Its head is
also appended to a file in the home, which is mirrored beside the backups. Rows younger than the newest seal (a minute,
more while the worker is away) are not protected yet; `verification.verify` counts them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from hetang.platform import clock, lasting
from hetang.platform.environment import secrets_of_home
from hetang.privacy.models import AuditRelease, AuditSeal

ROWS_PER_SEAL = 5_000
LEAF_BYTES = 8 + 32
_WAIT_S = 3.0

# Everything that a row says, written so that no two rows can look the same.
ROW_HASH = """sha256(convert_to(json_build_array(
  id, to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), actor, action, target_type, target_id, org_node_id,
  changes::text, request_id, host(address))::text, 'UTF8'))"""
LEAVES = f"""
select count(*), coalesce(max(id), 0), coalesce(string_agg(int8send(id) || {ROW_HASH}, ''::bytea order by id), '')
from (select * from platform_auditentry where id > %s and id <= %s order by id limit %s) rows
"""


@dataclass(frozen=True)
class State:
    """How far the log is sealed. `unsealed` is counted up to 10,000."""

    seals: int
    last_id: int
    sealed_at: Any
    unsealed: int


def seal_new() -> int:
    """Seal what is final and not sealed yet. Returns how many rows; 0 also when a writer took too long: try later.

    Cost: an index scan of the new rows. Nobody is blocked.
    """
    final = _final_id()
    count = 0
    while final is not None:
        rows = _seal_next(final)
        count += rows
        if rows < ROWS_PER_SEAL:
            break
    _copy_heads()
    return count


def state() -> State:
    """For pages. Two index scans."""
    newest = AuditSeal.objects.order_by("-number").defer("leaves").first()
    last = newest.last_id if newest else 0
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from (select 1 from platform_auditentry where id > %s limit 10000) newer", [last]
        )
        unsealed = cursor.fetchone()[0]
    return State(newest.number if newest else 0, last, newest.sealed_at if newest else None, unsealed)


def release(partition: str, ids: bytes, rows: int) -> AuditRelease:
    """Note, signed, that the schedule removed these rows (64-bit roaring bytes), in the caller's transaction."""
    digest = hashlib.sha256(ids).hexdigest()
    return AuditRelease.objects.create(
        at=clock.now(), partition=partition, ids=ids, rows=rows, mac=sign(f"release:{partition}:{rows}:{digest}")
    )


def sign(text: str) -> str:
    """HMAC-SHA256 (hex) with the audit key of this home."""
    return hmac.new(bytes.fromhex(secrets_of_home().audit), text.encode(), hashlib.sha256).hexdigest()


def mac_of(seal: AuditSeal, previous: str) -> str:
    """What the seal's signature must be after the seal with the signature `previous`."""
    digest = hashlib.sha256(bytes(seal.leaves)).hexdigest()
    return sign(f"seal:{seal.number}:{seal.first_id}:{seal.last_id}:{seal.rows}:{digest}:{previous}")


def heads() -> list[dict[str, Any]]:
    """The heads that lie outside of the database (`platform.lasting`); a line that a crash tore is left out."""
    found = []
    for line in lasting.lines(lasting.SEALS):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _final_id() -> int | None:
    """An id below which no row can appear any more; None when a writer is still at work after some seconds.

    An id is taken while its transaction already holds the table's lock. So whoever took an id below the highest one
    seen first holds the lock now, and once those holders are gone every such row is committed or never will be.
    """
    with connection.cursor() as cursor:
        cursor.execute("select case when is_called then last_value else 0 end from platform_auditentry_id_seq")
        highest = cursor.fetchone()[0]
        cursor.execute(
            "select distinct virtualtransaction from pg_locks where relation = 'platform_auditentry'::regclass"
            " and mode = 'RowExclusiveLock' and database = (select oid from pg_database where datname ="
            " current_database()) and pid <> pg_backend_pid()"
        )
        writers = [row[0] for row in cursor.fetchall()]
        until = time.monotonic() + _WAIT_S
        while writers:
            if time.monotonic() > until:
                return None
            time.sleep(0.05)
            cursor.execute(
                "select distinct virtualtransaction from pg_locks where virtualtransaction = any(%s)"
                " and relation = 'platform_auditentry'::regclass",
                [writers],
            )
            writers = [row[0] for row in cursor.fetchall()]
    return int(highest)


@transaction.atomic
def _seal_next(final: int) -> int:
    """One seal over the next rows; two processes that do it at once make one seal, the other none."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext('hetang.audit_seal'))")
        before = AuditSeal.objects.order_by("-number").defer("leaves").first()
        after = before.last_id if before else 0
        cursor.execute(LEAVES, [after, final, ROWS_PER_SEAL])
        rows, last, leaves = cursor.fetchone()
    if not rows:
        return 0
    made = AuditSeal(
        number=before.number + 1 if before else 1,
        first_id=after + 1,
        last_id=last,
        rows=rows,
        leaves=bytes(leaves),
        sealed_at=clock.now(),
    )
    made.mac = mac_of(made, before.mac if before else "")
    made.save(force_insert=True)
    return int(rows)


def _copy_heads() -> None:
    """Append the heads that the file does not have yet: a crash after the commit is made good by the next run."""
    known = max((int(head["number"]) for head in heads()), default=0)
    newer = AuditSeal.objects.filter(number__gt=known).defer("leaves").order_by("number")
    lines = [
        json.dumps({"number": one.number, "last_id": one.last_id, "rows": one.rows, "mac": one.mac}) for one in newer
    ]
    if lines:
        lasting.append(lasting.SEALS, lines)
