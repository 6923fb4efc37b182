"""Short links: addresses of ours that mark a task and count who follows them."""

from __future__ import annotations

import os
import uuid
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import F

from hetang.facts.intake import Draft, record
from hetang.platform import clock
from hetang.touch.models import SendTask, ShortLink

DEFAULT_BASE = "http://127.0.0.1:8000"
LONGEST_LINK = 80  # bytes that a text must leave free for its link


def address_of(code: str) -> str:
    """The absolute address of a short link: `HETANG_PUBLIC_URL` (where customers reach this installation) and the code.

    It is also the task's mark, so it must not change while tasks are open.
    """
    base = os.environ.get("HETANG_PUBLIC_URL", "") or DEFAULT_BASE
    return f"{base.rstrip('/')}/l/{code}"


def safe_target(target: str) -> bool:
    """Whether a link may lead there: an absolute http(s) address with a host, nothing else."""
    try:
        parts = urlsplit(target)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not set(target) & set(" \r\n\t\\")
    except ValueError:
        return False


def follow(code: str, *, count: bool = True) -> str | None:
    """Where a link leads, or None. Counts the click and records it as a fact unless `count` is false."""
    link = ShortLink.objects.filter(pk=code).first()
    if link is None or not safe_target(link.target):
        return None
    if count:
        _count(link)
    return link.target


def _count(link: ShortLink) -> None:
    task = SendTask.objects.filter(link=link).values_list("pk", flat=True).first()
    body = {"link": link.code, "programme": link.programme_id, "task": task}
    with transaction.atomic():
        ShortLink.objects.filter(pk=link.pk).update(clicks=F("clicks") + 1)
        record("links", [Draft("link.clicked", f"click:{uuid.uuid4()}", clock.now(), body=body)])
