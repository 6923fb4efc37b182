"""How often the intervals of `hetang.experiments` hold the truth: 1,000 seeded populations per design.

A population buys with a known probability and spends skewed amounts (log-normal); being assigned to a message
that reaches some of them raises both by a known effect. Advisers differ from one another, so cluster designs
have to see that. Arms are drawn as the product draws them: people by `assignment.control_group` (a group's size is
binomial) or `assignment.variants`, advisers by `assignment.shared_out`.

    python -m benchmarks.coverage --size small|full
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetang.experiments.assignment import control_group, shared_out, variants
from hetang.experiments.estimates import Effect, Estimate
from hetang.experiments.estimators import (
    cluster_difference,
    cluster_per_person_reached,
    mean_difference,
    per_person_reached,
    share_difference,
)
from hetang.experiments.samples import Sample

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """What is true of a population. Money in cents; `uplift` is the extra buying probability of a reached person."""

    people: int = 4_000
    advisers: int = 60
    control: float = 0.2
    base: float = 0.10
    uplift: float = 0.04
    log_mean: float = 8.0
    log_sd: float = 0.8
    reached: float = 0.7
    adviser_sd: float = 0.03

    @property
    def spend(self) -> float:
        """Mean of a basket."""
        return math.exp(self.log_mean + self.log_sd**2 / 2)

    def truth(self, outcome: str, per_reached: bool) -> float:
        """The effect of assignment, or on a reached person, in shares or cents."""
        effect = self.uplift * (self.spend if outcome == "money" else 1.0)
        return effect if per_reached else effect * self.reached


@dataclass(frozen=True)
class Population:
    """One draw of a world: per person the adviser, what she spends (and whether she buys) in either arm."""

    adviser: Numbers
    reached: NDArray[np.bool_]
    plain: Numbers
    treated: Numbers


def population(world: World, seed: int) -> Population:
    """People served by advisers of unequal size and skill."""
    rng = np.random.default_rng(seed)
    sizes = rng.dirichlet(np.full(world.advisers, 4.0))
    adviser = rng.choice(world.advisers, size=world.people, p=sizes)
    skill = rng.normal(0, world.adviser_sd, world.advisers) if world.adviser_sd else np.zeros(world.advisers)
    chance = np.clip(world.base + skill[adviser], 0.0, 1.0 - world.uplift)
    luck = rng.random(world.people)
    basket = np.round(rng.lognormal(world.log_mean, world.log_sd, world.people)).astype(np.int64)
    reached = rng.random(world.people) < world.reached
    buys = luck < chance
    buys_when_treated = luck < chance + world.uplift * reached
    return Population(adviser, reached, buys * basket, buys_when_treated * basket)


def sample(spent: Numbers, sent: NDArray[np.bool_], outcome: str) -> Sample:
    """The sums of one arm or cluster."""
    values = spent if outcome == "money" else (spent > 0).astype(np.int64)
    return Sample.of(values.tolist(), sent.tolist())


def by_person(treated: NDArray[np.bool_], people: Population, outcome: str) -> tuple[Sample, Sample]:
    """The sums of those drawn for the message, and of the rest."""
    rest = ~treated
    nobody = np.zeros(int(rest.sum()), dtype=bool)
    return (
        sample(people.treated[treated], people.reached[treated], outcome),
        sample(people.plain[rest], nobody, outcome),
    )


def drawn(design: str, world: World, seed: int) -> NDArray[np.bool_]:
    """Who gets the message where people are drawn: all but the control group, or those with the first of two texts."""
    numbers = np.arange(1, world.people + 1, dtype=np.uint32)
    if design == "texts":
        return variants(f"coverage-{seed}", numbers, (1, 1)) == 1
    return ~control_group(f"coverage-{seed}", numbers, round(world.control * 10_000))


def by_adviser(people: Population, world: World, seed: int, outcome: str) -> tuple[list[Sample], list[Sample]]:
    """Two texts shared out among the advisers, of which the first works: per text one sample per adviser."""
    texts = shared_out(f"coverage-{seed}", range(world.advisers), (1, 1))
    groups: dict[int, list[Sample]] = {1: [], 2: []}
    for adviser, text in texts.items():
        own = people.adviser == adviser
        spent = people.treated if text == 1 else people.plain
        groups[text].append(sample(spent[own], people.reached[own] & (text == 1), outcome))
    return groups[1], groups[2]


def estimate(design: str, per_reached: bool, world: World, seed: int, outcome: str) -> Effect:
    """The interval that the product would print for this population."""
    people = population(world, seed)
    if design == "cluster":
        clusters = by_adviser(people, world, seed, outcome)
        method = cluster_per_person_reached if per_reached else cluster_difference
        return method(*clusters)
    arms = by_person(drawn(design, world, seed), people, outcome)
    person: Callable[[Sample, Sample], Effect] = (
        per_person_reached if per_reached else mean_difference if outcome == "money" else share_difference
    )
    return person(*arms)


CASES: dict[str, tuple[str, World]] = {
    "person": ("person", World()),
    "person_small_control": ("person", World(people=8_000, control=0.05)),
    "person_few_buyers": ("person", World(people=2_000, control=0.3, base=0.08)),
    "person_two_texts": ("texts", World(people=2_000)),
    "cluster": ("cluster", World(people=3_000, uplift=0.05)),
    "cluster_few": ("cluster", World(people=1_200, advisers=14, uplift=0.05)),
}


def coverage(case: str, outcome: str, per_reached: bool, populations: int) -> tuple[float, int]:
    """Share of intervals that hold the truth, and how many populations gave one."""
    design, world = CASES[case]
    truth = world.truth(outcome, per_reached)
    held = given = 0
    for seed in range(populations):
        effect = estimate(design, per_reached, world, seed, outcome)
        if isinstance(effect, Estimate):
            given += 1
            held += effect.low <= truth <= effect.high
    return held / given, given


def measure(populations: int) -> Iterator[tuple[str, float, int]]:
    """Every case: name, coverage, populations that gave an interval."""
    for case in CASES:
        for outcome in ("money", "share"):
            for per_reached in (False, True):
                name = f"coverage_{case}_{outcome}_{'per_reached' if per_reached else 'itt'}"
                yield name, *coverage(case, outcome, per_reached, populations)


def main() -> None:
    """Print one line per case; the bounds are 0.93 to 0.97."""
    from benchmarks.report import report

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    populations = {"small": 200, "full": 1_000}[parser.parse_args().size]
    for name, value, given in measure(populations):
        report(name, value, "share of intervals", baseline=0.95, populations=given)


if __name__ == "__main__":
    main()
