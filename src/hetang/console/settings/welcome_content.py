"""What a welcome says beside its text, as WeCom takes it: link, picture, card of a mini-program, file, video."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hetang.connectors.wecom.enclosures import Enclosed
from hetang.connectors.wecom.models import Enclosing
from hetang.connectors.wecom.rules import CARD_PAGE_BYTES, CARD_TITLE_BYTES, DESC_BYTES, TITLE_BYTES, URL_BYTES
from hetang.platform import files
from hetang.platform.models import StoredFile

PICTURE_BYTES = 2 << 20  # of uploadimg
CARD_BYTES, VIDEO_BYTES, FILE_BYTES = 10 << 20, 10 << 20, 20 << 20  # of media/upload
_FILE_LEAST = 6  # more than 5 bytes (reference 19)


def at_most(limit: int) -> Any:
    """A validator: so many bytes of UTF-8."""

    def check(value: str) -> None:
        if len(value.encode()) > limit:
            raise forms.ValidationError(
                _("WeCom takes %(limit)s bytes here; a Chinese character is three.") % {"limit": limit}
            )

    return check


def _is_picture(upload: UploadedFile) -> bool:
    """Whether it begins like a JPG or a PNG, whatever it is called."""
    head = bytes(upload.read(8))
    upload.seek(0)
    return head.startswith(b"\xff\xd8\xff") or head == b"\x89PNG\r\n\x1a\n"


def _is_mp4(upload: UploadedFile) -> bool:
    head = bytes(upload.read(12))
    upload.seek(0)
    return head[4:8] == b"ftyp"


class ContentForm(forms.Form):
    """What stands beside the text. Whoever inherits adds the text, whose length differs."""

    link_title = forms.CharField(
        label=gettext_lazy("Title of the link"), required=False, validators=[at_most(TITLE_BYTES)]
    )
    link_url = forms.URLField(
        label=gettext_lazy("Address of the link"),
        required=False,
        assume_scheme="https",
        validators=[at_most(URL_BYTES)],
    )
    link_desc = forms.CharField(
        label=gettext_lazy("Line below the title"), required=False, validators=[at_most(DESC_BYTES)]
    )
    picture = forms.FileField(
        label=gettext_lazy("Picture of the welcome"),
        required=False,
        help_text=gettext_lazy("JPG or PNG, up to 2 MB. It is given to WeCom when you save."),
    )
    without_picture = forms.BooleanField(label=gettext_lazy("Without picture"), required=False)
    mini_title = forms.CharField(
        label=gettext_lazy("Title of the mini-program card"), required=False, validators=[at_most(CARD_TITLE_BYTES)]
    )
    mini_appid = forms.RegexField(
        label=gettext_lazy("AppID of the mini-program"),
        regex=r"^\s*wx[0-9a-zA-Z]{4,30}\s*$",
        required=False,
        help_text=gettext_lazy("It begins with wx and is linked to the corp in WeCom's console."),
    )
    mini_page = forms.CharField(
        label=gettext_lazy("Page of the mini-program"),
        required=False,
        validators=[at_most(CARD_PAGE_BYTES)],
        help_text=gettext_lazy("Its path, such as pages/index.html."),
    )
    mini_picture = forms.FileField(
        label=gettext_lazy("Picture of the mini-program card"),
        required=False,
        help_text=gettext_lazy("JPG or PNG of 520 × 416 pixels, up to 10 MB."),
    )
    without_mini = forms.BooleanField(label=gettext_lazy("Without mini-program"), required=False)
    file = forms.FileField(
        label=gettext_lazy("File of the welcome"),
        required=False,
        help_text=gettext_lazy("Up to 20 MB, a menu for example. Kept here, and given to WeCom whenever it is needed."),
    )
    without_file = forms.BooleanField(label=gettext_lazy("Without file"), required=False)
    video = forms.FileField(
        label=gettext_lazy("Video of the welcome"),
        required=False,
        help_text=gettext_lazy("MP4, up to 10 MB. Kept here, and given to WeCom whenever it is needed."),
    )
    without_video = forms.BooleanField(label=gettext_lazy("Without video"), required=False)

    def __init__(self, *args: Any, kept: Enclosing | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept = kept

    def clean_picture(self) -> UploadedFile | None:
        """Small enough and of a kind that WeCom takes."""
        return self._picture("picture", PICTURE_BYTES, _("The picture is larger than 2 MB."))

    def clean_mini_picture(self) -> UploadedFile | None:
        """The same for the card's, which is given in another way."""
        return self._picture("mini_picture", CARD_BYTES, _("The picture is larger than 10 MB."))

    def clean_file(self) -> UploadedFile | None:
        """Neither empty nor larger than WeCom takes."""
        upload = self._upload("file")
        if upload is not None and not _FILE_LEAST <= (upload.size or 0) <= FILE_BYTES:
            raise forms.ValidationError(_("WeCom takes files of up to 20 MB that are not empty."))
        return upload

    def clean_video(self) -> UploadedFile | None:
        """An MP4 that is not too large."""
        upload = self._upload("video")
        if upload is not None and (upload.size or 0) > VIDEO_BYTES:
            raise forms.ValidationError(_("The video is larger than 10 MB."))
        if upload is not None and not _is_mp4(upload):
            raise forms.ValidationError(_("This is no MP4 video."))
        return upload

    def clean(self) -> dict[str, Any]:
        """A link has both its parts, a card all four."""
        said = super().clean() or {}
        if bool(said.get("link_title")) != bool(said.get("link_url")):
            self.add_error("link_title", _("A link needs a title and an address."))
        if self.has_mini(said):
            words = [said.get(name) for name in ("mini_title", "mini_appid", "mini_page")]
            if not all(words) or not self.holds("mini_picture", said):
                self.add_error("mini_title", _("A card needs title, AppID, page and picture."))
        return said

    def has_mini(self, said: dict[str, Any]) -> bool:
        """Whether anything of a mini-program's card was said and is not taken out."""
        some = any(said.get(name) for name in ("mini_title", "mini_appid", "mini_page", "mini_picture"))
        return some and not said.get("without_mini")

    def holds(self, name: str, said: dict[str, Any]) -> bool:
        """Whether there will be a file in this field: given now, or kept and not taken out."""
        out = said.get("without_mini" if name == "mini_picture" else f"without_{name}")
        return bool(said.get(name)) or bool(self.kept and getattr(self.kept, name) and not out)

    def _upload(self, name: str) -> UploadedFile | None:
        return cast("UploadedFile | None", self.cleaned_data.get(name))

    def _picture(self, name: str, most: int, too_large: str) -> UploadedFile | None:
        upload = self._upload(name)
        if upload is None:
            return None
        if (upload.size or 0) > most:
            raise forms.ValidationError(too_large)
        if not _is_picture(upload):
            raise forms.ValidationError(_("This is neither a JPG nor a PNG picture."))
        return upload


def initial_of(welcome: Enclosing) -> dict[str, Any]:
    """The words of its mini-program's card, as the form shows them."""
    return {f"mini_{name}": welcome.mini.get(name, "") for name in ("title", "appid", "page")}


def enclosed(form: ContentForm, stored: list[StoredFile]) -> Enclosed:
    """Keep the files that were given (noted in `stored`, for the caller to remove where it comes to nothing)."""
    said, given = form.cleaned_data, {}
    for name in ("mini_picture", "file", "video"):
        if (upload := said.get(name)) is not None:
            given[name] = files.store(upload.name or name, upload.chunks())
            stored.append(given[name])
    has_mini = form.has_mini(said)
    mini = {name: said[f"mini_{name}"].strip() for name in ("title", "appid", "page")} if has_mini else None
    out = [part for part in ("mini", "file", "video") if said.get(f"without_{part}") and part not in given]
    if not has_mini and "mini" not in out:
        out.append("mini")
    return Enclosed(mini=mini, without=frozenset(out), **given)
