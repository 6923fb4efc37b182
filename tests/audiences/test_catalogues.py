"""The catalogue of what rules may name is read again when something changed, and only then."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hetang.audiences import catalogues
from hetang.customers.models import Tag, TagGroup

BY_AGE = {"resources_product", "communities_groupchat"}  # their names may be a minute old
BRAND = {"platform_brand", "platform_clock"}

pytestmark = pytest.mark.django_db


def names() -> dict[str, str]:
    return {code: tag.name for code, tag in catalogues.catalogue(fresh=True).tags.items()}


def test_what_changed_is_found_at_once_even_twice_in_one_transaction() -> None:
    group = TagGroup.objects.create(name="Taste")
    tag = Tag.objects.create(group=group, code="tea", name="Tea")
    assert names()["tea"] == "Taste·Tea"
    for name in ("Green tea", "White tea"):
        Tag.objects.filter(pk=tag.pk).update(name=name)
        assert names()["tea"] == f"Taste·{name}"
    TagGroup.objects.filter(pk=group.pk).update(name="Likes")
    assert names()["tea"] == "Likes·White tea"
    tag.delete()
    assert "tea" not in names()


def test_what_did_not_change_is_not_read_again() -> None:
    known = catalogues.catalogue(fresh=True)
    with CaptureQueriesContext(connection) as queries:
        assert catalogues.catalogue(fresh=True) is known
    assert len(queries) <= 3  # the state, and the brand and the clock after some seconds


def test_every_table_that_is_read_is_looked_at() -> None:
    catalogues.forget()
    with CaptureQueriesContext(connection) as queries:
        catalogues.catalogue(fresh=True)
    read = {table for one in queries for table in re.findall(r'(?:from|join) "?([a-z]+_[a-z_]+)', one["sql"].lower())}
    assert read >= set(catalogues.TABLES)
    assert read - set(catalogues.TABLES) <= BY_AGE | BRAND
