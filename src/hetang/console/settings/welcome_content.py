"""What a welcome says beside its text: a link and a picture, as WeCom takes them."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hetang.connectors.wecom.rules import DESC_BYTES, TITLE_BYTES, URL_BYTES

PICTURE_BYTES = 2 << 20  # of uploadimg


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


class ContentForm(forms.Form):
    """Link and picture. Whoever inherits adds the text, whose length differs."""

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

    def clean_picture(self) -> UploadedFile | None:
        """Small enough and of a kind that WeCom takes."""
        upload = cast("UploadedFile | None", self.cleaned_data.get("picture"))
        if upload is None:
            return None
        if (upload.size or 0) > PICTURE_BYTES:
            raise forms.ValidationError(_("The picture is larger than 2 MB."))
        if not _is_picture(upload):
            raise forms.ValidationError(_("This is neither a JPG nor a PNG picture."))
        return upload

    def clean(self) -> dict[str, Any]:
        """A link has both its parts."""
        said = super().clean() or {}
        if bool(said.get("link_title")) != bool(said.get("link_url")):
            self.add_error("link_title", _("A link needs a title and an address."))
        return said
