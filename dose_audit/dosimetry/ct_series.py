"""Size and size-specific dose of whole CT series: one series for each irradiation event, every slice measured."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dose_audit.dosimetry.ct_images import CtImage, read_ct_images, read_pooled
from dose_audit.dosimetry.ct_passes import measure_slices
from dose_audit.dosimetry.patient_region import TABLE_THRESHOLD_HU
from dose_audit.dosimetry.size_specific import ssde_along
from dose_audit.dosimetry.water_equivalent import METHOD, NAME
from dose_audit.image_quality.pixels import PixelReader
from dose_audit.measured import Measured, not_measurable

__all__ = ["SeriesSize", "measure_series", "series_ssde", "series_water_equivalent_diameter"]

_MOST_FILES = 20_000
_FEW = 0.5  # of the slices must be measurable
_SAME_MM = 0.01


@dataclass(slots=True)
class SeriesSize:
    """The patient's size along one irradiation event's series.

    Attributes
    ----------
    dw : Measured
        Mean Dw over the slices; its details hold ``z_mm`` and ``dw_mm`` (``None`` where refused), area, effective
        diameter, AP and lateral width as means, and the reasons of refusal with their counts.
    images : list of CtImage
        The slices in order of z.
    slices : list of Measured
        Dw of each.
    """

    dw: Measured
    images: list[CtImage] = field(default_factory=list)
    slices: list[Measured] = field(default_factory=list)


def series_water_equivalent_diameter(
    source: str | os.PathLike[str] | Iterable[Any], *, threshold_hu: float = TABLE_THRESHOLD_HU
) -> tuple[Measured, ...]:
    """Mean water-equivalent diameter of each irradiation event among CT images.

    Parameters
    ----------
    source : path, or iterable of paths, bytes or pydicom datasets
        A folder is searched through.
    threshold_hu : float
        As `water_equivalent_diameter`.

    Returns
    -------
    tuple of Measured
        One for each irradiation event, ``water_equivalent_diameter`` in mm, averaged over the reconstructed length;
        `details` with ``z_mm``, ``dw_mm`` and the event's and series' UIDs.

    Notes
    -----
    Reconstructions of one event are the same exposure: the one with the largest field of view is taken, of equal ones
    that with the most slices. Localisers, derived and non-axial images are left out. What is seen free of the patient in
    some slices and stays where it is in the others, a table or a cushion, is taken out of all (`measure_slices`).

    References
    ----------
    AAPM Report 220 (2014); IEC 62985:2019 averages Dw(z) over the reconstruction length.
    """
    return tuple(size.dw for size in measure_series(source, threshold_hu=threshold_hu))


def measure_series(
    source: str | os.PathLike[str] | Iterable[Any], *, threshold_hu: float = TABLE_THRESHOLD_HU
) -> list[SeriesSize]:
    """As `series_water_equivalent_diameter`, with every slice's result; in order of acquisition, whatever that of the files."""
    images = [image for item in _items(source) for image in read_ct_images(item)]
    usable = [image for image in images if not image.refusal]
    if not usable:
        reasons = _counted([image.refusal for image in images])
        nothing = not_measurable(NAME, "mm", f"no axial CT image ({reasons or 'no file'})", method=METHOD)
        return [SeriesSize(nothing)]
    events: dict[tuple[str, ...], dict[str | None, list[CtImage]]] = defaultdict(lambda: defaultdict(list))
    for image in usable:
        events[image.event][image.series_uid].append(image)
    exposures = [part for event in events.values() for part in _exposures(list(event.values()))]
    sizes = [_measure_event(series, threshold_hu) for series in exposures]
    return sorted(sizes, key=_place)


def _place(size: SeriesSize) -> tuple[float, tuple[str, ...], float, str]:
    """Acquisitions in their order, and else one that does not hang on the order of the files."""
    first = size.images[0]
    number, z = first.acquisition_number, first.z_mm
    later = math.inf
    return later if number is None else number, first.event, later if z is None else z, first.series_uid or ""


