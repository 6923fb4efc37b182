"""Short links: addresses of ours that mark a task and count who follows them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import F

from hetang.facts.intake import Draft, record
from hetang.platform import clock, environment
from hetang.touch.models import SendTask, ShortLink

DEFAULT_BASE = "http://127.0.0.1:8000"
_KEY = re.compile(r"[A-Za-z0-9_.:-]{8,100}")
_AHEAD = re.compile(r"prefetch|prerender|preview")
_PROGRAM = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|preview|facebookexternalhit|^(curl|wget|python|java|go-http|okhttp|libwww|axios|node)",
    re.IGNORECASE,
)
CODE = "{link}"  # in a target: the code of the link, for pages that say who came by it
LONGEST_LINK = 80  # bytes that a text must leave free for its link


def address_of(code: str) -> str:
    """The absolute address of a short link: `HETANG_PUBLIC_URL` (where customers reach this installation) and the code.

    It is also the task's mark, so it must not change while tasks are open.
    """
    return f"{environment.public_url() or DEFAULT_BASE}/l/{code}"


def safe_target(target: str) -> bool:
    """Whether a link may lead there: an absolute http(s) address with a host, nothing else."""
    try:
        parts = urlsplit(target)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not set(target) & set(" \r\n\t\\")
    except ValueError:
        return False


def opened_by_person(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request looks like somebody who opened the link: not asked for ahead by a browser, and not by a program
    that says what it is. Programs that pretend to be a phone cannot be told apart."""
    if method != "GET":
        return False
    purpose = " ".join(headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")).lower()
    agent = headers.get("User-Agent", "").strip()
    return bool(agent) and not _AHEAD.search(purpose) and not _PROGRAM.search(agent)


def follow(code: str, *, count: bool = True, key: str = "") -> str | None:
    """Where a link leads, or None; its code stands where the target says `{link}`. Counts the click and records it as a
    fact unless `count` is false.

    `key` is the `Idempotency-Key` of the request: a click that comes again with the same one counts once.
    """
    link = ShortLink.objects.filter(pk=code).first()
    if link is None or not safe_target(link.target):
        return None
    if count:
        _count(link, key if _KEY.fullmatch(key) else str(uuid.uuid4()))
    return link.target.replace(CODE, link.code)


def _count(link: ShortLink, key: str) -> None:
    task = SendTask.objects.filter(link=link).values_list("pk", flat=True).first()
    body = {"link": link.code, "programme": link.programme_id, "task": task}
    with transaction.atomic():
        draft = Draft("link.clicked", f"click:{link.code}:{key}", clock.now(), body=body)
        if record("links", [draft]).accepted:
            ShortLink.objects.filter(pk=link.pk).update(clicks=F("clicks") + 1)
