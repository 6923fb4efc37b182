"""How long kinds of data are kept. The rooms declare it, privacy shows and enforces it.

`settings.KEEPING` names lists of `Keeping`s. Whoever adds a table or a file with personal data says here how long it
stays and why, or by which other rule it ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db import connection, transaction
from django.db.models import Min, QuerySet

from hetang.platform.holdings import Text

CHUNK = 5_000  # rows of one transaction, which stays well below a second
COUNTED = 1_000_000  # counts for pages go no further

Note = Callable[[int], None]  # called in the transaction of each chunk with its size; what it raises undoes the chunk


class Store(Protocol):
    """Where a kind of data lies."""

    def remove(self, before: datetime, note: Note) -> None:
        """Remove what is older, chunk by chunk; may be stopped after any and repeated."""

    def count(self, before: datetime) -> int:
        """How many pieces are older, counted up to `COUNTED`."""

    def oldest(self, gone: datetime | None, /) -> datetime | None:
        """The time of the oldest piece; None when there is none. What is older than `gone` was removed before."""


@dataclass(frozen=True)
class Keeping:
    """One kind of data: for how long it is kept (`days`, between `least` and `most`), and why.

    Without a `store` nothing is removed by the schedule: `until` says when it ends instead.
    """

    code: str
    label: Text
    why: Text
    days: int = 0
    least: int = 1
    most: int = 3_650
    store: Store | None = None
    until: Text = ""


class Chosen(ABC):
    """Rows that a queryset chooses, by the age of `column`, `at_once` in a transaction: for what a condition in SQL
    cannot say well, or where more goes than the rows."""

    column = "at"
    at_once = 500

    @abstractmethod
    def rows(self) -> QuerySet[Any]:
        """Those that end by their age."""

    def delete(self, found: list[int]) -> None:
        """Remove these rows and what goes with them, in the transaction of the chunk."""
        self.rows().filter(pk__in=found).delete()

    def remove(self, before: datetime, note: Note) -> None:
        """Chunk by chunk, until nothing older is left."""
        while found := list(self._older(before).order_by("pk").values_list("pk", flat=True)[: self.at_once]):
            with transaction.atomic():
                self.delete(found)
                note(len(found))

    def count(self, before: datetime) -> int:
        return self._older(before)[:COUNTED].count()

    def oldest(self, _gone: datetime | None, /) -> datetime | None:
        found: datetime | None = self.rows().aggregate(oldest=Min(self.column))["oldest"]
        return found

    def _older(self, before: datetime) -> QuerySet[Any]:
        return self.rows().filter(**{f"{self.column}__lt": before})


@dataclass(frozen=True)
class Rows:
    """Rows of a table by the age of `column`. `key` is unique and ends in what the rows are taken by, oldest first.

    `condition` chooses among them; `change` empties columns instead of deleting the row, and must make the condition
    false. All of it is SQL of ours.
    """

    table: str
    key: str
    column: str
    condition: str = "true"
    change: str = ""

    def remove(self, before: datetime, note: Note) -> None:
        """Chunk by chunk, each looking behind the last row of the one before."""
        verb = f"update {self.table} set {self.change}" if self.change else f"delete from {self.table}"
        for keys in self._chunks(before):
            with transaction.atomic(), connection.cursor() as cursor:
                wanted = ", ".join(["(" + ", ".join(["%s"] * len(keys[0])) + ")"] * len(keys))
                cursor.execute(
                    f"{verb} where ({self.key}) in ({wanted}) and {self.condition}",
                    [value for row in keys for value in row],
                )
                note(cursor.rowcount)

    def count(self, before: datetime) -> int:
        return int(
            self._one(
                f"select count(*) from (select 1 from {self.table} where {self.column} < %s and {self.condition}"
                f" limit {COUNTED}) older",
                [before],
            )
        )

    def oldest(self, _gone: datetime | None, /) -> datetime | None:
        found: datetime | None = self._one(f"select min({self.column}) from {self.table} where {self.condition}", [])
        return found

    def _chunks(self, before: datetime) -> Iterator[list[tuple[Any, ...]]]:
        after: tuple[Any, ...] | None = None
        while True:
            behind = f"and ({self.key}) > ({', '.join(['%s'] * len(after))})" if after else ""
            with connection.cursor() as cursor:
                cursor.execute(
                    f"select {self.key} from {self.table} where {self.column} < %s and {self.condition} {behind}"
                    f" order by {self.key} limit {CHUNK}",
                    [before, *(after or ())],
                )
                keys = cursor.fetchall()
            if not keys:
                return
            after = keys[-1]
            yield keys

    def _one(self, select: str, params: list[Any]) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(select, params)
            return cursor.fetchone()[0]
