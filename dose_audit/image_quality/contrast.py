"""Contrast and contrast-to-noise ratio between two regions, in linear units; the mammography form and its target."""

from __future__ import annotations

import math
from typing import Literal

from dose_audit.image_quality.rois import RoiStatistics
from dose_audit.measured import Measured, not_measurable

__all__ = [
    "contrast_difference",
    "contrast_to_noise",
    "limiting_cnr",
    "mammographic_cnr",
    "relative_cnr",
    "relative_contrast",
]

_FEW = 25


def contrast_difference(signal: RoiStatistics, background: RoiStatistics, *, unit: str = "HU") -> Measured:
    """Difference of two regions' means: the only contrast that has a meaning for CT numbers.

    Parameters
    ----------
    signal, background : RoiStatistics
        From `disc_statistics`, `rectangle_statistics` ….
    unit : str
        Unit of the pixels.

    Returns
    -------
    Measured
        ``signal - background``, signed.

    Examples
    --------
    >>> contrast_difference(RoiStatistics(100, 55.0, 5.0), RoiStatistics(100, 50.0, 5.0)).value
    5.0
    """
    method = "difference of the regions' means"
    if signal.mean is None or background.mean is None:
        return not_measurable("contrast", unit, _missing(signal, background), method=method)
    spreads = (signal.mean_uncertainty, background.mean_uncertainty)
    spread = math.hypot(*(s for s in spreads if s is not None)) if None not in spreads else None
    return Measured("contrast", signal.mean - background.mean, unit, spread, method=method)


def relative_contrast(signal: RoiStatistics, background: RoiStatistics, *, offset: float = 0.0) -> Measured:
    """Contrast relative to the background, ``(S - B)/(B - offset)``, for pixel values linear in dose.

    Parameters
    ----------
    signal, background : RoiStatistics
    offset : float
        Pixel value without dose (from the signal transfer property).

    Returns
    -------
    Measured
        A ratio. On a scale with an arbitrary zero, as CT numbers have, it has no meaning and is not to be used; a background at
        the offset itself is ``not_measurable``.

    Examples
    --------
    >>> relative_contrast(RoiStatistics(100, 90.0, 1.0), RoiStatistics(100, 110.0, 1.0), offset=10.0).value
    -0.2
    """
    method = "(S - B)/(B - offset), linear pixel values"
    if signal.mean is None or background.mean is None:
        return not_measurable("relative_contrast", "1", _missing(signal, background), method=method)
    level = background.mean - offset
    noise = background.sd or 0.0
    if level <= 0 or level < 1e-6 * noise:
        return not_measurable("relative_contrast", "1", "the background is not above the offset", method=method)
    value = (signal.mean - background.mean) / level
    spreads = (signal.mean_uncertainty, background.mean_uncertainty)
    spread = None
    if spreads[0] is not None and spreads[1] is not None:
        spread = math.hypot(spreads[0] / level, (signal.mean - offset) / level**2 * spreads[1])
    return Measured("relative_contrast", value, "1", spread, method=method)


def contrast_to_noise(
    signal: RoiStatistics, background: RoiStatistics, *, noise: Literal["background", "pooled"] = "background"
) -> Measured:
    """Contrast-to-noise ratio of two regions.

    Parameters
    ----------
    signal, background : RoiStatistics
        Regions of at least 25 pixels, in units in which a difference is a contrast (CT numbers, linearised values).
    noise : {'background', 'pooled'}
        ``background``: ``|S - B| / SD_B`` (ACR CT); ``pooled``: ``|S - B| / √((SD_S² + SD_B²)/2)`` (NCCPM, EUREF).

    Returns
    -------
    Measured
        ``cnr``, a ratio; the sign of the contrast is in ``details["contrast"]``.

    Notes
    -----
    ``u² = (u_S² + u_B²)/N² + CNR² u_N²/N²`` with the noise N; the uncertainties of the means and of the standard deviations
    take the noise's correlation into account (`RoiStatistics.correlation_area`).

    References
    ----------
    ACR. CT quality control manual (2017), low-contrast performance. |A - B|/SD.

    Examples
    --------
    >>> result = contrast_to_noise(RoiStatistics(400, 56.0, 5.0), RoiStatistics(400, 50.0, 4.0))
    >>> result.value
    1.5
    """
    form = {"background": "|S - B| / SD_B", "pooled": "|S - B| / sqrt((SD_S² + SD_B²)/2)"}
    if noise not in form:
        raise ValueError(f"noise is 'background' or 'pooled', not {noise!r}")
    return _ratio("cnr", signal, background, noise == "pooled", form[noise])


