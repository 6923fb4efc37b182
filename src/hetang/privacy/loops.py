"""The worker's loops of the privacy room."""

from __future__ import annotations

from hetang.platform.loops import Loop
from hetang.privacy import consents, exports, page_limits, retention, seals
from hetang.privacy import erasing as erasures

SEAL_EVERY_S = 60.0
AGAIN_AFTER_S = 120.0  # what waited for a store
TIDY_EVERY_S = 60.0
NIGHT_EVERY_S = 300.0
CONSENTS_EVERY_S = 900.0


def _seal() -> float:
    seals.seal_new()
    return SEAL_EVERY_S


def _erase() -> float:
    erasures.go_on()
    return AGAIN_AFTER_S


def _export_files() -> float:
    exports.tidy()
    page_limits.forget_old()
    return TIDY_EVERY_S


def _keeping() -> float:
    retention.begin_night()
    return NIGHT_EVERY_S


def _consents() -> float:
    consents.count_if_old()
    return CONSENTS_EVERY_S


sealing = Loop("privacy.audit_seal", _seal)
erasing = Loop("privacy.erasures", _erase)
export_files = Loop("privacy.export_files", _export_files)
keeping = Loop("privacy.keeping", _keeping)
counting = Loop("privacy.consents", _consents)
