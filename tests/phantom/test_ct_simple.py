"""Water and wire phantoms on digital ones, and how cone-beam devices are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.definition import definitions
from dose_audit.phantom.digital import recipe, slice_positions, write_series
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
