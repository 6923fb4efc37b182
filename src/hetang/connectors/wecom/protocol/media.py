"""Files given to WeCom: section 19. A `media_id` lives three days, the address of an `uploadimg` for ever."""

from __future__ import annotations

from datetime import timedelta

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Nothing, Request

LIFE = timedelta(days=3)


class Upload(Request):
    type: str


class MediaId(Answer):
    media_id: str = ""


class AttachmentUpload(Request):
    media_type: str
    attachment_type: int  # 1 moments, 2 product album


class ImageUrl(Answer):
    url: str = ""


UPLOAD_IMAGE = Api("media/uploadimg", "POST", Nothing, ImageUrl)
UPLOAD_MEDIA = Api("media/upload", "POST", Upload, MediaId)
UPLOAD_ATTACHMENT = Api("media/upload_attachment", "POST", AttachmentUpload, MediaId)
