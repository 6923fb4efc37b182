"""Tags that draw a declared list: `{% load lists %}`. See `hetang.console.lists.tables`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import template
from django.http import HttpRequest
from django.template import Context, Node, NodeList, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

from hetang.console.figures import UNKNOWN
from hetang.console.lists.tables import Column, Listing, address_of

register = template.Library()
_CELLS = "_cells"


@register.simple_tag(takes_context=True)
def listbar(context: Context, listing: Listing[Any]) -> SafeString:
    """Saved views, the choice of columns and the saving of a view."""
    base, actor = reverse(listing.table.url_name), context["actor"]
    values = {
        "listing": listing,
        "base": base,
        "views": [(view, address_of(view, base)) for view in listing.views],
        "mine": listing.view is not None and listing.view.owner_id == actor.user_id,
        "shown": sorted(listing.shown),
    }
    request: HttpRequest = context["request"]
    return render_to_string("console/lists/bar.html", values, request=request)


@register.simple_tag
def choices(pairs: Iterable[tuple[str, str]], chosen: str = "") -> SafeString:
    """The options of a select from (value, label), at once: a loop in the template takes 20 microseconds an option, as
    `format_html` does."""
    selected = {chosen: " selected"}
    return SafeString(  # both are escaped
        "".join(
            f'<option value="{conditional_escape(value)}"{selected.get(value, "")}>{conditional_escape(label)}</option>'
            for value, label in pairs
        )
    )


@register.simple_tag(takes_context=True)
def listpager(context: Context, listing: Listing[Any], note: str = "") -> SafeString:
    """The pages of the list below it, with how many rows it has (`note`)."""
    from hetang.console.templatetags.hetang import pager

    return pager(context, listing.page, note)


class _TableNode(Node):
    def __init__(self, listing: FilterExpression, body: NodeList) -> None:
        self.listing, self.body = listing, body

    def render(self, context: Context) -> SafeString:
        listing = self.listing.resolve(context)
        with context.push(**{_CELLS: _cells_of(listing)}):
            body = self.body.render(context)
        return render_to_string("console/lists/table.html", {"listing": listing, "content": body})


class _CellNode(Node):
    def __init__(self, code: FilterExpression, body: NodeList) -> None:
        self.code, self.body = code, body

    def render(self, context: Context) -> SafeString:
        cells: dict[str, str | None] = context[_CELLS]
        code = str(self.code.resolve(context))
        if code not in cells:
            raise TemplateSyntaxError(f"the list declares no column {code!r}")
        opening = cells[code]
        if opening is None:
            return SafeString("")
        content = self.body.render(context).strip()
        if content in {"", UNKNOWN} and opening.startswith("<td"):
            opening = f"{opening[:-1]} data-empty>"  # not shown on phones
        return SafeString(f"{opening}{content}</{opening[1:3]}>")  # both drawn and escaped by templates


def _cells_of(listing: Listing[Any]) -> dict[str, str | None]:
    """How a cell of each column begins, None where the column is not shown; once for the hundreds of a page."""
    hidden: dict[str, str | None] = {column.code: None for column in listing.table.columns}
    return hidden | {head.column.code: _opening(head.column) for head in listing.heads}


def _opening(column: Column) -> str:
    if column.fixed:
        return '<th scope="row">'
    return format_html('<td class="{}" data-label="{}">', column.css, column.label)


@register.tag
def datatable(parser: Parser, token: Token) -> Node:
    """`{% datatable listing %}<tr>…{% cell "code" %}…{% endcell %}…</tr>{% enddatatable %}`: head, frame, cards."""
    _name, listing = token.split_contents()
    body = parser.parse(("enddatatable",))
    parser.delete_first_token()
    return _TableNode(parser.compile_filter(listing), body)


@register.tag
def cell(parser: Parser, token: Token) -> Node:
    """One cell of a row of `{% datatable %}`; nothing where its column is not shown."""
    _name, code = token.split_contents()
    body = parser.parse(("endcell",))
    parser.delete_first_token()
    return _CellNode(parser.compile_filter(code), body)
