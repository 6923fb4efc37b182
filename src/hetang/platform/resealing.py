"""Sealing anew what was sealed with an older key: columns of the database and files, while everything goes on.

A value is replaced only if nobody has changed it meanwhile, and whoever writes it does so with the current key anyway;
so a chunk may be repeated, and what is found in the end is sealed with the current key or gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection

from hetang.platform import files
from hetang.platform.models import StoredFile
from hetang.platform.sealing import current_mark, seal, unseal

CHUNK = 500
_DECLARED = re.compile(r"(\w+)\((.+)\)\.(\w+)")


@dataclass(frozen=True)
class SealedColumn:
    """A column that holds sealed values. `key` names the columns of its unique key with their types."""

    table: str
    key: tuple[tuple[str, str], ...]
    column: str

    @property
    def code(self) -> str:
        return f"{self.table}.{self.column}"

    def left(self) -> int:
        """How many values are sealed with another key than the current one."""
        return int(self._run(f"select count(*) from {self.table} where {self._other}", {"mark": current_mark()})[0][0])

    def sample(self) -> bytes | None:
        """One of the values, looked for among the first thousand rows."""
        first = f"select {self.column} as sealed from {self.table} limit 1000"
        rows = self._run(f"select sealed from ({first}) as first where sealed is not null limit 1", {})
        return bytes(rows[0][0]) if rows else None

    def reseal(self, after: list[Any] | None) -> tuple[list[Any] | None, int]:
        """Seal the next chunk behind the key `after` (JSON; None: from the beginning) in one transaction.

        Returns where the next chunk begins (None: there is none) and how many values changed.
        """
        names = ", ".join(name for name, _type in self.key)
        behind = f"and ({names}) > ({self._values('after')})" if after else ""
        params: dict[str, Any] = {"mark": current_mark(), "chunk": CHUNK}
        params |= {f"after{place}": value for place, value in enumerate(after or ())}
        rows = self._run(
            f"select {self._texts}, {self.column} from {self.table} where {self._other} {behind}"
            f" order by {names} limit %(chunk)s",
            params,
        )
        if not rows:
            return None, 0
        changed = self._replace([row[:-1] for row in rows], [bytes(row[-1]) for row in rows])
        return list(rows[-1][:-1]), changed

    def _replace(self, keys: list[tuple[str, ...]], old: list[bytes]) -> int:
        new = [seal(unseal(one)) for one in old]
        columns = ", ".join(f"%(k{place})s::text[]" for place in range(len(self.key)))
        names = ", ".join(f"k{place}" for place in range(len(self.key)))
        same = " and ".join(f"t.{name} = n.k{place}::{kind}" for place, (name, kind) in enumerate(self.key))
        params: dict[str, Any] = {f"k{place}": list(values) for place, values in enumerate(zip(*keys, strict=True))}
        with connection.cursor() as cursor:
            cursor.execute(
                f"update {self.table} t set {self.column} = n.new from"
                f" unnest({columns}, %(old)s::bytea[], %(new)s::bytea[]) as n({names}, old, new)"
                f" where {same} and t.{self.column} = n.old",
                params | {"old": old, "new": new},
            )
            return int(cursor.rowcount)

    @property
    def _other(self) -> str:
        return f"{self.column} is not null and substring({self.column} from 1 for length(%(mark)s::bytea)) <> %(mark)s"

    @property
    def _texts(self) -> str:
        return ", ".join(f"{name}::text" for name, _type in self.key)

    def _values(self, prefix: str) -> str:
        return ", ".join(f"%({prefix}{place})s::text::{kind}" for place, (_name, kind) in enumerate(self.key))

    def _run(self, select: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(select, params)
            return list(cursor.fetchall())


@cache
def columns() -> tuple[SealedColumn, ...]:
    """What `settings.SEALED_COLUMNS` declares, as `table(column type, ...).column`."""
    found = []
    for declared in settings.SEALED_COLUMNS:
        match = _DECLARED.fullmatch(declared)
        if match is None:
            raise ValueError(f"{declared!r} is no sealed column")
        table, key, column = match.groups()
        pairs = tuple((name, kind) for name, kind in (part.split() for part in key.split(",")))
        found.append(SealedColumn(table, pairs, column))
    return tuple(found)


def files_after(pk: int) -> Iterator[StoredFile]:
    """Stored files behind an id, one by one."""
    while stored := StoredFile.objects.filter(pk__gt=pk).order_by("pk").first():
        yield stored
        pk = stored.pk


def reseal_file(stored: StoredFile) -> bool:
    """Seal one file anew; whether it was not yet. One whose bytes are gone is passed over."""
    try:
        return files.reseal(stored)
    except (FileNotFoundError, StoredFile.DoesNotExist):
        return False
