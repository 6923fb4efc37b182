"""What a welcome encloses beside text, link and picture: a mini-program's card, a video, a file.

Our file is the original; WeCom's id of it lives three days. It is given when a welcome is saved, and anew a day before
it ends, so that the lane of welcomes finds it ready.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hetang.connectors.wecom import media
from hetang.connectors.wecom.client import default_app
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.models import App, Enclosing, WelcomeRule
from hetang.connectors.wecom.protocol.messages import MediaFile, MiniProgram
from hetang.platform.loops import Loop
from hetang.platform.models import StoredFile

log = logging.getLogger(__name__)
RENEW_WITHIN = timedelta(days=1)
EVERY_S, _AWAY_S = 3600.0, 600.0


@dataclass(frozen=True)
class Enclosed:
    """What somebody said of it. None leaves a file as it is; `without` names what is taken out: mini, video, file."""

    mini: dict[str, str] | None = None
    mini_picture: StoredFile | None = None
    video: StoredFile | None = None
    file: StoredFile | None = None
    without: frozenset[str] = frozenset()


def write(welcome: Enclosing, said: Enclosed) -> list[StoredFile]:
    """Write it into a welcome that is saved afterwards. Returns files that it no longer holds, for the caller to remove
    once that is committed."""
    before = set(files_of(welcome).values())
    welcome.mini = {} if "mini" in said.without else said.mini if said.mini is not None else welcome.mini
    for name, given, part in (
        ("mini_picture", said.mini_picture, "mini"),
        ("video", said.video, "video"),
        ("file", said.file, "file"),
    ):
        if given is not None or part in said.without:
            setattr(welcome, name, None if part in said.without else given)
    return [one for one in before if one not in files_of(welcome).values()]


def files_of(welcome: Enclosing) -> dict[str, StoredFile]:
    """The files that it holds, by field."""
    found = {"mini_picture": welcome.mini_picture, "video": welcome.video, "file": welcome.file}
    return {name: one for name, one in found.items() if one is not None}


def hand_over(app: App, said: Enclosed) -> None:
    """Give new files to WeCom, which looks at their kind and size. Raises like `Client.call`."""
    for kind, file in ((media.IMAGE, said.mini_picture), (media.VIDEO, said.video), (media.FILE, said.file)):
        if file is not None:
            media.current(app, file, kind)


def parts(welcome: Enclosing, app: App) -> dict[str, Any]:
    """By kind of attachment, as WeCom takes them, the card first. Raises like `Client.call` where a file's id ended."""
    found: dict[str, Any] = {}
    if welcome.mini and welcome.mini_picture is not None:
        picture = media.current(app, welcome.mini_picture, media.IMAGE)
        found["miniprogram"] = MiniProgram(
            title=welcome.mini["title"], appid=welcome.mini["appid"], page=welcome.mini["page"], pic_media_id=picture
        )
    if welcome.file is not None:
        found["file"] = MediaFile(media_id=media.current(app, welcome.file, media.FILE))
    if welcome.video is not None:
        found["video"] = MediaFile(media_id=media.current(app, welcome.video, media.VIDEO))
    return found


def run_once() -> float:
    """Give the files of the welcomes in use anew where their ids end within a day. Returns seconds until the next."""
    try:
        app = default_app()
    except NotConnected:
        return EVERY_S
    kinds = {"mini_picture": media.IMAGE, "video": media.VIDEO, "file": media.FILE}
    for rule in WelcomeRule.objects.filter(enabled=True).select_related("mini_picture", "video", "file"):
        for name, file in files_of(rule).items():
            try:
                media.current(app, file, kinds[name], spare=RENEW_WITHIN)
            except (WeComError, NotSent, Unanswered) as problem:
                log.warning("a file of the welcome %r is not renewed: %s", rule.name, problem)
                return _AWAY_S
    return EVERY_S


loop = Loop("wecom.media", run_once)
