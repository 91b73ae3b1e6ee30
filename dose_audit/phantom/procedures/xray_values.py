"""What the header says of a radiograph's pixel values: whether they rise with dose, linearly, and what was done to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.sampling import sample_rectangle
from dose_audit.phantom.definition import Measure
from dose_audit.phantom.headers import numbers
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import Plane, result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["doubted", "frame_roi", "in_plane_spacing", "named", "no_zero", "not_linear", "patch", "plane_of"]

Floats = NDArray[np.float64]
_RECONSTRUCTED = ("CT", "MR", "NM", "PT", "RTIMAGE")  # have no such attribute; all others have to tell the relationship


def not_linear(bench: Workbench, measure: Measure | None = None) -> str:
    """Why pixel values cannot be taken as linear in dose; empty where nothing speaks against it.

    A site that knows its detector better says ``assume_linear = true`` in the measure's settings.

    Notes
    -----
    Presentation Intent Type and Pixel Intensity Relationship (PS3.3 C.8.11.1, C.8.11.3). A negative sign of the
    relationship and MONOCHROME1 only turn the scale round; they do not bend it: see `no_zero` for what that costs. Projection
    radiographs are linear where the header says so (LIN), or is that of an image for processing and says nothing else: the
    pixels of an edge or disc do not tell a power of the dose.
    """
    if measure is not None and measure.settings.get("assume_linear"):
        return ""
    header = bench.series.header
    intent = str(header.get("PresentationIntentType") or "").upper()
    relation = str(header.get("PixelIntensityRelationship") or "").upper()
    if "PRESENTATION" in intent:
        return "processed for presentation: pixel values are not linear in dose"
    if relation == "LOG":
        return "pixel values are logarithmic (Pixel Intensity Relationship LOG)"
    if relation == "DISP":
        return "pixel values are for display (Pixel Intensity Relationship DISP)"
    if str(header.get("LossyImageCompression") or "").strip() == "01":
        return "the image was compressed with loss"
    if bench.series.modality == "CR" and relation != "LIN":
        return "the header does not say that pixel values are linear in dose, and those of a CR reader seldom are"
    if bench.series.modality not in _RECONSTRUCTED and relation != "LIN" and "PROCESSING" not in intent:
        return "the header does not say that pixel values are linear in dose"
    return ""


def no_zero(bench: Workbench, values: NDArray[Any], measure: Measure | None = None) -> str:
    """Why pixel values have no zero at no dose, so that ratios to their mean say nothing; empty where nothing speaks for it.

    Differences, and noise by itself, hold all the same. A site that knows the zero gives it as ``offset`` in the measure's
    settings.

    Notes
    -----
    Of a radiograph the header has to tell: by the relationship's sign, or by values in proportion to the beam (LIN). Neither
    MONOCHROME1 nor MONOCHROME2 does: some send high values for high dose, others for what is to be bright.
    """
    if measure is not None and (measure.settings.get("assume_linear") or measure.settings.get("offset")):
        return ""
    sent = numbers(bench.series.header.get("PixelIntensityRelationshipSign"), 1)
    if sent is not None and sent[0] < 0:
        return (
            "pixel values fall as the dose rises (Pixel Intensity Relationship Sign -1): where no dose lies is not told"
        )
    relation = str(bench.series.header.get("PixelIntensityRelationship") or "").upper()
    if sent is None and relation != "LIN" and bench.series.modality not in _RECONSTRUCTED:
        return "the header does not say whether pixel values rise or fall with the dose, nor where no dose lies"
    if values.size and float(np.percentile(values[::4, ::4], 1)) < 0:
        return "pixel values lie below zero: where no dose lies is not told"
    return ""


def doubted(one: PhantomMeasurement, *reasons: str) -> PhantomMeasurement:
    """The measurement as suspect for each reason that is not empty."""
    measured = one.measured
    for reason in reasons:
        if reason:
            measured = measured.doubt(reason)
    return replace(one, measured=measured)


def in_plane_spacing(pose: Pose) -> tuple[float, float]:
    """Row and column spacing in the plane of the object: the header's over the scale found on the object itself."""
    return pose.spacing_mm[0] / pose.scale, pose.spacing_mm[1] / pose.scale


def patch(
    image: NDArray[Any], pose: Pose, x_mm: float, y_mm: float, along_mm: float, across_mm: float, angle_deg: float
) -> Floats:
    """A turned rectangle of the object, whole to its rim, sampled at about the pixel spacing: columns along, rows across.

    See `sample_rectangle`; an axis that lies along the pixels is read on the pixels' own grid as far as rounding allows.
    """
    size = (pose.scale * along_mm, pose.scale * across_mm)
    return sample_rectangle(
        image, pose.to_pixel(x_mm, y_mm), size, pose.spacing_mm, angle_deg=pose.angle_on_screen(angle_deg)
    )


def frame_roi(rows: tuple[int, int], columns: tuple[int, int], label: str = "") -> Roi:
    """Outline of a region that is given in rows and columns (half-open)."""
    top, bottom, left, right = rows[0] - 0.5, rows[1] - 0.5, columns[0] - 0.5, columns[1] - 0.5
    return Roi("polygon", ((top, left), (top, right), (bottom, right), (bottom, left)), label=label)


def named(
    found: Iterable[tuple[Any, str, str]], measure: Measure, rois: tuple[Roi, ...], *reasons: str
) -> Iterable[PhantomMeasurement]:
    """Measurements of a procedure: (measured, name after the measure's, title), all with the same outline and doubts."""
    for measured, part, title in found:
        name = f"{measure.name}_{part}" if part else measure.name
        yield doubted(result(replace(measured, name=name), measure, title=title, rois=rois), *reasons)


def plane_of(bench: Workbench) -> Plane:
    """The first frame as a plane, for outlines."""
    return Plane(bench.series.image(0), (0,), 0, float(bench.series.z_mm[0]))
