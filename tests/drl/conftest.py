"""A small `drl_tables` folder that tests may break."""

import csv
from pathlib import Path

import pytest

from dose_audit.drl.tables import EXAMINATION_COLUMNS, ROW_COLUMNS

SET_TOML = """
set_id = "{set_id}"
edition = "{edition}"
title = "Test levels"
publisher = "nobody"
region = "XX"
url = "https://example.org"
licence = "none"
status = "{status}"
statistic = "third quartile"
retrieved_on = 2026-01-01
valid_from = {valid_from}
adult_from_years = 18
"""

ROW = {
    "examination": "ct-head",
    "examination_label": "Head",
    "modality": "CT",
    "basis": "per_exam",
    "patient_group": "adult",
    "band_type": "none",
    "quantity": "DLP",
    "unit": "mGy.cm",
    "value": "800",
    "role": "drl",
    "statistic": "p75",
    "confidence": "primary",
    "note": "made for a test",
}

EXAMINATIONS = [
    ("ct-head", "Head", "CT", "", "", "per_exam"),
    ("ct-head-stroke", "Head", "CT", "Stroke", "ct-head", "per_exam"),
    ("ct-chest", "Chest", "CT", "", "", "per_exam"),
    ("ct-pelvis", "Pelvis", "CT", "", "", "per_exam"),
    ("ct-pulmonary-angiography", "Pulmonary angiography", "CT", "Pulmonary embolism", "", "per_exam"),
    ("dx-chest-pa", "Chest PA", "DX", "", "", "per_projection"),
    ("xa-coronary-angiography", "Coronary angiography", "XA", "", "", "per_exam"),
]


class Tables:
    """Builds editions under a root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        with (root / "examinations.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([EXAMINATION_COLUMNS, *EXAMINATIONS])

    def edition(self, rows, set_id="xx-test", edition="2020", status="transcribed", valid_from="2020-01-01", extra=""):
        """Write one edition; each row is the changes to ROW."""
        folder = self.root / "xx" / set_id / edition
        folder.mkdir(parents=True)
        facts = SET_TOML.format(set_id=set_id, edition=edition, status=status, valid_from=valid_from)
        (folder / "set.toml").write_text(facts + extra, encoding="utf-8")
        (folder / "CHECK.md").write_text("read by nobody\n", encoding="utf-8")
        write_rows(folder, [{**ROW, "row_id": f"row-{i}", **row} for i, row in enumerate(rows, 1)])
        return folder


def write_rows(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ROW_COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path / "drl_tables")
