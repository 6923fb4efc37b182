"""What all calls share: the envelope of an answer, and how an API is declared.

Unknown fields of answers are ignored; absent ones have defaults (they are never null). A request leaves out what has
its default, so a field whose absence means something else to WeCom has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec


class Request(msgspec.Struct, omit_defaults=True):
    """The query of a GET or the body of a POST."""


class Nothing(Request):
    """An API that asks nothing."""


class Answer(msgspec.Struct):
    """The envelope of every answer. A missing errcode counts as 0."""

    errcode: int = 0


class Page(Answer):
    """An answer that may go on: an empty cursor is the end, an empty page is not."""

    next_cursor: str = ""


Q = TypeVar("Q", bound=Request)
A = TypeVar("A", bound=Answer)


@dataclass(frozen=True)
class Api(Generic[Q, A]):
    """One API. `repeatable`: doing it twice changes nothing, so a lost answer is simply asked for again.

    `at_once`: how many calls may be in flight, where the platform says so; else the corp's setting counts.
    """

    path: str
    method: str
    request: type[Q]
    answer: type[A]
    repeatable: bool = True
    at_once: int = 0


def encoded(request: Request) -> bytes:
    """The body of a POST."""
    return msgspec.json.encode(request)


def queried(request: Request) -> dict[str, Any]:
    """The query of a GET or of an upload."""
    found: dict[str, Any] = msgspec.to_builtins(request)
    return found
