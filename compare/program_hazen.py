"""hazen on one case; runs in hazen's own environment (``compare/.venv-hazen``)."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from answer import Answer, Task, serve
from hazenlib.tasks.acr_geometric_accuracy import ACRGeometricAccuracy
from hazenlib.tasks.acr_ghosting import ACRGhosting
from hazenlib.tasks.acr_low_contrast_object_detectability import ACRLowContrastObjectDetectability
from hazenlib.tasks.acr_object_detectability import ACRObjectDetectability
from hazenlib.tasks.acr_slice_position import ACRSlicePosition
from hazenlib.tasks.acr_slice_thickness import ACRSliceThickness
from hazenlib.tasks.acr_snr import ACRSNR
from hazenlib.tasks.acr_spatial_resolution import ACRSpatialResolution
from hazenlib.tasks.acr_uniformity import ACRUniformity
from pydicom.misc import is_dicom

UNRESOLVED = 99.0
"""What its spatial resolution gives where it resolves nothing."""

Use = Callable[[list[Any], Answer], None]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and is_dicom(path))


def _run(task: Any, folder: Path, answer: Answer, use: Use) -> None:
    """One of its tasks by itself; what it raises is that task's failure."""

    def work() -> None:
        result = task(input_data=_files(folder), report=False, report_dir=Path.cwd()).run()
        use(list(result.measurements), answer)

    answer.attempt(task.__name__, work)


def _by_subtype(names: dict[str, str]) -> Use:
    """Measurements of type *measured*, by the beginning of their subtype."""

    def use(measurements: list[Any], answer: Answer) -> None:
        found = set()
        for one in measurements:
            for start, quantity in names.items():
                if one.type == "measured" and str(one.subtype).lower().startswith(start.lower()):
                    found.add(quantity)
                    answer.give(quantity, one.value)
        for quantity in set(names.values()) - found:
            answer.refuse(quantity, "no value: the error went to its log")

    return use


def _positions(measurements: list[Any], answer: Answer) -> None:
    values = [one.value for one in measurements if one.subtype == "length difference"]
    for slice_number, value in zip((1, 11), values, strict=False):
        answer.give(f"bar difference, slice {slice_number}", value)


def _resolution(measurements: list[Any], answer: Answer) -> None:
    for one in measurements:
        if one.visibility == "final" and one.subtype != "Hole Arrays":
            quantity = "smallest holes resolved"
            if float(one.value) == UNRESOLVED:
                answer.refuse(quantity, f"{UNRESOLVED:g} (its sentinel for unresolved)")
            else:
                answer.give(quantity, one.value)


def _spokes(measurements: list[Any], answer: Answer) -> None:
    per_slice = [int(one.value) for one in measurements if str(one.subtype) in {f"slice {k}" for k in range(8, 12)}]
    if len(per_slice) == 4:
        answer.give("LCD spokes", sum(per_slice))
    else:
        answer.refuse("LCD spokes", f"{len(per_slice)} of 4 slices scored")


def acr_mri(folder: Path, answer: Answer) -> None:
    """All of its ACR tasks on axial slices but the slow one of low contrast."""
    _run(ACRSNR, folder, answer, _by_subtype({"smoothing": "SNR"}))
    _run(ACRUniformity, folder, answer, _by_subtype({"integral uniformity": "PIU"}))
    _run(ACRGhosting, folder, answer, _by_subtype({"signal ghosting": "PSG"}))
    names = {"slice 5 horizontal": "diameter 0°", "slice 5 vertical": "diameter 90°"}
    _run(ACRGeometricAccuracy, folder, answer, _by_subtype(names))
    _run(ACRSlicePosition, folder, answer, _positions)
    _run(ACRSliceThickness, folder, answer, _by_subtype({"slice width": "slice thickness"}))
    _run(ACRSpatialResolution, folder, answer, _resolution)
    _run(ACRObjectDetectability, folder, answer, _spokes)


def acr_lcd(folder: Path, answer: Answer) -> None:
    """Its newer low-contrast task by itself: it may need minutes."""
    _run(ACRLowContrastObjectDetectability, folder, answer, _spokes)


TASKS: dict[str, Task] = {"acr_mri": acr_mri, "acr_lcd": acr_lcd}

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as scratch:
        # hazen makes report folders below the working directory even when no report is wanted.
        sys.argv[2] = str(Path(sys.argv[2]).resolve())
        os.chdir(scratch)
        sys.exit(serve(f"hazen {version('hazen')}", TASKS))
