"""Every page of the console: how many queries it takes, and that it takes no more when there is more to show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pyroaring import BitMap

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.campaigns.models import Broadcast, Campaign
from hetang.console.campaigns import quota
from hetang.customers import bulk
from hetang.customers.models import BulkChange, Tag, TagGroup
from hetang.platform import audit, clock, jobs
from hetang.platform.models import Approval
from hetang.platform.roles import STORE_MANAGER
from tests.console import people
from tests.console.cast import Cast, user

RULE = {"version": 1, "rule": {"all": []}}
CACHED = 2  # the clock and the brand are read again after some seconds
MOST = 40  # queries of one page: a millisecond each, and some to spare for what grows
_NUMBER = re.compile(r"/([0-9a-f]{8}-[0-9a-f-]{27}|\d+)(?=/|$)")
_LEAVES = re.compile(r"logout|\.csv|/api/|openapi|/l/|simulator|/static/|/download/")


@pytest.fixture
def brand(cast: Cast) -> Iterator[Cast]:
    people.come_in(cast)
    quota.forget()
    yield cast
    quota.forget()


def more(cast: Cast, round_: int, count: int = 6) -> None:
    """So many more of everything that lists show."""
    now = clock.now()
    group = TagGroup.objects.create(name=f"Group {round_}")
    audience = Audience.objects.create(name=f"A{round_}", rule=RULE, org_node=cast.root, created_at=now, updated_at=now)
    for n in range(count):
        name = f"{round_}.{n}"
        tag = Tag.objects.create(group=group, code=f"t{round_}_{n}", name=name)
        campaign = Campaign.objects.create(
            name=name,
            starts_on=now.date(),
            ends_on=now.date(),
            org_node=cast.root,
            created_at=now,
            owner=cast.headquarters,
        )
        Audience.objects.create(name=name, rule=RULE, org_node=cast.root, created_at=now, updated_at=now)
        members = BitMap([n]).serialize()
        AudienceSnapshot.objects.create(
            audience=audience, sequence=n + 1, at=now, version=1, members=members, count=1, entered=1, left=0
        )
        Broadcast.objects.create(
            campaign=campaign, name=name, audience=audience, created_at=now, updated_at=now,
            created_by=cast.headquarters, slot_at=now + timedelta(hours=n + 1),
        )  # fmt: skip
        change = BulkChange.objects.create(
            kind="tag_on", tag=tag, org_node=cast.root, members=members, people=1, actor="x", created_at=now,
            filters={"store": "A", "tag": "coffee"}, untouched=BitMap().serialize(),
        )  # fmt: skip
        jobs.enqueue("test.none", name, {}, created_by=cast.headquarters)
        audit.record("x", "tag.created", "tag", tag.pk, {"name": name})
        user(f"u{name}", STORE_MANAGER, cast.store_a.org_node)
        Approval.objects.create(
            kind="customers.bulk", target_id=str(change.public_id), title=name, org_node=cast.root, content_hash="",
            content=bulk.content_of(change), size=5, rule={"role": "", "over": 1}, asked_at=now, involved=[],
            expires_at=now + timedelta(days=1),
        )  # fmt: skip
    people.record(
        [
            people.fact(
                "customer.described",
                f"d{round_}{n}",
                f"n{round_}{n}",
                {"home_store": "A", "owner": "anna"},
                name=f"X{n}",
            )
            for n in range(count)
        ]
    )


def look(browser: Client, address: str) -> tuple[HttpResponse, int]:
    """A page and the queries that it took."""
    quota.forget()
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(address)
    return answer, len(queries)


def walk(browser: Client) -> dict[str, int]:
    """Queries by address of every page that is reachable from the menu, one of each shape."""
    todo, shapes, found = ["/"], {"/"}, {}
    for address in todo:
        answer, number = look(browser, address)
        if answer.status_code != 200 or "text/html" not in answer.headers["Content-Type"]:
            continue
        found[address] = number
        for link in re.findall(r'href="(/[^"#]*)"', answer.content.decode()):
            path = link.split("?")[0]
            shape = _NUMBER.sub("/#", path)
            if shape not in shapes and not _LEAVES.search(path):
                shapes.add(shape)
                todo.append(path)
    return found


def test_no_page_takes_many_queries_or_more_for_more_rows(brand: Cast, headquarters: Client) -> None:
    more(brand, 1)
    few = walk(headquarters)
    assert len(few) > 40, few
    assert {address: number for address, number in few.items() if number > MOST} == {}
    more(brand, 2)
    most = {address: number + CACHED for address, number in few.items()}
    grown = [address for address in few if look(headquarters, address)[1] > most[address]]
    # What a slow machine had to read again, since it had it for some seconds already, is there at a second look.
    again = {address: (most[address], look(headquarters, address)[1]) for address in grown}
    assert {address: number for address, number in again.items() if number[1] > number[0]} == {}
