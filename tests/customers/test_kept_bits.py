"""Bits of a set for SQL, against a plain reading."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from pyroaring import BitMap

from hetang.customers.kept_bits import CHUNK_BYTES, bits_of

# Lists, runs and plain bits, in a few of the 65,536 containers, the last among them.
PARTS = st.one_of(
    st.sets(st.integers(0, 4 * 65_536), max_size=50).map(BitMap),
    st.tuples(st.integers(0, 300_000), st.integers(0, 200_000)).map(lambda run: BitMap(range(run[0], sum(run)))),
    st.tuples(st.integers(0, 300_000), st.integers(2, 12)).map(
        lambda some: BitMap(range(some[0], some[0] + 90_000, some[1]))
    ),
    st.integers(2**32 - 70_000, 2**32 - 1).map(lambda number: BitMap([number])),
)
SETS = st.lists(PARTS, max_size=4).map(lambda parts: BitMap.union(*parts) if parts else BitMap())


@given(members=SETS, changed=SETS, packed=st.booleans())
def test_the_bits_of_changed_chunks_are_those_of_the_members(members: BitMap, changed: BitMap, packed: bool) -> None:
    if packed:
        members.run_optimize()
    chunks, bits = bits_of(members, changed)
    assert chunks == sorted({number >> 13 for number in changed})
    for chunk, row in zip(chunks, bits, strict=True):
        assert len(row) == CHUNK_BYTES
        worn = np.flatnonzero(np.unpackbits(np.frombuffer(row, dtype=np.uint8), bitorder="little")) + (chunk << 13)
        assert BitMap(worn.tolist()) == members & BitMap(range(chunk << 13, chunk + 1 << 13))


@pytest.mark.parametrize("size", [1, 4096, 4097, 65_536])
def test_a_container_is_read_as_it_is_stored_at_its_borders(size: int) -> None:
    members = BitMap(list(range(0, 65_536, 65_536 // size))[:size]) | BitMap([70_000])
    chunks, bits = bits_of(members, members)
    assert sum(any(row) for row in bits) == len(chunks)
    assert sum(int.from_bytes(row).bit_count() for row in bits) == len(members)
