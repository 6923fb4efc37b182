"""Direct identifiers as people may see them: enough to recognise, not enough to use. Children's show less still."""

from __future__ import annotations

HIDDEN = "***"


def mask_phone(plain: str) -> str:
    """`13812345678` -> `138****5678`; short numbers keep their last two digits."""
    if len(plain) < 8:
        return "*" * max(len(plain) - 2, 0) + plain[-2:]
    return plain[:3] + "****" + plain[-4:]


def mask_email(plain: str) -> str:
    """`anna@example.org` -> `a***@example.org`."""
    local, at, domain = plain.partition("@")
    return f"{local[:1]}***{at}{domain}"


def mask_name(plain: str) -> str:
    """`王小明` -> `王**`; `Anna Smith` -> `A*** S***`."""
    if plain.isascii():
        return " ".join(f"{word[:1]}***" for word in plain.split())
    return plain[:1] + "*" * (len(plain) - 1)


def mask(kind: str, plain: str, *, strict: bool = False) -> str:
    """The mask of a kind of identifier; kinds that are no direct identifiers stay as they are.

    Of a position, and of what is said of a `child` (name, birthday), nothing is shown.

    `strict` (people under fourteen): of phones the last two digits, of names and addresses nothing, and pseudonyms as
    well are hidden but for their last two characters.
    """
    if strict:
        return HIDDEN if kind in {"name", "email"} or len(plain) < 6 else HIDDEN + plain[-2:]
    if kind in {"position", "child"}:
        return HIDDEN if plain else ""
    masks = {"phone": mask_phone, "email": mask_email, "name": mask_name}
    return masks[kind](plain) if kind in masks else plain
