"""The set service: rules evaluated over the live sets and the ClickHouse history, inside the engine process.

Verbs take and give JSON. A `scope` is a list of organisation paths (None: the whole brand): only people with their home
store or an active friendship below one of them count.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from django.db import connection, connections
from pyroaring import BitMap

from hetang.audiences import catalogues, first_source_sets, following, history, queries, verification
from hetang.audiences.buckets import Drawn
from hetang.audiences.catalogues import catalogue
from hetang.audiences.errors import history_is_away
from hetang.audiences.live import LiveSets
from hetang.audiences.moments import Moment
from hetang.audiences.partition import split
from hetang.audiences.past import Past
from hetang.audiences.plans import Query, Ranked, plan
from hetang.audiences.reading import parse
from hetang.audiences.rules import Catalogue, InvalidRule, Node
from hetang.audiences.sets import Evaluation, borders, each, evaluate
from hetang.audiences.standing_rules import MILLE, Borders, Percentile
from hetang.audiences.standings import Standings, Values, sums_of
from hetang.communities import queries as communities
from hetang.customers import friendships, kept, tag_words
from hetang.platform import clock, environment, outages
from hetang.platform.engine_client import ServiceError

log = logging.getLogger(__name__)

FRESH_S = 0.25  # sets older than this are brought up to date before they answer
BUSY_POLL_S = 0.1  # so that while questions come they find fresh sets
IDLE_POLL_S = 2.0
SAVE_EVERY_S = 300.0
MAX_SAMPLE = 1000
CACHE_BYTES = 256 << 20

Version = tuple[int, int, int]


class LeafCache:
    """Answers of the history, by query, as long as the history has not moved. Bounded by bytes, oldest use first."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._entries: OrderedDict[Query, tuple[Version, BitMap, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, query: Query, version: Version) -> BitMap | None:
        """The answer at a version, if it is known."""
        with self._lock:
            found = self._entries.get(query)
            if found is None or found[0] != version:
                return None
            self._entries.move_to_end(query)
            return found[1]

    def keep(self, query: Query, version: Version, answer: BitMap) -> None:
        """Remember an answer that was asked for after the version was read: it can only be newer than its label."""
        parts = answer.get_statistics()
        size = 500 + int(parts["n_bytes_array_containers"]) + int(parts["n_bytes_bitset_containers"])
        with self._lock:
            old = self._entries.pop(query, None)
            self._bytes += size - (old[2] if old else 0)
            self._entries[query] = (version, answer, size)
            while self._bytes > self._limit and len(self._entries) > 1:
                self._bytes -= self._entries.popitem(last=False)[1][2]


@dataclass(frozen=True)
class State:
    """What the last look at PostgreSQL gave: the sets (nobody changes this copy of their index), the history's
    version and the day. Read together, so that an evaluation need not ask PostgreSQL again."""

    sets: LiveSets
    version: Version
    moment: Moment
    kept: dict[int, tuple[int, BitMap]]  # tags that rules keep: stamp and people


