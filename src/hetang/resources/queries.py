"""Reads of stores, staff and products."""

from __future__ import annotations

from hetang.resources.models import CategoryLabel, Staff, Store


def category_labels(language: str) -> dict[str, str]:
    """Category -> what it is called in `language` (`zh-hans` or `en`); only those that have a label."""
    column = "zh_hans" if language.lower().startswith("zh") else "en"
    rows = CategoryLabel.objects.exclude(**{column: ""}).values_list("category", column)
    return dict(rows)


def store_names() -> dict[str, str]:
    """Store code -> name, of all stores."""
    return dict(Store.objects.values_list("code", "name"))


def staff_names() -> dict[str, str]:
    """WeCom userid -> name, of all staff."""
    return dict(Staff.objects.values_list("userid", "name"))
