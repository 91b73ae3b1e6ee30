"""Where source and field lie, against positions worked out by hand from DICOM's definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dose_audit.dosimetry.skin import Convention, conventions, find_convention
from dose_audit.dosimetry.skin.beam import read_beam, reference_mm
from dose_audit.dosimetry.skin.geometry import Pose, beam_axes, read_pose
from dose_audit.extract.codes import Code
from tests.dosimetry.skin_events import event

SIEMENS = find_convention("Siemens", "AXIOM-Artis")
assert SIEMENS is not None


def place(primary: float, secondary: float, turn: tuple[float, float, float] = (0, 0, 0)) -> list[float]:
    """Direction from the isocentre to the source, as the table sees it: left, down, headwards."""
    pose = Pose((0, 150, 0), turn, primary, secondary, primary, secondary)
    return [round(float(part), 6) + 0.0 for part in beam_axes(pose, primary, secondary)[1]]


@pytest.mark.parametrize(
    ("primary", "secondary", "expected"),
    [
        (0, 0, [0, 1, 0]),  # tube under the table
        (90, 0, [-1, 0, 0]),  # detector at the patient's left: tube at the right
        (-90, 0, [1, 0, 0]),
        (0, 90, [0, 0, -1]),  # detector at the head: tube at the feet
        (0, -90, [0, 0, 1]),
        (180, 0, [0, -1, 0]),  # tube over the patient
        (30, 0, [-0.5, 0.866025, 0]),
    ],
)
def test_source_lies_opposite_the_detector(primary: float, secondary: float, expected: list[float]) -> None:
    assert place(primary, secondary) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ((90, 0, 0), [0, 0, 1]),  # turned clockwise as seen from above, the head points to the room's left of before
        ((0, 30, 0), [0, 0.866025, -0.5]),  # head up: the tube is nearer to the feet
        ((0, 0, 30), [-0.5, 0.866025, 0]),  # left side up: the tube is nearer to the right
    ],
)
def test_turning_the_table_moves_the_source_as_seen_from_it(
    turn: tuple[float, float, float], expected: list[float]
) -> None:
    # For the horizontal rotation a tube at the patient's left shows it, from below nothing would move.
    primary = -90 if turn[0] else 0
    assert place(primary, 0, turn) == pytest.approx(expected, abs=1e-6)


def test_field_axes_are_square_to_the_beam_and_to_each_other() -> None:
    pose = Pose((10, 150, 600), (12, -7, 5), 33, -21, 33, -21)
    _, up, across = beam_axes(pose, 33, -21)
    axes = np.vstack([up, across])
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-12)


def test_makers_offsets_bring_tables_under_the_isocentre() -> None:
    # Positions of real reports: a Siemens table 15 cm, a Philips 15 cm and a Canon 17 cm below the isocentre.
    for manufacturer, model, height, below in (
        ("Siemens", "AXIOM-Artis", 151.8, 151.8),
        ("Philips Medical Systems", "Allura Xper", 905.0, 150.0),
        ("Philips", "Azurion", 935.0, 120.0),
        ("CANON_MEC", "DFP-8000D", 170.0, 170.0),
    ):
        convention = find_convention(manufacturer, model)
        assert convention is not None
        pose = read_pose(event(table_height_mm=height, table_longitudinal_mm=0.0, table_lateral_mm=0.0), convention)
        assert isinstance(pose, Pose)
        assert pose.table_mm[1] == pytest.approx(below)


def test_azurion_names_the_table_axes_the_other_way_round() -> None:
    azurion, allura = find_convention("Philips", "Azurion"), find_convention("Philips", "Allura Clarity")
    assert azurion is not None and allura is not None
    moved = event(table_longitudinal_mm=700.0, table_lateral_mm=-50.0, table_height_mm=935.0)
    pose = read_pose(moved, azurion)
    assert isinstance(pose, Pose)
    assert (pose.table_mm[0], pose.table_mm[2]) == (-50.0, 700.0)
    assert allura.x_from == "longitudinal"


def test_every_shipped_convention_says_where_it_comes_from() -> None:
    for row in conventions():
        assert row.source
        assert row.confidence in {"peer", "inferred", "standard"}
        assert row.doubt or row.confidence == "peer"


def test_devices_without_a_convention_have_none() -> None:
    for manufacturer, model in (
        ("GE Healthcare Surgery", "ESP 21 cm FPD Super-C"),
        ("CANON_MEC", "Platinum43"),
        (None, None),
    ):
        assert find_convention(manufacturer, model) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"primary_angle_deg": 400.0}, "primary angle of 400° cannot be"),
        ({"secondary_angle_deg": -91.0}, "secondary angle of -91° cannot be"),
        ({"primary_end_angle_deg": 1e9}, "primary end angle"),
        ({"primary_angle_deg": None}, "no positioner angles"),
        ({"primary_angle_deg": float("nan")}, "no positioner angles"),
        ({"table_height_mm": None}, "no table position (height)"),
        ({"table_height_mm": 9000.0}, "below the isocentre cannot be"),
        ({"table_lateral_mm": 1e7}, "from the isocentre cannot be"),
        ({"table_tilt_deg": 120.0}, "table tilt of 120° cannot be"),
        ({"source_isocentre_mm": None}, "no distance from the source to the isocentre"),
        ({"source_isocentre_mm": 20.0}, "a source 20 mm from the isocentre cannot be"),
        ({"kap_gy_cm2": None}, "no field size"),
        ({"dose_rp_mgy": -1.0}, "no field size"),
        ({"reference_point": "somewhere", "extra": {}}, "reference point not understood (somewhere)"),
    ],
)
def test_events_that_cannot_be_placed_say_why(changes: dict[str, Any], words: str) -> None:
    refusal = read_beam(event(**changes), SIEMENS)
    assert isinstance(refusal, str)
    assert words in refusal


@pytest.mark.parametrize(
    ("changes", "distance"),
    [
        ({}, 600.0),
        ({"source_reference_point_mm": 615.0}, 615.0),
        ({"extra": {}, "reference_point": "15cm below BeamIsocenter"}, 600.0),
        (
            {"extra": {"reference_point_definition": Code("113861", "DCM", "30cm in Front of Image input surface")}},
            900.0,
        ),
        (
            {
                "extra": {"reference_point_definition": Code("113862", "DCM", "1cm above Tabletop")},
                "reference_point": None,
            },
            880.0,
        ),
    ],
)
def test_reference_distance_is_the_events_own(changes: dict[str, Any], distance: float) -> None:
    if "extra" in changes and "reference_point" not in changes:
        changes["reference_point"] = "30cm in Front of Image input surface"
    assert reference_mm(event(**changes), SIEMENS)[0] == pytest.approx(distance)


def test_a_reference_distance_that_cannot_be_is_not_used() -> None:
    # A Canon Ultimax states the distance of its chamber to the patient, 26 cm, in this place.
    chamber = event(source_reference_point_mm=260.0, reference_point="26.0 cm Chamber Patient Distance", extra={})
    assert reference_mm(chamber)[0] is None


def test_without_any_reference_point_the_default_is_doubted() -> None:
    distance, _, doubt = reference_mm(event(reference_point=None, extra={}))
    assert distance == 600.0
    assert "15 cm from the isocentre is taken" in doubt


def test_a_convention_needs_both_axes() -> None:
    with pytest.raises(ValueError, match="one each"):
        Convention("x", "y", x_from="lateral", z_from="lateral")
