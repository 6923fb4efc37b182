"""Splits and flows: everybody in exactly one part, every person in exactly one cell, whoever merges."""

from __future__ import annotations

import random

import pytest
from pyroaring import BitMap

from hetang.audiences.partition import between, flows, renumbered, split

SEEDS = range(60)


def people(rng: random.Random) -> frozenset[int]:
    """Some of forty numbers, sometimes nobody."""
    return frozenset(rng.sample(range(41), rng.choice((0, 1, 5, 20, 30))))


def some(rng: random.Random) -> list[frozenset[int]]:
    """The people of up to five rules."""
    return [people(rng) for _ in range(rng.randrange(6))]


def first(number: int, rules: list[frozenset[int]]) -> int:
    """The first rule that a number fits; behind the last one the rest."""
    return next((place for place, rule in enumerate(rules) if number in rule), len(rules))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_rule_has_each_person(seed: int) -> None:
    rng = random.Random(seed)
    rules, base = some(rng), people(rng)
    found = split([BitMap(rule) for rule in rules], BitMap(base))
    for place, part in enumerate(found.parts):
        assert set(part) == {number for number in base if first(number, rules) == place}
    assert found.fits == [len(rule & base) for rule in rules]
    for place, row in enumerate(found.lost):
        assert row == [
            sum(first(number, rules) == other for number in rules[place] & base) if other < place else 0
            for other in range(len(rules))
        ]
        assert found.fits[place] == len(found.parts[place]) + sum(row)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_person_is_in_one_cell(seed: int) -> None:
    rng = random.Random(seed)
    old, then, new, now = some(rng), people(rng), some(rng), people(rng)
    before = split([BitMap(rule) for rule in old], BitMap(then)).parts
    after = split([BitMap(rule) for rule in new], BitMap(now)).parts
    found = flows(before, after)
    everybody = then | now
    for row in range(len(before) + 1):
        for column in range(len(after) + 1):
            cell = {
                number
                for number in everybody
                if (first(number, old) if number in then else len(before)) == row
                and (first(number, new) if number in now else len(after)) == column
            }
            assert set(between(before, after, row, column)) == cell
            assert found[row][column] == len(cell)
    assert sum(map(sum, found)) == len(everybody)


@pytest.mark.parametrize("seed", SEEDS)
def test_merges_leave_each_person_in_one_part(seed: int) -> None:
    rng = random.Random(seed)
    rules, base = some(rng), people(rng)
    survivors = {one: rng.randrange(21) for one in rng.sample(range(21, 41), rng.randrange(12))}
    before = split([BitMap(rule) for rule in rules], BitMap(base)).parts
    after = renumbered(before, survivors)
    for person in {survivors.get(number, number) for number in base}:
        hers = [number for number in base if survivors.get(number, number) == person]
        was = first(person, rules) if person in base else min(first(number, rules) for number in hers)
        assert [place for place, part in enumerate(after) if person in part] == [was]
    assert sum(map(len, after)) == len({survivors.get(number, number) for number in base})
