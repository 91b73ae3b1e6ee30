"""Size-specific dose estimate: CTDIvol times a factor of the patient's size, within the range that the report tabulates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dose_audit.dosimetry.tables import UNVERIFIED, is_verified, load_table
from dose_audit.measured import Measured, not_measurable

__all__ = ["effective_diameter", "size_factor", "ssde", "ssde_along"]

_WIDTH_MM = (30.0, 700.0)  # of a patient, in any direction
_MOST_CTDI_MGY = 10_000.0
_KINDS = {"water_equivalent": "water-equivalent diameter", "effective": "effective diameter", "age": "age"}
_SIZE_UNCERTAINTY = {"water_equivalent": 0.01, "effective": 0.02, "age": 0.12}
_DISPLAYED = 0.20 / math.sqrt(3)  # allowed deviation of a displayed CTDIvol, rectangular


def effective_diameter(ap_mm: float | None = None, lat_mm: float | None = None) -> Measured:
    """Effective diameter from the patient's width in one or both directions.

    Parameters
    ----------
    ap_mm, lat_mm : float, optional
        Anteroposterior and lateral width in mm, 30 to 700. With only one the report's table for the torso is used,
        80 to 450 mm.

    Returns
    -------
    Measured
        ``effective_diameter`` in mm. *Suspect* when found from one width only.

    Notes
    -----
    ``sqrt(AP · LAT)``: the diameter of the circle with the area of an ellipse. One width alone is turned into it by
    AAPM 204 tables 1B and 1C, which stand for the average build.

    References
    ----------
    AAPM Report 204 (2011).

    Examples
    --------
    >>> effective_diameter(200, 300).value
    244.94897427831782
    >>> effective_diameter(lat_mm=300).value
    247.0
    """
    name, method = "effective_diameter", "AAPM 204: sqrt(AP · LAT)"
    for width in (ap_mm, lat_mm):
        if width is not None and not (math.isfinite(width) and _WIDTH_MM[0] <= width <= _WIDTH_MM[1]):
            return not_measurable(name, "mm", f"width of {width} mm is no patient's", method=method)
    if ap_mm is not None and lat_mm is not None:
        if not 0.25 <= ap_mm / lat_mm <= 4:
            return not_measurable(name, "mm", f"AP {ap_mm} and lateral {lat_mm} mm do not fit", method=method)
        value = math.sqrt(ap_mm * lat_mm)
        return Measured(name, value, "mm", 0.02 * value, method=method, details={"ap_mm": ap_mm, "lat_mm": lat_mm})
    direction, width = ("ap", ap_mm) if ap_mm is not None else ("lat", lat_mm)
    if width is None:
        return not_measurable(name, "mm", "no width is known", method=method)
    method = f"AAPM 204 table 1{'C' if direction == 'ap' else 'B'}: from the {direction} width alone"
    rows = [row for row in load_table("effective_diameter") if row["direction"] == direction]
    widths = [10 * float(row["width_cm"]) for row in rows]
    if not widths[0] <= width <= widths[-1]:
        reason = f"{direction} width of {width:.0f} mm is outside the table, {widths[0]:.0f} to {widths[-1]:.0f} mm"
        return not_measurable(name, "mm", reason, method=method)
    value = float(np.interp(width, widths, [10 * float(row["effective_cm"]) for row in rows]))
    return Measured(name, value, "mm", 0.08 * value, "suspect", "one width only, average build assumed", method)


def size_factor(
    size_mm: float | None, phantom_cm: int, *, body_part: str = "body", allow_unverified: bool = False
) -> Measured:
    """Factor from CTDIvol to SSDE.

    Parameters
    ----------
    size_mm : float
        Water-equivalent or effective diameter in mm: 80 to 450 for the 32 cm phantom, 60 to 550 for the 16 cm one.
    phantom_cm : {16, 32}
        Diameter of the CTDI phantom to which CTDIvol refers.
    body_part : {'body', 'head'}
        ``head`` asks for AAPM 293, whose constants are unverified here.
    allow_unverified : bool
        Use unverified constants; `method` then says so.

    Returns
    -------
    Measured
        ``ssde_factor``, unit 1; not measurable outside the tabulated range.

    Raises
    ------
    ValueError
        `phantom_cm` or `body_part` is none of those above.

    Notes
    -----
    ``f = a exp(-b D)``. With D in cm: a = 3.704369, b = 0.03671937 (32 cm); a = 1.874799, b = 0.03871313 (16 cm).

    References
    ----------
    AAPM Report 204 (2011), tables 1D and 2D; AAPM Report 293 (2019) for heads.

    Examples
    --------
    >>> round(size_factor(300, 32).value, 4)
    1.2311
    >>> size_factor(500, 32).reason
    'size of 500 mm is outside 80 to 450 mm'
    """
    if phantom_cm not in (16, 32):
        raise ValueError(f"a CTDI phantom is 16 or 32 cm across, not {phantom_cm}")
    if body_part not in ("body", "head"):
        raise ValueError(f"body part is 'body' or 'head', not {body_part!r}")
    name = "ssde_factor"
    rows = [row for row in load_table("ssde") if row["body_part"] == body_part and int(row["phantom_cm"]) == phantom_cm]
    if not rows:
        return not_measurable(name, "1", f"for heads only CTDIvol of the 16 cm phantom counts, not of {phantom_cm} cm")
    row = rows[0]
    method = f"{row['report']}, {phantom_cm} cm phantom"
    if not is_verified(row):
        method = f"{method}; {UNVERIFIED}"
        if not allow_unverified:
            return not_measurable(name, "1", f"{row['report']}: {UNVERIFIED}, not used unless allowed", method=method)
    low, high = 10 * float(row["from_cm"]), 10 * float(row["to_cm"])
    if size_mm is None:
        return not_measurable(name, "1", "no size is known", method=method)
    if not (math.isfinite(size_mm) and low <= size_mm <= high):
        return not_measurable(name, "1", f"size of {size_mm:g} mm is outside {low:.0f} to {high:.0f} mm", method=method)
    value = float(row["a"]) * math.exp(-float(row["b_per_cm"]) * size_mm / 10)
    return Measured(name, value, "1", float(row["relative_uncertainty"]) * value, method=method)


def ssde(
    ctdi_vol_mgy: float | None,
    size_mm: float | None,
    phantom_cm: int,
    *,
    size_kind: str = "water_equivalent",
    body_part: str = "body",
    allow_unverified: bool = False,
) -> Measured:
    """Size-specific dose estimate from a mean CTDIvol and one size.

    Parameters
    ----------
    ctdi_vol_mgy : float
        Volume CTDI in mGy, 0 to 10 000.
    size_mm : float
        Patient's size in mm; see `size_factor` for its range.
    phantom_cm : {16, 32}
        Phantom to which `ctdi_vol_mgy` refers; no conversion between phantoms takes place.
    size_kind : {'water_equivalent', 'effective', 'age'}
        What `size_mm` is; kept in `method`.
    body_part : {'body', 'head'}
        ``head`` asks for AAPM 293.
    allow_unverified : bool
        As `size_factor`.

    Returns
    -------
    Measured
        ``ssde`` in mGy. A size taken from the patient's age makes it *suspect*.

    Raises
    ------
    ValueError
        A choice is none of those above.

    Notes
    -----
    ``SSDE = f(D) · CTDIvol``. Uncertainty: the displayed CTDIvol ±20 % (rectangular), the factor 10 %, the size by its slope.

    References
    ----------
    AAPM Reports 204 (2011) and 220 (2014).

    Examples
    --------
    >>> round(ssde(10.0, 200.0, 32).value, 6)
    17.773536
    """
    if size_kind not in _KINDS:
        raise ValueError(f"size kind is one of {', '.join(_KINDS)}, not {size_kind!r}")
    factor = size_factor(size_mm, phantom_cm, body_part=body_part, allow_unverified=allow_unverified)
    method = f"{factor.method}, {_KINDS[size_kind]}"
    if not _is_ctdi(ctdi_vol_mgy):
        return not_measurable(
            "ssde", "mGy", "no CTDIvol" if ctdi_vol_mgy is None else f"CTDIvol of {ctdi_vol_mgy} mGy", method=method
        )
    if factor.value is None:
        return not_measurable("ssde", "mGy", factor.reason, method=method)
    assert size_mm is not None and ctdi_vol_mgy is not None
    value = factor.value * ctdi_vol_mgy
    relative = math.hypot(
        _DISPLAYED, (factor.uncertainty or 0) / factor.value, _by_size(size_kind, size_mm, phantom_cm)
    )
    details = {"factor": factor.value, "size_mm": size_mm, "size_kind": size_kind, "ctdi_vol_mgy": ctdi_vol_mgy}
    details |= {"phantom_cm": phantom_cm}
    result = Measured("ssde", value, "mGy", relative * value, method=method, details=details)
    return result.doubt("size estimated from the age; factors may be wrong by half") if size_kind == "age" else result


def _by_size(size_kind: str, size_mm: float, phantom_cm: int) -> float:
    slope = {32: 0.03671937, 16: 0.03871313}[phantom_cm]
    return slope * size_mm / 10 * _SIZE_UNCERTAINTY[size_kind]


def _is_ctdi(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and 0 <= value <= _MOST_CTDI_MGY


def ssde_along(
    ctdi_vol_mgy: Sequence[float],
    size_mm: Sequence[float | None],
    phantom_cm: int,
    *,
    body_part: str = "body",
    allow_unverified: bool = False,
) -> Measured:
    """SSDE as the mean along z of each slice's CTDIvol times each slice's factor.

    Parameters
    ----------
    ctdi_vol_mgy : sequence of float, length n
        CTDIvol at each slice.
    size_mm : sequence of float or None, length n
        Water-equivalent diameter of each slice; ``None`` where it could not be measured.
    phantom_cm, body_part, allow_unverified
        As `ssde`.

    Returns
    -------
    Measured
        ``ssde`` in mGy; ``details["ssde_mgy"]`` per slice. *Suspect* when over a tenth of the slices has no SSDE, not
        measurable when over half.

    Raises
    ------
    ValueError
        The sequences differ in length.

    References
    ----------
    AAPM Report 220 (2014), section 3; IEC 62985:2019.

    Examples
    --------
    >>> round(ssde_along([10.0, 5.0], [200.0, 300.0], 32).value, 3)
    11.965
    """
    if len(ctdi_vol_mgy) != len(size_mm):
        raise ValueError(f"{len(ctdi_vol_mgy)} values of CTDIvol for {len(size_mm)} sizes")
    factors = [
        None if size is None else size_factor(size, phantom_cm, body_part=body_part, allow_unverified=allow_unverified)
        for size in size_mm
    ]
    along: list[float | None] = [
        factor.value * ctdi if factor is not None and factor.value is not None and _is_ctdi(ctdi) else None
        for factor, ctdi in zip(factors, ctdi_vol_mgy, strict=True)
    ]
    known = [value for value in along if value is not None]
    method = next((factor.method for factor in factors if factor is not None), "")
    method = f"{method}, water-equivalent diameter, mean of SSDE(z)"
    if not known or len(known) < len(along) / 2:
        why = next((factor.reason for factor in factors if factor is not None and factor.reason), "no size or CTDIvol")
        return not_measurable("ssde", "mGy", f"{len(known)} of {len(along)} slices have an SSDE: {why}", method=method)
    value = float(np.mean(known))
    sizes = [size for size in size_mm if size is not None]
    relative = math.hypot(_DISPLAYED, 0.10, _by_size("water_equivalent", float(np.mean(sizes)), phantom_cm))
    details: dict[str, Any] = {"ssde_mgy": along, "phantom_cm": phantom_cm, "mean_size_mm": float(np.mean(sizes))}
    result = Measured("ssde", value, "mGy", relative * value, method=method, details=details)
    missing = len(along) - len(known)
    return result.doubt(f"{missing} of {len(along)} slices have no SSDE") if missing > 0.1 * len(along) else result
