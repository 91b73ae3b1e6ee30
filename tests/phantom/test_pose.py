"""The pose takes millimetres of the phantom to pixels and back, and a person's choice stands above what was found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.phantom.pose import Overrides, Pose

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
