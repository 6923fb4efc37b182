"""What WeCom's error codes mean for us (reference section 27), and the exceptions of the connector."""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What to do about a code."""

    REFRESH = "refresh"  # fetch a new token, repeat once
    WAIT = "wait"  # nothing was done; repeat after a pause
    PERMANENT = "permanent"  # wrong for this input for ever
    CONFIGURATION = "configuration"  # somebody has to change a setting
    SKIP = "skip"  # a normal state, no error


_REFRESH = (40014, 42001, 41001, 40082, 42009)
_WAIT = (-1, 6000, 41063, 41096, 45009, 45029, 45033)
_CONFIGURATION = (
    *(40001, 40013, 40091, 41002, 41004, 40056, 40093, 42012, 40126, 41055, 41057, 43004, 43009, 43012),
    *(48001, 48002, 48004, 48005, 48006, 50001, 50002, 50003, 60011, 60020, 60021, 84074, 90206, 90207, 2000002),
)
_SKIP = (84061, *range(40097, 40101), *range(40128, 40132), *range(41049, 41052), 41053, 41061, 41062)
_SKIP_OF_GROUPS = tuple(range(90500, 90509))

ACTIONS: dict[int, Action] = {
    **dict.fromkeys(_REFRESH, Action.REFRESH),
    **dict.fromkeys(_WAIT, Action.WAIT),
    **dict.fromkeys(_CONFIGURATION, Action.CONFIGURATION),
    **dict.fromkeys((*_SKIP, *_SKIP_OF_GROUPS), Action.SKIP),
}

BUSY, NO_RELATION, RATE_LIMIT, CONCURRENCY, TOO_LARGE = -1, 84061, 45009, 45033, 45029
# What concerns one member of those asked for, not the app: she left, lacks the function or a licence, is out of range.
OF_ONE_MEMBER = frozenset({40003, 40031, 60111, 301021, 84074, 50002, 60011, 41054, 40098, NO_RELATION})


def is_licence(code: int) -> bool:
    """Whether a code says that somebody lacks an interface licence (互通账号)."""
    return 701000 <= code < 702000


def action_of(code: int) -> Action:
    """What to do about a code; licence codes count as configuration, unknown ones as permanent."""
    if is_licence(code):
        return Action.CONFIGURATION
    return ACTIONS.get(code, Action.PERMANENT)


class WeComError(Exception):
    """WeCom answered with a code other than 0. Neither token nor secret is in the text.

    `address`: ours as WeCom sees it, where it was refused (60020).
    """

    def __init__(self, path: str, code: int, address: str = "") -> None:
        super().__init__(f"{path} answered {code}")
        self.path = path
        self.code = code
        self.address = address
        self.action = action_of(code)


class RateLimited(WeComError):
    """WeCom's limit of this API is used up (45009), or our own of the hour: it may be called again in `wait_s` seconds.

    Known limits are not tried out: while one lasts, calls end with this at once, in every process.
    """

    def __init__(self, path: str, wait_s: float) -> None:
        super().__init__(path, RATE_LIMIT)
        self.wait_s = wait_s


class NotConnected(Exception):
    """No corp is set up as the default, or its app may only listen."""


class NotSent(Exception):
    """WeCom could not be reached; nothing left this machine."""


class Unanswered(Exception):
    """The request was sent and no usable answer came: it may or may not have taken effect."""
