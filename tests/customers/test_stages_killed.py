"""The loop that tells of life stages, killed with -9 at random lines of its own, two of it at a time: after each death
what is told is exactly what was due up to the day that each model says, and in the end nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from pyroaring import BitMap

from hetang.customers import life_stages
from hetang.customers.life_stages import Definition
from hetang.customers.models import (
    AttributeDefinition,
    Customer,
    CustomerAttribute,
    HouseholdMember,
    LifeStageModel,
)
from hetang.customers.stages import Course, Offset, Stage
from hetang.facts.models import Fact
from hetang.platform import clock

pytestmark = pytest.mark.django_db(transaction=True)

TODAY, DAYS = date(2026, 3, 1), 24
BEFORE = TODAY - timedelta(days=DAYS)
STAGES = {"new": 0, "young": 5, "grown": 9}  # days after a birth; "" begins where the last one ends
ENDS = 14
PEOPLE = 60
PLACES = 30  # at which it died: fewer different ones, and the walk proves little

# Waits for lines "victim ...": each is a number of lines after which it dies (0: it lives through one batch). Answers
# with what became of each: the place of its death, or how many lines the batch has.
CHILD = """
import os, signal, sys
from datetime import datetime
import django
django.setup()
from django.db import connections
from hetang.customers import stage_changes
from hetang.platform import clock
clock.freeze(datetime.fromisoformat(sys.argv[1]))
OURS = ("/hetang/customers/stage", "/hetang/facts/", "/django/db/transaction.py", "/django/db/backends/base/base.py")

def victim(last, tell):
    passed = 0
    def line(frame, event, _argument):
        nonlocal passed
        if event == "line":
            passed += 1
            if passed == last:
                os.write(tell, f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}".encode())
                os.kill(os.getpid(), signal.SIGKILL)
        return line
    def call(frame, _event, _argument):
        return line if any(part in frame.f_code.co_filename for part in OURS) else None
    sys.settrace(call)
    while stage_changes.run_once() == 0.0 and last:
        pass
    sys.settrace(None)
    os.write(tell, str(passed).encode())
    os._exit(0)

for wanted in sys.stdin:
    connections.close_all()
    pipes, children = [], []
    for last in wanted.split():
        heard, tell = os.pipe()
        child = os.fork()
        if child == 0:
            victim(int(last), tell)
        os.close(tell)
        pipes.append(heard)
        children.append(child)
    ends = [os.waitpid(child, 0)[1] for child in children]
    said = [os.read(heard, 200).decode() for heard in pipes]
    for heard in pipes:
        os.close(heard)
    print(*(text if os.WIFSIGNALED(end) else "lived:" + text for end, text in zip(ends, said)), flush=True)
"""


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(datetime(2026, 3, 1, 4, tzinfo=UTC))
    yield
    clock.freeze(None)


def births() -> dict[int, date]:
    """A birth of each customer, so that on each day somebody comes into some stage."""
    rng = random.Random(7)
    return {number: BEFORE + timedelta(days=rng.randrange(-ENDS, DAYS)) for number in range(1, PEOPLE + 1)}


def come(born: dict[int, date]) -> list[LifeStageModel]:
    """The customers with a child each, and the same day as an attribute of their own; a model of either."""
    now = clock.now()
    AttributeDefinition.objects.create(code="born", type="date", label_zh="生日", label_en="Birthday")
    for number, day in born.items():
        customer = Customer.objects.create(number=number, created_at=now)
        said = {"occurred_at": now, "fact_key": f"b{number}"}
        HouseholdMember.objects.create(customer=customer, origin="t", member="1", kind="child", born_on=day, **said)
        CustomerAttribute.objects.create(customer=customer, code="born", value=day.isoformat(), **said)
    course = Course(tuple(Stage(code, code, Offset(days, "day")) for code, days in STAGES.items()), Offset(ENDS, "day"))
    made = [
        life_stages.create(Definition("Children", "", "child", course)),
        life_stages.create(Definition("Own", "born", "", course)),
    ]
    LifeStageModel.objects.update(caught_up_to=BEFORE)
    return made


def due(model: int, born: dict[int, date], until: date) -> Counter[tuple[int, str, str, tuple[int, ...]]]:
    """The plain reference: what a model has told of by the end of a day."""
    found: dict[tuple[date, str], list[int]] = {}
    for number, day in born.items():
        for code, days in {**STAGES, "": ENDS}.items():
            if BEFORE < (on := day + timedelta(days=days)) <= until:
                found.setdefault((on, code), []).append(number)
    return Counter((model, on.isoformat(), code, tuple(sorted(people))) for (on, code), people in found.items())


def told() -> Counter[tuple[int, str, str, tuple[int, ...]]]:
    """What the log says, each fact as often as it is there, and each at its own midnight."""
    facts = list(Fact.objects.filter(kind="life_stage.changed"))
    for fact in facts:
        midnight = datetime.combine(date.fromisoformat(fact.body["day"]), time(), clock.zone())
        assert fact.occurred_at == midnight
    return Counter(
        (one.body["model"], one.body["day"], one.body["stage"], tuple(BitMap.deserialize(bytes(one.members or b""))))
        for one in facts
    )


@contextmanager
def graveyard() -> Iterator[subprocess.Popen[str]]:
    parts = urlsplit(os.environ["HETANG_DATABASE_URL"])
    url = urlunsplit(parts._replace(path="/" + str(connection.settings_dict["NAME"])))
    values = {**os.environ, "HETANG_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "hetang.settings"}
    command = [sys.executable, "-c", CHILD, clock.now().isoformat()]
    with subprocess.Popen(command, env=values, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def run(process: subprocess.Popen[str], *last: int) -> list[str]:
    """What becomes of one loop for each number of lines, all at the same time."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(" ".join(map(str, last)) + "\n")
    process.stdin.flush()
    return process.stdout.readline().split()


@pytest.mark.parametrize("seed", [1, 2])
def test_no_change_is_lost_or_doubled_wherever_the_loop_dies(seed: int) -> None:
    born, rng = births(), random.Random(seed)
    models = come(born)
    places: Counter[str] = Counter()
    with graveyard() as process:
        (first,) = run(process, 0)
        batch = int(first.removeprefix("lived:"))
        assert batch > 50
        for _round in range(400):
            ends = run(process, rng.randint(1, 3 * batch), rng.randint(1, batch))
            places.update(end for end in ends if not end.startswith("lived:"))
            upto = dict(LifeStageModel.objects.values_list("pk", "caught_up_to"))
            expected: Counter[tuple[int, str, str, tuple[int, ...]]] = Counter()
            for model in models:
                expected += due(model.pk, born, upto[model.pk])
            assert told() == expected, ends
            if all(day == TODAY for day in upto.values()):
                break
    assert set(LifeStageModel.objects.values_list("caught_up_to", flat=True)) == {TODAY}
    assert told() == due(models[0].pk, born, TODAY) + due(models[1].pk, born, TODAY)
    assert len(places) >= PLACES, places
    files = Counter(place.partition(":")[0] for place in places.elements())
    assert min(files["stage_changes.py"], files["intake.py"], files["transaction.py"]) > 0, files
