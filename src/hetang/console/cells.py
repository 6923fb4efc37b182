"""The cells of a table named by their columns, so that a phone can show each row as a card."""

from __future__ import annotations

import re

from django.utils.html import strip_tags

_HEAD = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_CELL = re.compile(r"<(tr|th|td)\b([^>]*)>")
_NOTHING = re.compile(r'(<td data-label="[^"]*"[^>]*)>\s*–\s*</td>')
_COLSPAN = re.compile(r'\bcolspan="(\d+)"')


def labelled(rows: str) -> str:
    """The HTML of a table's parts with `data-label` on each `<td>` whose column has a heading, and
    `data-empty` where it holds a dash only: a card leaves that line out.

    `rows` is what templates wrote (escaped already, no table within a table). Linear in its length.
    """
    head, closed, body = rows.partition("</thead>")
    names = [" ".join(strip_tags(name).split()).replace('"', "&quot;") for name in _HEAD.findall(head)]
    if not closed or not any(names):
        return rows
    column = 0

    def name(cell: re.Match[str]) -> str:
        nonlocal column
        kind, attributes = cell.groups()
        if kind == "tr":
            column = 0
            return cell[0]
        place = column
        span = _COLSPAN.search(attributes)
        column += int(span[1]) if span else 1
        if kind == "th" or span or place >= len(names) or not names[place]:
            return cell[0]
        return f'<td data-label="{names[place]}"{attributes}>'

    return head + closed + _NOTHING.sub(r"\1 data-empty>–</td>", _CELL.sub(name, body))
