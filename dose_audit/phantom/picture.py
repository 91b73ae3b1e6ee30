"""Pictures of what was measured where: each frame that was used, with outlines coloured by what came of them."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dose_audit.phantom.defects import told
from dose_audit.phantom.results import Analysis, PhantomMeasurement, Roi

__all__ = ["Picture", "draw"]

# Outline by judgement: distinct in brightness and hue, on grey images and for colour-blind readers alike.
COLOURS = {
    "pass": (0, 158, 115),
    "remedial": (240, 180, 40),
    "suspension": (213, 70, 50),
    "no_baseline": (86, 180, 233),
    "no_tolerance": (86, 180, 233),
    "not_measured": (204, 121, 167),
}
_SIDE_PX = 900
_LABEL_PX = 16
"""Read at half size too, as two pictures stand side by side on a page."""
_MOST_LABELS = 40


@dataclass(frozen=True, slots=True)
class Picture:
    """One annotated frame as PNG, and what it shows."""

    name: str
    title: str
    png: bytes


def draw(analysis: Analysis) -> list[Picture]:
    """Annotated pictures of an analysis, one for each module and frame that was measured in.

    Returns
    -------
    list of Picture
        In order of position. Nothing that identifies a patient is drawn; burnt-in text of the image itself stays. One that
        cannot be drawn is named in the analysis' notes.
    """
    groups: dict[tuple[int, str], list[tuple[PhantomMeasurement, Roi]]] = defaultdict(list)
    for measurement in analysis.measurements:
        for roi in measurement.rois:
            if 0 <= roi.frame < len(analysis.series.frames):
                groups[(roi.frame, measurement.module)].append((measurement, roi))
    modules = {module.id: module.name for module in analysis.definition.modules}
    pictures = []
    for (frame, module), marks in sorted(groups.items()):
        z = float(analysis.series.z_mm[frame])
        title = modules.get(module, module) or analysis.definition.name
        place = f", slice {frame + 1} at {z:.1f} mm" if len(analysis.series.frames) > 1 else ""
        name = f"{module or 'image'}-{frame + 1}"
        try:
            pictures.append(Picture(name, title + place, _png(analysis.series.image(frame), marks)))
        except Exception as error:  # noqa: BLE001 - a picture that cannot be drawn must not take the values with it
            analysis.notes.append(f"no picture of {title}{place}: {told(error, 'drawing a picture')}")
    return pictures


def _window(image: np.ndarray, marks: list[tuple[PhantomMeasurement, Roi]]) -> tuple[float, float]:
    """Grey range from the pixels about the outlines, so that low contrast shows and air does not rule."""
    rows, columns = image.shape
    points = np.array([point for _, roi in marks for point in roi.points])
    reach = max((max(roi.size_px) for _, roi in marks), default=0.0) + 4.0
    low = np.clip(np.floor(points.min(axis=0) - reach), 0, [rows - 1, columns - 1]).astype(int)
    high = np.clip(np.ceil(points.max(axis=0) + reach), 1, [rows, columns]).astype(int)
    part = image[low[0] : high[0], low[1] : high[1]]
    part = part[np.isfinite(part)]
    if not part.size:
        return 0.0, 1.0
    bottom, top = (float(one) for one in np.percentile(part, [2.0, 98.0]))
    middle = float(np.median(part))
    # Strong inserts would leave the rest one grey.
    spread = max(3.0 * 1.4826 * float(np.median(np.abs(part - middle))), 0.25 * (top - bottom), 1e-6)
    return max(bottom, middle - 2 * spread), min(max(top, middle + 1e-3), middle + 2 * spread)


def _png(image: np.ndarray, marks: list[tuple[PhantomMeasurement, Roi]]) -> bytes:
    low, high = _window(image, marks)
    grey = np.clip((np.nan_to_num(image, nan=low) - low) / max(high - low, 1e-9) * 255.0, 0, 255).astype(np.uint8)
    factor = _SIDE_PX / max(grey.shape)
    size = (max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor)))
    picture = (
        Image.fromarray(grey)
        .resize(size, Image.Resampling.BILINEAR if factor < 1 else Image.Resampling.BICUBIC)
        .convert("RGB")
    )
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=_LABEL_PX)

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return (point[1] + 0.5) * factor, (point[0] + 0.5) * factor

    seen: set[tuple[str, tuple[tuple[float, float], ...]]] = set()
    labelled = 0
    for measurement, roi in marks:
        key = (roi.kind, roi.points)
        if key in seen:
            continue
        seen.add(key)
        colour = COLOURS[measurement.judgement]
        if measurement.measured.status == "suspect":
            colour = COLOURS["not_measured"]
        anchor = at(roi.points[0])
        if roi.kind == "circle":
            x, y = anchor
            half = (max(1.5, roi.size_px[1] * factor), max(1.5, roi.size_px[0] * factor))
            pen.ellipse((x - half[0], y - half[1], x + half[0], y + half[1]), outline=colour, width=2)
            anchor = (x + half[0] * 0.7, y - half[1] * 0.7)
        elif roi.kind == "polygon":
            corners = [at(point) for point in roi.points]
            pen.line([*corners, corners[0]], fill=colour, width=2)
            anchor = max(corners, key=lambda one: one[0] - one[1])
        elif roi.kind == "line":
            pen.line([at(point) for point in roi.points], fill=colour, width=2)
        else:
            x, y = anchor
            pen.line((x - 6, y, x + 6, y), fill=colour, width=2)
            pen.line((x, y - 6, x, y + 6), fill=colour, width=2)
        if roi.label and labelled < _MOST_LABELS:
            labelled += 1
            box = pen.textbbox((anchor[0] + 3, anchor[1] - _LABEL_PX - 2), roi.label, font=font)
            shift = min(0.0, size[0] - 2 - box[2])
            box = (box[0] + shift - 2, box[1] - 1, box[2] + shift + 2, box[3] + 1)
            pen.rectangle(box, fill=(20, 20, 20))
            pen.text((box[0] + 2, anchor[1] - _LABEL_PX - 2), roi.label, fill=colour, font=font)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=4)  # the best level takes ten times as long
    return buffer.getvalue()
