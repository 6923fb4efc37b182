"""Tags and attributes that a file of customers names and the brand has not got yet.

The check tells of tags; whoever confirms lets the run make them. Attributes are chosen by the operator column by column
and are defined with the run, so that audiences can use them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.translation import gettext, override

from hetang.customers.models import AttributeDefinition, Tag, TagGroup
from hetang.imports.mapping import Mapping
from hetang.imports.models import Import
from hetang.platform import audit

UNKNOWN_TAGS = "unknown_tags"  # the warning whose confirmation makes them
MAX_NEW_TAGS = 200  # more are a wrong column, not tags
MAX_CHOICES = 30
_TAG_LENGTH = 30
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def tag_codes() -> dict[str, str]:
    """What a file may write -> the code of a tag in use: its code, or its name where no other tag is called so."""
    tags = list(Tag.objects.filter(archived_at=None).values_list("code", "name"))
    named = Counter(name for _, name in tags)
    return {name: code for code, name in tags if named[name] == 1} | {code: code for code, _ in tags}


def unknown_tags(written: Iterable[str]) -> list[str]:
    """Those that stand for no tag in use, sorted."""
    return sorted(set(written) - tag_codes().keys())


@transaction.atomic
def make_tags(owner: Import) -> None:
    """Make the tags that the confirmed warning named, in a group of their own. Repeating it makes nothing twice."""
    if UNKNOWN_TAGS not in owner.confirmed:
        return
    warned = [one for one in owner.check_result.get("warnings", []) if one["code"] == UNKNOWN_TAGS]
    names = unknown_tags(name for one in warned for name in one["parameters"].get("names", []))
    if not names:
        return
    with override(owner.created_by.language if owner.created_by else None):
        title = gettext("Imported tags")
    group, _ = TagGroup.objects.get_or_create(name=title, defaults={"position": TagGroup.objects.count()})
    known = group.tags.count()
    tags = [
        Tag(code=name, group=group, name=name[:_TAG_LENGTH], position=known + place) for place, name in enumerate(names)
    ]
    Tag.objects.bulk_create(tags, ignore_conflicts=True)
    by = owner.created_by.username if owner.created_by else "import"
    audit.record(by, "import.tags_made", "import", owner.public_id, {"group": title, "tags": names})


@dataclass
class Seen:
    """What a check has seen in the columns of tags and attributes."""

    tags: set[str] = field(default_factory=set)
    values: dict[str, set[str]] = field(default_factory=dict)  # attribute code -> different values, not all of many

    def look(self, columns: dict[str, Any]) -> None:
        """Take in a parsed block: each different text once."""
        for name, column in columns.items():
            if name == "tags":
                self.tags.update(tag for written in column.values if written for tag in written)
            elif name.startswith("attribute:"):
                seen = self.values.setdefault(name.partition(":")[2], set())
                if len(seen) <= MAX_CHOICES or all(map(_DATE.fullmatch, column.values[1:])):
                    seen.update(value for value in column.values if value is not None)

    def types(self, rows: int) -> dict[str, dict[str, Any]]:
        """What each attribute seems to be: days, one of a few values that repeat, or text."""
        return {code: _type_of(values, rows) for code, values in self.values.items()}


def _type_of(values: set[str], rows: int) -> dict[str, Any]:
    if values and all(map(_DATE.fullmatch, values)):
        return {"type": "date"}
    if 0 < len(values) <= MAX_CHOICES and 2 * len(values) <= rows:
        return {"type": "choice", "choices": sorted(values)}
    return {"type": "text"}


def define_attributes(owner: Import, mapping: Mapping) -> None:
    """Define the attributes of the file that have no definition yet, under the heading of their column."""
    types = owner.check_result.get("attributes", {})
    AttributeDefinition.objects.bulk_create(
        (
            AttributeDefinition(code=code, label_zh=header[:80], label_en=header[:80], **types.get(code, _TEXT))
            for code, header in mapping.attributes.items()
        ),
        ignore_conflicts=True,
    )


_TEXT = {"type": "text"}
