"""The template of regions: only when it is asked for, and with the pixels' own statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.definition import definitions
from dose_audit.phantom.digital import recipe, write_series
from dose_audit.phantom.pose import Overrides


def test_used_when_asked_for_and_never_guessed(tmp_path: Path) -> None:
    write_series(tmp_path, recipe("bars"))
    path = next(tmp_path.glob("*.dcm"))
    known = [one for one in definitions() if one.locator in ("generic", "field_flat", "field_edge")]
    assert not analyse(path, known=known).analyses
    asked = analyse(path, known=known, definition="generic-roi", overrides=Overrides(centre_px=(820.0, 180.0)))
    assert asked.analyses[0].definition.id == "generic-roi"
    values = {one.name: one.measured for one in asked.analyses[0].measurements}
    pixels = pydicom.dcmread(path).pixel_array.astype(float)
    row, column = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    disc = pixels[np.hypot(row - 820.0, column - 180.0) * 0.1 <= 10.0]
    assert values["region_mean.centre"].value == pytest.approx(disc.mean(), rel=1e-3)
    assert values["region_sd.centre"].value == pytest.approx(disc.std(), rel=5e-3)
    # 40 mm to the left of there lies outside the image.
    assert values["region_mean.left"].status == "not_measurable"
