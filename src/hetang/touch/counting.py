"""What the sending counts for whoever watches the installation; what a person sees comes from the ledger."""

from __future__ import annotations

from hetang.platform.metrics import Counter

SENDS = Counter(
    "hetang_sends_total", "Tasks and batches handed to a channel: accepted, refused or unknown.", ("channel", "outcome")
)
