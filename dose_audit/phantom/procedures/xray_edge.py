"""MTF of a radiograph from the slanted edge of an absorber."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from dose_audit.image_quality.mtf import edge_mtf
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.field_edge import edge_of
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, result
from dose_audit.phantom.procedures.xray_values import doubted, frame_roi, named, not_linear
from dose_audit.phantom.results import PhantomMeasurement
from dose_audit.phantom.workbench import Workbench

__all__ = ["mtf"]

_MOST_MM = (50.0, 100.0)  # across and along the edge (IEC 62220-1)


def mtf(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """``<name>50``, ``<name>10`` and the modulation at whole frequencies, ``<name>_at_<f>``; the edge's tilt.

    Frequencies are in the plane that the pixel spacing of the header is in. Without a magnification in the header that
    is the detector: lay the edge on it.
    """
    edge = edge_of(bench)
    if edge is None:
        yield absent(f"{measure.name}50", "/mm", "no edge", measure, title="MTF 50 %")
        return
    rows, columns = edge.rows, edge.columns
    along, across = (0, 1) if abs(np.cos(np.radians(edge.normal_deg))) > 0.7 else (1, 0)
    limits = [0.0, 0.0]
    limits[along], limits[across] = _MOST_MM[1], _MOST_MM[0]
    cut = []
    for (begin, end), most, step in zip((rows, columns), limits, bench.spacing_mm, strict=True):
        spare = max(0, (end - begin) - int(most / step)) // 2
        cut.append((begin + spare, end - spare))
    image = bench.series.image(0)[cut[0][0] : cut[0][1], cut[1][0] : cut[1][1]]
    curve = edge_mtf(image, bench.spacing_mm)
    outline = frame_roi(cut[0], cut[1], "edge")
    doubt = not_linear(bench, measure)
    details = {"frequency_per_mm": curve.frequencies_per_mm.tolist(), "mtf": curve.mtf.tolist()}
    mtf50 = replace(curve.mtf50, details={**curve.mtf50.details, **details})
    for value, level in ((mtf50, "50"), (curve.mtf10, "10")):
        title = f"MTF {level} %"
        yield doubted(
            result(replace(value, name=f"{measure.name}{level}"), measure, title=title, rois=[outline]), doubt
        )
    for frequency in measure.settings.get("frequencies_per_mm", (1.0, 2.0, 3.0)):
        if float(frequency) >= curve.nyquist_per_mm:
            continue
        found = curve.at(float(frequency))
        yield from named([(found, f"at_{frequency:g}", f"MTF at {frequency:g} /mm")], measure, (outline,), doubt)
