"""What the privacy room refuses. Codes are stable; their wording is in `privacy.messages`."""

from __future__ import annotations


class PrivacyRefused(Exception):
    """The request cannot be done; `code` names the message, `parameters` fill it."""

    def __init__(self, code: str, **parameters: str | int) -> None:
        super().__init__(f"{code} {parameters}" if parameters else code)
        self.code = code
        self.parameters = parameters
