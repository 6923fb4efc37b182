"""Until when the certificates of our own addresses hold."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import datetime
from urllib.parse import urlsplit

from cryptography import x509

from hetang.platform import registry_values

EVERY_S = 3600.0
_TIMEOUT_S = 5.0
_known: dict[tuple[str, int], tuple[float, datetime | None]] = {}


def ours() -> list[tuple[str, int]]:
    """Host and port of our addresses that begin with https."""
    told = (str(registry_values.from_environment(name)) for name in ("web.public_url", "web.console_url"))
    parts = [urlsplit(url) for url in told if url.startswith("https://")]
    return list(dict.fromkeys((one.hostname or "", one.port or 443) for one in parts))


def ends(host: str, port: int) -> datetime | None:
    """When the certificate there ends, looked at once an hour; None where it could not be seen."""
    looked_at, found = _known.get((host, port), (float("-inf"), None))
    if time.monotonic() - looked_at > EVERY_S:
        found = _look(host, port)
        _known[host, port] = (time.monotonic(), found)
    return found


def _look(host: str, port: int) -> datetime | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # one that is over shall be seen, too
    try:
        with (
            socket.create_connection((host, port), _TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except (OSError, ValueError):
        return None
    return x509.load_der_x509_certificate(shown).not_valid_after_utc if shown else None
