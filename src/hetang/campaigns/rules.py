"""What a channel takes: pure checks of a composition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hetang.campaigns.errors import Problem

# Anything that looks like a variable of a template: {name}, {{name}}, ${name}, [姓名], 【昵称】, %name%, #name#
_PLACEHOLDER = re.compile(
    r"\$?\{\{?\s*[^{}\n]{1,40}\s*\}?\}|%[A-Za-z_]{2,30}%|#[A-Za-z_]{2,30}#"
    r"|[\[【<](?:姓名|昵称|客户昵称|客户姓名|客户名|称呼|名字|name|first[ _]?name|nickname)[\]】>]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ChannelRules:
    """What the composer must know of a channel. Byte limits count UTF-8."""

    text_bytes: int
    attachments: int
    personal: bool  # variables and personal links are possible
    staff_confirm: bool
    image_bytes: int = 0

    @property
    def image_megabytes(self) -> int:
        return self.image_bytes >> 20


CHANNELS: Mapping[str, ChannelRules] = {
    "wecom": ChannelRules(text_bytes=4000, attachments=9, personal=False, staff_confirm=True, image_bytes=2 << 20),
}
PLAIN = ChannelRules(text_bytes=2000, attachments=0, personal=False, staff_confirm=False)
_LINK_FIELDS = {"title": 128, "desc": 512, "picurl": 2048}
MAX_VARIANTS = 5


def rules_of(channel: str) -> ChannelRules:
    """The rules of a channel; plain text without attachments for one that says nothing."""
    return CHANNELS.get(channel, PLAIN)


def placeholders(text: str) -> list[str]:
    """What in a text looks like a personal variable."""
    return [found.group(0) for found in _PLACEHOLDER.finditer(text)]


def check_variants(channel: str, variants: Sequence[Mapping[str, Any]], design: str, link_bytes: int) -> list[Problem]:
    """All that is wrong with the texts. `link_bytes` must stay free in a text without a link attachment."""
    limits = rules_of(channel)
    problems = []
    if not 1 <= len(variants) <= MAX_VARIANTS:
        problems.append(Problem("variants", "variants_count", {"limit": MAX_VARIANTS}))
    if design != "single" and len(variants) < 2:
        problems.append(Problem("variants", "variants_needed"))
    if design == "single" and len(variants) > 1:
        problems.append(Problem("design", "design_needed"))
    for number, variant in enumerate(variants, start=1):
        problems += _check_variant(limits, number, variant, link_bytes)
    return problems


def _check_variant(limits: ChannelRules, number: int, variant: Mapping[str, Any], link_bytes: int) -> list[Problem]:
    text, attachments = str(variant.get("text", "")), list(variant.get("attachments", []))
    name, problems = f"text_{number}", []
    linked = any(item.get("type") == "link" for item in attachments)
    room = limits.text_bytes - (0 if linked else link_bytes + 1)
    if not text.strip():
        problems.append(Problem(name, "text_missing"))
    if len(text.encode()) > room:
        problems.append(Problem(name, "text_too_long", {"limit": room, "bytes": len(text.encode())}))
    found = placeholders(text)
    if found and not limits.personal:
        problems.append(Problem(name, "no_variables", {"found": found[0]}))
    if "\0" in text:
        problems.append(Problem(name, "text_characters"))
    if len(attachments) > limits.attachments:
        problems.append(Problem(name, "attachments_count", {"limit": limits.attachments}))
    for item in attachments:
        problems += _check_attachment(name, item)
    if not 1 <= int(variant.get("weight", 1)) <= 100:
        problems.append(Problem(name, "weight_range"))
    return problems


def _check_attachment(name: str, item: Mapping[str, Any]) -> list[Problem]:
    if item.get("type") == "image":
        return [] if item.get("image") else [Problem(name, "image_missing")]
    if item.get("type") != "link":
        return [Problem(name, "attachment_kind")]
    problems = [
        Problem(name, "link_field_too_long", {"field": field, "limit": limit})
        for field, limit in _LINK_FIELDS.items()
        if len(str(item.get(field, "")).encode()) > limit
    ]
    if not str(item.get("title", "")).strip():
        problems.append(Problem(name, "link_title_missing"))
    return problems


def extra_taps(senders: Mapping[int, Mapping[int, int]], per_task: int) -> int:
    """How many more confirmations variants cost: the tasks of every sender and text, less those of one text for all.

    `senders` maps a sender to {variant: people}.
    """
    split = sum(-(-people // per_task) for texts in senders.values() for people in texts.values())
    whole = sum(-(-sum(texts.values()) // per_task) for texts in senders.values())
    return split - whole
