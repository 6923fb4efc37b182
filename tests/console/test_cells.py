"""The cells of a table carry the names of their columns."""

from __future__ import annotations

from hetang.console.cells import labelled

HEAD = '<thead><tr><th>Day</th><th class="n">Sales <b>net</b></th><th><span></span></th></tr></thead>'


def test_cells_are_named_by_their_column_and_rows_start_anew() -> None:
    rows = labelled(HEAD + '<tbody><tr><th scope="row">1</th><td class="n">2</td><td>go</td></tr><tr><td>3</td></tr>')
    assert '<td data-label="Sales net" class="n">2</td><td>go</td>' in rows
    assert '<td data-label="Day">3</td>' in rows


def test_a_spanning_cell_has_no_name_and_moves_the_next() -> None:
    rows = labelled(HEAD + '<tbody><tr><td colspan="2">all</td><td>go</td></tr></tbody>')
    assert '<td colspan="2">all</td><td>go</td>' in rows


def test_a_table_without_headings_stays_as_it_is() -> None:
    assert labelled("<tbody><tr><td>1</td></tr></tbody>") == "<tbody><tr><td>1</td></tr></tbody>"
    assert labelled("<thead><tr><th></th></tr></thead><tr><td>1</td>").endswith("<tr><td>1</td>")
    assert 'data-label="a &quot;b&quot;"' in labelled('<thead><tr><th>a "b"</th></tr></thead><tr><td>1</td>')


def test_a_cell_that_holds_nothing_is_marked() -> None:
    rows = labelled(HEAD + '<tbody><tr><td>1</td><td class="n"> – </td><td>–</td></tr></tbody>')
    assert '<td data-label="Sales net" class="n" data-empty>–</td><td>–</td>' in rows
