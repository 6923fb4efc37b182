"""The permissions that exist and the roles that Hetang ships. Declared here once; everything else refers to them.

A *permission* is a code `area:verb`. A *role* is a named set of permissions. Shipped roles may be copied, never
changed; a brand's own roles are rows (`OwnRole`, written by `hetang.platform.own_roles`).
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.platform.models import OwnRole

Text = str | Promise


@dataclass(frozen=True)
class Permission:
    """One thing that may be allowed. `sensitive`: it reaches personal data in bulk, money or other people's rights.
    `whole_brand`: what it is about belongs to no place, so only a grant at the brand itself gives it."""

    code: str
    label: Text
    area: str
    sensitive: bool = False
    whole_brand: bool = False


AREAS: dict[str, Text] = {
    "people": pgettext_lazy("menu", "People"),
    "reach": _("Reach"),
    "results": _("Results"),
    "privacy": _("Privacy"),
    "system": _("System"),
}

PERMISSIONS: dict[str, Permission] = {
    one.code: one
    for one in (
        Permission("customers:view", _("See customers"), "people"),
        Permission("customers:edit", _("Change tags, consents and do-not-disturb of customers"), "people"),
        Permission(
            "customers:approve", _("Approve changes that others make to many customers"), "people", sensitive=True
        ),
        Permission(
            "customers:reveal", _("See one masked number or name in full, with a reason"), "people", sensitive=True
        ),
        Permission(
            "customers:merge", _("Decide who is the same person: join two customers, tell them apart"), "people"
        ),
        Permission(
            "customers:hand_over",
            _("Hand customers and group chats of staff who leave or move over to others"),
            "people",
            sensitive=True,
        ),
        Permission("customers:export", _("Export customers and audiences"), "people", sensitive=True),
        Permission("audiences:view", _("See audiences"), "people"),
        Permission("audiences:edit", _("Make and change audiences"), "people"),
        Permission("imports:run", _("Import files"), "people", sensitive=True, whole_brand=True),
        Permission("campaigns:view", _("See campaigns and broadcasts"), "reach"),
        Permission("campaigns:edit", _("Prepare campaigns and broadcasts"), "reach"),
        Permission("campaigns:send", _("Send broadcasts"), "reach", sensitive=True),
        Permission("campaigns:remind", _("Remind staff who have not confirmed a broadcast"), "reach"),
        Permission("campaigns:approve", _("Approve broadcasts of others"), "reach", sensitive=True),
        Permission("board:view", _("See the board"), "results"),
        Permission("reports:view", _("See reports"), "results"),
        Permission("exports:approve", _("Approve exports of others"), "privacy", sensitive=True),
        Permission("privacy:view", _("See the registers of exports, consents, requests and keeping times"), "privacy"),
        Permission(
            "privacy:manage", _("Change privacy rules, keeping times and texts of consent"), "privacy", whole_brand=True
        ),
        Permission(
            "customers:erase", _("Erase a customer, hand out all that is held about her"), "privacy", sensitive=True
        ),
        Permission("operations:view", _("See the state of the system"), "system", whole_brand=True),
        Permission("alerts:handle", _("Acknowledge alerts and test how they are told"), "system", whole_brand=True),
        Permission("facts:view", _("See what the fact log holds"), "system", sensitive=True, whole_brand=True),
        Permission("facts:replay", _("Replay or dismiss held facts"), "system", whole_brand=True),
        Permission(
            "views:share", _("Share saved views of lists with everybody in the brand"), "system", whole_brand=True
        ),
        Permission(
            "settings:edit", _("Change the brand's settings and the contact limits"), "system", whole_brand=True
        ),
        Permission("audit:view", _("Read the audit log"), "system", sensitive=True, whole_brand=True),
        Permission("users:view", _("See users, roles and the organisation"), "system"),
        Permission(
            "users:manage", _("Manage users, roles, log-in rules and the organisation"), "system", sensitive=True
        ),
        Permission("users:view_as", _("See the console as somebody else, read-only and with a reason"), "system"),
        Permission("keys:manage", _("Make and revoke API keys"), "system", sensitive=True, whole_brand=True),
        Permission("simulator:use", _("Play with the simulator"), "system", whole_brand=True),
    )
}
SENSITIVE = frozenset(code for code, one in PERMISSIONS.items() if one.sensitive)
WHOLE_BRAND = frozenset(code for code, one in PERMISSIONS.items() if one.whole_brand)

ADMINISTRATOR, HEADQUARTERS, REGION, STORE_MANAGER = "administrator", "headquarters", "region", "store_manager"
SYSTEM = "system"  # what the installation itself acts by: no role that could be granted
ADVISER, SERVICE_DESK, ANALYST, AUDITOR = "adviser", "service_desk", "analyst", "auditor"


@dataclass(frozen=True)
class Role:
    """A named set of permissions. `meant_for` says in a sentence who should hold it."""

    code: str
    label: Text
    permissions: frozenset[str]
    meant_for: Text = ""
    own: bool = False


# Who administers does not operate, who operates does not administer: a person may hold both, and then it shows.
_ADMINISTERS = frozenset({"users:manage", "keys:manage"})

ROLES: dict[str, Role] = {
    role.code: role
    for role in (
        Role(
            ADMINISTRATOR,
            _("Administrator"),
            _ADMINISTERS
            | {"users:view", "users:view_as", "settings:edit", "audit:view", "operations:view", "alerts:handle"},
            _("Gives people their roles and sets the rules of logging in. Sees no customers and sends nothing."),
        ),
        Role(
            HEADQUARTERS,
            _("Headquarters"),
            frozenset(PERMISSIONS) - _ADMINISTERS,
            _("Runs the private domain for the whole brand: imports, audiences, broadcasts, limits, results."),
        ),
        Role(
            REGION,
            _("Region"),
            frozenset(
                {
                    *("customers:view", "customers:edit", "customers:merge", "customers:approve"),
                    "customers:hand_over",
                    *("audiences:view", "audiences:edit"),
                    *("campaigns:view", "campaigns:edit", "campaigns:send", "campaigns:approve", "campaigns:remind"),
                    *("reports:view", "board:view"),
                }
            ),
            _("Plans and sends for the stores of a region."),
        ),
        Role(
            STORE_MANAGER,
            _("Store manager"),
            frozenset(
                {
                    *("customers:view", "customers:edit", "audiences:view"),
                    *("campaigns:view", "campaigns:remind", "reports:view", "board:view"),
                }
            ),
            _("Sees the customers, broadcasts and results of one store and keeps its customers' data right."),
        ),
        Role(
            ADVISER,
            pgettext_lazy("role", "Adviser"),
            frozenset({"customers:view", "customers:edit", "campaigns:view"}),
            _("Looks after the customers of a store."),
        ),
        Role(
            SERVICE_DESK,
            _("Service desk"),
            frozenset(
                {
                    *("customers:view", "customers:edit", "customers:merge", "customers:reveal"),
                    *("audiences:view", "campaigns:view"),
                }
            ),
            _("Answers customers: finds one, sees why she got a message, notes what she wants."),
        ),
        Role(
            ANALYST,
            _("Analyst"),
            frozenset({"audiences:view", "audiences:edit", "campaigns:view", "reports:view", "board:view"}),
            _("Works with counts and results. Sees no single customer."),
        ),
        Role(
            AUDITOR,
            _("Auditor and privacy officer"),
            frozenset(
                {
                    *("audit:view", "users:view", "operations:view", "customers:view", "audiences:view"),
                    *("campaigns:view", "reports:view", "board:view"),
                    *("privacy:view", "privacy:manage", "customers:erase", "exports:approve"),
                }
            ),
            _("Reads everything that was done, keeps the privacy registers and carries out what customers ask for."),
        ),
    )
}


def roles() -> dict[str, Role]:
    """Every role that may be granted: the shipped ones and the brand's own, by name. One query."""
    return ROLES | {row.code: of_row(row) for row in OwnRole.objects.order_by("name")}


def of_row(row: OwnRole) -> Role:
    """A brand's own role; permissions that do not exist any more fall away."""
    return Role(row.code, row.name, frozenset(row.permissions) & frozenset(PERMISSIONS), row.description, own=True)
