"""The worker's loop that keeps live audiences fresh."""

from __future__ import annotations

from hetang.audiences.services import refresh_live
from hetang.platform.loops import Loop

refresh = Loop("audiences.refresh", refresh_live)
