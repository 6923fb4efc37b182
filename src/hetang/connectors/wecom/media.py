"""Files given to WeCom for three days: the same id as long as it lives, a new one from the kept original after that."""

from __future__ import annotations

from datetime import timedelta

from hetang.connectors.wecom.client import client_of
from hetang.connectors.wecom.models import App, MediaCopy
from hetang.connectors.wecom.protocol.media import LIFE, UPLOAD_MEDIA, Upload
from hetang.platform import clock, files
from hetang.platform.models import StoredFile

SPARE = timedelta(hours=2)  # what is used now must live until WeCom has used it
IMAGE, VIDEO, FILE = "image", "video", "file"


def current(app: App, file: StoredFile, kind: str, spare: timedelta = SPARE) -> str:
    """An id by which WeCom knows the file now and for `spare`. Shared by the apps of a corp; two at the same time give
    it twice, and the newer id stays. Raises like `Client.call`, and DamagedFile."""
    known = MediaCopy.objects.filter(corp_id=app.corp_id, file=file, kind=kind).first()
    if known is not None and known.made_at > clock.now() - LIFE + spare:
        return known.media_id
    made_at = clock.now()
    content = b"".join(files.read(file))
    media_id = client_of(app).call(UPLOAD_MEDIA, Upload(type=kind), upload=(file.name, content)).media_id
    MediaCopy.objects.update_or_create(
        corp_id=app.corp_id, file=file, kind=kind, defaults={"media_id": media_id, "made_at": made_at}
    )
    return media_id
