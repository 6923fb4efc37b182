"""Texts that do harm where they are drawn carelessly, put into every text column that there is."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.test import Client
from django.urls import reverse

from hetang.customers.models import AttributeDefinition, Consent, Customer, CustomerAttribute
from hetang.facts import intake
from hetang.imports import services as imports
from hetang.imports.models import Import
from hetang.platform import audit, clock, jobs
from hetang.platform.models import Grant, User
from hetang.platform.roles import ROLES
from hetang.platform.sealing import seal
from tests.console.cast import user
from tests.console.conftest import client_of
from tests.console.people import fact
from tests.console.scope.listed import LISTED
from tests.console.scope.world import World
from tests.console.test_access import ENDS_SESSION, PUBLIC, VIEWS

MARKS = {
    "html": "<hq-x onhq=1>&lt;{{7*191}}%(x)s",
    "attribute": "\"onhq='1'>'onhq=\"1\">';drop--",
    "layout": "\u202eé\u0301\u0301👩\u200d👩\u200d👧" + "W" * 180,
    "formula": '=HYPERLINK("http://e.example")',
}
# Columns that hold what somebody wrote. Codes, hashes and states have other names, choices, or less room.
_WRITTEN = (
    "name title description problem goal category source evidence_source evidence_key made_by lifted_by proposed_by"
    " decided_by reason actor text_version label_zh label_en legal_entity display_name agent note answer error text"
    " officer contact city department brand zh_hans en staff_title subject corpid username value"
)
WRITTEN = frozenset(_WRITTEN.split())
CODES = {"HeldFact.reason", "Alert.subject", "RevealedValue.reason", "Subscription.name", "SettingValue.value"}
_SHORTEST = 20


def come_in(world: World) -> None:
    """What comes through doors rather than from a column: facts of a customer, a file, a refused record, the log."""
    mark = MARKS["html"]
    AttributeDefinition.objects.create(code="hobby", type="text", label_zh="x", label_en="x")
    lines = [{"sku": mark, "category": mark, "quantity": "1", "amount": 100}]
    body = {"store": "sA", "channel": mark[:40], "lines": lines, "net": 100}
    drafts = [
        fact("customer.described", "h1", mark[:32], {"home_store": "sA", "attributes": {"hobby": mark}}, name=mark),
        intake.Draft("order.placed", "h2", fact("x", "x", "x", {}).occurred_at, [("member", mark[:32])], body),
    ]
    intake.record("test", drafts)
    envelope = f'{{"kind":"visit.recorded","key":"{mark}","occurred_at":"x","body":{{"note":"{mark}"}}}}'
    intake.receive(f'{{"source":"test","facts":[{envelope}]}}'.encode())
    content = f"name,{mark}\n{mark},{mark}\n".encode()
    owner = imports.upload("customers", f"../../{mark}.csv", [content])
    Import.objects.filter(pk=owner.pk).update(created_by=world.own.owner)
    world.own.imported = owner
    Consent.objects.create(
        **{"customer": world.own.customer, "purpose": "marketing", "channel": "wecom", "given": True},
        **{"basis": "consent", "text_version": "1", "occurred_at": clock.now(), "fact_key": "h", "source": "test"},
    )
    audit.record(mark, "tag.created", "tag", mark, {"name": mark, mark: [mark, {"a": mark}]})
    jobs.run_waiting()


def poison(mark: str) -> set[str]:
    """Write the text into every column that holds what somebody wrote; what was written, as `Model.column`."""
    written = set()
    for model in apps.get_models():
        if model.__module__.startswith("hetang.") and model._meta.managed:
            written |= {f"{model.__name__}.{one.attname}" for one in _columns(model) if _fill(model, one, mark)}
    Customer.objects.exclude(name=None).update(name=seal(mark.encode()))
    CustomerAttribute.objects.update(value=mark)
    return written


def _columns(model: type[models.Model]) -> Iterator[Any]:
    for field in model._meta.concrete_fields:
        text = isinstance(field, models.CharField | models.TextField) and not field.choices and not field.primary_key
        room = field.max_length is None or field.max_length >= _SHORTEST if text else False
        reason = field.name in WRITTEN and f"{model.__name__}.{field.name}" not in CODES
        if text and room and reason and not (field.name == "reason" and field.max_length == _SHORTEST):
            yield field


def _fill(model: type[models.Model], field: Any, mark: str) -> int:
    """Rows that were written. A unique column keeps them apart by a number at the end."""
    most = field.max_length or 4000
    unique = field.unique or any(field.name in one.fields for one in model._meta.constraints if hasattr(one, "fields"))
    unique = unique or any(field.name in together for together in model._meta.unique_together)
    ending = f"|| {model._meta.pk.column}::text" if unique else ""  # type: ignore[union-attr]
    with connection.cursor() as cursor:
        cursor.execute(
            f'update {model._meta.db_table} set "{field.column}" = left(%s, %s) {ending}',
            [mark, most - (12 if unique else 0)],
        )
        return int(cursor.rowcount)


def everybody(world: World) -> User:
    """Somebody who may see everything."""
    made = user("sees-all")
    Grant.objects.bulk_create(Grant(user=made, role=role, org_node=world.root) for role in ROLES)
    made.display_name = "x"
    made.save(update_fields=["display_name"])
    return made


def addresses(world: World, of: User) -> list[str]:
    """Every page there is, for the things of a place; what belongs to one person is handed over before."""
    place, found = world.own, []
    for name, listed in LISTED.items():
        if listed.mine:
            thing = getattr(place, listed.mine)
            column = {"approval": "asked_by_id", "view": "owner_id", "job": "created_by_id"}.get(listed.mine, "user_id")
            type(thing).objects.filter(pk=thing.pk).update(**{column: of.pk})
        query = "&".join(f"{key}={value}" for key, value in listed.query(place).items())
        found.append(reverse(name, kwargs=listed.path(place)) + ("?" + query if query else ""))
    whole = [name for name, _route, entry in VIEWS if name not in LISTED and not entry.pattern.converters]
    found += [reverse(name) for name in whole if name not in PUBLIC | ENDS_SESSION]
    file = world.own.imported.public_id
    return [*found, reverse("imports:detail", args=[file]), reverse("imports:mapping", args=[file])]


class Harm(HTMLParser):
    """What of the marks became part of the page instead of its text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "hq-x":
            self.found.append("<hq-x>")
        for name, value in attrs:
            if name.startswith("onhq"):
                self.found.append(f"<{tag} {name}>")
            if name in {"href", "src", "action", "hx-get"} and (value or "").lower().strip().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value}>")


def harm_in(page: str) -> list[str]:
    """What is wrong with a page into which marks were written."""
    seen = Harm()
    seen.feed(page)
    found = seen.found
    found += ["a template ran"] if "{1337}" in page or "1337%(x)s" in page else []
    found += ["escaped twice"] if "&amp;lt;hq-x" in page else []
    return found


def browser_of(one: User) -> Client:
    """A browser that does not raise what a page raises."""
    client = client_of(one)
    client.raise_request_exception = False
    return client
