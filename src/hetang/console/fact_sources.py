"""What the sources of facts are called: ours have words, a brand's own systems are called as they call themselves."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

# What these send is made up by the simulated world of a demo; people must be told.
SIMULATED = frozenset({"demo-simulated", "simulator"})
_NAMES: dict[str, str | Promise] = {
    "console": pgettext_lazy("source", "hand (console)"),
    "wecom": _("WeCom"),
    "h5": pgettext_lazy("source", "her own page"),
    "hetang.tags": pgettext_lazy("source", "rule of an automatic tag"),
    "demo-simulated": _("simulated"),
    "simulator": _("simulated"),
}


def source_name(code: str) -> str:
    """A source in the current language."""
    return str(_NAMES.get(code, code))
