"""The length that a password needs here, as a validator of Django's (settings.AUTH_PASSWORD_VALIDATORS)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import ngettext

from hetang.platform.login_rules import rules
from hetang.platform.models import User


class Length:
    """At least as many characters as the log-in rules say."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError."""
        needed = rules().password_length
        if len(password) < needed:
            text = ngettext(
                "The password is too short: it needs at least %(n)d character.",
                "The password is too short: it needs at least %(n)d characters.",
                needed,
            )
            raise ValidationError(text % {"n": needed}, code="password_too_short")

    def get_help_text(self) -> str:
        needed = rules().password_length
        text = ngettext(
            "At least %(n)d character, no common password, and not like your name.",
            "At least %(n)d characters, no common password, and not like your name.",
            needed,
        )
        return text % {"n": needed}
