"""What somebody writes somewhere stays text everywhere: on every page, and in every file that leaves."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.urls import reverse

import hetang
from hetang.audiences import services as audiences
from hetang.campaigns.models import Broadcast
from hetang.console import context
from hetang.platform import brand, sheets
from hetang.resources.models import District
from tests.console.scope.listed import LISTED
from tests.console.scope.world import World
from tests.console.taking_out import exported
from tests.security import hostile

ENOUGH_COLUMNS, ENOUGH_PAGES = 40, 40  # fewer, and the walk proves nothing


@pytest.mark.parametrize("mark", ["html", "attribute"])
def test_what_somebody_wrote_stays_text_on_every_page(world: World, monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    everybody = hostile.everybody(world)
    pages = hostile.addresses(world, everybody)
    columns = hostile.poison(hostile.MARKS[mark])
    texts = [{"text": hostile.MARKS[mark], "weight": 1, "attachments": []}]
    Broadcast.objects.update(target_url="javascript:hq()", variants=texts)
    brand.forget()
    monkeypatch.setattr(context, "menu_of", lambda _request: [])
    client = hostile.browser_of(everybody)
    wrong, shown = [], 0
    for page in pages:
        answer = client.get(page)
        if answer.status_code >= 500:
            wrong.append(f"{page}: {answer.status_code}")
        if not answer.streaming and "html" in answer.get("Content-Type", ""):
            content = answer.content.decode()
            shown += "&lt;hq-x" in content or "onhq=" in content
            wrong += [f"{page}: {harm}" for harm in hostile.harm_in(content)]
    assert wrong == []
    assert len(columns) > ENOUGH_COLUMNS, sorted(columns)
    assert shown > ENOUGH_PAGES


@pytest.mark.parametrize("value", ["\x00", "'\"\\%_{}" + "x" * 5000, "9" * 30])
def test_no_parameter_of_any_page_breaks_it(world: World, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    everybody = hostile.everybody(world)
    monkeypatch.setattr(context, "menu_of", lambda _request: [])
    client = hostile.browser_of(everybody)
    given = urlencode(dict.fromkeys(_parameters(), value))  # once for all pages
    wrong = []
    for page in hostile.addresses(world, everybody):
        status = client.get(f"{page.partition('?')[0]}?{given}").status_code
        wrong += [f"{page}: {status}"] if status >= 500 else []
    assert wrong == []


@pytest.mark.parametrize("value", ["\x00", "'\"\\%_{}" + "9" * 5000])
def test_no_field_of_any_form_breaks_it(world: World, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Each field of every form alone, the others as they should be; what is written is taken back."""
    monkeypatch.setattr(audiences, "take_snapshot", lambda *_arguments: SimpleNamespace(count=1))  # without the engine
    everybody = hostile.everybody(world)
    hostile.addresses(world, everybody)  # hands over what must be hers
    client, wrong = hostile.browser_of(everybody), []
    for name, listed in LISTED.items():
        good = listed.body(world.own)
        for field in good or {"x": ""}:
            address = reverse(name, kwargs=listed.path(world.own))
            with transaction.atomic():
                status = client.post(address, {**good, field: value}).status_code
                transaction.set_rollback(True)
            wrong += [f"{address} {field}: {status}"] if status >= 500 else []
    assert wrong == []


def _parameters() -> set[str]:
    """Names of parameters that some page of the console reads, and those of its lists."""
    found = {"q", "store", "owner", "tag", "state", "after", "before", "order", "columns", "page"}
    for path in (Path(hetang.__file__).parent / "console").rglob("*.py"):
        found |= set(re.findall(r"GET(?:\.get\(|\.getlist\(|\[)\s*\"(\w+)\"", path.read_text()))
    return found


def test_no_file_that_leaves_holds_a_formula(world: World) -> None:
    everybody = hostile.everybody(world)
    District.objects.create(code="310106", name="x", parent=hostile.MARKS["formula"])
    hostile.poison(hostile.MARKS["formula"])
    brand.forget()
    client = hostile.browser_of(everybody)
    place = world.own
    files = [
        *("customers", f"audience?audience={place.audience.public_id}", "audit?target=tag", "consents", "exports"),
        "districts",
        *(f"import-problems?import={place.imported.public_id}", f"report?report={place.programme.public_id}"),
    ]
    seen: Counter[str] = Counter()
    for file in files:
        for row in exported(client, file):
            seen[file] += sum("HYPERLINK" in cell for cell in row)
            assert [cell for cell in row if sheets.safe(cell) != cell and not _is_number(cell)] == [], file
    assert seen.total() > 10
    assert seen["districts"] == 2, "its name and its city"


def _is_number(cell: str) -> bool:
    return cell.lstrip("-").replace(".", "", 1).isdigit()
