"""The worker's loops of the privacy room."""

from __future__ import annotations

from hetang.platform.loops import Loop
from hetang.privacy import seals

SEAL_EVERY_S = 60.0


def _seal() -> float:
    seals.seal_new()
    return SEAL_EVERY_S


sealing = Loop("privacy.audit_seal", _seal)
