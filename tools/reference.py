"""Writes the reference pages that come from declarations in the code: `python -m tools.reference`.

A test compares what is committed with what this would write, so the pages cannot rot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    return {
        DOCS / "facts.md": facts_page(),
        DOCS / "openapi.json": openapi(),
        DOCS / "settings.md": settings_page(),
        DOCS / "personal-copy.schema.json": personal_copy(),
        DOCS / "audience-rules.schema.json": audience_rules(),
    }


def facts_page() -> str:
    """The fact kinds: meaning in both languages, fields, example."""
    from hetang.facts import kinds

    parts = [_FACTS_HEAD]
    for kind in kinds.KINDS.values():
        door = "API, files and connectors" if kind.external else "written by Hetang itself"
        parts.append(f"## `{kind.name}`\n\n{kind.meaning_en}\n\n{kind.meaning_zh}\n")
        parts.append(f"Door: {door}. Identities in `who`: {_SUBJECTS[kind.subject]}.\n")
        rows = list(_fields(kinds.schema_of(kind)))
        if rows:
            parts.append("| field | type | required |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n")
        example = json.dumps(kinds.example_fact(kind), ensure_ascii=False, indent=2)
        parts.append(f"```json\n{example}\n```\n")
    return "\n".join(parts)


def settings_page() -> str:
    """Every setting: name, where it is set, default, meaning in both languages."""
    from hetang.platform import registry
    from hetang.platform import registry_values as values

    parts = [_SETTINGS_HEAD]
    for code, (zh, en) in registry.GROUPS.items():
        here = [one for one in registry.SETTINGS.values() if one.group == code]
        parts.append(f"## {en} {zh}\n\n| variable | in the console | default | meaning |\n| --- | --- | --- | --- |")
        for one in here:
            default = values.shown(one, one.default)
            page = f"{one.label_en} {one.label_zh}" if one.in_console else ""
            unit = f" {one.unit_en}" if one.unit_en else ""
            secret = " *secret*" if one.secret else ""
            shown = f"`{default}`{unit}" if default else ""
            parts.append(f"| `{one.env}`{secret} | {page} | {shown} | {one.en} {one.zh} |")
        parts.append("")
    return "\n".join(parts)


def openapi() -> str:
    """The API's OpenAPI document."""
    from hetang.api.app import api

    return json.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), ensure_ascii=False, indent=1, default=str) + "\n"


def personal_copy() -> str:
    """JSON Schema of what a customer gets as her copy."""
    from hetang.console.copies.schema import schema

    return json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"


def audience_rules() -> str:
    """JSON Schema of the rule language of audiences."""
    from hetang.audiences.schema import schema

    return json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"


_SETTINGS_HEAD = """# Settings

> Generated from `hetang.platform.registry` by `python -m tools.reference`; edit there.

Each setting is a variable of the environment of `hetang up`. Those with a name in the second column can be set on the
page **Settings, System** as well; the environment wins. `hetang doctor` names variables that are misspelled or cannot
be used. Secrets set in the console are stored encrypted and never shown again.
"""
_SUBJECTS = {"required": "at least one", "optional": "none or more", "none": "none"}
_FACTS_HEAD = """# Fact kinds

> Generated from `hetang.facts.kinds` by `python -m tools.reference`; edit there.

A fact is something that happened. It is sent to `POST /api/v1/facts` as
`{"source": "...", "facts": [...]}`, 1 to 1,000 at a time, with a key that has the scope `facts:write`.
It counts once for ever by `(source, key)`, so repeating a request is harmless. Money is in minor units of the
brand's currency, times carry a zone, quantities are decimal text. Identities in `who` are
`{"kind": "member" | "card" | "phone" | "email" | "unionid" | "openid" | "external_userid", "value": "..."}`;
phone numbers, e-mail addresses and `name` are stored encrypted.
"""


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    definitions = schema.get("$defs", {})
    root = definitions[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    yield from _rows(root, definitions, "")


def _rows(shape: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, field in shape.get("properties", {}).items():
        required = "yes" if name in shape.get("required", []) else ""
        yield f"| `{prefix}{name}` | {_type(field)} | {required} |"
        reference = field.get("items", {}).get("$ref")
        if reference:
            yield from _rows(definitions[reference.rsplit("/", 1)[1]], definitions, f"{prefix}{name}[].")


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "$ref" in field or field.get("type") == "array":
        return "list of objects" if "$ref" in field.get("items", {}) else "list"
    text = {"integer": "whole number", "null": "null", "boolean": "yes/no"}.get(
        field.get("type", ""), field.get("type", "")
    )
    return "time with zone" if field.get("format") == "date-time" else str(text)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hetang.settings")
    import django

    django.setup()
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
