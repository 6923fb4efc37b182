"""The engine among the victims of the proof: nothing waits for it, and what it holds follows when it is back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.processes import EngineProcess, answers, wait_until


class Victim:
    """`hetang engine` on the proof's home and database, started again after each kill as the supervisor does."""

    def __init__(self, home: Path) -> None:
        self._engine = EngineProcess(home)
        self._engine.start()
        os.environ["HETANG_SETS_URL"] = os.environ["HETANG_CLICKHOUSE_URL"] = self._engine.address
        self.kills = 0

    def kill(self) -> int:
        """kill -9 and start it anew, without waiting until it answers: everything goes on without it. 1 if it ran."""
        process = self._engine.process
        assert process is not None
        running = process.poll() is None
        self._engine.kill()
        self._engine.launch()
        self.kills += running
        return int(running)

    def account(self) -> dict[str, Any]:
        """What the history and the live sets hold, against the tables that they are made of."""
        from django.db import connection

        from hetang.audiences import following
        from hetang.audiences.live import LiveSets
        from hetang.platform import clickhouse, clock, engine_client, environment

        wait_until(lambda: answers(f"{self._engine.address}/ping"), 60)
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from facts_fact where subject_key is not null")
            facts = int(cursor.fetchone()[0])
        ((rows, different),) = clickhouse.rows("select count(), uniqExact(source, key) from facts")
        engine_client.call("sets", "holds", {"numbers": []}, 30)  # follows everything committed before the question
        self._engine.stop()  # writes the sets down
        sets = LiveSets.load(environment.home() / "sets" / "live.bin")
        return {
            "engine_kills": self.kills,
            "history_lost": facts - different,
            "history_doubled": rows - different,
            "live_sets": len(_members(sets)) if sets is not None else 0,
            "live_sets_differ": _differing(sets, following.build(clock.now())),
        }

    def stop(self) -> None:
        """End it, if it has not ended."""
        process = self._engine.process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def _members(sets: Any) -> dict[Any, set[int]]:
    found = {(family, key): set(numbers) for family, known in sets.families.items() for key, numbers in known.items()}
    return {place: numbers for place, numbers in found.items() if numbers}


def _differing(sets: Any, truth: Any) -> int:
    """In how many sets somebody is missing or too many."""
    mine, true = _members(sets) if sets is not None else {}, _members(truth)
    return sum(mine.get(place) != true.get(place) for place in mine.keys() | true.keys())
