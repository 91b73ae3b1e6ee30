"""The pose takes millimetres of the phantom to pixels and back, and a person's choice stands above what was found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.digital import recipe, write_series
from dose_audit.phantom.pose import OverrideError, Overrides, Pose

SMALL = st.floats(-80, 80)


@given(SMALL, SMALL, st.floats(-180, 180), st.floats(0.9, 1.1), st.booleans(), st.floats(0.2, 1.5), st.floats(0.2, 1.5))
def test_there_and_back(x, y, roll, scale, mirrored, row_mm, column_mm):
    pose = Pose(5.0, (200.0, 300.0), (row_mm, column_mm), (0.01, -0.02), roll, -1, mirrored, scale)
    row, column = pose.to_pixel(x, y, 25.0)
    back = pose.to_phantom(row, column, 25.0)
    assert back == pytest.approx((x, y), abs=1e-9)


def test_roll_is_clockwise_on_screen():
    pose = Pose(0.0, (0.0, 0.0), (1.0, 1.0), roll_deg=30.0)
    # What is at 3 o'clock turns towards 6 o'clock, where rows are larger.
    row, column = pose.to_pixel(10.0, 0.0)
    assert (row, column) == pytest.approx((5.0, 8.660254), abs=1e-6)


def test_mirroring_exchanges_left_and_right():
    assert Pose(0.0, (0.0, 0.0), (1.0, 1.0), mirrored=True).to_pixel(10.0, 3.0) == pytest.approx((3.0, -10.0))


def test_choices_by_hand_replace_what_was_found():
    pose = Pose(0.0, (100.0, 100.0), (1.0, 1.0), (0.1, 0.0))
    changed = Overrides(slice=3, angle_deg=4.0, scale=1.01).apply(pose, [0.0, 10.0, 20.0])
    assert (changed.origin_z_mm, changed.roll_deg, changed.scale) == (20.0, 4.0, 1.01)
    # The axis is tilted: the centre moves along with the slice.
    assert changed.centre_px == pytest.approx((102.0, 100.0))
    assert len(changed.notes) == 3
    with pytest.raises(ValueError, match="slice 4 is not there"):
        Overrides(slice=4).apply(pose, [0.0, 10.0, 20.0])


def test_a_doubt_need_not_be_one_of_the_values():
    pose = Pose(5.0, (10.0, 10.0), (1.0, 1.0)).doubt("position to 0.5 mm", of_values=False)
    assert pose.status == "suspect" and not pose.doubts_values
    both = pose.doubt("mirrored").doubt("position", of_values=False)
    assert both.doubts_values and both.reason == "position to 0.5 mm; mirrored; position"


@pytest.mark.parametrize(
    "choice",
    [
        {"slice": 0},
        {"angle_deg": float("nan")},
        {"centre_px": (-1.0, 5.0)},
        {"centre_px": (5.0, float("inf"))},
        {"scale": 0.0},
        {"scale": float("nan")},
        {"scale": -1.0},
    ],
)
def test_a_choice_that_no_image_can_fit_is_refused(choice: dict[str, Any]) -> None:
    with pytest.raises(OverrideError):
        Overrides(**choice)


def test_a_choice_outside_the_images_refuses_the_series_with_what_is_possible(tmp_path: Path) -> None:
    own = replace(recipe("water").acquisition, shape=(128, 128), spacing_mm=(300.0 / 128, 300.0 / 128), z_mm=(0.0, 5.0))
    write_series(tmp_path, recipe("water"), acquisition=own, seed=1)
    for choice, told in ((Overrides(slice=99), "slice 99"), (Overrides(centre_px=(9e4, 5.0)), "centre 90000,5")):
        outcome = analyse(tmp_path, overrides=choice)
        assert not outcome.analyses
        assert [one.defect for one in outcome.refused] == [False] and told in outcome.refused[0].reason


def test_a_size_that_the_image_contradicts_is_doubted_and_one_that_it_cannot_know_is_not() -> None:
    plain, measured = Pose(0.0, (5.0, 5.0), (1.0, 1.0)), Pose(0.0, (5.0, 5.0), (1.0, 1.0), scale=1.31)
    assert Overrides(scale=2.0).apply(measured, [0.0]).doubts_values
    assert "1.31" in Overrides(scale=2.0).apply(measured, [0.0]).reason
    assert Overrides(scale=1.35).apply(measured, [0.0]).status == "ok"
    assert Overrides(scale=2.0).apply(plain, [0.0]).status == "ok"
    assert Overrides(scale=2.0).apply(plain, [0.0], sized=True).doubts_values


def test_every_value_of_a_phantom_at_twice_its_size_by_hand_is_doubted(tmp_path: Path) -> None:
    write_series(tmp_path, recipe("magnet-slice-width"))
    (analysis,) = analyse(tmp_path, overrides=Overrides(scale=2.0)).analyses
    assert all(one.measured.status != "ok" for one in analysis.measurements)


def test_a_phantom_of_any_size_does_not_contradict_a_scale(tmp_path: Path) -> None:
    write_series(tmp_path, recipe("sphere"))
    plain = analyse(tmp_path).analyses[0]
    chosen = analyse(tmp_path, overrides=Overrides(scale=1.3)).analyses[0]
    assert plain.definition.id == chosen.definition.id == "nema-sphere"
    assert "shows" not in chosen.pose.reason and chosen.pose.status == plain.pose.status
