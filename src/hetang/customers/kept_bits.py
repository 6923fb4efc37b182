"""A roaring set as rows of bits that SQL can look into. Pure.

Bit n of byte n // 8 of a row is customer `chunk * 8192 + n`, as PostgreSQL's `get_bit` counts. The bits are taken from
the set's portable bytes (https://github.com/RoaringBitmap/RoaringFormatSpec): where many of 65,536 numbers are in a
set, the bits are all that stands there, so a set of two million costs a millisecond.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyroaring import BitMap

if TYPE_CHECKING:
    import numpy as np

CHUNK_BITS = 13
CHUNK_BYTES = 1 << CHUNK_BITS - 3
_CHUNKS = 1 << 16 - CHUNK_BITS  # of a container
_WITH_RUNS = 12347
_NO_OFFSETS = 4  # fewer containers than this, of which some are runs, have none
_ARRAY = 4096  # so many numbers are listed, more are bits


def bits_of(members: BitMap, changed: BitMap) -> tuple[list[int], list[memoryview]]:
    """The chunks in which any of `changed` is, in order, and the bits of the members in each."""
    import numpy as np

    chunks = [int(one) for one in np.unique(np.frombuffer(changed.to_array(), dtype=np.uint32) >> CHUNK_BITS)]
    containers = dict(_containers(memoryview(members.serialize()), {chunk // _CHUNKS for chunk in chunks}))
    nobody = memoryview(bytes(_CHUNKS * CHUNK_BYTES))
    found = []
    for chunk in chunks:
        first = chunk % _CHUNKS * CHUNK_BYTES
        found.append(containers.get(chunk // _CHUNKS, nobody)[first : first + CHUNK_BYTES])
    return chunks, found


def _containers(packed: memoryview, wanted: set[int]) -> Iterator[tuple[int, memoryview]]:
    """The bits of the wanted containers, by the upper half of their numbers."""
    (cookie,) = struct.unpack_from("<I", packed)
    runs, position = packed[:0], 8
    if cookie & 0xFFFF == _WITH_RUNS:
        number = (cookie >> 16) + 1
        position = 4 + (number + 7) // 8
        runs = packed[4:position]
    else:
        (number,) = struct.unpack_from("<I", packed, 4)
    heads = list(struct.iter_unpack("<HH", packed[position : position + 4 * number]))
    position += 4 * number
    if not runs or number >= _NO_OFFSETS:
        position += 4 * number
    for place, (key, less_one) in enumerate(heads):
        kind = _runs if runs and runs[place // 8] >> place % 8 & 1 else _listed if less_one < _ARRAY else _plain
        end, bits = kind(packed, position, less_one + 1, key in wanted)
        if bits is not None:
            yield key, bits
        position = end


def _plain(packed: memoryview, at: int, _size: int, wanted: bool) -> tuple[int, memoryview | None]:
    end = at + _CHUNKS * CHUNK_BYTES
    return end, packed[at:end] if wanted else None


def _listed(packed: memoryview, at: int, size: int, wanted: bool) -> tuple[int, memoryview | None]:
    import numpy as np

    numbers = np.frombuffer(packed, dtype="<u2", count=size, offset=at)
    return at + 2 * size, _as_bits(numbers) if wanted else None


def _runs(packed: memoryview, at: int, _size: int, wanted: bool) -> tuple[int, memoryview | None]:
    import numpy as np

    (number,) = struct.unpack_from("<H", packed, at)
    pairs = np.frombuffer(packed, dtype="<u2", count=2 * number, offset=at + 2).reshape(-1, 2).astype(np.int64)
    numbers = [np.arange(start, start + more + 1) for start, more in pairs.tolist()] if wanted else []
    return at + 2 + 4 * number, _as_bits(np.concatenate(numbers)) if wanted else None


def _as_bits(numbers: np.ndarray[Any, Any]) -> memoryview:
    import numpy as np

    members = np.zeros(_CHUNKS << CHUNK_BITS, dtype=np.uint8)
    members[numbers] = 1
    return memoryview(np.packbits(members, bitorder="little").tobytes())
