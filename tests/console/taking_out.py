"""Taking a file out through the one door, as a browser does it."""

from __future__ import annotations

import csv
import io
import re

from django.test import Client

from hetang.platform import jobs
from hetang.privacy.models import Export


def ask(client: Client, address: str, purpose: str = "analysis", note: str = "") -> Export:
    """Ask for the export of an address below `/exports/new/`; the entry of the register."""
    answer = client.post(f"/exports/new/{address}", {"purpose": purpose, "note": note})
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    return Export.objects.get(public_id=answer["Location"].split("/")[2])


def link_of(client: Client, export: Export) -> str:
    """The address of the file on the entry's page; empty where there is none."""
    page = client.get(f"/exports/{export.public_id}/").content.decode()
    found = re.search(r'href="(/exports/file/[^"]+)"', page)
    return found.group(1) if found else ""


def downloaded(client: Client, export: Export) -> list[list[str]]:
    """The rows of the file, the one with the watermark first."""
    answer = client.get(link_of(client, export))
    assert answer.status_code == 200
    body = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert body.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))


def exported(client: Client, address: str) -> list[list[str]]:
    """Ask, let the job run, download: header and rows, without the watermark."""
    export = ask(client, address)
    jobs.run_waiting()
    return downloaded(client, export)[1:]