def _exposures(series: list[list[CtImage]]) -> list[list[list[CtImage]]]:
    """Series of one event; without an event's UID, of one acquisition number, only those that overlap are one exposure."""
    if series[0][0].event_uid:
        return [series]
    parts: list[tuple[float, float, list[list[CtImage]]]] = []
    for images in sorted(series, key=lambda images: (-len(images), images[0].series_uid or "")):
        z = [image.z_mm for image in images if image.z_mm is not None]
        low, high = (min(z), max(z)) if z else (0.0, 0.0)
        for start, stop, members in parts:
            if z and low <= stop + _SAME_MM and high >= start - _SAME_MM:
                members.append(images)
                break
        else:
            parts.append((low, high, [images]))
    return [members for _, _, members in parts]


def _items(source: Any) -> list[Any]:
    if isinstance(source, bytes) or hasattr(source, "save_as"):
        return [source]
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if not path.is_dir():
            return [path]
        return sorted(item for item in path.rglob("*") if item.is_file())[:_MOST_FILES]
    return list(source)[:_MOST_FILES]


def _measure_event(series: Sequence[list[CtImage]], threshold_hu: float) -> SeriesSize:
    chosen = max(series, key=_width)
    images = _in_order(chosen)
    reader, z_mm = PixelReader(), [image.z_mm for image in images]
    slices, segmented = measure_slices(lambda index: read_pooled(images[index], reader), z_mm, threshold_hu)
    return SeriesSize(_mean(images, slices, len(series), segmented), images, slices)


def _width(images: list[CtImage]) -> tuple[int, int, str]:
    """By which the widest series is chosen, and of equal ones the longest."""
    return round(max(image.fov_mm for image in images)), len(images), images[0].series_uid or ""


def _in_order(images: list[CtImage]) -> list[CtImage]:
    """By position; of several images at one position (phases of one event, copies) the first."""
    placed = sorted(images, key=lambda image: (image.z_mm is None, image.z_mm or 0.0, image.sop_uid or ""))
    kept = placed[:1]
    for image in placed[1:]:
        before = kept[-1]
        if image.z_mm is None or before.z_mm is None or abs(image.z_mm - before.z_mm) > _SAME_MM:
            kept.append(image)
    return kept


def _mean(images: list[CtImage], slices: list[Measured], reconstructions: int, segmented: int) -> Measured:
    values = [item.value for item in slices if item.value is not None]
    first = images[0]
    details: dict[str, Any] = {
        "irradiation_event_uid": first.event_uid,
        "series_instance_uid": first.series_uid,
        "reconstructions": reconstructions,
        "segmented": segmented,
        "z_mm": [image.z_mm for image in images],
        "dw_mm": [item.value for item in slices],
        "refused": _counted([item.reason for item in slices if item.value is None]),
        "corrected": sum(item.status == "suspect" for item in slices),
    }
    for name in ("area_mm2", "effective_diameter_mm", "lateral_mm", "ap_mm", "mean_hu"):
        found = [item.details[name] for item in slices if item.value is not None]
        details[name] = float(np.mean(found)) if found else None
    if len(values) < _FEW * len(slices):
        reason = f"{len(values)} of {len(slices)} slices could be measured: {details['refused']}"
        return not_measurable(NAME, "mm", reason, method=METHOD, **details)
    # What makes one slice wrong (table, threshold, HU of water) makes all of them wrong: no division by sqrt(n).
    uncertainty = float(np.mean([item.uncertainty for item in slices if item.value is not None]))
    method = f"{METHOD}, mean of {len(values)} slices"
    result = Measured(NAME, float(np.mean(values)), "mm", uncertainty, method=method, details=details)
    if details["corrected"] > 0.1 * len(slices):
        doubts = _counted([_plain(item.reason) for item in slices if item.status == "suspect"])
        result = result.doubt(f"of {len(slices)} slices {doubts}")
    if len(values) < 0.9 * len(slices):
        result = result.doubt(f"{len(slices) - len(values)} of {len(slices)} slices left out: {details['refused']}")
    if max(image.tilt_deg for image in images) > 5:
        result = result.doubt(f"slices are tilted by {max(image.tilt_deg for image in images):.0f}°")
    return result


def _plain(reason: str) -> str:
    """A doubt without its numbers, which differ from slice to slice."""
    return "cut by the field of view" if "cut by the field of view" in reason else reason


