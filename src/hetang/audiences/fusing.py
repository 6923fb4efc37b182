"""Plans made smaller before they are asked: conditions on profiles that stand together become one scan.

A set of eight million people costs the history more to make than to find, and a rule whose parts nobody wants to know
the size of needs only the set that is left. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hetang.audiences.place_sql import narrowed
from hetang.audiences.plans import Complement, Intersection, Plan, Query, Union, profile_query
from hetang.audiences.profile_sql import all_of

_PARAMETER = re.compile(r"\{(\w+):")


def fuse(plan: Plan) -> Plan:
    """The same people, by fewer queries: of the conditions on profiles in an intersection or a union one is made, and
    complements are pushed down to where they cost nothing."""
    match plan:
        case Complement(of):
            inner = fuse(of)
            return inner.of if isinstance(inner, Complement) else Complement(inner)
        case Intersection(of):
            return _joined([fuse(part) for part in of], every=True)
        case Union(of):
            return _joined([fuse(part) for part in of], every=False)
        case _:
            return plan


def _joined(parts: Sequence[Plan], *, every: bool) -> Plan:
    kind = Intersection if every else Union
    flat: list[Plan] = []
    for part in parts:
        flat += part.of if isinstance(part, kind) else (part,)
    on_profiles = [part for part in flat if _predicate(part) is not None]
    placed = next((part for part in flat if isinstance(part, Query) and part.narrowed), None) if every else None
    if on_profiles and placed is not None:
        flat = [part for part in flat if _predicate(part) is None and part is not placed]
        flat.append(_narrowed(placed, on_profiles))
    elif len(on_profiles) > 1:
        flat = [part for part in flat if _predicate(part) is None]
        flat.append(_one_scan(on_profiles, every=every))
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _predicate(part: Plan) -> Query | None:
    """The condition on profiles that a part is, or the complement of one."""
    query = part.of if isinstance(part, Complement) else part
    return query if isinstance(query, Query) and query.where else None


def _one_scan(parts: Sequence[Plan], *, every: bool) -> Plan:
    """Whoever has no profile is in each complement: the whole is asked so that she need not be found."""
    whole_base = [isinstance(part, Complement) for part in parts]
    turned = all(whole_base) if every else any(whole_base)
    tests, parameters, attributes = _tests(parts, turned=turned)
    together = " or ".join(tests) if every == turned else all_of(tests)
    query = profile_query(together, parameters, *dict.fromkeys(attributes))
    return Complement(query) if turned else query


def _narrowed(placed: Query, parts: Sequence[Plan]) -> Query:
    """A query of places that looks up only those for whom the other conditions hold. Who has a place has a profile."""
    tests, parameters, attributes = _tests(parts, turned=False)
    sql = placed.sql.replace(placed.narrowed, narrowed(tests))
    together = tuple(sorted({**dict(placed.parameters), **parameters}.items()))
    return Query(sql, together, tuple(dict.fromkeys((*placed.attributes, *attributes))))


def _tests(parts: Sequence[Plan], *, turned: bool) -> tuple[list[str], dict[str, Any], list[tuple[str, str]]]:
    """The conditions of these parts, or what each is the complement of where the whole is `turned`; their parameters
    under names of their own; the attributes that they read."""
    tests: list[str] = []
    parameters: dict[str, Any] = {}
    attributes: list[tuple[str, str]] = []
    for place, part in enumerate(parts):
        query = _predicate(part)
        assert query is not None  # noqa: S101 - the caller chose them
        test = _PARAMETER.sub(rf"{{p{place}_\1:", query.where)
        tests.append(f"({test})" if isinstance(part, Complement) == turned else f"not ifNull(({test}), 0)")
        parameters |= {f"p{place}_{name}": value for name, value in query.parameters}
        attributes += query.attributes
    return tests, parameters, attributes
