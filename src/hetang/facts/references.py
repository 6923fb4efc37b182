"""What facts refer to by a code of ours, such as a short link. It is looked up for a whole batch at the door and
written into the bodies, so that the log itself says what was meant. Rooms above this one know the codes
(`settings.FACT_REFERENCES`); this room never imports them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from django.conf import settings
from django.utils.module_loading import import_string

from hetang.facts.errors import Refusal

if TYPE_CHECKING:
    from hetang.facts.intake import Draft

Known = dict[str, dict[str, Any]]  # what is added to a body, by code


def known(drafts: Sequence[tuple[int, Draft]]) -> dict[str, Known]:
    """What is known of the codes that these drafts name, by kind. A query for each kind that refers to something."""
    found: dict[str, Known] = {}
    for kind in settings.FACT_REFERENCES.keys() & {draft.kind for _, draft in drafts}:
        field, path = settings.FACT_REFERENCES[kind]
        look: Callable[[Collection[str]], Known] = import_string(path.replace(":", "."))
        found[kind] = look({code for _, draft in drafts if draft.kind == kind and (code := _code(draft, field))})
    return found


def completed(kind: str, body: bytes, found: dict[str, Known]) -> bytes:
    """The JSON of a good body with what is known of the code that it names. Raises Refusal where nobody knows it."""
    if kind not in found:
        return body
    field, _path = settings.FACT_REFERENCES[kind]
    said = msgspec.json.decode(body)
    if said[field] not in found[kind]:
        raise Refusal(f"unknown_{field}", {"code": said[field]})
    return msgspec.json.encode({**said, **found[kind][said[field]]})


def _code(draft: Draft, field: str) -> str:
    """The code that a draft names; nothing where its body is no good."""
    try:
        said = draft.body if isinstance(draft.body, dict) else msgspec.json.decode(draft.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    code = said.get(field) if isinstance(said, dict) else None
    return code if isinstance(code, str) and "\0" not in code else ""
