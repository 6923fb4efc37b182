"""Loading the demo: files built from the package go through the public import path, one after the other."""

from __future__ import annotations

import csv
import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.utils.translation import override

from hetang.customers import life_stages
from hetang.customers.models import AttributeDefinition, HouseholdMember, LifeStageModel
from hetang.demo import files, source
from hetang.imports import mapping, services
from hetang.imports.mapping import LegalBasis, Mapping
from hetang.imports.models import Import
from hetang.imports.running import Watch
from hetang.platform.brand import brand
from hetang.resources.rules import CategoryRow
from hetang.resources.services import label_categories

TEXT_VERSION = "demo-simulated-1"
SOURCE = "complete-journey"

# What a customer attribute of the data is called, and its values in their natural order.
ATTRIBUTES: dict[str, tuple[str, str, list[str]]] = {
    "age": ("年龄段", "Age", ["19-24", "25-34", "35-44", "45-54", "55-64", "65+"]),
    "income": (
        "家庭年收入（美元）",
        "Household income (USD)",
        ["Under 15K", "15-24K", "25-34K", "35-49K", "50-74K", "75-99K", "100-124K", "125-149K", "150-174K", "175-199K",
         "200-249K", "250K+"],
    ),
    "home_ownership": ("住房", "Home", ["Homeowner", "Probable Homeowner", "Renter", "Probable Renter"]),
    "marital_status": ("婚姻", "Marital status", ["Married", "Unmarried"]),
    "household_size": ("家庭人数", "Household size", ["1", "2", "3", "4", "5+"]),
    "household_comp": (
        "家庭构成",
        "Household",
        ["1 Adult No Kids", "1 Adult Kids", "2 Adults No Kids", "2 Adults Kids"],
    ),
    "kids_count": ("孩子数", "Children", ["0", "1", "2", "3+"]),
}  # fmt: skip


_PARTS = {"reading": 0.15, "grouping": 0.3}  # the check's part of a step; writing takes the rest


@dataclass
class Share:
    """Progress of one step as a part of the whole job's hundred. It never goes back, though a file is read twice."""

    work: Watch
    name: str
    start: int
    width: int
    reached: float = 0.0

    def progress(self, done: int, total: int | None = None, stage: str = "") -> None:
        share = min(done / total, 1.0) if total else 0.0
        self.reached = max(self.reached, share * _PARTS.get(stage, 1.0))
        shown = f"{self.name} · {stage}" if stage else self.name
        self.work.progress(int(self.start + self.reached * self.width), 100, shown)

    def checkpoint(self) -> None:
        self.work.checkpoint()


_NO_BASIS = LegalBasis()


@dataclass(frozen=True)
class Step:
    """One file: what it holds, its columns, and its part of the whole in percent."""

    name: str
    columns: dict[str, str]
    width: int
    source: str = "demo-simulated"
    constants: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    legal_basis: LegalBasis = _NO_BASIS


_DEGREES = ("latitude", "longitude")
STEPS = (
    Step(
        "stores",
        {"code": "store_id", **{name: name for name in ("name", "region", *_DEGREES)}},
        1,
        constants={"datum": "wgs84"},
    ),
    Step("products", {n: n for n in ("sku", "name", "category", "department", "brand")}, 7, SOURCE),
    Step("staff", {"userid": "userid", "name": "name", "store": "store_id", "simulated": "simulated"}, 1),
    Step(
        "customers",
        {
            "member": "member_id",
            **{name: name for name in ("unionid", "home_store", "owner", "consent", "consent_at", "do_not_disturb")},
            **{name: name for name in _DEGREES},
            **{f"household_{place}_born": name for place, name in enumerate(files.CHILDREN, 1)},
        },
        3,
        constants={"datum": "wgs84"},
        attributes={name: name for name in files.ATTRIBUTES},
        legal_basis=LegalBasis("marketing", "wecom", "consent", TEXT_VERSION, simulated=True),
    ),
    Step(
        "orders",
        {
            **{"order": "order_id", "placed_at": "time_utc", "member": "member_id", "store": "store_id"},
            **{name: name for name in ("sku", "category", "quantity", "amount", "discount")},
        },
        55,
        SOURCE,
        constants={"channel": "store"},
    ),
    Step(
        "visits",
        {"member": "member_id", "store": "store_id", "at": "time_utc"},
        25,
        constants={"channel": "store", "simulated": "1"},
    ),
)


def load(work: Watch, drawn: files.World | None = None) -> dict[str, Any]:
    """Build the files, import them, label categories, attributes and stages. Picks up where an earlier attempt stopped.

    Returns the counts of each file. 35 to 60 s on two cores, with the streams catching up at the same time.
    """
    work.progress(0, 100, "files")
    label()
    paths = files.write(drawn or files.World())
    results = {}
    for share, step in _shares(work):
        results[step.name] = import_file(step, paths[step.name], share)
    return results


def label() -> None:
    """Say what categories, attributes and the stages of a child are called."""
    text = importlib.resources.files("hetang.demo").joinpath("categories.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    label_categories(CategoryRow(row["category"], row["zh_hans"], _english(row["category"])) for row in rows)
    _stages()
    AttributeDefinition.objects.bulk_create(
        (
            AttributeDefinition(code=code, type="choice", label_zh=zh, label_en=en, choices=choices)
            for code, (zh, en, choices) in ATTRIBUTES.items()
        ),
        ignore_conflicts=True,
    )


def _stages() -> None:
    """The life stages of a child, unless the brand has a model already."""
    if LifeStageModel.objects.exists():
        return
    with override(settings.LANGUAGE_CODE):
        template = life_stages.TEMPLATES[HouseholdMember.CHILD]
        course = life_stages.course_from(template)
        life_stages.create(life_stages.Definition(str(template.name), "", template.member_kind, course))


def import_file(step: Step, path: Path, work: Watch) -> dict[str, Any]:
    """Take one file the whole way: choose, map, check, confirm, run. A file that is already in is not read again."""
    target = step.name
    owner = Import.objects.filter(server_path=str(path), target=target).order_by("-id").first()
    if owner is None:
        owner = services.from_path(target, str(path))
    if owner.state == Import.DONE:
        return dict(owner.result)
    if owner.state in {Import.DRAFT, Import.CHECKING}:
        if owner.state == Import.DRAFT:
            services.save_mapping(owner, _mapping(step, mapping.decode(owner.mapping)))
        services.check_now(owner, work)
    services.confirm(owner, services.unconfirmed(owner))
    return services.run_now(owner, work)


def _mapping(step: Step, suggested: Mapping) -> Mapping:
    return msgspec.structs.replace(
        suggested,
        source=step.source,
        columns=step.columns,
        attributes=step.attributes,
        constants=step.constants,
        time_format="iso",
        time_zone="UTC",
        shift_days=brand().demo_shift_days,
        money=mapping.Money(currency=source.CURRENCY),
        legal_basis=step.legal_basis,
    )


def _shares(work: Watch) -> Iterator[tuple[Share, Step]]:
    start = 3
    for step in STEPS:
        yield Share(work, step.name, start, step.width), step
        start += step.width


def _english(category: str) -> str:
    """`CANDY - CHECKLANE` as `Candy - checklane`: the data shout."""
    return category[:1] + category[1:].lower()