class View:
    """The sets as one evaluation sees them (`sets.Source`): one version of the history, no change under its feet."""

    def __init__(self, state: State, cache: LeafCache | None, drawn: Drawn, past: Past, standings: Standings) -> None:
        self._still = state.sets
        self._kept = state.kept
        self._version = state.version
        self._cache = cache
        self._drawn = drawn
        self._past = past
        self._answers: dict[Query, BitMap] = {}
        self._standings = standings
        self._values: dict[Query, Values] = {}
        self._befriended: first_source_sets.Befriended | None = None  # once somebody asks for many of them

    @property
    def universe(self) -> BitMap:
        return self._still.universe

    def live(self, family: str, keys: tuple[Hashable, ...]) -> BitMap:  # noqa: PLR0911 - one for each family
        if family == "friends":
            number, staff = keys
            return self._still.friends(int(str(number)), staff)  # type: ignore[arg-type]
        if family == "friendship":
            return friendships.customers_with(*cast("friendships.Wanted", keys)) & self.universe
        if family == "first_source":
            return first_source_sets.answer(keys, self._befriended) & self.universe
        if family == "tagged":
            return tag_words.customers_tagged(*cast("tag_words.Wanted", keys)) & self.universe
        if family == "groups":
            return communities.customers_in(*cast("communities.InGroups", keys)) & self.universe
        if family == "household":
            kind, spans = keys
            return self._still.household(str(kind), spans)  # type: ignore[arg-type]
        if family == "bucket":
            draw, first, last = keys
            highest = self.universe.max() if self.universe else 0
            return self._drawn.between(str(draw), int(str(first)), int(str(last)), highest)
        if family in Past.FAMILIES:
            return self._past.find(family, keys, self.universe)
        if family == "tag" and (worn := [self._kept[key][1] for key in keys if key in self._kept]):
            return BitMap.union(self._still.union(family, keys), *worn) & self.universe  # a snapshot may name the dead
        return self._still.union(family, keys)

    def prepare(self, queries: Sequence[Query]) -> None:
        """Ask the history for what the cache does not know, all of it at once."""
        unknown = []
        for query in queries:
            known = self._cache.find(query, self._version) if self._cache is not None else None
            if known is None:
                unknown.append(query)
            else:
                self._answers[query] = known
        for query, answer in history.members(unknown, self._settings).items():
            self._answers[query] = answer
            if self._cache is not None:
                self._cache.keep(query, self._version, answer)

    def query(self, query: Query) -> BitMap:
        return self._answers[query]

    def ranked(self, step: Ranked) -> tuple[BitMap, Borders]:
        standings = self._standings if self._cache is not None else Standings(0)
        people, borders = standings.answer(step, self._version, self._ask)
        return people & self.universe, borders  # somebody may have been erased since the history moved

    def values(self, step: Ranked) -> Values:
        """What a ranking compares, of all living customers."""
        return self._standings.values(step, self._version, self._ask)

    def expect_ways(self) -> None:
        """Read all first friendships once, since this evaluation asks for many ways of them."""
        self._befriended = first_source_sets.first_friendships()

    def _ask(self, step: Ranked) -> Values:
        """Asked once in an evaluation, however many conditions compare the same."""
        if step.query not in self._values:
            self._values[step.query] = history.values(step, self.universe, self._settings)
        return self._values[step.query]

    @property
    def _settings(self) -> dict[str, Any]:
        return {} if self._cache is not None else {"use_query_condition_cache": 0}


