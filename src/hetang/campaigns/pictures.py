"""Pictures of broadcasts: checked, given to the channel once, kept with a thumbnail that this installation serves.

The browser may load nothing from elsewhere, and the channel's address of a picture shows nothing outside its apps: so
what an operator sees comes from here. The same picture at the same part of the organisation is uploaded once.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from hetang.campaigns.errors import CampaignError, Problem
from hetang.campaigns.models import Picture
from hetang.campaigns.rules import rules_of
from hetang.platform import audit, clock, files
from hetang.platform.access import Actor, Scope
from hetang.platform.models import OrgNode
from hetang.touch.channels import channel as channel_of
from hetang.touch.ports import OutcomeUnknown, Refused, TaskChannel

THUMBNAIL = (480, 480)
MAX_PIXELS = 40_000_000  # 120 MB when decoded; phones take 12 to 50 million
UNUSED_KEPT = timedelta(days=7)
MAX_NAME = 80


@dataclass(frozen=True)
class Looked:
    """What was found in a picture's bytes."""

    kind: str  # JPEG or PNG
    width: int
    height: int
    thumbnail: bytes  # JPEG, upright, within 480 x 480


def look_at(data: bytes, limit: int) -> Looked:
    """Decode a picture whole, so that a broken one is refused here and not on customers' phones.

    Raises CampaignError: "image_empty", "image_size", "image_kind", "image_pixels", "image_broken". Costs up to a
    second and 4 bytes a pixel.
    """
    from PIL import Image, UnidentifiedImageError

    check_size(len(data), limit)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is below it
            picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
    except (UnidentifiedImageError, Image.DecompressionBombError) as problem:
        code = "image_kind" if isinstance(problem, UnidentifiedImageError) else "image_pixels"
        raise _refusal(code, megapixels=MAX_PIXELS // 1_000_000) from problem
    except (OSError, ValueError, SyntaxError) as problem:
        raise _refusal("image_broken") from problem
    if picture.width * picture.height > MAX_PIXELS:
        raise _refusal("image_pixels", megapixels=MAX_PIXELS // 1_000_000)
    try:
        thumbnail = _thumbnail(picture)
    except (OSError, ValueError, SyntaxError) as problem:
        raise _refusal("image_broken") from problem
    return Looked(str(picture.format), picture.width, picture.height, thumbnail)


def check_size(size: int, limit: int) -> None:
    """Refuse an empty or too large picture before it is read. Raises CampaignError: "image_empty", "image_size"."""
    if not size:
        raise _refusal("image_empty")
    if size > limit:
        raise _refusal("image_size", megabytes=limit >> 20, actual=f"{size / (1 << 20):.1f}")


def _thumbnail(picture: Any) -> bytes:
    from PIL import Image, ImageOps

    picture.load()
    small = ImageOps.exif_transpose(picture)
    small.thumbnail(THUMBNAIL)
    if small.mode not in {"RGB", "L"}:
        ground = Image.new("RGB", small.size, "white")
        layered = small.convert("RGBA")
        ground.paste(layered, mask=layered.getchannel("A"))
        small = ground
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=82, optimize=True)
    return stream.getvalue()


def keep(actor: Actor, channel: str, node: OrgNode, data: bytes, name: str) -> Picture:
    """Check a picture, hand it to the channel, keep it. Raises CampaignError: what `look_at` finds, or "image_refused",
    "attachments_count" where the channel takes none."""
    actor.require("campaigns:edit")
    looked = look_at(data, rules_of(channel).image_bytes)
    digest = hashlib.sha256(data).hexdigest()
    known = Picture.objects.filter(channel=channel, org_node=node, file__sha256=digest).first()
    if known is not None:
        return known
    address = _hand_over(channel, data, name)
    stored = files.store(name or "picture", [data])
    with transaction.atomic():
        kept = Picture.objects.create(
            org_node=node,
            channel=channel,
            address=address,
            name=name[:MAX_NAME],
            kind=looked.kind,
            width=looked.width,
            height=looked.height,
            thumbnail=looked.thumbnail,
            file=stored,
            created_at=clock.now(),
            created_by_id=actor.user_id,
        )
        about = {"name": kept.name, "bytes": len(data), "sha256": digest}
        audit.record(actor, "picture.uploaded", "picture", kept.public_id, about, node.pk)
    sweep(clock.now() - UNUSED_KEPT)
    return kept


def visible(scope: Scope) -> QuerySet[Picture]:
    """Pictures at the nodes of a scope, and of the nodes above, whose broadcasts reach into it."""
    if scope.everything:
        return Picture.objects.all()
    inside = Q(pk__in=[])
    for path in scope.paths:
        above = [int(node) for node in path.strip(".").split(".")]
        inside |= Q(org_node__path__startswith=path) | Q(org_node_id__in=above)
    return Picture.objects.filter(inside)


def find(scope: Scope, ids: list[str]) -> dict[str, Picture]:
    """Pictures by public id, as far as the scope reaches; texts that are no ids are left out."""
    wanted = []
    for one in ids:
        try:
            wanted.append(UUID(one))
        except ValueError:
            continue
    found = visible(scope).filter(public_id__in=wanted).defer("thumbnail")
    return {str(picture.public_id): picture for picture in found}


def named_in(variants: list[dict[str, Any]]) -> list[str]:
    """The pictures that texts show, by public id."""
    shown = [item.get("picture") for variant in variants for item in variant.get("attachments", [])]
    return [one for one in shown if one]


def sweep(before: datetime, among: list[str] | None = None) -> int:
    """Remove pictures made before `before` (`among` these public ids) that no broadcast and nothing sent shows, at most
    a hundred. Returns how many. A crash in between leaves them to the next sweep."""
    with connection.cursor() as cursor:
        cursor.execute(_UNUSED, {"before": before, "any": among is None, "among": among or []})
        unused = [row[0] for row in cursor.fetchall()]
    for picture in Picture.objects.filter(pk__in=unused).select_related("file").defer("thumbnail"):
        stored = picture.file
        picture.delete()
        files.remove(stored)
    return len(unused)


_UNUSED = """
select p.id from campaigns_picture p
where p.created_at < %(before)s and (%(any)s or p.public_id::text = any(%(among)s))
  and not exists (select from campaigns_broadcast b where b.variants::text like '%%' || p.public_id || '%%')
  and not exists (select from touch_variant v where v.attachments::text like '%%' || p.public_id || '%%')
order by p.id limit 100
"""


def _hand_over(channel: str, data: bytes, name: str) -> str:
    plugged = channel_of(channel)
    if not isinstance(plugged, TaskChannel):
        raise _refusal("attachments_count", limit=0)
    try:
        return plugged.upload_image(data, name)
    except (Refused, OutcomeUnknown) as problem:
        raise _refusal("image_refused", detail=str(problem)) from problem


def _refusal(code: str, **detail: Any) -> CampaignError:
    return CampaignError(Problem("image", code, detail))
