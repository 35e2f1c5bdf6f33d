"""A second endpoint is a second document and no code: the same commands against another API."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import SAMPLES, TOKEN, batch_updater
from tests.end_to_end.second_api import SecondApi

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("store")

DESCRIPTION = SAMPLES / "second-endpoint" / "customers.openapi.yaml"


def test_another_api_is_updated_without_any_change_of_code(tmp_path: Path) -> None:
    """Template, check, run and workbook for PATCH, two route parameters, an enum, a boolean, a required field."""
    with SecondApi(TOKEN) as api:
        api_section = f"{{base_url: '{api.url}', token: 'env:NEXUS_TOKEN', endpoint: '{DESCRIPTION}#update-contact'}}"
        (tmp_path / "config.yaml").write_text(f"api: {api_section}\n", encoding="utf-8")
        assert batch_updater("template", "t.xlsx", cwd=tmp_path).code == 0
        book = openpyxl.load_workbook(tmp_path / "t.xlsx")
        data = book["Data"]
        headers = [str(cell.value) for cell in data[1]]
        good = {
            "accountId": "DE-0042", "contactId": 7, "email": "a@b.example", "tier": "plus", "newsletter": True,
            "creditLimit": "1200.50", "customerSince": "2026-03-31", "region": "South",
        }  # fmt: skip
        bad_region, bad_cells = {**good, "contactId": 8, "region": "Soth"}, {**good, "email": None, "tier": "Gold"}
        for row in (good, bad_region, {**bad_cells, "contactId": 9}):
            data.append([row.get(header) for header in headers])
        book.save(tmp_path / "t.xlsx")
        checked = batch_updater("check", "t.xlsx", "--json", cwd=tmp_path)
        assert (checked.code, checked.outcomes) == (1, {"planned": 2, "invalid": 1})
        done = batch_updater("run", "t.xlsx", "--json", cwd=tmp_path)
        assert (done.code, done.outcomes) == (1, {"updated": 1, "rejected": 1, "invalid": 1})
        change = api.changes[0]
    assert (change.method, change.content_type) == ("PATCH", "application/merge-patch+json")
    assert change.target.startswith("/crm/v1/accounts/DE-0042/contacts/7")
    body = change.body.decode()
    assert '"tier": "Plus"' in body
    assert '"newsletter": true' in body
    assert f'"creditLimit": {Decimal("1200.50")}' in body
    assert '"customerSince": "31.03.2026"' in body
    results = openpyxl.load_workbook(done.object["results"])
    wrong = [row[2].value for row in results["To fix"].iter_rows(min_row=2)]
    assert any("Soth" in str(text) for text in wrong)
    assert any("Gold" in str(text) and "email" in str(text) for text in wrong)
