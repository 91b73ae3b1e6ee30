"""Real linac kV images of a Leeds TOR 18FG: turn, handedness and polarity against what is seen in the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_audit.phantom.analyse import analyse

# Direction of the lead square on screen (degrees, clockwise from 3 o'clock), whether the lettering of the bar insert
# reads in mirror writing, and whether lead is higher in stored pixel value: read by eye in the pictures, where the
# contrast of the discs falls clockwise from the lead square in the plates that are not mirrored.
SEEN = {
    "10-0000.dcm": (90.0, False, False),
    "11-0109.dcm": (90.0, False, False),
    "12-0171.dcm": (90.0, False, False),
    "13-0220.dcm": (114.0, True, False),
    "6-0109.dcm": (90.0, False, False),
    "7-0171.dcm": (90.0, False, False),
    "leeds.dcm": (-90.0, False, True),
}


@pytest.mark.parametrize("name", sorted(SEEN))
def test_located_as_seen(real_dir: Path, name: str) -> None:
    outcome = analyse(real_dir / "dx-leeds-tor18" / name)
    assert [one.definition.id for one in outcome.analyses] == ["leeds-tor18fg"], outcome.refused
    found = outcome.analyses[0]
    direction, mirrored, higher = SEEN[name]
    pose = found.pose
    assert pose.status == "ok", pose.reason
    assert pose.mirrored is mirrored
    assert abs((pose.angle_on_screen(0.0) - direction + 180.0) % 360.0 - 180.0) < 2.0
    assert any("higher" in note for note in pose.notes) is higher
    values = {one.name: one.measured for one in found.measurements}
    discs = [values[f"low_contrast_cnr.disc_{k}"].value for k in range(1, 19)]
    assert all(one is not None for one in discs)
    # Contrast falls from 16.7 to 0.9 %: the first third stands above the second, and that above the last.
    thirds = [sum(discs[k : k + 6]) for k in (0, 6, 12)]
    assert thirds[0] > thirds[1] > thirds[2]
    assert values["low_contrast_visible"].value >= 12
    # The plate lay on the detector (magnification just above 1) or at the isocentre (1500/1000).
    magnification = values["scale_magnification"].value
    assert 1.0 < magnification < 1.06 if name != "leeds.dcm" else 1.47 < magnification < 1.51
    coarse = values["mtf.bars_0.5"]
    assert coarse.status == "ok"
    assert 0.55 < coarse.value < 0.95
