"""Whose certificates are believed when we call a platform over HTTPS."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


@cache
def context() -> ssl.SSLContext:
    """For `httpx.Client(verify=...)`, by SSL_CERT_FILE and SSL_CERT_DIR where they are set.

    One for the whole process and all of its threads: reading 140 certificates takes 30 ms, which each client would
    spend anew. Who changes the file starts the process again.
    """
    import httpx  # 7 MB that not every process needs

    return httpx.create_ssl_context()
