"""The channels plugged in by `settings.CHANNELS`, made once per process."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from hetang.touch.errors import ChannelMissing
from hetang.touch.ports import DirectChannel, TaskChannel

PEOPLE_PER_WECOM_TASK = 10_000
_FALLBACK_PER_UNIT = {"wecom": PEOPLE_PER_WECOM_TASK}  # plans can be made before a connector is set up


@cache
def channel(name: str) -> TaskChannel | DirectChannel:
    """The channel of this name. Raises ChannelMissing."""
    path = settings.CHANNELS.get(name)
    if path is None:
        raise ChannelMissing(name)
    made: TaskChannel | DirectChannel = import_string(path.replace(":", "."))()
    return made


def is_direct(name: str) -> bool:
    """Whether messages leave one by one, without a member of staff. WeCom never does."""
    return name != "wecom" and isinstance(channel(name), DirectChannel)


def people_per_unit(name: str) -> int:
    """The most people in one task, or in one call of a direct channel."""
    if name in _FALLBACK_PER_UNIT and name not in settings.CHANNELS:
        return _FALLBACK_PER_UNIT[name]
    plugged = channel(name)
    return plugged.people_per_call if isinstance(plugged, DirectChannel) else plugged.people_per_task


def identity_kind(name: str) -> str:
    """The kind of identity that is the address of a direct channel."""
    plugged = channel(name)
    if not isinstance(plugged, DirectChannel):
        raise TypeError(f"{name} has no address of its own")
    return plugged.identity_kind
