"""After a restore: erase again whoever had been erased since the backup was made.

`hetang restore` calls `replay_erasures` once the restored database is there and before anybody works with it. People
are found by the keyed hashes of the list, not by their numbers: one of after the backup is handed out twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from hetang.customers.models import Customer, Identity
from hetang.facts import refusals
from hetang.platform.sealing import erasure_key, unseal
from hetang.privacy import erasing, erasure_list
from hetang.privacy.erasure_list import Entry
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Erasure

CHUNK = 20_000


@dataclass
class Replayed:
    """What a replay did. `waiting` erasures go on in the worker: what lies in the engine is emptied there."""

    listed: int = 0
    erased: int = 0
    waiting: int = 0
    refused_identities: int = 0
    customers: list[int] = field(default_factory=list)


def replay_erasures() -> Replayed:
    """Erase everybody of the list whom the restored database knows again. May be repeated; a second call finds nobody.

    Reads every identity once: about 100,000 a second. The web process and the streams must not run meanwhile.
    """
    listed = _listed()
    result = Replayed(listed=len(listed))
    result.refused_identities = refusals.refuse_hashes(
        one for entry in listed.values() if entry.objects for one in entry.hashes
    )
    for number, entry in sorted(_found(listed).items()):
        state = _again(number, entry)
        result.customers.append(number)
        result.erased += state in {Erasure.RUNNING, Erasure.DONE}
    for row in erasing.unfinished():  # they had begun before the backup was made
        erasing.carry_out(row.pk, engine=False)
    result.waiting = len(erasing.unfinished())
    return result


def after_restore(_taken_at: datetime) -> None:
    """For `settings.AFTER_RESTORE`."""
    replay_erasures()


def _listed() -> dict[str, Entry]:
    """The file of the home and the rows of the database: either may know more."""
    found = {
        str(row.public_id): Entry(
            str(row.public_id),
            row.began_at.isoformat() if row.began_at else "",
            row.objects_to_return,
            tuple((kind, one) for kind, one in row.hashes),
        )
        for row in Erasure.objects.exclude(began_at=None)
    }
    return found | erasure_list.entries()


def _found(listed: dict[str, Entry]) -> dict[int, Entry]:
    """Living customers whom an entry means: known by one of its identities since before they were erased.

    Somebody who came back after her erasure has a younger record, and stays.
    """
    wanted: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in listed.values():
        for one in entry.hashes:
            wanted[one].append(entry)
    found: dict[int, Entry] = {}
    if not wanted:
        return found
    for kind, value, number in _identities():
        for entry in wanted.get((kind, erasure_key(kind, value)), ()):
            found.setdefault(number, entry)
    created = dict(Customer.objects.filter(pk__in=list(found), erased_at=None).values_list("pk", "created_at"))
    return {number: entry for number, entry in found.items() if number in created and created[number] <= entry.when}


def _identities() -> Iterator[tuple[str, str, int]]:
    """(kind, value in the clear, customer) of every identity."""
    last = 0
    while True:
        rows = list(
            Identity.objects.filter(pk__gt=last)
            .order_by("pk")
            .values_list("pk", "kind", "key", "sealed", "customer")[:CHUNK]
        )
        if not rows:
            return
        last = rows[-1][0]
        for _pk, kind, key, sealed, number in rows:
            yield kind, unseal(sealed).decode() if sealed else key, number


def _again(number: int, entry: Entry) -> str:
    try:
        again = erasing.order_again(Customer.objects.get(pk=number), entry)
    except PrivacyRefused:
        return Erasure.WAITING  # an erasure of hers had begun: it goes on below
    return erasing.carry_out(again.pk, engine=False).state
