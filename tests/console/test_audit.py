"""The audit log: what is written, what is masked, how it is read."""

from __future__ import annotations

import ast
from pathlib import Path

from django.test import Client

import hetang
from hetang.console.audit import wording
from hetang.platform import audit
from hetang.platform.access import actor_for, system
from hetang.platform.models import AuditEntry
from tests.console.cast import Cast


def test_a_row_says_who_did_what_and_masks_personal_values(cast: Cast) -> None:
    changes = {"phone": ["13812345678", "13987654321"], "email": "anna@example.org", "note": "x", "password": "p"}
    audit.record(actor_for(cast.headquarters), "customer.changed", "customer", 17, changes, org_node_id=3)
    row = AuditEntry.objects.get()
    assert (row.actor, row.action, row.target_type, row.target_id, row.org_node_id) == (
        "headquarters",
        "customer.changed",
        "customer",
        "17",
        3,
    )
    assert row.changes == {
        "phone": ["138****5678", "139****4321"],
        "email": "a***@example.org",
        "note": "x",
        "password": "***",
    }


def test_names_are_masked_for_customers_and_kept_for_things(db: None) -> None:
    audit.record(system("job"), "customer.changed", "customer", 1, {"name": "王小明"})
    audit.record("job", "tag.created", "tag", 1, {"name": "王小明"})
    assert [row.changes["name"] for row in AuditEntry.objects.order_by("id")] == ["王**", "王小明"]


def test_a_request_leaves_its_id_and_address(headquarters: Client) -> None:
    limits = {"requests_a_minute": 60, "facts_a_minute": 5000}
    headquarters.post("/settings/keys/", {"name": "till", "scopes": ["facts:write"], **limits})
    row = AuditEntry.objects.get(action="api_key.created")
    assert (row.address, len(row.request_id)) == ("127.0.0.1", 36)


def test_the_page_filters_by_actor_and_action(headquarters: Client, cast: Cast) -> None:
    audit.record("anna", "tag.created", "tag", 1, {"name": "VIP"})
    audit.record("bela", "tag.created", "tag", 2, {"name": "Milk"})
    page = headquarters.get("/audit/", {"actor": "anna"}).content.decode()
    assert ("VIP" in page, "Milk" in page) == (True, False)
    assert "Nobody has done anything" in headquarters.get("/audit/", {"actor": "nobody"}).content.decode()


def test_pages_of_the_log_neither_skip_nor_repeat(headquarters: Client) -> None:
    for number in range(120):
        audit.record("anna", "tag.created", "tag", number)
    seen: list[str] = []
    address: str | None = "/audit/"
    while address:
        page = headquarters.get(address).context["page"]
        seen += [row.target_id for row in page]
        address = f"/audit/?after={page.later}" if page.later else None
    assert seen == [str(number) for number in reversed(range(120))]
    back = headquarters.get(f"/audit/?before={page.earlier}").context["page"]
    assert [row.target_id for row in back] == [str(number) for number in reversed(range(20, 70))]


def test_what_is_written_into_the_log_has_a_name() -> None:
    """Actions and objects that stand as texts in calls of `audit.record` and `audit.look`."""
    unnamed = set()
    for path in Path(hetang.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"audit.record", "audit.look"}:
                said = [one.value if isinstance(one, ast.Constant) else "" for one in call.args[1:3]]
                named = [{"", *wording.ACTIONS, *wording.LOOKS}, {"", *wording.TARGETS}]
                unnamed |= {one for one, known in zip(said, named, strict=False) if one not in known}
    assert unnamed == set()


def test_what_a_row_tells_has_a_name() -> None:
    """The names of values that stand as texts in calls of `audit.record` and `audit.look`."""
    unnamed = set()
    for path in Path(hetang.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"audit.record", "audit.look"}:
                told = [one for one in call.args[3:] if isinstance(one, ast.Dict)]
                unnamed |= {key.value for one in told for key in one.keys if isinstance(key, ast.Constant)}
    assert unnamed - {*wording.FIELDS} == set()