def _counted(reasons: Iterable[str]) -> str:
    """``3 × not axial; 1 × no patient in the image``; a number in brackets does not part a reason from its like."""
    counts: dict[str, int] = defaultdict(int)
    for reason in reasons:
        counts[reason.split(" (")[0]] += 1
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
    return "; ".join(f"{count} × {reason}" for reason, count in shown)


def series_ssde(
    source: str | os.PathLike[str] | Iterable[Any] | SeriesSize,
    *,
    ctdi_vol_mgy: float | None = None,
    phantom_cm: int | None = None,
    body_part: str = "body",
    allow_unverified: bool = False,
) -> tuple[Measured, ...]:
    """Size-specific dose estimate of each irradiation event, slice by slice where CTDIvol is known so.

    Parameters
    ----------
    source
        As `series_water_equivalent_diameter`, or what `measure_series` returned for one event.
    ctdi_vol_mgy : float, optional
        Mean CTDIvol of the event, from its dose report; else what the images say.
    phantom_cm : {16, 32}, optional
        CTDI phantom; else what the images say.
    body_part, allow_unverified
        As `ssde`.

    Returns
    -------
    tuple of Measured
        ``ssde`` in mGy; ``details["ctdi_vol_basis"]`` is ``per slice``, ``mean × mA(z)/mean mA`` or ``constant``.

    Notes
    -----
    ``SSDE = mean over z of f(Dw(z)) · CTDIvol(z)``. Some vendors write the CTDIvol of each slice, others the series'
    mean in every slice; only values that differ within the series are taken for CTDIvol(z).

    References
    ----------
    AAPM Report 220 (2014); IEC 62985:2019.
    """
    sizes = [source] if isinstance(source, SeriesSize) else measure_series(source)
    return tuple(_event_ssde(size, ctdi_vol_mgy, phantom_cm, body_part, allow_unverified) for size in sizes)


def _event_ssde(
    size: SeriesSize, mean_mgy: float | None, phantom_cm: int | None, body_part: str, allow_unverified: bool
) -> Measured:
    if size.dw.value is None:
        return not_measurable("ssde", "mGy", f"no size: {size.dw.reason}")
    phantoms = {image.phantom_cm for image in size.images}
    phantom_cm = phantom_cm or (phantoms.pop() if len(phantoms) == 1 else None)
    if phantom_cm is None:
        return not_measurable("ssde", "mGy", "the images do not say the CTDI phantom, and none is given")
    ctdi_mgy, basis = _ctdi_along(size.images, mean_mgy)
    if ctdi_mgy is None:
        return not_measurable("ssde", "mGy", "no CTDIvol")
    dw_mm = [item.value for item in size.slices]
    result = ssde_along(ctdi_mgy, dw_mm, phantom_cm, body_part=body_part, allow_unverified=allow_unverified)
    if result.value is None:
        return result
    details = {**result.details, "ctdi_vol_basis": basis, "z_mm": [image.z_mm for image in size.images]}
    details["irradiation_event_uid"] = size.images[0].event_uid
    result = replace(result, method=f"{result.method}; CTDIvol {basis}", details=details)
    return result.doubt(f"size: {size.dw.reason}") if size.dw.status == "suspect" else result


def _ctdi_along(images: list[CtImage], mean_mgy: float | None) -> tuple[list[float] | None, str]:
    """CTDIvol at each slice and how it was had."""
    found = [image.ctdi_vol_mgy for image in images]
    per_slice = [value for value in found if value is not None]
    if len(per_slice) == len(images) and max(per_slice) > 1.01 * min(per_slice):
        scale = mean_mgy / float(np.mean(per_slice)) if mean_mgy is not None else 1.0
        return [scale * value for value in per_slice], "per slice"
    if mean_mgy is None:
        if not per_slice:
            return None, ""
        mean_mgy = float(np.mean(per_slice))
    current = [image.tube_current_ma for image in images]
    known = [value for value in current if value is not None]
    if len(known) == len(images) and max(known) > 1.01 * min(known):
        return [mean_mgy * value / float(np.mean(known)) for value in known], "mean × mA(z)/mean mA"
    return [mean_mgy] * len(images), "constant"
