"""The files by which WeCom sees that a domain is ours: uploaded in the console, served at the root."""

from __future__ import annotations

import re

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from hetang.connectors.wecom.models import VerificationFile
from hetang.platform import audit, clock
from hetang.platform.access import Actor

NAME = re.compile(r"(WW|MP)_verify_[A-Za-z0-9]{1,64}\.txt")
MOST_BYTES, MOST_FILES = 512, 20


class FileRefused(Exception):
    """The file is none of WeCom's. `code`: name, content, too_many."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class VerificationName:
    """The part of an address that names such a file."""

    regex = NAME.pattern.replace("(WW|MP)", "(?:WW|MP)")

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


@require_safe
@login_not_required
def verification_file(_request: HttpRequest, name: str) -> HttpResponse:
    """The file, as it was uploaded."""
    found = get_object_or_404(VerificationFile, name=name)
    return HttpResponse(found.content, content_type="text/plain; charset=utf-8")


@transaction.atomic
def keep(actor: Actor, name: str, content: bytes) -> VerificationFile:
    """Serve a file from now on, in place of one of that name. Raises Forbidden, FileRefused."""
    actor.require_everywhere("settings:edit")
    if not NAME.fullmatch(name):
        raise FileRefused("name")
    text = content.decode("ascii", "replace").strip()
    if len(content) > MOST_BYTES or not re.fullmatch(r"[A-Za-z0-9_=+/.-]+", text):
        raise FileRefused("content")
    if not VerificationFile.objects.filter(name=name).exists() and VerificationFile.objects.count() >= MOST_FILES:
        raise FileRefused("too_many")
    row, _made = VerificationFile.objects.update_or_create(
        name=name, defaults={"content": text, "uploaded_at": clock.now()}
    )
    audit.record(actor, "wecom.verification_kept", "wecom", "", {"file": name})
    return row


@transaction.atomic
def remove(actor: Actor, name: str) -> None:
    """Serve a file no more. Raises Forbidden."""
    actor.require_everywhere("settings:edit")
    if VerificationFile.objects.filter(name=name).delete()[0]:
        audit.record(actor, "wecom.verification_removed", "wecom", "", {"file": name})
