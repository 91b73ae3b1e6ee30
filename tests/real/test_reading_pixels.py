"""Pixels of real slices, ours beside pydicom's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dose_audit.extract.errors import ReadError
from dose_audit.image_quality import read_image, read_stack


@pytest.mark.parametrize("folder", ["ct-siemens-water", "ct-ge-qa", "mr-acr-dro", "nm-mediso", "dx-leeds-tor18"])
def test_real_pixels_are_those_of_pydicom(real_dir: Path, folder: str) -> None:
    compared = 0
    for path in sorted(p for p in (real_dir / folder).rglob("*") if p.is_file())[:12]:
        try:
            found = read_image(path)
        except ReadError:
            continue
        theirs = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in theirs.file_meta:
            continue
        wanted = theirs.pixel_array * float(theirs.get("RescaleSlope", 1)) + float(theirs.get("RescaleIntercept", 0))
        assert np.allclose(found.pixels, wanted, rtol=1e-6, atol=1e-3)
        compared += 1
    assert compared


def test_a_real_series_becomes_a_stack(real_dir: Path) -> None:
    paths = sorted((real_dir / "ct-catphan504-cbct").glob("*.dcm"))
    stack = read_stack(paths)
    assert len(stack.sources) == 64 and len(stack.problems) == len(paths) - 64
    assert stack.positions_mm is not None and np.all(np.diff(stack.positions_mm) > 0)
    assert stack.unit == "HU" and stack.spacing_mm is not None
