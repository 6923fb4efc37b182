"""Reads of stores, staff and products."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count, Q, QuerySet

from hetang.resources.models import CategoryLabel, District, Staff, Store


def category_labels(language: str) -> dict[str, str]:
    """Category -> what it is called in `language` (`zh-hans` or `en`); only those that have a label."""
    column = "zh_hans" if language.lower().startswith("zh") else "en"
    rows = CategoryLabel.objects.exclude(**{column: ""}).values_list("category", column)
    return dict(rows)


def districts(chosen: Mapping[str, str]) -> QuerySet[District]:
    """The brand's districts, by city and name: with `q` in the code, name or city, of the city `city`."""
    rows = District.objects.order_by("parent", "name", "id")
    text, city = chosen.get("q", "").strip(), chosen.get("city", "")
    if text:
        rows = rows.filter(Q(code__startswith=text) | Q(name__icontains=text) | Q(parent__icontains=text))
    return rows.filter(parent=city) if city else rows


def cities() -> list[str]:
    """The cities of the districts, by name."""
    return list(District.objects.exclude(parent="").order_by("parent").values_list("parent", flat=True).distinct())


def district_figures() -> tuple[int, int]:
    """How many districts there are, and how many of them have no centre."""
    found = District.objects.aggregate(all=Count("id"), without=Count("id", filter=Q(latitude=None)))
    return found["all"], found["without"]


def is_last_of_its_city(district: District) -> bool:
    """Whether no other district with a centre lies in its city."""
    others = District.objects.filter(parent=district.parent).exclude(pk=district.pk).exclude(latitude=None)
    return bool(district.parent) and not others.exists()


def store_names() -> dict[str, str]:
    """Store code -> name, of all stores."""
    return dict(Store.objects.values_list("code", "name"))


def staff_names() -> dict[str, str]:
    """WeCom userid -> name, of all staff."""
    return dict(Staff.objects.values_list("userid", "name"))
