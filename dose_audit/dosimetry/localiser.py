"""Patient size from CT localisers: water-equivalent only with the device's own calibration, else widths alone.

A localiser's pixels are processed for looks; how they follow attenuation differs by scanner and tube voltage. Localisers
of water cylinders of known size tell it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.measured import Measured, not_measurable

__all__ = [
    "LocaliserCalibration",
    "fit_localiser_calibration",
    "localiser_profile",
    "localiser_water_equivalent_diameter",
    "localiser_width",
    "magnification_factor",
    "read_localiser",
]

_SOURCE_AXIS_MM = 570.0
_LEAST_ROWS = 5


@dataclass(frozen=True, slots=True)
class LocaliserCalibration:
    """How one scanner's localiser pixels at one tube voltage follow water.

    Attributes
    ----------
    device : str
    kvp_kv : float
    slope_mm, offset_mm : float
        Water thickness in mm of a pixel value p: ``slope_mm * p + offset_mm``.
    residual : float
        Relative standard deviation of the phantoms' diameters about the fit.
    smallest_mm, largest_mm : float
        Diameters of the water phantoms; the range in which it holds, with a tenth to either side.
    background : float
        Pixel value of air.
    """

    device: str
    kvp_kv: float
    slope_mm: float
    offset_mm: float
    residual: float
    smallest_mm: float
    largest_mm: float
    background: float

    def as_record(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def magnification_factor(offset_towards_tube_mm: float, source_axis_mm: float = _SOURCE_AXIS_MM) -> float:
    """Factor from a width in the localiser to the true one of a patient who is not centred.

    Parameters
    ----------
    offset_towards_tube_mm : float
        How far the patient's middle lies from the isocentre towards the tube, -250 to 250 mm.
    source_axis_mm : float
        Distance from source to isocentre, 400 to 700 mm.

    Returns
    -------
    float
        ``(SAD - y) / SAD``.

    Raises
    ------
    ValueError
        A number is out of range.

    Examples
    --------
    >>> magnification_factor(57.0, 570.0)
    0.9
    """
    if not (-250 <= offset_towards_tube_mm <= 250 and 400 <= source_axis_mm <= 700):
        raise ValueError(f"offset of {offset_towards_tube_mm} mm, source-axis distance of {source_axis_mm} mm")
    return (source_axis_mm - offset_towards_tube_mm) / source_axis_mm


def localiser_profile(image: ArrayLike, spacing_mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Width and summed pixel value of the patient in each row of a localiser.

    Parameters
    ----------
    image : array_like, shape (H, W)
        Pixel values, one row for each table position.
    spacing_mm : float
        Pixel spacing across the patient in mm, 0.1 to 10.

    Returns
    -------
    widths_mm, sums : ndarray, shape (H,)
        Width in mm and the sum of pixel values above background times the spacing; NaN where there is no patient.
    background : float
        Pixel value of air.

    Raises
    ------
    ValueError
        The array has not two dimensions, or the spacing is out of range.

    Notes
    -----
    Air is the median of the outermost columns; the patient is what exceeds it by a tenth of the bright level (95th
    percentile less air), the longest run of a row with gaps up to 5 mm closed.
    """
    pixels = np.asarray(image, float)
    if pixels.ndim != 2 or min(pixels.shape) < 8:
        raise ValueError(f"a localiser of shape {pixels.shape}")
    if not 0.1 <= spacing_mm <= 10:
        raise ValueError(f"pixel spacing of {spacing_mm} mm")
    rows, columns = pixels.shape
    edge = max(2, columns // 50)
    background = float(np.median(np.concatenate([pixels[:, :edge], pixels[:, -edge:]], axis=1)))
    above = pixels - background
    level = 0.1 * float(np.quantile(above, 0.95)) if above.size else 0.0
    widths, sums = np.full(rows, np.nan), np.full(rows, np.nan)
    if level <= 0:
        return widths, sums, background
    gap = max(1, round(5.0 / spacing_mm))
    for row in range(rows):
        run = _longest_run(above[row] > level, gap)
        if run is not None:
            widths[row] = (run[1] - run[0]) * spacing_mm
            margin = 2
            part = slice(max(0, run[0] - margin), run[1] + margin)
            sums[row] = float(above[row, part].sum()) * spacing_mm
    return widths, sums, background


def _longest_run(inside: NDArray[np.bool_], gap: int) -> tuple[int, int] | None:
    where = np.nonzero(inside)[0]
    if len(where) < 2:
        return None
    breaks = np.nonzero(np.diff(where) > gap)[0]
    starts = where[np.concatenate([[0], breaks + 1])]
    stops = where[np.concatenate([breaks, [len(where) - 1]])] + 1
    longest = int(np.argmax(stops - starts))
    return int(starts[longest]), int(stops[longest])


def fit_localiser_calibration(
    device: str,
    kvp_kv: float,
    localisers: Sequence[tuple[ArrayLike, float, float]],
) -> LocaliserCalibration:
    """Fit a device's calibration from localisers of water cylinders.

    Parameters
    ----------
    device : str
        The site's name of the scanner.
    kvp_kv : float
        Tube voltage of all of them.
    localisers : sequence of (image, spacing_mm, diameter_mm), length >= 2
        Pixel values, spacing across the phantom in mm, and the water cylinder's diameter in mm, at least two of them.

    Returns
    -------
    LocaliserCalibration

    Raises
    ------
    ValueError
        There are fewer than two diameters, or a phantom is not found in its image.

    Notes
    -----
    For a row, ``Aw = Σ (m p + c) Δx = m Σ p Δx + c w`` with pixel values p above air, row width w and
    ``Aw = π D²/4``. m and c follow by weighted least squares over the median row of every cylinder.

    References
    ----------
    AAPM Report 220 (2014), section 2.2.
    """
    if len({round(diameter) for _, _, diameter in localisers}) < 2:
        raise ValueError("water cylinders of at least two diameters are needed")
    terms, areas, background = [], [], []
    for image, spacing_mm, diameter_mm in localisers:
        if not 50 <= diameter_mm <= 500:
            raise ValueError(f"a water cylinder of {diameter_mm} mm")
        widths, sums, air = localiser_profile(image, spacing_mm)
        if np.isfinite(sums).sum() < _LEAST_ROWS:
            raise ValueError(f"no water cylinder found in the localiser of {diameter_mm:g} mm")
        # Rows at the cylinder's ends are partial; the upper half of the widths is the cylinder itself.
        full = widths >= 0.97 * np.nanquantile(widths, 0.75)
        terms.append((float(np.median(sums[full])), float(np.median(widths[full]))))
        areas.append(math.pi * diameter_mm**2 / 4)
        background.append(air)
    design, target = np.array(terms), np.array(areas)
    weights = 1 / target
    slope, offset = np.linalg.lstsq(design * weights[:, None], target * weights, rcond=None)[0]
    found = design @ np.array([slope, offset])
    if slope <= 0 or (found <= 0).any():
        raise ValueError("pixel values do not grow with the water phantom's size")
    diameters = [float(item[2]) for item in localisers]
    misses = np.sqrt(found / target) - 1
    residual = float(np.sqrt((misses**2).sum() / max(1, len(misses) - 2))) if len(misses) > 2 else 0.02
    return LocaliserCalibration(
        device,
        float(kvp_kv),
        float(slope),
        float(offset),
        max(residual, 0.005),
        min(diameters),
        max(diameters),
        float(np.median(background)),
    )


def localiser_water_equivalent_diameter(
    image: ArrayLike,
    spacing_mm: float,
    calibration: LocaliserCalibration | None,
    *,
    device: str | None = None,
    kvp_kv: float | None = None,
    magnification: float = 1.0,
) -> Measured:
    """Mean Dw of a patient from a localiser, with the calibration of the device and voltage.

    Parameters
    ----------
    image, spacing_mm
        As `localiser_profile`.
    calibration : LocaliserCalibration or None
        Without one nothing is measurable but the width.
    device, kvp_kv : optional
        Of the localiser; they must be those of the calibration.
    magnification : float
        `magnification_factor` of a patient who is not centred, 0.5 to 1.5.

    Returns
    -------
    Measured
        ``water_equivalent_diameter`` in mm; ``details["dw_mm"]`` row by row, ``width_mm`` the mean width.

    References
    ----------
    AAPM Report 220 (2014), section 2.2.
    """
    name, method = "water_equivalent_diameter", "AAPM 220, localiser"
    width = localiser_width(image, spacing_mm, magnification=magnification)
    if calibration is None:
        reason = "the device has no localiser calibration at this voltage"
        return not_measurable(name, "mm", reason, method=method, width_mm=width.value)
    for given, fitted, what in ((device, calibration.device, "device"), (kvp_kv, calibration.kvp_kv, "tube voltage")):
        if given is not None and given != fitted:
            reason = f"calibration is for {what} {fitted}, the localiser has {given}"
            return not_measurable(name, "mm", reason, method=method, width_mm=width.value)
    if width.value is None:
        return not_measurable(name, "mm", width.reason, method=method)
    widths, sums, _ = localiser_profile(image, spacing_mm)
    areas = (calibration.slope_mm * sums + calibration.offset_mm * widths) * magnification
    dw = 2 * np.sqrt(np.where(areas > 0, areas, np.nan) / math.pi)
    known = dw[np.isfinite(dw)]
    if len(known) < _LEAST_ROWS:
        return not_measurable(name, "mm", "no patient in the localiser", method=method, width_mm=width.value)
    value = float(known.mean())
    details = {
        "dw_mm": [None if math.isnan(item) else float(item) for item in dw],
        "width_mm": width.value,
        "device": calibration.device,
        "kvp_kv": calibration.kvp_kv,
    }
    if not 0.9 * calibration.smallest_mm <= value <= 1.1 * calibration.largest_mm:
        limits = f"{calibration.smallest_mm:.0f} to {calibration.largest_mm:.0f} mm"
        reason = f"{value:.0f} mm is outside the calibration's phantoms, {limits}"
        return not_measurable(name, "mm", reason, method=method, **details)
    uncertainty = value * math.hypot(calibration.residual, 0.02)
    return Measured(name, value, "mm", uncertainty, method=f"{method}, device's calibration", details=details)


def localiser_width(image: ArrayLike, spacing_mm: float, *, magnification: float = 1.0) -> Measured:
    """Mean width of the patient in a localiser: lateral in a frontal one, AP in a lateral one.

    Parameters
    ----------
    image, spacing_mm
        As `localiser_profile`.
    magnification : float
        `magnification_factor`, 0.5 to 1.5; when it is 1 an uncentred patient makes 1.7 % per cm.

    Returns
    -------
    Measured
        ``localiser_width`` in mm.
    """
    name, method = "localiser_width", "width above a tenth of the bright level"
    if not 0.5 <= magnification <= 1.5:
        return not_measurable(name, "mm", f"magnification of {magnification}", method=method)
    widths = localiser_profile(image, spacing_mm)[0]
    known = widths[np.isfinite(widths)]
    if len(known) < _LEAST_ROWS:
        return not_measurable(name, "mm", "no patient in the localiser", method=method)
    value = float(known.mean()) * magnification
    return Measured(name, value, "mm", 0.03 * value, method=method)


def read_localiser(path: str | os.PathLike[str]) -> tuple[NDArray[np.float64], float, dict[str, Any]] | str:
    """Pixels of a CT localiser, the spacing across the patient, and what its header says; or why it cannot be used."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        ds = pydicom.dcmread(path)
        kinds: Iterable[str] = ds.get("ImageType") or []
        if "LOCALIZER" not in {str(kind).upper() for kind in kinds}:
            return "not a localiser"
        spacing = [float(side) for side in ds.get("PixelSpacing") or []]
        pixels = ds.pixel_array.astype(float)
        pixels = pixels * float(ds.get("RescaleSlope") or 1) + float(ds.get("RescaleIntercept") or 0)
        orientation = [float(number) for number in ds.get("ImageOrientationPatient") or []]
    except (InvalidDicomError, OSError) as error:
        return f"not readable: {error}"
    except Exception as error:  # noqa: BLE001 (whatever a decoder says of a hostile stream is the reason)
        return f"pixels cannot be decoded: {type(error).__name__}"
    if len(spacing) != 2 or pixels.ndim != 2:
        return "no usable pixel spacing"
    facts = {
        "kvp_kv": float(ds.get("KVP") or 0) or None,
        "device": str(ds.get("StationName") or ds.get("DeviceSerialNumber") or "") or None,
    }
    # Rows of the result run along the patient: turn the image when its rows do.
    if len(orientation) == 6 and abs(orientation[2]) > 0.7:
        return pixels.T, spacing[0], facts
    return pixels, spacing[1], facts
