"""Uploads and what was uploaded (reference section 19). Bytes are kept as long as the media id is good."""

from __future__ import annotations

import mimetypes
import re
import secrets
from typing import Any

import msgspec

from hetang.simulator.calls import FILE, Call, Download, Upload, api
from hetang.simulator.errors import TEXTS, WeComError

MEDIA_LIFE_S = 3 * 86400.0
JOB_LIFE_S = 3600.0
LONGEST_NAME = 128  # bytes
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_LIMITS = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}
_PICTURES = {86400.0: 1000, 30 * 86400.0: 3000}  # at most so many in so many seconds
_PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


FOR_MESSAGES, FOR_MOMENTS, FOR_ALBUM = 0, 1, 2


class AttachmentQuery(msgspec.Struct):
    media_type: str = ""
    attachment_type: int = 0


class UploadQuery(msgspec.Struct):
    type: str = ""


class MediaQuery(msgspec.Struct):
    media_id: str = ""


class ByUrl(msgspec.Struct):
    scene: int = 0
    type: str = ""
    filename: str = ""
    url: str = ""
    md5: str = ""


class Job(msgspec.Struct):
    jobid: str = ""


@api("media/upload", "POST", UploadQuery)
def media_upload(call: Call, request: UploadQuery) -> dict[str, Any]:
    if request.type not in _LIMITS:
        raise WeComError(40004)
    upload = _check(call, _LIMITS[request.type], picture=request.type == "image")
    media_id = _keep(call, request.type, upload, FOR_MESSAGES)
    # The platform answers the time as text here (a trap that clients must know).
    return {"errmsg": "", "type": request.type, "media_id": media_id, "created_at": str(int(call.now))}


@api("media/upload_attachment", "POST", AttachmentQuery)
def upload_attachment(call: Call, request: AttachmentQuery) -> dict[str, Any]:
    """For moments and the product album only; what `media/upload` gives is not taken there, nor the other way."""
    if request.media_type not in {"image", "video", "file"}:
        raise WeComError(40004)
    if request.attachment_type not in {FOR_MOMENTS, FOR_ALBUM}:
        raise WeComError(40058, "attachment_type")
    upload = _check(call, _LIMITS[request.media_type], picture=request.media_type == "image")
    media_id = _keep(call, request.media_type, upload, request.attachment_type)
    return {"errmsg": "", "type": request.media_type, "media_id": media_id, "created_at": int(call.now)}


@api("media/uploadimg", "POST")
def uploadimg(call: Call, _request: Any) -> dict[str, Any]:
    upload = _check(call, 2 << 20, picture=True)
    for span_s, most in _PICTURES.items():
        query = "select count(*) from media where kind = 'img' and created_at > ?"
        if call.db.execute(query, [call.now - span_s]).fetchone()[0] >= most:
            raise WeComError(45009, f"{most} pictures")
    url = f"https://wework.qpic.cn/simulated/{secrets.token_urlsafe(24)}/0"
    call.db.execute(
        "insert into media (media_id, kind, name, bytes, created_at) values (?, 'img', ?, ?, ?)",
        [url, upload.name, len(upload.content), call.now],
    )
    return {"errmsg": "", "url": url}


@api("media/get", "GET", MediaQuery)
def media_get(call: Call, request: MediaQuery) -> dict[str, Any]:
    """The file itself, in parts where `Range` asks for one; an error is JSON."""
    if not request.media_id:
        raise WeComError(41006)
    row = call.db.execute("select * from media where media_id = ? and kind != 'img'", [request.media_id]).fetchone()
    if row is None or row["content"] is None or call.now - row["created_at"] >= MEDIA_LIFE_S:
        raise WeComError(40007)
    kind = mimetypes.guess_type(row["name"])[0] or "application/octet-stream"
    return {FILE: Download(row["name"], kind, row["content"])}


@api("media/get/jssdk", "GET", MediaQuery)
def media_get_jssdk(call: Call, request: MediaQuery) -> dict[str, Any]:
    """A recording of the JS-SDK, in high quality (speex); nothing but a voice is one."""
    found: Download = media_get(call, request)[FILE]
    row = call.db.execute("select kind from media where media_id = ?", [request.media_id]).fetchone()
    if row["kind"] != "voice":
        raise WeComError(40007)
    return {FILE: Download(found.name, "audio/speex", found.content)}


@api("media/upload_by_url", "POST", ByUrl)
def upload_by_url(call: Call, request: ByUrl) -> dict[str, Any]:
    """The platform fetches the file by itself; the event `upload_media_job_finish` tells when it has ended."""
    if request.scene != 1:
        raise WeComError(40058, "scene")
    if request.type not in {"video", "file"}:
        raise WeComError(40004)
    if not 1 <= len(request.filename.encode()) <= LONGEST_NAME:
        raise WeComError(40058, "filename")
    if not request.url or not _MD5.fullmatch(request.md5):
        raise WeComError(40058, "url or md5")
    jobid = secrets.token_urlsafe(24)
    call.db.execute(
        "insert into upload_job (jobid, agentid, kind, filename, url, md5, at) values (?, ?, ?, ?, ?, ?, ?)",
        [jobid, call.agentid, request.type, request.filename, request.url, request.md5, call.now],
    )
    return {"jobid": jobid}


@api("media/get_upload_by_url_result", "POST", Job)
def get_upload_by_url_result(call: Call, request: Job) -> dict[str, Any]:
    if not request.jobid:
        raise WeComError(40088)
    row = call.db.execute(
        "select * from upload_job where jobid = ? and agentid = ? and at > ?",
        [request.jobid, call.agentid, call.now - JOB_LIFE_S],
    ).fetchone()
    if row is None:
        raise WeComError(40089)
    detail = {"errcode": row["code"], "errmsg": TEXTS.get(row["code"], "ok"), "media_id": row["media_id"]}
    return {"status": row["status"], "detail": {**detail, "created_at": int(row["ended_at"] or 0)}}


def uploaded(call: Call, url: str) -> bool:
    """Whether the address was given out by uploadimg: no other picture may be sent."""
    query = "select 1 from media where media_id = ? and kind = 'img'"
    return call.db.execute(query, [url]).fetchone() is not None


def usable(call: Call, media_id: str, purpose: int = FOR_MESSAGES) -> bool:
    """Whether the media id was given out for this purpose within the last three days."""
    row = call.db.execute(
        "select created_at from media where media_id = ? and kind != 'img' and purpose = ?", [media_id, purpose]
    ).fetchone()
    return row is not None and call.now - row["created_at"] < MEDIA_LIFE_S


def _keep(call: Call, kind: str, upload: Upload, purpose: int) -> str:
    media_id = secrets.token_urlsafe(48)
    gone = call.now - MEDIA_LIFE_S
    call.db.execute("update media set content = null where content is not null and created_at < ?", [gone])
    call.db.execute(
        "insert into media (media_id, kind, name, bytes, created_at, purpose, content) values (?, ?, ?, ?, ?, ?, ?)",
        [media_id, kind, upload.name, len(upload.content), call.now, purpose, upload.content],
    )
    return media_id


def _check(call: Call, limit: int, *, picture: bool) -> Upload:
    if call.upload is None:
        raise WeComError(41005)
    if len(call.upload.content) <= 5:
        raise WeComError(44001)
    if len(call.upload.content) > limit:
        raise WeComError(45001)
    if picture and not call.upload.content.startswith(_PICTURE_STARTS):
        raise WeComError(40123)
    return call.upload
