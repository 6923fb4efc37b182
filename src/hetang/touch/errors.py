"""Errors of the touch room. Each carries a code; surfaces word it."""

from __future__ import annotations

from typing import Any


class TouchError(Exception):
    """Something that was asked for cannot be done now. `code` names why, `detail` fills the message."""

    def __init__(self, code: str, **detail: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class ChannelMissing(TouchError):
    """No connector is plugged in for the channel (`settings.CHANNELS`)."""

    def __init__(self, channel: str) -> None:
        super().__init__("channel_missing", channel=channel)
