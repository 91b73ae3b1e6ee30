"""`dose-audit dosimetry` in a process's own clothes: tables, JSON, and errors for people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dose_audit.cli import app
from dose_audit.cli.common import CommandError
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


@pytest.mark.parametrize("command", ["ssde", "skin", "mgd", "effective"])
def test_files_from_which_nothing_follows_are_told_in_one_line(command: str, tmp_path: Path) -> None:
    """A folder without files, a text, an empty file, and objects of another modality."""
    (tmp_path / "none").mkdir()
    (tmp_path / "notes.txt").write_text("nothing\n")
    (tmp_path / "empty.dcm").write_bytes(b"")
    other = Path("testdata/mg-report-hologic.dcm" if command != "mgd" else "testdata/ct-canon.dcm")
    assert other.exists()
    for given in (tmp_path / "none", tmp_path / "notes.txt", tmp_path / "empty.dcm", other):
        result = CliRunner().invoke(app, ["dosimetry", command, str(given), "--json"])
        assert (result.exit_code, json.loads(result.stdout)) == (1, [])
        assert isinstance(result.exception, CommandError)
        assert len(str(result.exception).splitlines()) == 1
        assert str(result.exception).startswith("nothing to compute: ")


@pytest.mark.parametrize("command", ["ssde", "skin", "mgd", "effective"])
def test_a_path_that_leads_nowhere_is_named(command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["dosimetry", command, str(tmp_path / "lost"), "--json"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert str(result.exception).endswith("lost: there is no such file or folder.")


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
