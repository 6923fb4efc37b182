"""Who gets what: the one draw of the product, by a keyed hash.

A customer or a cluster (an adviser) is a number. Its point, from 0 to 2**32, depends on nothing but the seed, the
purpose and the number, so every process draws the same at any time, in any order and piece by piece, and what is drawn
for one purpose says nothing about another. Two ways to divide by it:

- People one by one (`control_group`, `variants`): each by her own point. Nobody changes arm when others come or go,
  and a group's size is binomial around its share, not exact: 10 % of 10,000 people are 1,000, give or take 59 in 95 of
  100 draws.
- Clusters all together (`shared_out`): ranked by their points and cut at exact counts, since chance alone would deal
  few clusters out unevenly.

Take a fresh seed per programme: the same seed would put the same people into every control group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hetang.platform.money import split_by_weight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.unsignedinteger[Any] | np.signedinteger[Any]]

_WHOLE_BP = 10_000


def control_group(seed: str, people: Numbers, share_bp: int) -> NDArray[np.bool_]:
    """For each of `people` whether she is held out; `share_bp` is in hundredths of a per cent. 20 ns a person."""
    if not 0 <= share_bp <= _WHOLE_BP:
        raise ValueError("a share lies between 0 and 10,000 hundredths of a per cent")
    return points(seed, "control", people) < (share_bp << 32) // _WHOLE_BP


def variants(seed: str, people: Numbers, weights: Sequence[int]) -> NDArray[np.int16]:
    """The variant of each of `people`, from 1, with chances by weight and independent of the control group."""
    import numpy as np

    bounds = np.cumsum(_checked(weights), dtype=np.uint64)
    place = points(seed, "variant", people).astype(np.uint64) * bounds[-1] >> np.uint64(32)
    dealt: NDArray[np.int16] = np.searchsorted(bounds, place, side="right").astype(np.int16)
    return dealt + np.int16(1)


def shared_out(seed: str, clusters: Iterable[int], weights: Sequence[int]) -> dict[int, int]:
    """The variant of each cluster, from 1: as many clusters per variant as its weight says, to the whole cluster
    (largest remainder). It depends on the set of clusters, not on their order."""
    import numpy as np

    numbers = np.array(sorted(set(clusters)), dtype=np.uint64)
    ranked = numbers[np.argsort(points(seed, "cluster", numbers), kind="stable")].tolist()
    sizes = split_by_weight(len(ranked), _checked(weights))
    dealt = [number for number, size in enumerate(sizes, start=1) for _ in range(size)]
    return dict(zip(ranked, dealt, strict=True))


def points(seed: str, purpose: str, numbers: Numbers) -> NDArray[np.uint32]:
    """The points of `numbers`: the upper half of SplitMix64, keyed by a hash of seed and purpose. 10 ns each."""
    import numpy as np

    if not seed:
        raise ValueError("a draw needs a seed")
    key = int.from_bytes(hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=8).digest(), "big")
    x = numbers.astype(np.uint64) + np.uint64(key) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(32)).astype(np.uint32)


def _checked(weights: Sequence[int]) -> Sequence[int]:
    if not weights or min(weights) < 0 or sum(weights) <= 0:
        raise ValueError("weights must not be negative and not all be zero")
    return weights
