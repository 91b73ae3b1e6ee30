"""Sizes in radiographs: what the object's known length makes of the pixel size, and how the header's tags agree."""

from __future__ import annotations

from collections.abc import Iterable

from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import result
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["ring_scale"]

_METHOD = "circle fitted to the ring along 360 rays, over its nominal diameter"


def ring_scale(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Pixel size in the plane of the object, and the magnification against the detector where its pixels are known."""
    nominal = float(definition.body["ring_diameter_mm"])
    radius = nominal / 2 * pose.scale
    outline = Roi("circle", (pose.centre_px,), (radius / pose.spacing_mm[0], radius / pose.spacing_mm[1]), label="ring")
    # A drawing is true to about 0.2 mm.
    spread = 0.2 / nominal
    pixel = max(pose.spacing_mm) / pose.scale
    yield result(
        Measured(f"{measure.name}_pixel_size", pixel, "mm", pixel * spread, method=_METHOD),
        measure,
        title="Pixel size in the plane of the object",
        rois=[outline],
    )
    header = bench.series.header
    name, title = f"{measure.name}_magnification", "Magnification from object to detector"
    detector = next(
        (
            float(header[key][0])
            for key in ("ImagerPixelSpacing", "ImagePlanePixelSpacing", "NominalScannedPixelSpacing")
            if header.get(key) is not None and len(header[key]) == 2
        ),
        None,
    )
    if detector is None:
        yield result(
            not_measurable(name, "1", "the header does not give the detector's pixel size", method=_METHOD),
            measure,
            title=title,
        )
        return
    value = detector / pixel
    found = Measured(name, value, "1", value * spread, method=_METHOD)
    if value < 0.98:
        found = found.doubt("an image smaller than the object: the header's pixel size is not that of the detector")
    yield result(found, measure, title=title, rois=[outline])
