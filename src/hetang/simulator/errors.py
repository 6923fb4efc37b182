"""WeCom's error codes that the simulator answers, with short texts of our own."""

from __future__ import annotations

TEXTS = {
    -1: "system busy",
    40001: "invalid credential",
    40003: "invalid userid",
    40004: "invalid media type",
    40007: "invalid media_id",
    40008: "invalid message type",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40029: "invalid code",
    40031: "invalid userid list",
    40035: "invalid parameter",
    40037: "invalid template_id",
    40056: "invalid agentid",
    40058: "invalid argument",
    40063: "a parameter is empty",
    40068: "invalid tag id",
    40071: "the name is taken",
    40072: "the name is too long",
    40073: "invalid openid",
    40088: "jobid missing",
    40089: "the job's result is gone",
    40096: "invalid external_userid",
    40097: "the member has not left",
    40098: "the member is not verified",
    40099: "too many customers",
    40100: "the customer is being handed over",
    40123: "picture format is not supported",
    40126: "too many tags",
    40128: "handed over too often",
    40129: "a transfer is running",
    40130: "handover and takeover are the same",
    40131: "handover does not follow the customer",
    41001: "access_token missing",
    41002: "corpid missing",
    41004: "corpsecret missing",
    41005: "media file missing",
    41009: "userid missing",
    41035: "external_userid missing",
    41037: "contact way type missing",
    41038: "contact way scene missing",
    41039: "invalid contact way type",
    41040: "invalid contact way scene",
    41041: "too many members behind a contact way",
    41042: "invalid contact way style",
    41043: "config_id missing",
    41044: "invalid config_id",
    41045: "too many contact ways",
    41046: "group message id missing",
    41047: "invalid group message id",
    41048: "no customer can be sent to",
    41049: "welcome code missing",
    41050: "welcome code is invalid or expired",
    41051: "the chat has begun or a welcome was sent",
    41053: "the customer has not agreed to the archive",
    41054: "the member is not activated",
    41055: "too many group welcome templates",
    41056: "external_userid is of the wrong type",
    41057: "no developer account of the open platform is bound",
    41059: "moment_id missing",
    41060: "invalid moment_id",
    41061: "not this member's moment",
    41062: "the moment is not published",
    41063: "group message is being dispatched",
    41064: "too many attachments",
    41065: "unknown attachment kind",
    41096: "welcome msg is being distributed",
    42001: "access_token expired",
    42022: "the code was used",
    44001: "media file is empty",
    44004: "empty text",
    45001: "media file is too large",
    45002: "content is too long",
    45009: "api freq out of limit",
    45033: "api concurrent out of limit",
    48002: "api forbidden",
    48005: "api is withdrawn",
    50001: "the redirect domain is not registered",
    60003: "department not found",
    60011: "no privilege to access this member, department or tag",
    60020: "ip is not in the trusted list",
    60111: "userid not found",
    60123: "invalid department",
    81011: "no permission for this tag",
    81013: "no valid receiver",
    81017: "too many items",
    82001: "receivers are empty",
    84014: "user_ticket expired",
    84015: "invalid user_ticket",
    84061: "not external contact",
    84074: "no customer contact permission",
    86001: "invalid chatid",
    86003: "chatid missing",
    86214: "invalid chat type",
    90500: "the owner has not left",
    90501: "not a customer group",
    90502: "the owner has left",
    90504: "the new owner is the owner",
    90507: "a transfer is running",
    90508: "the transfer is done",
    95000: "invalid open_kfid",
    95001: "too many answers",
    95004: "the account does not exist",
    95005: "too many accounts",
    95006: "invalid account name",
    95007: "invalid token of the event",
    95008: "too many menu items",
    95014: "not a servicer",
    95016: "this change of state is not allowed",
    95018: "the session does not allow it now",
    301002: "not an object of this app",
    600018: "invalid time range",
}


class WeComError(Exception):
    """An answer other than 0. The process stays well: these travel as HTTP 200."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(f"{code} {TEXTS.get(code, '')} {detail}".strip())
        self.code = code
        self.detail = detail

    @property
    def text(self) -> str:
        """The short text with the detail behind it."""
        base = TEXTS.get(self.code, "error")
        return f"{base}: {self.detail}" if self.detail else base


class AdminError(Exception):
    """A call of the simulator's own API was wrong: status and a sentence for the developer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
