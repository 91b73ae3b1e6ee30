"""Flat fields of a detector: uniformity in tiles, defects, artefacts, noise power spectrum, structure that stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.image_quality.detector import defective_pixels
from dose_audit.image_quality.nps import normalised_nps
from dose_audit.image_quality.structure import artefact_map, structured_noise
from dose_audit.image_quality.tiles import tile_uniformity
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Measure
from dose_audit.phantom.locate.field_flat import field_of
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent
from dose_audit.phantom.procedures.xray_values import frame_roi, named, no_zero, not_linear
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["artefacts", "defects", "exposure", "noise_power", "structure", "uniformity"]

Image = NDArray[np.float32]
_NPS_MOST_PX = 2048
_NPS_MM = 125.0  # IEC 62220-1: an area of 125 mm × 125 mm


def _part(bench: Workbench, image: Image | None = None) -> tuple[Image, Roi]:
    """The exposed field of an image, and its outline."""
    own = bench.series.image(0) if image is None else image
    field = field_of(bench)
    rows, columns = (field.rows, field.columns) if field is not None else ((0, own.shape[0]), (0, own.shape[1]))
    return own[rows[0] : rows[1], columns[0] : columns[1]], frame_roi(rows, columns, "field")


def _central(part: Image, outline: Roi, spacing: tuple[float, float]) -> tuple[Image, Roi]:
    """At most 125 mm × 125 mm and 2048 pixels a side from the middle of a field."""
    begin, size = [], []
    for length, step in zip(part.shape, spacing, strict=True):
        wanted = min(length, _NPS_MOST_PX, max(32, int(_NPS_MM / step)))
        begin.append((length - wanted) // 2)
        size.append(wanted)
    top, left = outline.points[0][0] + 0.5, outline.points[0][1] + 0.5
    rows = (int(top) + begin[0], int(top) + begin[0] + size[0])
    columns = (int(left) + begin[1], int(left) + begin[1] + size[1])
    return part[begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1]], frame_roi(rows, columns, "NPS")


def uniformity(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Local and global non-uniformity of signal, noise and SNR, and their median over the tiles (AAPM TG-150)."""
    part, outline = _part(bench)
    settings = measure.settings
    found = tile_uniformity(
        part,
        bench.spacing_mm,
        tile_mm=float(settings.get("tile_mm", 10.0)),
        border_mm=float(settings.get("border_mm", 10.0)),
        offset=float(settings.get("offset", 0.0)),
        detrend=True,
    )
    titles = {"signal": "signal", "noise": "noise", "snr": "signal-to-noise ratio"}
    values: list[tuple[Measured, str, str]] = []
    for quantity, text in titles.items():
        values.append((found.characteristic[quantity], quantity, f"Median {text} of the tiles"))
        values.append((found.local[quantity], f"local_{quantity}", f"Local non-uniformity of the {text}"))
        values.append((found.global_[quantity], f"global_{quantity}", f"Global non-uniformity of the {text}"))
    shifted = no_zero(bench, part, measure)
    for value in values:
        # The noise itself, in pixel values, and its evenness do not ask where zero lies.
        absolute = value[1] in ("noise", "local_noise", "global_noise")
        yield from named([value], measure, (outline,), not_linear(bench, measure), "" if absolute else shifted)