class SetService:
    """Holds the live sets of this installation. One per engine process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = (folder or environment.ensure_home() / "sets") / "live.bin"
        self._sets: LiveSets | None = None
        self._state: State | None = None
        self._lock = threading.Lock()
        self._saving = threading.Lock()  # taken before the other
        self._read_at = float("-inf")
        self._saved_at = time.monotonic()
        self._saved = LiveSets().position
        self._last_call = float("-inf")
        self._cache = LeafCache()
        self._drawn = Drawn()
        self._past = Past()
        self._standings = Standings()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load or build the sets in the background; calls meanwhile wait for it."""
        self._thread = threading.Thread(target=self._keep_up, name="sets", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following and write the snapshot."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)
        self._save_if_moved()

    def handle(self, verb: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer a verb. Raises ServiceError with code unknown_verb, invalid_rule, history_unavailable,
        database_unavailable or disk_full; the last three pass by themselves."""
        self._last_call = time.monotonic()
        action = _VERBS.get(verb)
        if action is None:
            raise ServiceError("unknown_verb", verb)
        try:
            return action(self, payload)
        except Exception as problem:
            code = {outages.DATABASE: "database_unavailable", outages.DISK: "disk_full"}.get(outages.of(problem))
            if code is None:
                raise
            raise ServiceError(code, str(problem)) from problem

    # verbs ---------------------------------------------------------------------------------------------------

    def status(self, _: dict[str, Any]) -> dict[str, Any]:
        """How many people and sets there are, and up to where."""
        state = self._current()
        return {
            "customers": len(state.sets.universe),
            "sets": {family: len(known) for family, known in state.sets.families.items()},
            "position": [state.sets.position.tx, state.sets.position.fact],
            "history": list(state.version),
        }

    def evaluate(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`rule`, `scope`, `sample` (how many numbers), `members` (whether all, as base64 of roaring bytes), `fresh`
        (what was committed before the question counts; else the answer may be a quarter of a second old)."""
        _, found = self._evaluate(payload, sizes=False)
        answer: dict[str, Any] = {
            "count": len(found.members),
            "sample": _sample(found.members, payload.get("sample", 0)),
        }
        if payload.get("members"):
            answer["members"] = base64.b64encode(found.members.serialize()).decode()
        return answer

    def preview(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`rule`, `scope`, `sample`, `cached` (false: ask the history afresh). Gives count, the scope's size, sample,
        and by path the size of every part and what each part of the outermost `all` removes."""
        view, found = self._evaluate(payload)
        return {
            "count": len(found.members),
            "of": len(self._base(view, payload)),
            "sample": _sample(found.members, payload.get("sample", 0)),
            "sizes": [[list(path), size] for path, size in found.sizes.items()],
            "removes": [[list(path), size] for path, size in found.removes.items()],
        }

    def overlap(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`parts` (at most ten, each `rule` and `scope`): sizes of each, of every pair's intersection, of the union."""
        parts = [self._evaluate(part, sizes=False)[1].members for part in payload.get("parts", [])[:10]]
        pairs = [[len(left & right) for right in parts] for left in parts]
        return {"pairs": pairs, "union": len(BitMap.union(*parts)) if parts else 0}

    def traits(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`rule`, `scope`, `traits` (rules): how many fit (`people`) of how many in scope (`of`), and for each trait
        how many of both have it. `spent_days` (numbers of days): for each of them what the people and the others
        of the scope spent in these days, as [sum, sum of squares, buyers] of both, in minor units."""
        view, found = self._evaluate(payload, sizes=False)
        base = self._base(view, payload)
        read = [_parse(one) for one in payload["traits"]]
        known = read[-1][1] if read else Catalogue()
        moment = self._current().moment
        view.expect_ways()
        groups = [found.members, base - found.members]
        with _history_needed():
            spent = []
            for days in payload["spent_days"]:
                step = plan(Percentile("top", MILLE, "spent", days), known, moment)
                sums = sums_of(view.values(cast(Ranked, step)), groups)
                spent.append([[one.total, one.squares, one.positive] for one in sums])
            counted = [
                [found.members.intersection_cardinality(having), len(having)]
                for having in each([node for node, _known in read], known, moment, view, base)
            ]
        return {"people": len(found.members), "of": len(base), "traits": counted, "spent": spent}

    def ponds(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`rules` in their order, `scope`, `members`, `fresh` as for `evaluate`: everybody in scope (`of`) in the first
        rule that she fits, else in the rest. Gives `people` of each and of the rest (or their `members`), and how many
        `fits` each rule has and has `lost` to each rule (see `partition.Split`)."""
        fresh = bool(payload.get("fresh"))
        state = self._current(0.0 if fresh else FRESH_S)
        view = self._view(state)
        base = self._base(view, payload)
        read = [_parse(one, fresh=fresh) for one in payload["rules"]]
        known = read[-1][1] if read else Catalogue()
        with _history_needed():
            found = split(each([node for node, _known in read], known, state.moment, view, base), base)
        answer: dict[str, Any] = {"of": len(base), "fits": found.fits, "lost": found.lost}
        if payload.get("members"):
            answer["members"] = [base64.b64encode(part.serialize()).decode() for part in found.parts]
        return answer | {"people": [len(part) for part in found.parts]}

    def borders(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`rules`: what decides each of their conditions on where somebody stands among all, as [the condition as
        Python writes it, people, borders, sums of scores]; see `standing_rules.Borders`."""
        state = self._current()
        view = self._view(state)
        found: dict[Any, Borders] = {}
        for rule in payload["rules"]:
            node, known = _parse(rule)
            with _history_needed():
                found |= borders([node], known, state.moment, view)
        return {"borders": [[repr(one), of.people, of.at, of.sums] for one, of in found.items()]}

    def contains(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`rule`, `scope`, `numbers`: those of the numbers that fit."""
        found = self._evaluate(payload, sizes=False)[1]
        return {"numbers": [number for number in payload["numbers"] if number in found.members]}

    def tags(self, _: dict[str, Any]) -> dict[str, Any]:
        """How many wear each tag: `sizes` as [id of the tag, people]."""
        state = self._current()
        sizes = {tag: len(members) for tag, members in state.sets.families["tag"].items()}
        sizes |= {tag: len(members & state.sets.universe) for tag, (_stamp, members) in state.kept.items()}
        return {"sizes": [[tag, size] for tag, size in sizes.items()]}

    def holds(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`numbers`: how many live sets hold any of them, after everything committed before the question."""
        hers, state = BitMap(payload["numbers"]), self._current(0.0)
        families = state.sets.families.values()
        found = sum(members.intersect(hers) for known in families for members in known.values())
        found += sum(members.intersect(hers) for _stamp, members in state.kept.values())
        return {"sets": found}

    def reread(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`numbers`: read these customers' rows now instead of when their facts are reached, and write the file."""
        self._past.forget()
        self._standings.forget()
        with self._lock:
            self._look()
            following.refresh(cast(LiveSets, self._sets), BitMap(payload["numbers"]), clock.now())
            self._read_at = float("-inf")
        self._save(always=True)
        return {}

    def verify(self, _: dict[str, Any]) -> dict[str, Any]:
        """Builds all sets a second time from PostgreSQL and compares: how many there are, and those that differ (see
        `verification.SetDifference`). Questions are answered meanwhile, but for the comparison itself."""
        built = following.build(clock.now())
        with self._lock:
            self._look()
            ours, built = verification.at_one_position(cast(LiveSets, self._sets), clock.now(), built)
            self._sets = ours
            found = verification.differing(ours, built)
            sets = sum(len(known) for known in built.families.values())
        return {"customers": len(built.universe), "sets": sets, "differences": verification.as_rows(found)}

    def rebuild(self, _: dict[str, Any]) -> dict[str, Any]:
        """Take sets that are built anew from PostgreSQL instead of those that were followed."""
        built = following.build(clock.now())
        with self._lock:
            self._sets = built
            self._look()
        self._save(always=True)
        return {}

    # inside --------------------------------------------------------------------------------------------------

    def _evaluate(self, payload: dict[str, Any], *, sizes: bool = True) -> tuple[View, Evaluation]:
        fresh = bool(payload.get("fresh"))
        state = self._current(0.0 if fresh else FRESH_S)
        node, known = _parse(payload.get("rule"), fresh=fresh)
        view = self._view(state, cached=payload.get("cached", True))
        with _history_needed():
            scope = self._scope(view, payload.get("scope"))
            return view, evaluate(node, known, state.moment, view, scope, sizes=sizes)

    def _view(self, state: State, *, cached: bool = True) -> View:
        return View(state, self._cache if cached else None, self._drawn, self._past, self._standings)

    def _base(self, view: View, payload: dict[str, Any]) -> BitMap:
        scope = self._scope(view, payload.get("scope"))
        return view.universe if scope is None else view.universe & scope

    def _scope(self, view: View, paths: list[str] | None) -> BitMap | None:
        if paths is None:
            return None
        stores, staff = queries.below(paths)
        visible = view.live("home_store", tuple(stores))
        return visible | (view.live("friends", (1, tuple(staff))) if staff else BitMap())

    def _current(self, oldest_s: float = FRESH_S) -> State:
        """The state, at most so old."""
        with self._lock:
            if self._state is None or time.monotonic() - self._read_at > oldest_s:
                self._look()
            return cast(State, self._state)

    def _look(self) -> None:
        """Follow PostgreSQL. The history's version comes first: what is asked later can only be newer than that."""
        started, now = time.monotonic(), clock.now()
        if self._sets is None:
            self._sets = LiveSets.load(self._file) or following.build(now)
        version = following.history_version()
        known = self._state.kept if self._state else {}
        before = self._sets.position.database
        self._sets = following.follow(self._sets, now)
        if self._sets.position.database != before:  # after a restore the same codes and stamps may be others
            catalogues.forget()
            known = {}
        worn = kept.follow(known)
        moment = Moment(clock.local_day(now), clock.zone().key)
        self._state = State(self._sets.still(ends=False), version, moment, worn)
        self._read_at = started

    def _keep_up(self) -> None:
        """Follow ahead of the questions, so that they need not wait; slowly while nobody asks."""
        while not self._stopping.is_set():
            try:
                with self._lock:
                    self._look()
                if time.monotonic() - self._saved_at > SAVE_EVERY_S:
                    self._save_if_moved()
            except Exception:
                log.exception("live sets could not be brought up to date")
                connections.close_all()
            busy = time.monotonic() - self._last_call < 30
            self._stopping.wait(BUSY_POLL_S if busy else IDLE_POLL_S)
        connection.close()

    def _save_if_moved(self) -> None:
        """What the disk does not take now is read again from PostgreSQL after a restart; the next try is the next
        time's."""
        try:
            self._save()
        except OSError as problem:
            log.warning("the live sets could not be written down, so a restart will take longer: %s", problem)
        self._saved_at = time.monotonic()

    def _save(self, always: bool = False) -> None:
        """Write the sets while questions are answered: bitmaps are never changed in place. Raises OSError."""
        with self._saving:
            with self._lock:
                still = None if self._sets is None else self._sets.still()
            if still is not None and (always or still.position != self._saved):
                still.save(self._file)
                self._saved = still.position


_VERBS: dict[str, Callable[[SetService, dict[str, Any]], dict[str, Any]]] = {
    "status": SetService.status,
    "evaluate": SetService.evaluate,
    "preview": SetService.preview,
    "overlap": SetService.overlap,
    "traits": SetService.traits,
    "ponds": SetService.ponds,
    "borders": SetService.borders,
    "contains": SetService.contains,
    "tags": SetService.tags,
    "holds": SetService.holds,
    "reread": SetService.reread,
    "verify": SetService.verify,
    "rebuild": SetService.rebuild,
}


def service() -> SetService:
    """The factory for `settings.ENGINE_SERVICES`."""
    return SetService()


@contextlib.contextmanager
def _history_needed() -> Iterator[None]:
    """Says `history_unavailable` where the columnar store does not answer."""
    try:
        yield
    except ServiceError:
        raise
    except Exception as problem:
        if not history_is_away(problem):
            raise
        raise ServiceError("history_unavailable", str(problem)) from problem


def _parse(document: Any, *, fresh: bool = False) -> tuple[Node, Catalogue]:
    """The tree and what it was checked against: two seconds old, unless it must be `fresh`; what was made since is
    found at the second look."""
    try:
        known = catalogue(document, fresh=fresh)
        return parse(document, known), known
    except InvalidRule:
        pass
    try:
        known = catalogue(document, fresh=True)
        return parse(document, known), known
    except InvalidRule as invalid:
        raise ServiceError("invalid_rule", str(invalid)) from invalid


def _sample(members: BitMap, size: int) -> list[int]:
    """Up to `size` members, evenly spread."""
    size = min(int(size), MAX_SAMPLE, len(members))
    return [members[rank * len(members) // size] for rank in range(size)]