def mammographic_cnr(detail: RoiStatistics, background: RoiStatistics, *, offset: float = 0.0) -> Measured:
    """CNR of 0.2 mm of aluminium on PMMA, as NCCPM and EUREF define it.

    Parameters
    ----------
    detail, background : RoiStatistics
        5 mm × 5 mm regions in and beside the aluminium, of unprocessed, linear pixel values.
    offset : float
        Pixel value without dose; it cancels in the CNR and enters only ``details["contrast"]``, ``1 - (Al - o)/(PMMA - o)``.

    Returns
    -------
    Measured
        ``(m_PMMA - m_Al) / √((SD_PMMA² + SD_Al²)/2)``, unsigned.

    References
    ----------
    Perry N, et al., eds. European guidelines for quality assurance in breast cancer screening and diagnosis, 4th ed., 2006,
    part 2b: digital mammography.
    NHSBSP Equipment Report 0604: Commissioning and routine testing of full field digital mammography systems.

    Examples
    --------
    >>> mammographic_cnr(RoiStatistics(400, 450.0, 5.0), RoiStatistics(400, 500.0, 5.0)).value
    10.0
    """
    result = _ratio("mammographic_cnr", detail, background, True, "(m_PMMA - m_Al)/sqrt((SD_PMMA² + SD_Al²)/2)")
    if result.value is None or detail.mean is None or background.mean is None or background.mean <= offset:
        return result
    details = {**result.details, "contrast": 1.0 - (detail.mean - offset) / (background.mean - offset)}
    return Measured(
        result.name,
        result.value,
        result.unit,
        result.uncertainty,
        result.status,
        result.reason,
        result.method,
        result.quality,
        details,
    )


def limiting_cnr(cnr: Measured, threshold_contrast_measured: float, threshold_contrast_target: float) -> Measured:
    """CNR at which a detail would just meet its threshold: ``CNR · TC_measured / TC_target``.

    Parameters
    ----------
    cnr : Measured
        Measured on the same system and thickness (50 mm PMMA) as the threshold contrast.
    threshold_contrast_measured, threshold_contrast_target : float
        Threshold contrasts of the 0.1 mm detail, ``1 - exp(-μ t)``, measured and acceptable (or achievable).

    Returns
    -------
    Measured

    References
    ----------
    NCCPM. CDMAM and CNR target calculator: CNR target from the threshold contrast at 0.1 mm.

    Examples
    --------
    >>> limiting_cnr(Measured("mammographic_cnr", 10.0, "1", 0.1), 0.20, 0.25).value
    8.0
    """
    if threshold_contrast_measured <= 0 or threshold_contrast_target <= 0:
        raise ValueError("threshold contrasts are positive")
    method = "CNR · TC_measured / TC_target"
    if cnr.value is None:
        return not_measurable("limiting_cnr", "1", cnr.reason, method=method)
    factor = threshold_contrast_measured / threshold_contrast_target
    spread = cnr.uncertainty * factor if cnr.uncertainty is not None else None
    result = Measured("limiting_cnr", cnr.value * factor, "1", spread, method=method)
    return result.doubt(cnr.reason) if cnr.status == "suspect" else result


def relative_cnr(cnr: Measured, reference: Measured) -> Measured:
    """A CNR in per cent of another, as EUREF tabulates over the PMMA thickness (100 % at 50 mm).

    Examples
    --------
    >>> relative_cnr(Measured("cnr", 11.5, "1", 0.1), Measured("cnr", 10.0, "1", 0.1)).value
    115.0
    """
    method = "100 CNR / CNR_reference"
    if cnr.value is None or reference.value is None:
        return not_measurable("relative_cnr", "%", cnr.reason or reference.reason, method=method)
    if reference.value <= 0:
        return not_measurable("relative_cnr", "%", "the reference CNR is zero", method=method)
    value = 100 * cnr.value / reference.value
    spread = None
    if cnr.uncertainty is not None and reference.uncertainty is not None:
        spread = 100 / reference.value * math.hypot(cnr.uncertainty, value / 100 * reference.uncertainty)
    result = Measured("relative_cnr", value, "%", spread, method=method)
    doubts = [m.reason for m in (cnr, reference) if m.status == "suspect"]
    return result.doubt("; ".join(doubts)) if doubts else result


def _ratio(name: str, signal: RoiStatistics, background: RoiStatistics, pooled: bool, method: str) -> Measured:
    if signal.mean is None or background.mean is None:
        return not_measurable(name, "1", _missing(signal, background), method=method)
    if background.sd is None or (pooled and signal.sd is None):
        return not_measurable(name, "1", "one pixel has no standard deviation", method=method)
    signal_sd = signal.sd or 0.0
    variance = 0.5 * (signal_sd**2 + background.sd**2) if pooled else background.sd**2
    if variance <= 0:
        return not_measurable(
            name, "1", "there is no noise in the background: its standard deviation is zero", method=method
        )
    noise = math.sqrt(variance)
    contrast = signal.mean - background.mean
    value = abs(contrast) / noise
    spread = None
    if signal.mean_uncertainty is not None and background.mean_uncertainty is not None:
        noise_spread = background.sd_uncertainty or 0.0
        if pooled:
            noise_spread = (
                0.5
                * math.hypot(
                    signal_sd * (signal.sd_uncertainty or 0.0), background.sd * (background.sd_uncertainty or 0.0)
                )
                / noise
            )
        spread = (
            math.hypot(math.hypot(signal.mean_uncertainty, background.mean_uncertainty), value * noise_spread) / noise
        )
    result = Measured(
        name,
        value,
        "1",
        spread,
        method=method,
        details={"contrast": contrast, "noise": noise, "pixels": [signal.pixels, background.pixels]},
    )
    if min(signal.pixels, background.pixels) < _FEW:
        return result.doubt(f"a region has fewer than {_FEW} pixels")
    return result


def _missing(signal: RoiStatistics, background: RoiStatistics) -> str:
    lost = [name for name, roi in (("signal", signal), ("background", background)) if roi.mean is None]
    return f"no pixels in the {' and the '.join(lost)} region"
