"""The import pages: the whole way in the browser's terms, who may enter, and what bad input answers."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from hetang.imports.models import Import, Preset
from hetang.imports.rules import suggest_columns
from hetang.imports.targets import TARGETS
from hetang.platform import jobs
from hetang.resources.models import Store
from tests.console.cast import PASSWORD, Cast
from tests.console.taking_out import exported
from tests.imports.files import csv_bytes

pytestmark = pytest.mark.django_db

HEADER = ["门店编号", "门店名称", "纬度", "经度"]
STORES = csv_bytes([HEADER, ["S1", "静安店", "31.23", "121.44"], ["", "空店", "", ""]])


@pytest.fixture
def operator(cast: Cast) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.login(username="headquarters", password=PASSWORD)
    return client


def uploaded(client: Client, target: str, content: bytes, name: str = "stores.csv") -> Import:
    answer = client.post("/imports/new", {"target": target, "file": SimpleUploadedFile(name, content)})
    assert answer.status_code == 302, answer.content.decode()[:3000]
    return Import.objects.latest("id")


def fields_of(owner: Import) -> dict[str, str]:
    columns = {f"field-{name}": header for name, header in owner.mapping["columns"].items()}
    return columns | {"constant-datum": "GCJ-02"} if owner.target == "stores" else columns


def test_a_file_goes_the_whole_way(operator: Client) -> None:
    owner = uploaded(operator, "stores", STORES)
    page = operator.get(f"/imports/{owner.public_id}/mapping")
    assert "静安店" in page.content.decode()
    data = {**fields_of(owner), "time_format": "iso", "time_zone": ""}
    assert operator.post(f"/imports/{owner.public_id}/mapping", data).status_code == 302
    jobs.run_waiting()
    page = operator.get(f"/imports/{owner.public_id}")
    assert "A required value is missing." in page.content.decode()
    operator.post(f"/imports/{owner.public_id}/run")
    jobs.run_waiting()
    page = operator.get(f"/imports/{owner.public_id}")
    assert "The file is in." in page.content.decode()
    assert '<a class="button button-primary" href="/imports/new?target=customers">' in page.content.decode()
    assert "what is in already is not counted twice" in page.content.decode()
    assert list(Store.objects.exclude(code__in=["A", "B"]).values_list("code", flat=True)) == ["S1"]
    rows = exported(operator, f"import-problems?import={owner.public_id}&stage=run")
    assert rows[1] == ["3", "Store code", "", "A required value is missing.", "Fill the cell in."]
    assert "stores.csv" in operator.get("/imports/").content.decode()


def test_warnings_stop_the_run_until_they_are_ticked(operator: Client) -> None:
    swapped = csv_bytes([HEADER, ["S1", "静安店", "121.44", "31.23"]])
    owner = uploaded(operator, "stores", swapped)
    operator.post(f"/imports/{owner.public_id}/mapping", {**fields_of(owner), "time_format": "iso"})
    jobs.run_waiting()
    assert "latitude and longitude swapped" in operator.get(f"/imports/{owner.public_id}").content.decode()
    answer = operator.post(f"/imports/{owner.public_id}/run", follow=True)
    assert "Confirm every warning first" in answer.content.decode()
    operator.post(f"/imports/{owner.public_id}/run", {"confirm": ["swapped_coordinates"]})
    jobs.run_waiting()
    assert Store.objects.get(code="S1").latitude is None


def test_bad_input_answers_with_a_sentence(operator: Client) -> None:
    answer = operator.post("/imports/new", {"target": "stores", "file": SimpleUploadedFile("x.csv", b"")})
    assert (answer.status_code, "The file is empty." in answer.content.decode()) == (422, True)
    answer = operator.post("/imports/new", {"target": "stores"})
    assert (answer.status_code, "Choose a file first." in answer.content.decode()) == (422, True)
    owner = uploaded(operator, "stores", csv_bytes([["a", "b"], ["1", "2"]]))
    answer = operator.post(f"/imports/{owner.public_id}/mapping", {"time_format": "iso"})
    assert (answer.status_code, "required field “Store code”" in answer.content.decode()) == (422, True)


def test_customers_need_a_text_version_for_consent_and_keep_attributes(operator: Client) -> None:
    owner = uploaded(operator, "customers", csv_bytes([["会员号", "城市", "同意"], ["900", "上海", "是"]]), "crm.csv")
    data = {
        **fields_of(owner),
        **{"source": "crm", "time_format": "iso", "attribute-1": "city"},
        **{"basis": "consent", "purpose": "marketing", "channel": "wecom", "text_version": ""},
    }
    answer = operator.post(f"/imports/{owner.public_id}/mapping", data)
    assert (answer.status_code, "version of the text" in answer.content.decode()) == (422, True)
    operator.post(f"/imports/{owner.public_id}/mapping", {**data, "text_version": "2026-01"})
    owner.refresh_from_db()
    assert owner.mapping["attributes"] == {"city": "城市"}
    assert owner.mapping["legal_basis"]["basis"] == "consent"


def test_presets_are_saved_used_and_deleted(operator: Client) -> None:
    owner = uploaded(operator, "stores", STORES)
    operator.post(f"/imports/{owner.public_id}/save-preset", {"name": "Tills"})
    preset = Preset.objects.get()
    again = uploaded(operator, "stores", STORES)
    assert "Tills" in operator.get(f"/imports/{again.public_id}/mapping").content.decode()
    operator.post(f"/imports/{again.public_id}/preset", {"preset": str(preset.public_id)})
    assert "Tills" in operator.get("/imports/presets").content.decode()
    operator.post(f"/imports/presets/{preset.public_id}/delete")
    assert not Preset.objects.exists()


def test_a_job_that_was_cancelled_before_it_began_gives_the_import_back(operator: Client) -> None:
    owner = uploaded(operator, "stores", STORES)
    operator.post(f"/imports/{owner.public_id}/mapping", {**fields_of(owner), "time_format": "iso"})
    owner.refresh_from_db()
    assert owner.check_job is not None
    jobs.cancel(owner.check_job)
    assert operator.get(f"/imports/{owner.public_id}").status_code == 302
    owner.refresh_from_db()
    assert owner.state == Import.DRAFT


def test_a_store_manager_may_not_import(cast: Cast) -> None:
    client = Client(headers={"accept-language": "en"})
    client.login(username="manager_a", password=PASSWORD)
    for address in ("/imports/", "/imports/new", "/imports/presets"):
        assert client.get(address).status_code == 403


def test_the_template_of_every_kind_is_recognised_column_by_column(operator: Client) -> None:
    for name, target in TARGETS.items():
        answer = operator.get(f"/imports/template/{name}.csv")
        headings = answer.content.decode("utf-8-sig").strip().split(",")
        assert list(suggest_columns(target, headings)) == [field.name for field in target.fields], name
    assert operator.get("/imports/template/none.csv").status_code == 404
