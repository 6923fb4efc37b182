"""What the demo draws is drawn with fixed seeds; what it takes from the data is exact."""

from __future__ import annotations

import csv
import importlib.resources
import warnings
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from django.utils.translation import override

from hetang.customers import life_stages
from hetang.demo import files, source, world


@pytest.fixture(scope="module")
def drawn() -> files.World:
    try:
        source.folder()
    except source.DemoDataMissing as missing:
        warnings.warn(f"SKIPPED LOUDLY: {missing}", UserWarning, stacklevel=1)
        pytest.skip(str(missing))
    return files.World()


def test_the_year_ends_no_later_than_yesterday_and_keeps_its_weekdays() -> None:
    for today in (date(2026, 11, 22) + timedelta(days=number) for number in range(14)):
        shift = source.shift_days(today)
        ends = source.LAST_DAY + timedelta(days=shift)
        assert shift % 7 == 0
        assert today - timedelta(days=7) <= ends <= today - timedelta(days=1)


@pytest.mark.data
def test_the_data_s_own_totals(drawn: files.World) -> None:
    assert sum(one.shopper.net for one in drawn.people) == source.SALES_CENTS
    assert sum(one.shopper.orders for one in drawn.people) == source.ORDERS
    assert (len(drawn.people), len(drawn.stores)) == (source.HOUSEHOLDS, source.STORES)


@pytest.mark.data
def test_what_is_drawn_stays_the_same(drawn: files.World) -> None:
    people = drawn.people
    assert len(drawn.advisers) == 60
    assert len({one.userid for one in drawn.advisers}) == len({one.name for one in drawn.advisers}) == 60
    assert sum(one.consent for one in people) == 2130
    assert sum(one.quiet for one in people) == 40
    assert sum(bool(one.advisers) for one in people) == 1573
    assert sum(len(one.advisers) == 2 for one in people) == 86
    store_of = {one.userid: one.store for one in drawn.advisers}
    for person in people:
        visited = {store for store, _ in person.shopper.stores}
        assert {store_of[userid] for userid in person.advisers} <= visited


@pytest.mark.data
def test_children_are_of_every_stage_where_the_data_tell_of_some(drawn: files.World) -> None:
    told = {str(row["household_id"]): row["kids_count"] for row in source.table("demographics").to_pylist()}
    days = [day for one in drawn.people for day in world.children(one.shopper.member, told.get(one.shopper.member))]
    assert sum(bool(world.children(member, said)) for member, said in told.items()) == 288
    with override("en"):
        course = life_stages.course_from(life_stages.TEMPLATES["child"])
    stages = Counter(stage.name if (stage := course.stage_at(day, source.LAST_DAY)) else "" for day in days)
    assert stages == {
        "Expecting": 31,
        "0–3 months": 70,
        "3–6 months": 13,
        "6–12 months": 20,
        "1–2 years": 36,
        "2–3 years": 36,
        "3–6 years": 116,
        "6–8 years": 57,
        "8–14 years": 85,
    }


@pytest.mark.data
def test_every_buyer_of_a_day_visited_that_day(drawn: files.World) -> None:
    visits = drawn.visits()
    assert len(visits) == 165_415
    assert len(set(visits)) == len(visits)
    first, last = min(one.at for one in visits), max(one.at for one in visits)
    assert datetime.fromisoformat("2017-01-01T05:00") <= first
    assert last < datetime.fromisoformat("2018-01-01T05:00")


@pytest.mark.data
def test_every_category_has_a_chinese_name() -> None:
    text = importlib.resources.files("hetang.demo").joinpath("categories.csv").read_text(encoding="utf-8")
    names = {row["category"]: row["zh_hans"] for row in csv.DictReader(text.splitlines())}
    in_data = set(source.table("products", ["product_category"])["product_category"].to_pylist()) - {None}
    assert set(names) == in_data
    assert len(set(names.values())) == len(names) == 303
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in name) for name in names.values())


@pytest.mark.data
def test_files_are_built_once(drawn: files.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "folder", lambda: tmp_path)
    monkeypatch.setattr(files, "_orders", lambda: files._columns(order_id=["1"]))  # 110 MB otherwise
    first = {name: path.read_bytes() for name, path in files.write(drawn).items()}
    marked = tmp_path / "stores.csv"
    marked.write_text("kept")
    files.write(drawn)
    assert marked.read_text() == "kept"
    assert first["stores"].splitlines()[1].startswith('"2","门店 2","模拟西区","3'.encode())
    assert len(first["customers"].splitlines()) == 2470


def test_regions_are_simulated_and_named_so() -> None:
    assert world.region_of("367") in world.REGIONS
    assert all(name.startswith("模拟") for name in world.REGIONS)
