"""A stable draw of all customers into a hundred buckets: the condition "random bucket".

The bucket depends on nothing but the draw's name and the customer number, so it is the same tomorrow, in every audience
and process, and nobody changes bucket when others come or go. Draws of different names are independent: whoever tests
twice on the same buckets would test on the same people.

    place = splitmix64(number + first 8 bytes of blake2b(b"bucket\\0" + name))      (unsigned, modulo 2**64)
    bucket = 1 + (place >> 32) * 100 // 2**32
"""

from __future__ import annotations

import array
import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from pyroaring import BitMap

from hetang.audiences.rules import BUCKETS

if TYPE_CHECKING:
    import numpy as np

DRAWS_KEPT = 8  # a draw of 20 M customers holds about 40 MB
_CHUNK = 1_000_000
_MASK = (1 << 64) - 1
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def bucket(name: str, number: int) -> int:
    """The bucket (1 to 100) of one customer in the draw of this name."""
    x = (number + _key(name) + _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * _FIRST) & _MASK
    x = ((x ^ (x >> 27)) * _SECOND) & _MASK
    return 1 + ((x ^ (x >> 31)) >> 32) * BUCKETS // (1 << 32)


def buckets(name: str, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`bucket` of many at once (uint8), about 20 ns each."""
    import numpy as np

    x = numbers.astype(np.uint64) + np.uint64((_key(name) + _GOLDEN) & _MASK)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_FIRST)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_SECOND)
    place = (x ^ (x >> np.uint64(31))) >> np.uint64(32)
    return (1 + (place * np.uint64(BUCKETS) >> np.uint64(32))).astype(np.uint8)


class Drawn:
    """The buckets of a few draws as sets of customer numbers, made when first asked for and extended as numbers grow.

    Sets that were handed out are never changed. Safe to share between threads.
    """

    def __init__(self) -> None:
        self._draws: OrderedDict[str, tuple[int, list[BitMap]]] = OrderedDict()
        self._lock = threading.Lock()

    def between(self, name: str, first: int, last: int, highest: int) -> BitMap:
        """Everybody up to number `highest` whose bucket lies from `first` to `last`. A first answer costs about 0.1 s
        per million customers, later ones only the union."""
        with self._lock:
            known, sets = self._draws.pop(name, (0, [BitMap()] * BUCKETS))
            while known < highest:
                upto = min(known + _CHUNK, highest)
                sets = _extended(sets, name, known + 1, upto)
                known = upto
            self._draws[name] = (known, sets)
            while len(self._draws) > DRAWS_KEPT:
                self._draws.popitem(last=False)
        return BitMap.union(*sets[first - 1 : last])


def _extended(sets: list[BitMap], name: str, low: int, high: int) -> list[BitMap]:
    import numpy as np

    numbers = np.arange(low, high + 1, dtype=np.uint32)
    drawn = buckets(name, numbers)
    order = np.argsort(drawn, kind="stable")
    borders = np.searchsorted(drawn[order], np.arange(1, BUCKETS + 2))
    parts = (numbers[order[borders[i] : borders[i + 1]]] for i in range(BUCKETS))
    return [one | _bitmap(part) for one, part in zip(sets, parts, strict=True)]


def _bitmap(numbers: np.ndarray[Any, Any]) -> BitMap:
    packed = array.array("I")
    packed.frombytes(numbers.tobytes())
    return BitMap(packed)  # seven times as fast as from the numpy array itself


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(b"bucket\0" + name.encode(), digest_size=8).digest(), "big")
