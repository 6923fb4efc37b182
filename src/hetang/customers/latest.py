"""Tables in which the newest word counts, by (occurred_at, fact_key): so any order of arrival ends the same.

The same statement folds facts in and moves rows to the survivor of a merge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection


@dataclass(frozen=True, slots=True)
class LatestTable:
    """A table with one row per customer and `key`: `values` are what the newest word says."""

    table: str
    key: tuple[str, ...]
    values: tuple[str, ...]

    def fold(self, source: str, params: dict[str, Any] | None = None) -> None:
        """Upsert the rows that `source` selects (columns by name, several words on one row allowed)."""
        place = ", ".join(("customer_id", *self.key))
        word = (*self.values, "occurred_at", "fact_key")
        changes = ", ".join(f"{column} = excluded.{column}" for column in word)
        _execute(
            f"""
            insert into {self.table} as t ({place}, {", ".join(word)})
            select distinct on ({place}) {place}, {", ".join(word)} from ({source}) s
            order by {place}, occurred_at desc, fact_key desc
            on conflict ({place}) do update set {changes}
            where (excluded.occurred_at, excluded.fact_key) > (t.occurred_at, t.fact_key)
            """,
            params,
        )

    def move(self, moves: dict[str, Any]) -> None:
        """Move rows of absorbed customers to their survivors, where the newer word stays."""
        columns = ", ".join((*self.key, *self.values, "occurred_at", "fact_key"))
        self.fold(
            f"select m.survivor as customer_id, {columns} from {MOVES} join {self.table} on {_OF_ABSORBED}", moves
        )
        _execute(f"delete from {self.table} using {MOVES} where {_OF_ABSORBED}", moves)

    def forget(self) -> str:
        """The statement that drops the rows of `numbers`."""
        return f"delete from {self.table} where customer_id = any(%(numbers)s)"


@dataclass(frozen=True, slots=True)
class LatestColumn:
    """A column of the customer with the time (`_at`) and the fact (`_fact`) of the newest word on it.

    A `derived` column was worked out from it, and is emptied whenever it changes.
    """

    name: str
    column: str
    derived: str = ""

    @property
    def _empty(self) -> str:
        return f", {self.derived} = null" if self.derived else ""

    def fold(self, source: str, params: dict[str, Any] | None = None) -> None:
        """Set the column from rows `customer_id, value, occurred_at, fact_key`."""
        at, fact = f"{self.name}_at", f"{self.name}_fact"
        _execute(
            f"""
            update customers_customer c
            set {self.column} = n.value, {at} = n.occurred_at, {fact} = n.fact_key{self._empty}
            from (
              select distinct on (customer_id) * from ({source}) s
              order by customer_id, occurred_at desc, fact_key desc
            ) n
            where c.number = n.customer_id
              and (c.{at} is null or (n.occurred_at, n.fact_key) > (c.{at}, c.{fact}))
            """,
            params,
        )

    def move(self, moves: dict[str, Any]) -> None:
        """Hand the absorbed customers' word to their survivors, and leave nothing of it on the aliases."""
        at, fact = f"{self.name}_at", f"{self.name}_fact"
        self.fold(
            f"select m.survivor as customer_id, a.{self.column} as value, a.{at} as occurred_at, a.{fact} as fact_key"
            f" from {MOVES} join customers_customer a on a.number = m.absorbed where a.{at} is not null",
            moves,
        )
        _execute(
            f"update customers_customer a set {self.column} = null, {at} = null, {fact} = null{self._empty}"
            f" from {MOVES} where a.number = m.absorbed and a.{at} is not null",
            moves,
        )

    def forget(self) -> str:
        """The statement that drops the word of `numbers`."""
        at, fact = f"{self.name}_at", f"{self.name}_fact"
        return (
            f"update customers_customer set {self.column} = null, {at} = null, {fact} = null{self._empty}"
            f" where number = any(%(numbers)s) and {at} is not null"
        )


MOVES = "unnest(%(absorbed)s::bigint[], %(survivors)s::bigint[]) as m(absorbed, survivor)"
_OF_ABSORBED = "customer_id = m.absorbed"

ATTRIBUTES = LatestTable("customers_customerattribute", ("code",), ("value",))
TAGS = LatestTable("customers_customertag", ("tag_id",), ('"on"', "expires_at", "source"))
CONSENTS = LatestTable(
    "customers_consent",
    ("purpose", "channel"),
    ("given", "basis", "text_version", "stated", "source", "simulated"),
)
CONSENT_BASES = LatestTable(
    "customers_consentbasis",
    ("purpose", "channel", "given_at"),
    ("basis", "text_version"),
)
DO_NOT_DISTURB = LatestTable("customers_donotdisturb", (), ('"on"', '"until"', "source"))
HOUSEHOLD = LatestTable(
    "customers_householdmember",
    ("origin", "member"),
    ("kind", "name", "born_on", "due_on", "sex", "removed"),
)
NAME = LatestColumn("name", "name", derived="name_key")
HOME_STORE = LatestColumn("home_store", "home_store_id")
OWNER = LatestColumn("owner", "owner_id")

ALL: tuple[LatestTable | LatestColumn, ...] = (
    *(ATTRIBUTES, TAGS, CONSENTS, CONSENT_BASES, DO_NOT_DISTURB),
    *(HOUSEHOLD, NAME, HOME_STORE, OWNER),
)


# A basis that came with her own word is never changed; of several that were stated, the newest is in the table.
_STATE_BASES = """
update customers_consent c set basis = s.basis, text_version = s.text_version, stated = true
from customers_consentbasis s
where s.customer_id in ({whose}) and c.customer_id = s.customer_id and c.purpose = s.purpose and c.channel = s.channel
  and c.occurred_at = s.given_at and c.given and (c.basis = 'unknown' or c.stated)
  and (c.basis, c.text_version, c.stated) is distinct from (s.basis, s.text_version, true)
"""


def state_bases(whose: str, params: dict[str, Any] | None = None) -> None:
    """Put the bases that were stated afterwards into the consents of `whose` (a select of customer numbers)."""
    _execute(_STATE_BASES.format(whose=whose), params)


def _execute(statement: str, params: dict[str, Any] | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params or None)
