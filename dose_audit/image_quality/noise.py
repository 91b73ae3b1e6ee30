"""Mean, noise and signal-to-noise ratio of uniform regions: plane-removed SD, two images (NEMA MS 1), one image (Rician)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage, special

from dose_audit.image_quality.correlation import correlation_areas, remove_plane
from dose_audit.image_quality.grey_levels import COARSE, ROUNDED, grey_step, share_at_extreme
from dose_audit.image_quality.mtf_curve import Floats
from dose_audit.image_quality.rois import as_floats, as_image
from dose_audit.measured import Measured, not_measurable

__all__ = ["noise_sd", "roi_mean", "snr_single_image", "snr_smoothed", "snr_two_images"]

SD_METHOD = "standard deviation after removal of a least-squares plane, n − 3 degrees of freedom"
MEAN_METHOD = "mean of the region; uncertainty with the noise's correlation"
TWO_METHOD = "two images: √2 · mean / SD of the difference (NEMA MS 1 method 1)"
SINGLE_METHOD = "one image: Rician-corrected signal over Rayleigh-corrected background SD (NEMA MS 1 method 4)"
SMOOTHED_METHOD = "one image: signal over the SD of image minus smoothed image, divided by √(1 − 1/n)"

_LEAST_PIXELS = 25
_PLANE = 3
_RAYLEIGH = 1.9131  # mean over SD of pure Rician noise, below which there is no signal
_UNEVEN = 0.1  # share of the variance that sixteen means may hold


def roi_mean(region: ArrayLike, *, unit: str = "HU") -> Measured:
    """Mean of a region, with the uncertainty that its (correlated) noise leaves.

    Parameters
    ----------
    region : array_like, shape (rows, columns)
        Uniform region; pixels without a number (NaN) are left out, so that any shape can be given.
    unit : str
        Of the pixels.

    Returns
    -------
    Measured
        ``suspect`` where values pile up at the region's extreme, as in a clipped image.

    Examples
    --------
    >>> roi_mean([[1.0, 2.0], [3.0, 4.0]] * 10, unit="HU").value
    2.5
    """
    part, reason = _prepared(region)
    if part is None:
        return not_measurable("mean", unit, reason, method=MEAN_METHOD)
    chosen = np.isfinite(part)
    values = part[chosen]
    area = correlation_areas(np.where(chosen, part, 0.0), chosen)[0]
    rest = remove_plane(np.where(chosen, part, 0.0), chosen)[chosen]
    error = float(rest.std()) * math.sqrt(min(area / values.size, 1.0))
    return _with_clipping(Measured("mean", float(values.mean()), unit, error, method=MEAN_METHOD), values)


def noise_sd(region: ArrayLike, *, unit: str = "HU") -> Measured:
    """Noise of a uniform region, free of a tilted background.

    Parameters
    ----------
    region : array_like, shape (rows, columns)
        Uniform region of at least 25 pixels; pixels without a number (NaN) are left out, so that any shape can be given.
    unit : str
        Of the pixels.

    Returns
    -------
    Measured
        `details` hold ``mean`` and ``correlation_pixels``, the area that shares one noise value.

    Notes
    -----
    ``SD² = Σ(I − plane)²/(n − 3)``. Standard uncertainty ``SD·sqrt(Σρ²/2n)`` with the noise's measured autocorrelation ρ;
    for white noise ``SD/sqrt(2n)``, 0.7 % at 10⁴ pixels. Noise of lower frequency than the region is wide is removed
    with the plane. Rounding to whole grey levels adds a twelfth of their square: 4 % to an SD of one level, which is in the
    uncertainty, and half to one of a third of a level; below 0.6 of a level the value is ``suspect``.

    References
    ----------
    IEC 61223-3-5:2019 (CT noise); Papoulis, *Probability, Random Variables and Stochastic Processes* (variance of the
    sample variance).

    Examples
    --------
    >>> import numpy as np
    >>> tilt = np.arange(100) * 0.5
    >>> round(noise_sd(np.random.default_rng(0).normal(0.0, 10.0, (100, 100)) + tilt).value, 1)
    10.0
    """
    part, reason = _prepared(region)
    if part is None:
        return not_measurable("noise_sd", unit, reason, method=SD_METHOD)
    chosen = np.isfinite(part)
    filled = np.where(chosen, part, 0.0)
    rest = np.where(chosen, remove_plane(filled, chosen), 0.0)
    values = rest[chosen]
    sd = math.sqrt(float(values @ values) / (values.size - _PLANE))
    area_of_mean, area = correlation_areas(filled, chosen) if sd > 0 else (1.0, 1.0)
    error = sd * math.sqrt(min(area / (2.0 * values.size), 1.0))
    step = grey_step(part[chosen], sd)
    # Rounding adds a twelfth of the square of a grey level.
    error = math.hypot(error, sd - math.sqrt(max(sd**2 - step**2 / 12.0, 0.0)))
    measured = Measured(
        "noise_sd", sd, unit, error, method=SD_METHOD,
        details={"mean": float(part[chosen].mean()), "correlation_pixels": area},
    )  # fmt: skip
    measured = _with_clipping(measured, part[chosen])
    if 0 < sd < ROUNDED * step:
        measured = measured.doubt(COARSE)
    if sd <= 1e-12 * float(np.abs(part[chosen]).max()):
        return measured.doubt("the region holds no noise at all")
    if _share_of_means(rest, chosen) > max(_UNEVEN, 32.0 * area_of_mean / values.size):
        return measured.doubt("the region is not even: more of it is structure than noise")
    if np.abs(values).max() > 8 * sd:
        return measured.doubt("a pixel lies more than 8 standard deviations off: is there an object in the region?")
    quarters = _quarter_sds(rest, chosen)
    if len(quarters) == 4 and max(quarters) > 2.0 * min(quarters):
        return measured.doubt("the noise differs twofold between the quarters of the region")
    return measured


def snr_two_images(first: ArrayLike, second: ArrayLike) -> Measured:
    """Signal-to-noise ratio from two acquisitions of the same object.

    Parameters
    ----------
    first, second : array_like, shape (rows, columns)
        The same region (at least 75 % of the object, NaN elsewhere) of two images made one after the other.

    Returns
    -------
    Measured
        `details` hold ``signal``, ``noise`` and ``drift_percent``.

    Raises
    ------
    ValueError
        If the regions differ in shape.

    Notes
    -----
    ``SNR = √2 · S / SD(first − second)``, S the mean of both. A plane is removed from the difference, so that a drift
    between the images is no noise; a drift of more than 1 % gives ``suspect``. Structure of the object cancels.
    Magnitude data below an SNR of about 5 have less noise than their channels and a raised mean: both are corrected
    with the Rician moments (Koay & Basser).

    References
    ----------
    NEMA MS 1-2008 (R2020), method 1; Koay & Basser, J. Magn. Reson. 179 (2006) 317.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> one, two = random.normal(1000.0, 20.0, (2, 100, 100))
    >>> round(snr_two_images(one, two).value)
    50
    """
    one, two = as_floats(as_image(first)), as_floats(as_image(second))
    if one.shape != two.shape:
        raise ValueError(f"two images of one region are wanted, not {one.shape} and {two.shape}")
    chosen = np.isfinite(one) & np.isfinite(two)
    if chosen.sum() < _LEAST_PIXELS:
        reason = f"the region has {int(chosen.sum())} pixels that hold a number, fewer than {_LEAST_PIXELS}"
        return not_measurable("snr", "1", reason, method=TWO_METHOD)
    difference = np.where(chosen, one, 0.0) - np.where(chosen, two, 0.0)
    flat = np.where(chosen, remove_plane(difference, chosen), 0.0)
    rest = flat[chosen]
    count = rest.size
    noise = math.sqrt(float(rest @ rest) / (count - _PLANE) / 2.0)
    signal = float(0.5 * (one[chosen].mean() + two[chosen].mean()))
    if noise == 0:
        return not_measurable("snr", "1", "the two images are the same: their difference is 0", method=TWO_METHOD)
    if signal <= _RAYLEIGH * noise:
        return not_measurable("snr", "1", "the signal is not above the noise", method=TWO_METHOD)
    signal, noise = _rician(signal, noise)
    area, area_squared = correlation_areas(difference, chosen)
    value = signal / noise
    error = math.hypot(
        value * math.sqrt(min(area_squared / (2.0 * count), 1.0)), math.sqrt(min(area / (2 * count), 1.0))
    )
    drift = 200.0 * float(one[chosen].mean() - two[chosen].mean()) / float(one[chosen].mean() + two[chosen].mean())
    measured = Measured(
        "snr", value, "1", error, method=TWO_METHOD,
        details={"signal": signal, "noise": noise, "drift_percent": drift, "pixels": count},
    )  # fmt: skip
    measured = _with_clipping(measured, max((one[chosen], two[chosen]), key=share_at_extreme))
    if noise < ROUNDED * grey_step(difference[chosen], noise):
        measured = measured.doubt(COARSE)
    if abs(drift) > max(1.0, 500.0 / value * math.sqrt(2.0 * area / count)):
        measured = measured.doubt(f"the mean changed by {abs(drift):.1f} % between the images")
    uneven = _share_of_means(flat, chosen) > max(_UNEVEN, 32.0 * min(area, 10.0) / count)
    if uneven or np.abs(rest).max() > 8 * math.sqrt(2) * noise:
        measured = measured.doubt("the difference holds structure: did something move between the images?")
    return measured


def snr_single_image(signal: ArrayLike, background: ArrayLike, *, channels: int = 1) -> Measured:
    """Signal-to-noise ratio of one magnitude MR image, from a region of signal and one of air.

    Parameters
    ----------
    signal : array_like, shape (rows, columns)
        Uniform region of the object (NaN outside).
    background : array_like, shape (rows, columns)
        Region of air, free of ghosts and artefacts (NaN outside).
    channels : int
        Receive channels combined as the root of the sum of squares; 1 for a single or an adaptively combined coil.

    Returns
    -------
    Measured
        `details` hold ``signal`` (Rician-corrected), ``noise``, ``background_ratio`` and the value that it should have.

    Raises
    ------
    ValueError
        If `channels` is less than 1.

    Notes
    -----
    In air the magnitude of L channels with noise σ is σ times chi with 2L degrees of freedom: for one channel Rayleigh,
    mean 1.253 σ and SD 0.655 σ. ``σ = SD_air/0.655``; the signal is ``sqrt(<M²> − 2Lσ²)``. The background's own
    check is the ratio SD/mean (0.523 for one channel): where it is off, air was masked, filtered, or reconstructed in
    parallel, and the result is ``suspect``.

    References
    ----------
    NEMA MS 1-2008 (R2020), method 4; Gudbjartsson & Patz, Magn. Reson. Med. 34 (1995) 910; Constantinides et al., Magn.
    Reson. Med. 38 (1997) 852.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> real, imaginary = random.normal(0.0, 1.0, (2, 200, 200))
    >>> round(snr_single_image(np.hypot(real + 40.0, imaginary), np.hypot(imaginary, real)).value)
    40
    """
    if channels < 1:
        raise ValueError(f"{channels} channels")
    inside, reason = _prepared(signal)
    air, air_reason = _prepared(background)
    if inside is None or air is None:
        which = "signal" if inside is None else "air"
        return not_measurable("snr", "1", f"{which}: {reason or air_reason}", method=SINGLE_METHOD)
    values, dark = inside[np.isfinite(inside)], air[np.isfinite(air)]
    mean_factor = math.sqrt(2.0) * math.exp(special.gammaln(channels + 0.5) - special.gammaln(channels))
    sd_factor = math.sqrt(2.0 * channels - mean_factor**2)
    sd, mean = float(dark.std(ddof=1)), float(dark.mean())
    if sd == 0:
        return not_measurable("snr", "1", "the air has no noise at all: it was masked", method=SINGLE_METHOD)
    noise = sd / sd_factor
    squared = float(np.mean(values**2)) - 2.0 * channels * noise**2
    if squared <= 0:
        return not_measurable("snr", "1", "the signal is not above the noise of air", method=SINGLE_METHOD)
    level = math.sqrt(squared)
    chosen = np.isfinite(air)
    mean_area, area = correlation_areas(np.where(chosen, air, 0.0), chosen)
    value = level / noise
    # Relative variance of a chi variable's sample variance: (kurtosis − 1)/n; 2.245/4 of the Gaussian's for Rayleigh.
    kurtosis = float(np.mean((dark - mean) ** 4)) / sd**4
    of_noise = math.sqrt(min(area * max(kurtosis - 1.0, 0.5) / (4.0 * dark.size), 1.0))
    # The noise is taken off the signal's square, too, so that a weak signal has its error a second time; the mean of that
    # square has the variance of a non-central chi-square variable.
    of_square = math.sqrt((channels + value**2) * mean_area / values.size) / value**2
    error = value * math.hypot(of_noise * (1.0 + 2.0 * channels / value**2), of_square)
    ratio, expected = sd / mean if mean > 0 else math.inf, sd_factor / mean_factor
    measured = Measured(
        "snr", value, "1", error, method=SINGLE_METHOD,
        details={
            "signal": level, "noise": noise, "background_ratio": ratio if math.isfinite(ratio) else None,
            "background_ratio_expected": expected,
        },
    )  # fmt: skip
    if abs(ratio / expected - 1.0) > max(0.1, 4.0 * math.sqrt(area / dark.size)):
        return measured.doubt(
            f"SD/mean of the air is {ratio:.2f} where {channels} channel(s) give {expected:.2f}: "
            "its noise was masked, filtered or is not even"
        )
    return measured


def snr_smoothed(region: ArrayLike, *, kernel: int = 9) -> Measured:
    """Signal-to-noise ratio of one image, its noise being what a boxcar filter removes; where no second image exists.

    Parameters
    ----------
    region : array_like, shape (rows, columns)
        Uniform region.
    kernel : int
        Side of the boxcar in pixels, odd, at least 3.

    Returns
    -------
    Measured

    Raises
    ------
    ValueError
        If the kernel is even or below 3.

    Notes
    -----
    ``σ² = Var(I − boxcar(I))/(1 − 1/n)``, ``n = kernel²``: exact for white noise. Correlated noise passes the boxcar
    and is missed, which is ``suspect`` when it is found.

    References
    ----------
    McCann et al., J. Appl. Clin. Med. Phys. 14 (2013) 4122 (without the factor).

    Examples
    --------
    >>> import numpy as np
    >>> round(snr_smoothed(np.random.default_rng(0).normal(500.0, 10.0, (120, 120))).value)
    50
    """
    if kernel < 3 or kernel % 2 == 0:
        raise ValueError(f"the kernel is an odd number of pixels from 3, not {kernel}")
    part = as_floats(as_image(region))
    reason = ""
    if min(part.shape) < 2 * kernel:
        reason = f"the region is smaller than twice the kernel of {kernel} pixels"
    elif not np.isfinite(part).all():
        reason = "the region holds pixels without a number"
    if reason:
        return not_measurable("snr", "1", reason, method=SMOOTHED_METHOD)
    half = kernel // 2
    rest = (part - ndimage.uniform_filter(part, kernel))[half:-half, half:-half]
    variance = float(rest.var()) / (1.0 - 1.0 / kernel**2)
    signal = float(part[half:-half, half:-half].mean())
    if variance <= 1e-24 * signal**2 or signal <= _RAYLEIGH * math.sqrt(variance):
        empty = variance <= 1e-24 * signal**2
        reason = "the region holds no noise at all" if empty else "the signal is not above the noise"
        return not_measurable("snr", "1", reason, method=SMOOTHED_METHOD)
    level, noise = _rician(signal, math.sqrt(variance))
    everything = np.ones(rest.shape, dtype=bool)
    area = correlation_areas(rest, everything)[1]
    value = level / noise
    measured = Measured(
        "snr", value, "1", value * math.sqrt(min(area / (2.0 * rest.size), 1.0)), method=SMOOTHED_METHOD,
        details={"signal": level, "noise": noise, "kernel": kernel},
    )  # fmt: skip
    if area > 1.3:
        return measured.doubt("the noise is correlated: the boxcar keeps part of it, and the ratio comes out too high")
    return measured


def _rician(mean: float, sd: float) -> tuple[float, float]:
    """Signal and channel noise of magnitude data from their mean and SD (Koay's fixed point); above 12 unchanged."""
    if mean > 12 * sd:
        return mean, sd
    ratio = mean / sd
    theta = ratio
    for _ in range(200):
        factor = _koay(theta)
        new = math.sqrt(max(factor * (1.0 + ratio**2) - 2.0, 0.0))
        if abs(new - theta) < 1e-9:
            break
        theta = new
    noise = sd / math.sqrt(_koay(theta))
    return max(theta * noise, 1e-9 * noise), noise


def _koay(theta: float) -> float:
    """Variance of a Rician variable with unit channel noise and signal `theta`."""
    square = theta**2 / 4.0
    bessel = (2 + theta**2) * special.ive(0, square) + theta**2 * special.ive(1, square)
    return float(2 + theta**2 - math.pi / 8 * bessel**2)


def _prepared(region: ArrayLike) -> tuple[Floats | None, str]:
    part = as_floats(as_image(region))
    count = int(np.isfinite(part).sum())
    if count < _LEAST_PIXELS:
        return None, f"the region has {count} pixels that hold a number, fewer than {_LEAST_PIXELS}"
    return part, ""


def _with_clipping(measured: Measured, values: Floats) -> Measured:
    """Doubt values that pile up at the extreme, as those of a clipped image do."""
    share = share_at_extreme(values)
    return measured.doubt(f"{100 * share:.1f} % of the pixels share the extreme value: clipped") if share else measured


def _share_of_means(rest: Floats, chosen: np.ndarray) -> float:
    """Share of the plane-free variance that lies in the means of 4 × 4 parts of the region."""
    rows, columns = (np.linspace(0, size, 5).astype(int)[:-1] for size in rest.shape)
    number = np.add.reduceat(np.add.reduceat(chosen.astype(float), rows, axis=0), columns, axis=1)
    sums = np.add.reduceat(np.add.reduceat(rest, rows, axis=0), columns, axis=1)
    enough = number >= _LEAST_PIXELS
    if enough.sum() < 6:
        return 0.0
    return float(
        (sums[enough] ** 2 / number[enough]).sum() / number[enough].sum() / max((rest**2).sum() / chosen.sum(), 1e-300)
    )


def _quarter_sds(rest: Floats, chosen: np.ndarray) -> list[float]:
    rows, columns = rest.shape[0] // 2, rest.shape[1] // 2
    found = []
    for row in (slice(0, rows), slice(rows, None)):
        for column in (slice(0, columns), slice(columns, None)):
            inside = chosen[row, column]
            if inside.sum() >= 100:
                found.append(float(rest[row, column][inside].std()))
    return found
