"""`dose-audit phantom make` from the command line."""

from __future__ import annotations

import json

import pydicom
import pytest
from typer.testing import CliRunner

from dose_audit.cli import app
from dose_audit.phantom.digital.recipes import KINDS


def run(*words: str):
    return CliRunner().invoke(app, ["phantom", "make", *words])


def test_list_names_every_kind():
    result = run("list")
    assert result.exit_code == 0
    assert result.output.split() == sorted(KINDS)


def test_pose_slices_and_noise_reach_the_files(tmp_path):
    words = "magnet-slice-width --shift 4 -6 1.5 --roll 12 --tilt 1 -0.5 --field 300 --thickness 4 --noise 7 --repeats 2 --seed 5"
    result = run(*words.split(), "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    truth = json.loads((tmp_path / "truth.json").read_text())
    pose = truth["pose"]
    assert (pose["x_mm"], pose["y_mm"], pose["roll_deg"], pose["tilt_y_deg"]) == (4.0, -6.0, 12.0, -0.5)
    assert truth["noise"]["sd"] == 7.0
    assert truth["seed"] == 5
    assert len(truth["series"]) == 2
    ds = pydicom.dcmread(tmp_path / truth["series"][1]["files"][0])
    assert float(ds.PixelSpacing[0]) == pytest.approx(300 / 256)
    assert float(ds.SliceThickness) == 4.0
    assert float(ds.SliceLocation) == 1.5  # the slices follow the phantom


def test_spacing_is_not_thickness_and_slices_can_be_missing(tmp_path):
    result = run("bottle", "--out", str(tmp_path), "--spacing", "5", "--thickness", "8", "--missing", "2", "--reverse")
    assert result.exit_code == 0, result.output
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert truth["slice"]["z_mm"] == [20.0, 15.0, 10.0, 5.0, 0.0, -5.0, -15.0, -20.0]
    assert truth["slice"]["thickness_mm"] == 8.0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no-such-phantom"], "no digital phantom"),
        (["flat-dx", "--enhanced"], "MR only"),
        (["flat-dx", "--spacing", "2"], "projection"),
        (["magnet-snr", "--table"], "belong to CT"),
        (["water", "--invert"], "only projections"),
        (["water", "--profile", "square"], "slice profile"),
        (["water", "--spacing", "0.001"], "0.05"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(tmp_path, words, says):
    result = run(*words, "--out", str(tmp_path / "out"))
    assert result.exit_code != 0
    assert says in result.output + str(result.exception)
    assert not (tmp_path / "out").exists()
