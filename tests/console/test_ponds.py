"""The picture of a flow: every person is in one band, and bands fill their blocks."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hetang.console.ponds.picture import LINE, NARROW, WIDE, draw

SPOTS = [("1", "New", "0"), ("2", "Lost", "1"), ("out", "Outside", "out")]


def test_bands_fill_their_blocks_and_names_do_not_lie_on_each_other() -> None:
    matrix = [[600, 300, 0], [0, 99, 0], [1, 0, 0]]
    drawn = draw(SPOTS, SPOTS, matrix, WIDE)
    assert drawn is not None
    assert [(one.source, one.target, one.people, one.stayed) for one in drawn.bands] == [
        ("New", "New", 600, True),
        ("New", "Lost", 300, False),
        ("Lost", "Lost", 99, True),
        ("Outside", "New", 1, False),
    ]
    assert [float(one.height) for one in drawn.before] == pytest.approx([270.0, 29.7, 0.75])
    assert [one.people for one in drawn.after] == [601, 399, 0]
    for side in (drawn.before, drawn.after):
        tops = [float(one.text_y) for one in side if one.people]
        assert all(later - earlier >= LINE for earlier, later in pairwise(tops))
        assert all(float(one.y) + float(one.height) <= drawn.height + 1 for one in side if one.people)
    # The first band goes down the right edge of its source from the top, the second one begins where it ends.
    assert drawn.bands[0].path.startswith("M8,0.00C440,0.00 440,0.00 872,0.00V180.00")
    assert drawn.bands[1].path.startswith("M8,180.00C")


def test_nobody_is_no_picture() -> None:
    assert draw(SPOTS, SPOTS, [[0, 0, 0]] * 3, NARROW) is None
