"""The composer's form between requests: what it holds, read without refusing anything, and its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict

from hetang.campaigns import pictures
from hetang.campaigns.errors import CampaignError, Problem
from hetang.campaigns.models import Broadcast, Picture
from hetang.campaigns.rules import MAX_VARIANTS, rules_of
from hetang.campaigns.services import LINK_BYTES
from hetang.console.campaigns.access import VIEW
from hetang.platform.access import Actor, actor_of
from hetang.platform.models import OrgNode
from hetang.touch.links import address_of

CHANNEL = "wecom"
EXAMPLE_LINK = address_of("a1B2c3D4e5")


@dataclass
class Draft:
    """What the form holds, readable or not. Problems are kept by field."""

    name: str = ""
    campaign: str = ""
    audience: str = ""
    message_class: str = "marketing"
    target_url: str = ""
    design: str = Broadcast.SINGLE
    control: str = "10"
    when: str = "now"
    slot: str = ""
    confirm_days: str = "3"
    window_days: str = "7"
    replan_after_quiet: bool = True
    variants: list[dict[str, Any]] = field(default_factory=lambda: [blank()])
    problems: list[Problem] = field(default_factory=list)


def blank() -> dict[str, Any]:
    return {"text": "", "weight": 1, "attachments": []}


def shown(number: int, variant: dict[str, Any], errors: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """A text as the phone shows it, with the problems of its pictures."""
    found = errors or {}
    card = next((item for item in variant["attachments"] if item["type"] == "link"), None)
    images = [item for item in variant["attachments"] if item.get("picture") and item["type"] == "image"]
    used = len(variant["text"].encode()) + (0 if card else LINK_BYTES + 1)
    return variant | {
        "number": number,
        "bytes": used,
        "card": card,
        "images": images,
        "field": f"text_{number}",
        "picture_errors": found.get(f"pictures_{number}", []),
        "card_errors": found.get(f"card_picture_{number}", []),
    }


def read(request: HttpRequest) -> Draft:
    """The form as it came. Pictures count as far as the actor may see them; whose is gone becomes a problem."""
    post = request.POST
    names = ("name", "campaign", "audience", "message_class", "target_url", "design", "control", "when", "slot")
    draft = Draft(replan_after_quiet="replan_after_quiet" in post)
    for name in (*names, "confirm_days", "window_days"):
        setattr(draft, name, str(post.get(name, getattr(draft, name))).strip())
    removed = post.get("do", "").removeprefix("remove_text_")
    count = min(sum(name.startswith("text_") for name in post), MAX_VARIANTS)
    numbers = [n for n in range(1, count + 1) if str(n) != removed]
    known = pictures.find(actor_of(request).scope(VIEW), _posted(post, numbers))
    texts = [_variant(post, number, known, draft.problems) for number in numbers]
    draft.variants = texts or [blank()]
    if len(draft.variants) == 1:
        draft.design = Broadcast.SINGLE
    return draft


def _posted(post: QueryDict, numbers: list[int]) -> list[str]:
    lists = [post.getlist(f"{name}_{number}") for number in numbers for name in ("picture", "card_picture")]
    return [one for posted in lists for one in posted]


def _variant(post: QueryDict, number: int, known: dict[str, Picture], problems: list[Problem]) -> dict[str, Any]:
    dropped = post.get("do", "")
    attachments: list[dict[str, Any]] = []
    for one in dict.fromkeys(post.getlist(f"picture_{number}")):
        if dropped == f"drop_{number}_{one}":
            continue
        if one in known:
            attachments.append(known[one].attachment)
        else:
            problems.append(Problem(f"pictures_{number}", "image_missing"))
    card = _card(post, number, known)
    weight = post.get(f"weight_{number}", "1")
    return {
        "text": post.get(f"text_{number}", "").replace("\r\n", "\n").strip(),
        "weight": int(weight) if weight.isdecimal() and len(weight) < 4 else 0,
        "attachments": [*attachments, *card],
    }


def _card(post: QueryDict, number: int, known: dict[str, Picture]) -> list[dict[str, Any]]:
    """The link card of a text, if it has one. Its picture stays chosen while the card is switched off and on."""
    title, text = post.get(f"card_title_{number}", "").strip(), post.get(f"card_desc_{number}", "").strip()
    card = {"type": "link", "title": title, "desc": text}
    shown = known.get(post.get(f"card_picture_{number}", ""))
    if shown is not None and post.get("do") != f"drop_card_{number}":
        card |= with_picture(shown)
    return [card] if f"card_{number}" in post else []


def with_picture(picture: Picture) -> dict[str, str]:
    """What a link card says of its picture."""
    return {"picurl": picture.address, "picture": str(picture.public_id)}


def take_uploads(request: HttpRequest, draft: Draft, node: OrgNode, only: int | None = None) -> None:
    """Check and keep the new pictures of the form (of one text only, when named) for a part of the organisation. Each
    refusal becomes a problem at its place, and the others are taken all the same."""
    for number, variant in enumerate(draft.variants, start=1):
        if only not in {None, number}:
            continue
        take = _Taker(actor_of(request), node, draft, number, variant)
        for upload in request.FILES.getlist(f"upload_{number}"):
            take.image(upload)
        for upload in request.FILES.getlist(f"card_upload_{number}"):
            take.for_card(upload)


@dataclass
class _Taker:
    """Takes uploads into one text of a draft."""

    actor: Actor
    node: OrgNode
    draft: Draft
    number: int
    variant: dict[str, Any]

    def image(self, upload: UploadedFile) -> None:
        place = f"pictures_{self.number}"
        attachments, limit = self.variant["attachments"], rules_of(CHANNEL).attachments
        if len(attachments) >= limit:
            self.draft.problems.append(Problem(place, "attachments_count", {"limit": limit}))
            return
        picture = self._kept(place, upload)
        images = [item for item in attachments if item["type"] == "image"]
        if picture is not None and str(picture.public_id) not in {item["picture"] for item in images}:
            attachments.insert(len(images), picture.attachment)

    def for_card(self, upload: UploadedFile) -> None:
        card = next((item for item in self.variant["attachments"] if item["type"] == "link"), None)
        if card is not None and (picture := self._kept(f"card_picture_{self.number}", upload)):
            card |= with_picture(picture)

    def _kept(self, place: str, upload: UploadedFile) -> Picture | None:
        name, size = (upload.name or "")[: pictures.MAX_NAME], upload.size or 0
        try:
            pictures.check_size(size, rules_of(CHANNEL).image_bytes)
            return pictures.keep(self.actor, CHANNEL, self.node, upload.read(), name)
        except CampaignError as refused:
            self.draft.problems += [Problem(place, one.code, one.detail | {"name": name}) for one in refused.problems]
            return None
