"""`dose-audit dosimetry` in a process's own clothes: tables, JSON, and errors for people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dose_audit.cli import app
from tests.dosimetry.synthetic_ct import disc, paint, phantom_code, write_slice

PIXEL = 1.5


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["dosimetry", *map(str, words)])
    return result.exit_code, result.stdout


@pytest.fixture
def series(tmp_path: Path) -> Path:
    for index in range(2):
        attributes = {"CTDIvol": 10.0, "CTDIPhantomTypeCodeSequence": phantom_code("113691")}
        image = paint(256, 256 * PIXEL, [disc(200)])
        write_slice(tmp_path / f"{index}.dcm", image, PIXEL, ImagePositionPatient=[0, 0, 5.0 * index], **attributes)
    return tmp_path


def test_ssde_as_json(series: Path) -> None:
    code, text = run("ssde", series, "--json")
    size, dose = json.loads(text)
    assert code == 0
    assert size["name"] == "water_equivalent_diameter"
    assert size["value"] == pytest.approx(200, rel=0.005)
    assert dose["value"] == pytest.approx(17.7735, rel=0.005)
    assert dose["unit"] == "mGy"
    assert len(size["details"]["dw_mm"]) == 2


def test_ssde_as_a_table_and_with_given_dose(series: Path) -> None:
    code, text = run("ssde", series, "--ctdi-vol", 20, "--phantom", 16)
    assert code == 0
    assert "17.29" in text  # 20 · 1.874799 exp(-0.03871313 · 20)


def test_wrong_words_are_told(series: Path, tmp_path: Path) -> None:
    assert run("ssde", series, "--phantom", 20)[0] != 0
    assert run("ssde", tmp_path / "nothing")[0] != 0
    assert run("effective", "--factors", "mine", series)[0] != 0


def test_effective_reads_reports() -> None:
    code, text = run("effective", "testdata/ct-canon.dcm", "--json")
    assert code == 0
    for record in json.loads(text):
        assert record["name"] == "effective_dose"
        assert (record["value"] is None) == bool(record["reason"] and record["status"] == "not_measurable")


def test_localiser_calibration_from_files(tmp_path: Path) -> None:
    words = []
    for diameter in (160, 240, 320):
        x = np.arange(512) - 255.5
        thickness = 2 * np.sqrt(np.maximum((diameter / 2) ** 2 - x**2, 0))
        image = np.tile(thickness / 1.25, (64, 1)) - 1000  # HU of a localiser, air at -1000
        path = tmp_path / f"{diameter}.dcm"
        write_slice(path, image, 1.0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        words.append(f"{path}={diameter}")
    code, text = run("localiser-calibration", "CT 1", *words, "--json")
    assert code == 0
    assert json.loads(text)["slope_mm"] == pytest.approx(1.25, rel=0.02)
    assert run("localiser-calibration", "CT 1", f"{tmp_path / '160.dcm'}=wide")[0] != 0
