"""New keys for what identifies people: the key that seals values and the one by which identifiers are looked up.

While it goes on, facts come in, people are found and files are read: every process knows both keys before the first
value is written under the new one, and until the last value under the old one is gone. The steps and their places are
in the database, the keys in the home; each step may die at any instruction and is done again:

 1. `lookup_known`   every process learns the new lookup key beside the old one;
 2. `lookup_used`    new facts are written under the new one;
 3. `sealing_used`   new values are sealed with the new key (every process finds a key that it does not know yet);
 4. `identities`     identities and the facts whose subject they are, chunk by chunk (`customers.rekeying`);
 5. `log`            who else is named in facts, and their sealed values (`facts.rekeying`);
 6. `names`          the keys of names, which are worked out anew when they are needed;
    `columns`, `files`  everything else that is sealed (`platform.resealing`);
 7. `again`          identities, log and columns once more, until nothing is left under the old keys;
 8. `evidence`       what merges and messages remember of the old names;
 9. `over`           the old lookup key is put aside. Old keys open older backups, so they are never thrown away.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction

from hetang.customers import rekeying as people
from hetang.customers.models import Identity
from hetang.facts import rekeying as facts
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform import audit, clock, jobs, resealing
from hetang.platform.access import Actor
from hetang.platform.backups.keys import fingerprint, lookups_of
from hetang.platform.environment import RELOAD_S, change_secrets, secrets_of_home
from hetang.platform.models import JobRun, User
from hetang.platform.sealing import lookup_key_by, unseal
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Erasure, KeyRotation
from hetang.touch import rekeying as touch

JOB = "privacy.rotate_keys"
STEPS = (
    *("lookup_known", "lookup_used", "sealing_used"),
    *("identities", "log", "names", "columns", "files", "again"),
    *("evidence", "over"),
)
SETTLE_S = 2.5 * RELOAD_S  # after a change of the secrets every process has read them
BREATH_S = 0.1  # between chunks that keep the streams out
_WAIT_S = 0.2
_SAFE = timedelta(minutes=10)  # facts received since then are looked at one by one

Progress = Callable[[int, int | None, str], None]


class StillSealed(Exception):
    """Values under the old keys were found again and again: something goes on writing them."""


def begin(actor: Actor) -> KeyRotation:
    """Start a rotation as a job. Raises Forbidden, PrivacyRefused: rotating, erasing_first."""
    actor.require("privacy:manage")
    if Erasure.objects.filter(state__in=(Erasure.WAITING, Erasure.RUNNING)).exists():
        raise PrivacyRefused("erasing_first")
    known = secrets_of_home(fresh=True)
    user = User.objects.filter(pk=actor.user_id or 0).first()
    try:
        with transaction.atomic():
            rotation = KeyRotation.objects.create(
                alive=True,
                started_at=clock.now(),
                started_by=user,
                lookup_from=fingerprint(known.lookup),
                sealing_to=_next_id(known.sealing),
            )
            rotation.job = jobs.enqueue(JOB, "Key rotation", {"rotation": rotation.pk}, user)
            rotation.save(update_fields=["job"])
            audit.record(actor, "keys.rotation_begun", "installation", rotation.pk, {"sealing": rotation.sealing_to})
    except IntegrityError as clash:
        raise PrivacyRefused("rotating") from clash
    return rotation


def under_way() -> KeyRotation | None:
    """The rotation that is not over."""
    return KeyRotation.objects.filter(alive=True).select_related("job").first()


def start_again(actor: Actor, rotation: KeyRotation) -> None:
    """A rotation whose job has ended goes on where it was. Raises Forbidden, PrivacyRefused("rotating")."""
    actor.require("privacy:manage")
    ended = (JobRun.DONE, JobRun.FAILED, JobRun.CANCELLED)
    with transaction.atomic():
        locked = KeyRotation.objects.select_for_update().filter(pk=rotation.pk, alive=True).first()
        if locked is None or (locked.job is not None and locked.job.state not in ended):
            raise PrivacyRefused("rotating")
        user = User.objects.filter(pk=actor.user_id or 0).first()
        locked.job = jobs.enqueue(JOB, "Key rotation", {"rotation": rotation.pk}, user)
        locked.save(update_fields=["job"])


def carry_out(rotation_id: int, progress: Progress = lambda *_: None) -> KeyRotation:
    """Go on with a rotation until it is over; may be repeated. Raises what `progress` raises, and StillSealed."""
    rotation = KeyRotation.objects.get(pk=rotation_id)
    work = _Work(rotation, progress)
    for name in STEPS:
        if rotation.alive and not rotation.steps.get(name, {}).get("finished"):
            getattr(work, name)()
            work.finish(name)
    return rotation


@dataclass
class Left:
    """How much is still under older keys, by what it is. Reads everything that is sealed."""

    identities: int
    columns: dict[str, int]

    @property
    def nothing(self) -> bool:
        return not self.identities and not any(self.columns.values())


class _Work:
    """One process's work on a rotation."""

    def __init__(self, rotation: KeyRotation, progress: Progress) -> None:
        self.rotation, self._progress = rotation, progress

    # the secrets -----------------------------------------------------------------------------------------------------

    def lookup_known(self) -> None:
        before = self.rotation.lookup_from

        def change(values: dict[str, Any]) -> None:
            values.setdefault("api_keys", values["lookup"])  # nobody has their plain text to hash them anew
            if fingerprint(values["lookup"]) == before and not values.get("lookup_other"):
                values["lookup_other"] = secrets.token_hex(32)

        known = change_secrets(change)
        after = known.lookup_other if fingerprint(known.lookup) == before else known.lookup
        self.rotation.lookup_to = fingerprint(after)
        self.rotation.save(update_fields=["lookup_to"])
        self._settle()

    def lookup_used(self) -> None:
        before = self.rotation.lookup_from

        def change(values: dict[str, Any]) -> None:
            if fingerprint(values["lookup"]) == before:
                values["lookup"], values["lookup_other"] = values["lookup_other"], values["lookup"]

        change_secrets(change)
        self._settle()

    def sealing_used(self) -> None:
        name = self.rotation.sealing_to

        def change(values: dict[str, Any]) -> None:
            values["sealing"].setdefault(name, secrets.token_hex(32))
            values["sealing_current"] = name

        change_secrets(change)
        self._settle()
        self._wait_for_writers()
        self._step("sealing_used")["at"] = clock.now().isoformat()

    def over(self) -> None:
        before = self.rotation.lookup_from

        def change(values: dict[str, Any]) -> None:
            old = values.pop("lookup_other", "")
            if old and fingerprint(old) == before:
                values["lookup_past"] = [*values.get("lookup_past", []), old]

        change_secrets(change)
        with transaction.atomic():
            ended = KeyRotation.objects.filter(pk=self.rotation.pk, alive=True)
            if ended.update(alive=None, finished_at=clock.now()):
                counts = {name: step.get("done", 0) for name, step in self.rotation.steps.items() if step.get("done")}
                audit.record("privacy", "keys.rotated", "installation", self.rotation.pk, counts)
        self.rotation.refresh_from_db()

    # what is written anew --------------------------------------------------------------------------------------------

    def identities(self) -> None:
        self._walk_identities("identities")

    def log(self) -> None:
        self._walk("log", list(facts.START), lambda place: facts.rewrite(place, *self._changeover))

    def names(self) -> None:
        self._walk("names", 0, people.forget_name_keys)

    def columns(self) -> None:
        for column in resealing.columns():
            self._walk(column.code, [], lambda place, column=column: column.reseal(place or None))  # type: ignore[misc]

    def files(self) -> None:
        step = self._step("files")
        for stored in resealing.files_after(int(step.get("place") or 0)):
            changed = resealing.reseal_file(stored)
            self._note("files", stored.pk, int(changed))

    def again(self) -> None:
        """What was written under the old keys while they were still in use somewhere."""
        for number in range(5):
            found = self._walk_identities(f"again.identities.{number}")
            found += self._walk(
                f"again.log.{number}", list(facts.START), lambda place: facts.rewrite(place, *self._changeover)
            )
            for column in resealing.columns():
                found += self._walk(
                    f"again.{column.code}.{number}",
                    [],
                    lambda place, column=column: column.reseal(place or None),  # type: ignore[misc]
                )
            if not found:
                return
        raise StillSealed

    def evidence(self) -> None:
        place: int | None = 0
        while place is not None:
            place = people.rename_evidence(place, 500)
            self._breathe("evidence")
        self._walk("evidence.log", list(facts.START), lambda at: facts.rename_merges(at, people.FORMER_NAMES))
        touch.follow()
        while people.forget_former(2_000):
            self._breathe("evidence")

    # steps and places ------------------------------------------------------------------------------------------------

    def finish(self, name: str) -> None:
        """Note that a step is done, for whoever goes on."""
        step = self._step(name)
        step["finished"] = True
        self._save()

    def _walk_identities(self, name: str) -> int:
        def chunk(place: Any) -> tuple[Any, int]:
            found = people.rekey(int(place))
            if found[1]:
                time.sleep(BREATH_S)
            return found

        return self._walk(name, 0, chunk)

    def _walk(self, name: str, start: Any, chunk: Callable[[Any], tuple[Any, int]]) -> int:
        """Chunk by chunk from the noted place to the end; how many values changed, also before this process."""
        step = self._step(name)
        if not step.get("finished"):
            place = step.get("place", start)
            while True:
                after, changed = chunk(place)
                if after is None:
                    break
                place = after
                self._note(name, place, changed)
            step["finished"] = True
            self._save()
        return int(step.get("done", 0))

    def _note(self, name: str, place: Any, changed: int) -> None:
        step = self._step(name)
        step["place"], step["done"] = place, step.get("done", 0) + changed
        self._save()
        self._progress(sum(one.get("done", 0) for one in self.rotation.steps.values()), None, "rotating")

    def _step(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.rotation.steps.setdefault(name, {})
        return found

    def _save(self) -> None:
        self.rotation.save(update_fields=["steps"])

    def _breathe(self, _name: str) -> None:
        self._progress(sum(one.get("done", 0) for one in self.rotation.steps.values()), None, "rotating")

    @property
    def _changeover(self) -> tuple[datetime, datetime]:
        """When facts may have been written under any mixture of old and new keys."""
        until = datetime.fromisoformat(self._step("sealing_used")["at"])
        return self.rotation.started_at - _SAFE, until + _SAFE

    def _settle(self) -> None:
        """Until every process has read the changed secrets."""
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            self._breathe("settle")
            time.sleep(_WAIT_S)

    def _wait_for_writers(self) -> None:
        """Until every transaction that began before now has ended: it may hold values under the old keys."""
        with connection.cursor() as cursor:
            cursor.execute("select pg_snapshot_xmax(pg_current_snapshot())::text")
            border = cursor.fetchone()[0]
            while True:
                cursor.execute("select pg_snapshot_xmin(pg_current_snapshot()) >= %s::text::xid8", [border])
                if cursor.fetchone()[0]:
                    return
                self._breathe("writers")
                time.sleep(_WAIT_S)


def left() -> Left:
    """What is still sealed with an older key. Reads every sealed column and every identity once."""
    columns = {column.code: column.left() for column in resealing.columns()}
    return Left(Identity.objects.filter(former_key__isnull=False).count(), columns)


def _next_id(known: dict[str, str]) -> str:
    numbers = [int(name) for name in known if name.isdecimal()]
    return str(max(numbers, default=0) + 1)


# after a restore ------------------------------------------------------------------------------------------------------


def after_restore(_taken_at: datetime) -> None:
    """For `settings.AFTER_RESTORE`: of all lookup keys that the home knows, use the one that this database is under."""
    rotation = under_way()
    if rotation is not None:
        used = rotation.lookup_to if rotation.steps.get("lookup_used", {}).get("finished") else rotation.lookup_from
        other = rotation.lookup_from if used == rotation.lookup_to else rotation.lookup_to
    else:
        used, other = _fingerprint_in_use(), ""
    if not used:
        return

    def change(values: dict[str, Any]) -> None:
        known = {fingerprint(key): key for key in lookups_of(values)}
        if used not in known:
            return
        values["lookup"] = known.pop(used)
        values["lookup_other"] = known.pop(other, "")
        values["lookup_past"] = list(known.values())

    change_secrets(change)


def _fingerprint_in_use() -> str:
    """The lookup key under which the newest direct identity is known; empty when there is none."""
    row = Identity.objects.filter(kind__in=sorted(DIRECT_KINDS), sealed__isnull=False).order_by("-pk").first()
    if row is None or row.sealed is None:
        return ""
    value = unseal(row.sealed).decode()
    known = secrets_of_home(fresh=True)
    for key in (known.lookup, known.lookup_other, *known.lookup_past):
        if key and lookup_key_by(key, row.kind, value) == row.key:
            return fingerprint(key)
    return ""
