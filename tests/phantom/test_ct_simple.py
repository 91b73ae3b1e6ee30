"""Water and wire phantoms on digital ones, and how cone-beam devices are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.beam import is_cone_beam
from dose_audit.phantom.definition import definitions
from dose_audit.phantom.digital import Pose, recipe, slice_positions, write_series
from tests.phantom.ct_truth import values


def test_water(tmp_path: Path) -> None:
    phantom = recipe("water")
    acquisition = replace(phantom.acquisition, z_mm=slice_positions(-15.0, 15.0, 5.0))
    truth = write_series(tmp_path, phantom, acquisition=acquisition, seed=1)
    (analysis,) = analyse(truth.folder).analyses
    found = values(analysis)
    assert found["noise"].value == pytest.approx(5.0, rel=0.03)
    assert found["body_diameter"].value == pytest.approx(199.9, abs=0.3)
    assert abs(found["uniformity_centre"].value or 99.0) < 1.0
    assert found["uniformity"].value == pytest.approx(truth.record["effects"]["cupping_hu"] * 0.42, abs=0.8)


def test_wire(tmp_path: Path) -> None:
    phantom = recipe("wire")
    truth = write_series(tmp_path, phantom, acquisition=replace(phantom.acquisition, z_mm=(-1.0, 0.0, 1.0)), seed=1)
    (analysis,) = analyse(truth.folder).analyses
    assert analysis.definition.id == "ct-wire"
    row, column = truth.feature("wire")["row_column"]
    assert analysis.pose.centre_px == pytest.approx((row, column), abs=0.3)
    # The wire's own 0.2 mm stay in the result: 2 J1(x)/x at 0.47 /mm is 0.989.
    assert values(analysis)["mtf50"].value == pytest.approx(truth.record["psf"]["mtf50_per_mm"], rel=0.02)


def test_limits_for_ct_are_not_applied_to_cone_beam() -> None:
    definition = next(one for one in definitions(None) if one.id == "catphan504")
    assert definition.tolerance_of("uniformity", {"cone_beam": False}) is not None
    assert definition.tolerance_of("uniformity", {"cone_beam": True}) is None
    assert definition.tolerance_of("hu.teflon", {}) is None


def test_fan_or_cone_beam_by_what_the_header_tells() -> None:
    maker = {"Manufacturer": "Varian Medical Systems"}
    assert is_cone_beam({**maker, "DistanceSourceToDetector": "1500.0"}) is True
    assert is_cone_beam({"Manufacturer": "ELEKTA", "ManufacturerModelName": "XVI"}) is True
    assert is_cone_beam({**maker, "RevolutionTime": 0.5}) is False
    assert is_cone_beam({**maker, "ScanOptions": "HELICAL MODE"}) is False
    assert is_cone_beam({**maker, "DistanceSourceToDetector": "no number"}) is None
    assert is_cone_beam({"Manufacturer": "GE MEDICAL SYSTEMS", "DistanceSourceToDetector": 946.7}) is False


def test_what_the_header_does_not_tell_is_said_and_not_judged(tmp_path: Path) -> None:
    phantom = recipe("catphan504")
    acquisition = replace(phantom.acquisition, z_mm=slice_positions(-5.0, 5.0, 2.5))
    truth = write_series(tmp_path, phantom, acquisition=acquisition, seed=1)
    images = [pydicom.dcmread(path) for path in truth.files]
    told = (
        "SpiralPitchFactor SingleCollimationWidth RevolutionTime DistanceSourceToDetector AcquisitionType ScanOptions"
    )
    for image in images:
        image.Manufacturer, image.ManufacturerModelName = "ELEKTA", ""
        image.SeriesDescription = image.StudyDescription = image.ProtocolName = "QA"
        for keyword in told.split():
            if keyword in image:
                delattr(image, keyword)
    known = tuple(
        replace(one, measures=tuple(measure for measure in one.measures if measure.name == "ct_numbers"))
        for one in definitions()
        if "CT" in one.modalities
    )
    (analysis,) = analyse(images, known=known).analyses
    judged = {one.name: one.judgement for one in analysis.measurements}
    assert judged["hu.teflon"] == "no_tolerance"
    assert any("fan from cone beam" in note for note in analysis.notes)
    # The inserts alone do not tell the models that share them.
    assert any("do not tell it from CatPhan 503" in said for said in analysis.recognised_by)


def test_where_models_differ_nothing_is_said_of_slices_that_do_not_tell_them_apart(tmp_path: Path) -> None:
    """A CatPhan 503 from its inserts to where a 504 has its rods: no rods were seen, and that read as none visible."""
    phantom = recipe("catphan503")
    pose = Pose(end_for_end=True)
    acquisition = replace(
        phantom.acquisition, z_mm=slice_positions(-28.0, 14.0, 2.0), thickness_mm=2.0, shape=(256, 256)
    ).following(pose.z_mm, pose.end_for_end)
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=pose, seed=1)
    images = [pydicom.dcmread(path) for path in truth.files]
    for image in images:
        image.SeriesDescription = image.StudyDescription = image.ProtocolName = "QA"
    wanted = ("ct_inserts.ct_numbers", "ct_low_contrast.rods")
    known = tuple(
        replace(one, measures=tuple(measure for measure in one.measures if measure.procedure in wanted))
        for one in definitions()
        if one.id in ("catphan503", "catphan504", "catphan600")
    )
    (analysis,) = analyse(images, known=known).analyses
    found = values(analysis)
    assert analysis.definition.id in ("catphan504", "catphan503", "catphan600")
    assert all(one.status == "ok" for name, one in found.items() if name.startswith("hu."))
    rods = [one for name, one in found.items() if name.startswith("low_contrast") and one.value is not None]
    assert all(one.status == "suspect" and "do not tell the phantom from" in one.reason for one in rods)
    assert rods or analysis.definition.id == "catphan503"


@pytest.mark.parametrize(("rings_hu", "told"), [(0.0, False), (20.0, True)])
def test_rings_are_not_counted_as_noise_without_a_word(rings_hu: float, told: bool, tmp_path: Path) -> None:
    phantom = recipe("water")
    acquisition = replace(
        phantom.acquisition, z_mm=(-5.0, 0.0, 5.0), effects=replace(phantom.acquisition.effects, rings_hu=rings_hu)
    )
    write_series(tmp_path, phantom, acquisition=acquisition, seed=4)
    known = tuple(one for one in definitions() if one.id == "water-uniform")
    (analysis,) = analyse(tmp_path, known=known).analyses
    found = values(analysis)
    for name in ("noise", "nps_f_av"):
        assert ("rings" in found[name].reason) is told, name
        assert (found[name].status == "suspect") is told, name
