"""The product's settings with the fake providers plugged in."""

from hetang.settings import *  # noqa: F403

CHANNELS = {
    "wecom": "tests.touch.provider:tasks",
    "direct": "tests.touch.provider:direct",
    "keyed": "tests.touch.provider:keyed",
}
