"""Pictures: what is found in their bytes, who may see them, and when they go."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image

from hetang.campaigns import pictures, services
from hetang.campaigns.errors import CampaignError
from hetang.campaigns.models import Picture
from hetang.platform import access, clock
from hetang.platform.access import Scope
from hetang.platform.environment import home
from hetang.platform.models import AuditEntry, OrgNode, StoredFile
from hetang.touch import channels
from tests.campaigns.drafts import broadcast_with
from tests.console.cast import Cast, make

LIMIT = 2 << 20


def drawn(kind: str = "JPEG", size: tuple[int, int] = (60, 40), mode: str = "RGB", **more: Any) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, kind, **more)
    return stream.getvalue()


def refused(data: bytes) -> str:
    with pytest.raises(CampaignError) as caught:
        pictures.look_at(data, LIMIT)
    return caught.value.code


def test_what_is_no_good_picture_is_refused() -> None:
    assert refused(b"") == "image_empty"
    assert refused(b"x" * (LIMIT + 1)) == "image_size"
    assert [refused(data) for data in (b"GIF89a", drawn("GIF"), drawn("WEBP"), b"<svg/>")] == ["image_kind"] * 4
    assert refused(drawn(size=(600, 400))[:-300]) == "image_broken"
    assert refused(drawn("PNG")[:60]) in {"image_broken", "image_kind"}
    assert refused(drawn("PNG", (7000, 6000), "1")) == "image_pixels"
    assert refused(drawn("PNG", (20_000, 20_000), "1")) == "image_pixels"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA", "P", "LA", "1", "I;16"])
def test_every_kind_of_colour_gets_a_thumbnail(mode: str) -> None:
    looked = pictures.look_at(drawn("JPEG" if mode == "CMYK" else "PNG", (600, 300), mode), LIMIT)
    assert (looked.width, looked.height) == (600, 300)
    assert Image.open(io.BytesIO(looked.thumbnail)).size == (480, 240)


def test_a_phone_held_sideways_gives_an_upright_thumbnail() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    looked = pictures.look_at(drawn(size=(600, 300), exif=exif), LIMIT)
    assert Image.open(io.BytesIO(looked.thumbnail)).size == (240, 480)


@pytest.fixture
def cast(db: None, settings: Any) -> Iterator[Cast]:
    settings.CHANNELS = {"wecom": "tests.touch.provider:tasks"}
    channels.channel.cache_clear()
    yield make()
    channels.channel.cache_clear()


def kept(node: OrgNode, size: int = 10) -> Picture:
    return pictures.keep(access.system("t"), "wecom", node, drawn(size=(size, size)), f"{size}.jpg")


def test_a_picture_is_kept_sealed_audited_and_seen_from_below(cast: Cast) -> None:
    picture = kept(cast.root)
    stored = home() / "files" / picture.file.path
    assert stored.exists()
    assert drawn(size=(10, 10))[20:60] not in stored.read_bytes()
    assert AuditEntry.objects.filter(action="picture.uploaded").count() == 1
    assert kept(cast.root).pk == picture.pk
    mine, other = kept(cast.store_a.org_node), kept(cast.store_b.org_node, 11)
    seen = pictures.visible(Scope((cast.store_a.org_node.path,)))
    assert set(seen) == {picture, mine}
    assert list(pictures.find(Scope((cast.store_a.org_node.path,)), [str(other.public_id), "x"])) == []


def test_unused_pictures_go_after_a_week_and_used_ones_stay(cast: Cast) -> None:
    used, unused = kept(cast.root, 20), kept(cast.root, 21)
    draft = broadcast_with([used.attachment])
    file = home() / "files" / unused.file.path
    assert pictures.sweep(clock.now() - pictures.UNUSED_KEPT) == 0
    assert pictures.sweep(clock.now() + timedelta(seconds=1)) == 1
    assert (list(Picture.objects.all()), StoredFile.objects.count(), file.exists()) == ([used], 1, False)
    services.discard(access.system("t"), draft)
    assert not Picture.objects.exists()