def defects(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Dead and hot pixels and lines. What the detector corrects before the image is stored does not show."""
    part, outline = _part(bench)
    found = defective_pixels(part)
    values = [
        (found.count, "pixels", "Defective pixels"),
        (found.fraction, "fraction", "Share of defective pixels"),
        (found.line_count, "lines", "Defective lines"),
        (found.largest_cluster, "largest_cluster", "Largest cluster of defective pixels"),
    ]
    corner = outline.points[0]
    places = [
        Roi("point", ((float(row + corner[0] + 0.5), float(column + corner[1] + 0.5)),), label="defect")
        for row, column in np.concatenate([found.dead, found.hot])[:50]
    ]
    yield from named(values, measure, (outline, *places))


def artefacts(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """The strongest thing that stands out of the field, the area that does, and banding."""
    part, outline = _part(bench)
    scale = float(measure.settings.get("scale_mm", 2.0))
    # Structure of some millimetres is seen as well in means of 2 × 2 or more pixels.
    factor = max(1, min(int(scale / 4 / max(bench.spacing_mm)), min(part.shape) // 128))
    rows, columns = (size // factor for size in part.shape)
    small = part[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    spacing = (bench.spacing_mm[0] * factor, bench.spacing_mm[1] * factor)
    found = artefact_map(small, spacing, scale_mm=scale)
    rois = [outline]
    at = found.largest.details.get("position_px")
    if at is not None and found.mask.any():
        corner = outline.points[0]
        place = tuple(float(c + 0.5 + (p + 0.5) * factor - 0.5) for c, p in zip(corner, at, strict=True))
        size = tuple(2.0 * scale / step for step in bench.spacing_mm)
        rois.append(Roi("circle", ((place[0], place[1]),), (size[0], size[1]), label="strongest"))
    values = [
        (found.largest, "largest", "Strongest artefact, in standard deviations, above 0 where pixel values are higher"),
        (found.area, "area", "Area that stands out"),
        (found.banding_rows, "banding_rows", "Banding of rows"),
        (found.banding_columns, "banding_columns", "Banding of columns"),
    ]
    yield from named(values, measure, tuple(rois))


def noise_power(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Normalised noise power spectrum of the middle of the field: its integral, mean and peak frequency."""
    part, outline = _part(bench)
    part, outline = _central(part, outline, bench.spacing_mm)
    offset = float(measure.settings.get("offset", 0.0))
    found = normalised_nps(
        part - np.float32(offset), bench.spacing_mm, roi_size=int(measure.settings.get("roi_size", 256))
    )
    curve = {
        "frequency_per_mm": found.frequencies_per_mm.tolist(),
        "nnps_mm2": found.density.tolist(),
        "uncertainty_mm2": found.uncertainty.tolist(),
    }
    values = [
        (replace(found.noise, details={**found.noise.details, **curve}), "noise", "Relative noise from the NNPS"),
        (found.f_av, "f_av", "NNPS: mean frequency"),
        (found.f_peak, "f_peak", "NNPS: peak frequency"),
    ]
    # A white spectrum has its highest point anywhere.
    if found.density.size and found.density.min() > 0.7 * found.density.max():
        values = values[:2]
    shifted = no_zero(bench, part, measure)
    yield from named(values[:1], measure, (outline,), not_linear(bench, measure), shifted)
    yield from named(values[1:], measure, (outline,), not_linear(bench, measure))


def structure(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Structured and random noise from repeated exposures: frames of the series, or other series of the study."""
    images = [bench.series.image(k) for k in range(min(len(bench.series.frames), 8))]
    for other in bench.companions:
        if other.shape == bench.series.shape and other.spacing_mm == bench.series.spacing_mm and len(images) < 8:
            images.append(other.image(0))
    if len(images) < 2:
        reason = "one exposure only: repeat it to part structure from random noise"
        for part, title in (("fixed", "Structured noise"), ("random", "Random noise"), ("share", "Structure's share")):
            yield absent(f"{measure.name}_{part}", "1" if part == "share" else "%", reason, measure, title=title)
        return
    own, outline = _part(bench)
    levels = [float(np.median(_part(bench, image)[0])) for image in images]
    unequal = max(levels) > 1.2 * min(levels) if min(levels) > 0 else True
    stack = np.stack([_central(_part(bench, image)[0], outline, bench.spacing_mm)[0] for image in images])
    outline = _central(own, outline, bench.spacing_mm)[1]
    found = structured_noise(stack)
    values = [
        (found.fixed, "fixed", "Structured noise"),
        (found.random, "random", "Random noise"),
        (found.share, "share", "Structure's share of the variance"),
    ]
    doubt = "the exposures' levels differ by more than 20 %" if unequal else ""
    shifted = no_zero(bench, own, measure)
    yield from named(values[:2], measure, (outline,), not_linear(bench, measure), doubt, shifted)
    yield from named(values[2:], measure, (outline,), not_linear(bench, measure), doubt)


def exposure(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Exposure Index and Deviation Index as the device sends them, to be trended beside the pixel values."""
    _, outline = _part(bench)
    for keyword, part, title in (
        ("ExposureIndex", "exposure_index", "Exposure Index as sent"),
        ("DeviationIndex", "deviation_index", "Deviation Index as sent"),
    ):
        name = f"{measure.name}_{part}"
        try:
            value = float(bench.series.header[keyword])
        except (KeyError, TypeError, ValueError):
            yield absent(name, "1", f"no {title.removesuffix(' as sent')} in the header", measure, title=title)
            continue
        if not np.isfinite(value):
            yield absent(name, "1", f"{title.removesuffix(' as sent')} is no number", measure, title=title)
            continue
        sent = Measured(part, value, "1", method="DICOM header")
        yield from named([(sent, part, title)], measure, (outline,))
