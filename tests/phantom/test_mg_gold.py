"""Gold discs in cells: thresholds against what an ideal observer of the rendered discs in the rendered noise would reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy.special import j1

from dose_audit.image_quality.forced_choice import proportion_correct, threshold_thickness
from dose_audit.phantom.analyse import Outcome, analyse
from dose_audit.phantom.definition import definitions
from dose_audit.phantom.digital import NoiseModel, Pose, recipe, write_series
from dose_audit.phantom.digital.recipes.mammography import GOLD_CONTRAST_PERCENT

_SHEET = tuple(one for one in definitions() if one.id == "cdmam34")
_IMAGES, _NOISE = 6, 40.0


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, dict, Path]:
    """Six exposures, coarse for the suite's sake; the sheet upside down, magnified, turned by another quarter."""
    folder = tmp_path_factory.mktemp("cdmam")
    phantom = recipe("cdmam")
    used = replace(
        phantom.acquisition,
        shape=(1150, 1150),
        spacing_mm=(0.19, 0.19),
        psf_sigma_mm=0.08,
        noise=NoiseModel("quantum", _NOISE, reference=2000.0),
    )
    pose = Pose(x_mm=3.0, y_mm=-2.0, roll_deg=91.3, scale=1.04, end_for_end=True)
    truth = write_series(folder, phantom, acquisition=used, pose=pose, repeats=_IMAGES, seed=8)
    return analyse(folder, known=_SHEET), truth.record, folder


def _ideal_threshold_um(diameter_mm: float, truth: dict) -> float:
    """Thickness at which the ideal observer of a known place in white noise is right in 62.5 % of four places."""
    step, sigma = truth["spacing_mm"][0], truth["psf"]["sigma_mm"]
    size = 256
    down, across = np.fft.fftfreq(size, step)[:, None], np.fft.fftfreq(size, step)[None, :]
    f = np.hypot(down, across) + 1e-9
    blur = np.exp(-2 * (np.pi * sigma * f) ** 2) * np.sinc(down * step) * np.sinc(across * step)
    spectrum = 0.5 * diameter_mm * j1(np.pi * diameter_mm * f) / f * blur
    per_signal = float(np.sqrt((spectrum**2).sum()) / (size * step) / (_NOISE * step))
    thickness = np.geomspace(0.01, 4.0, 400)
    signal = 20.0 * np.interp(thickness, *GOLD_CONTRAST_PERCENT)
    return float(np.interp(0.625, proportion_correct(signal * per_signal), thickness))


def test_images_of_a_study_make_one_result(read: tuple[Outcome, dict, Path]) -> None:
    outcome, truth, _ = read
    assert [one.definition.id for one in outcome.analyses] == ["cdmam34"]
    pose = outcome.analyses[0].pose
    assert pose.mirrored
    assert pose.scale == pytest.approx(1.04, abs=0.004)
    assert pose.centre_px == pytest.approx(truth["slices"][0]["axis_row_column"], abs=1.0)
    values = {one.name: one.measured for one in outcome.analyses[0].measurements}
    assert values["threshold_gold_images"].value == _IMAGES


def test_thresholds_are_those_of_the_ideal_observer(read: tuple[Outcome, dict, Path]) -> None:
    outcome, truth, _ = read
    values = {one.name: one.measured for one in outcome.analyses[0].measurements}
    graded = 0
    for diameter in (0.63, 0.5, 0.4, 0.31, 0.25, 0.2, 0.16):
        found = values[f"threshold_gold_automatic.{f'{diameter:g}'.replace('.', '_')}"]
        if found.status != "ok":
            continue
        graded += 1
        assert found.value is not None
        assert found.uncertainty is not None
        ideal = _ideal_threshold_um(1.04 * diameter, truth)
        # An observer who searches a tenth of a millimetre around is a little worse than the ideal one.
        assert ideal * 0.9 - 3 * found.uncertainty < found.value < ideal * 1.3 + 3 * found.uncertainty
    assert graded >= 4


def test_few_images_give_no_certain_threshold(read: tuple[Outcome, dict, Path]) -> None:
    path = sorted(read[2].glob("*.dcm"))[0]
    outcome = analyse(path, known=_SHEET)
    found = [one.measured for one in outcome.analyses[0].measurements if one.name.startswith("threshold_gold.")]
    assert found
    assert all(one.status != "ok" for one in found)


def test_lines_between_the_cells_and_inverted_values_do_not_matter(
    read: tuple[Outcome, dict, Path], tmp_path: Path
) -> None:
    outcome, _, folder = read
    dataset = pydicom.dcmread(sorted(folder.glob("*.dcm"))[0])
    pixels = dataset.pixel_array.astype(float)
    pose = outcome.analyses[0].pose
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    turn = np.radians(pose.roll_deg)
    right, down = (columns - pose.centre_px[1]) * 0.19 / 1.04, (rows - pose.centre_px[0]) * 0.19 / 1.04
    for along in (right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)):
        pixels[(np.abs(along % 8.8) < 0.15) & (np.abs(along) < 71)] *= 0.97
    dataset.PixelData = np.rint(5000.0 - pixels).astype(np.uint16).tobytes()
    dataset.PixelIntensityRelationshipSign = -1
    changed = tmp_path / "lines.dcm"
    dataset.save_as(changed)
    again = analyse(changed, known=_SHEET)
    assert [one.definition.id for one in again.analyses] == ["cdmam34"]
    before = analyse(sorted(folder.glob("*.dcm"))[0], known=_SHEET)
    shares = [
        next(one.measured.value for one in its.analyses[0].measurements if one.name == "threshold_gold_right")
        for its in (before, again)
    ]
    assert shares[1] == pytest.approx(shares[0], abs=4.0)


def test_flat_pmma_is_no_contrast_detail_object(tmp_path: Path) -> None:
    phantom = recipe("pmma")
    write_series(tmp_path, phantom, acquisition=replace(phantom.acquisition, shape=(700, 600)))
    outcome = analyse(tmp_path, definition="cdmam34")
    assert not outcome.analyses
    assert "not CDMAM" in outcome.refused[0].reason


def test_threshold_of_a_known_curve_and_its_coverage() -> None:
    thickness = np.geomspace(0.03, 2.0, 16)
    true = np.geomspace(0.08, 0.6, 9)
    chances = 0.25 + 0.75 / (1 + (thickness / true[:, None]) ** -3.0)
    random = np.random.default_rng(5)
    shown = np.full(chances.shape, 16)
    covered = []
    for _ in range(12):
        found = threshold_thickness(random.binomial(shown, chances), shown, thickness, resamples=40)
        # The outermost diameters have neighbours to one side only, which draws their thresholds inwards.
        covered += [
            one.details["interval"][0] <= at <= one.details["interval"][1]
            for one, at in zip(found[1:-1], true[1:-1], strict=True)
        ]
    assert 0.85 <= np.mean(covered) <= 1.0
    assert proportion_correct(1.0, 2) == pytest.approx(0.7602, abs=1e-4)  # Φ(1/√2)
