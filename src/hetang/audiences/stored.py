"""Snapshots in and out of PostgreSQL in binary: a set of three million people weighs 2.5 MB, twice that as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection
from pyroaring import BitMap

from hetang.audiences.models import AudienceSnapshot

_COLUMNS = ("audience_id", "sequence", "at", "version", "members", "count", "entered", "left", "entered_members",
            "left_members")  # fmt: skip


def read_members(snapshot_id: int) -> BitMap:
    """The people of a snapshot; nobody where it is gone."""
    rows = _run("select members from audiences_audiencesnapshot where id = %s", [snapshot_id])
    return BitMap.deserialize(rows[0][0]) if rows else BitMap()


def write(snapshot: AudienceSnapshot) -> None:
    """Insert a snapshot that is not there yet, and give it its id. Raises IntegrityError of psycopg for a sequence
    that is taken."""
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    places = ", ".join(["%s"] * len(_COLUMNS))
    values = [getattr(snapshot, name) for name in _COLUMNS]
    rows = _run(f"insert into audiences_audiencesnapshot ({names}) values ({places}) returning id", values)
    snapshot.pk = rows[0][0]


def _run(sql: str, values: Sequence[Any]) -> list[Any]:
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # Django's own cursors write everything as text
        cursor.execute(sql, values, binary=True)
        return cursor.fetchall()
