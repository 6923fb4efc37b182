"""A brand of three customers, and an audience of those who wear one tag: what tests of audiences in time begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hetang.audiences import services
from hetang.audiences.models import Audience
from hetang.customers.models import Customer
from hetang.facts.intake import Draft, record
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import access, engine_client
from hetang.platform.access import Scope
from hetang.platform.models import OrgNode

NOW = datetime.now(UTC).replace(microsecond=0)  # the engine is a process of its own: it cannot be frozen
EVERYTHING = Scope((), everything=True)
HEADQUARTERS = access.system("test")
GOLD = {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["gold"]}}


def number(member: str) -> int:
    """The customer's number."""
    return Customer.objects.get(identities__kind="member", identities__key=member).number


def gold(member: str, on: bool, key: int) -> None:
    """Put the tag on or take it off; later keys are later words."""
    body = {"tag": "gold", "on": on}
    record("crm", [Draft("tag.changed", str(key), NOW + timedelta(seconds=key), [("member", member)], body)])
    run_until_idle()
    # A page may be answered from sets that were right a moment ago; whoever asks this is answered from those of now.
    engine_client.call("sets", "holds", {"numbers": []})


def save(name: str = "Golden", rule: dict[str, Any] = GOLD, **more: Any) -> Audience:
    """A saved audience of the brand."""
    return services.save(HEADQUARTERS, name=name, rule=rule, org_node=OrgNode.objects.get(code="brand"), **more)
