"""The worker's loop that keeps live and scheduled audiences fresh."""

from __future__ import annotations

from hetang.audiences.refreshing import refresh_due
from hetang.platform.loops import Loop

refresh = Loop("audiences.refresh", refresh_due)
