"""What the storage of an image takes from it: values that pile up where they were clipped, and too few grey levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["COARSE", "ROUNDED", "are_clipped", "grey_step", "share_at_extreme", "too_few_levels"]

Floats = NDArray[np.float64]
ROUNDED = 0.6  # of a grey level: rounding makes up a quarter or more of the variance of such noise
COARSE = "the noise is smaller than a grey level: rounding makes up much of it"
_SAMPLES = 2000  # pixels: enough to see the grey levels
_FEW_LEVELS = 16  # more of them than noise of 1.5 levels fills
_COARSE = 1.5  # grey levels: from there on rounding adds less than 2 % to a standard deviation
_PILE = 0.02  # of the pixels about an edge that share an extreme value
_PILE_OF_A_REGION = 0.005  # of those of a uniform region
_LEAST_LEVELS = 16  # over a step: of an edge without noise 20 cost half a percent of its MTF50, 8 three, 4 ten
_ROUGH = 0.7  # of a grey level: what is left of a step by a fit that its rounding has bent
_DITHERED = 0.5  # of a grey level: more noise than that makes the mean right


def are_clipped(pixels: Floats, noise_sd: float) -> bool:
    """Whether values pile up at the highest or the lowest, as noise alone does not.

    Parameters
    ----------
    pixels : ndarray
        All finite.
    noise_sd : float
        Of a pixel where it is not clipped; less than half a grey level piles up by itself and says nothing.

    Returns
    -------
    bool
        More than 2 % of the pixels have one extreme value, and more than twice as many as the value next to it.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0.0, 10.0, 1000)
    >>> are_clipped(noise, 10.0), are_clipped(np.minimum(noise, 15.0), 10.0)
    (False, True)
    """
    for top, next_of in ((pixels.max(), np.max), (pixels.min(), np.min)):
        at_top = pixels == top
        count = int(np.count_nonzero(at_top))
        if _PILE * pixels.size < count < pixels.size:
            following = next_of(pixels[~at_top])
            if count > 2 * np.count_nonzero(pixels == following) and noise_sd > _DITHERED * abs(top - following):
                return True
    return False


def too_few_levels(pixels: Floats, height: float, noise_sd: float) -> int | None:
    """How many grey levels a step has where they are too few to show its shape, and no noise makes up for it.

    Parameters
    ----------
    pixels : ndarray
        All finite.
    height : float
        Of the step, positive.
    noise_sd : float
        Of a pixel.

    Returns
    -------
    int or None

    Examples
    --------
    >>> ramp = np.linspace(0.0, 1000.0, 5001)
    >>> too_few_levels(ramp, 1000.0, 0.0), too_few_levels(ramp // 100, 10.0, 0.0)
    (None, 11)
    """
    if noise_sd > _DITHERED * height:
        return None
    levels = np.unique(pixels)
    if levels.size < 2:
        return None
    count = int(levels.size)
    return count if count < _LEAST_LEVELS and noise_sd < _ROUGH * height / count else None


def share_at_extreme(values: Floats) -> float:
    """Share of a uniform region's pixels that have its highest or lowest value, where noise would not put them there.

    Parameters
    ----------
    values : ndarray
        Pixels of the region, all finite.

    Returns
    -------
    float
        0 where nothing piles up.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0.0, 10.0, 1000)
    >>> share_at_extreme(noise), 0.4 < share_at_extreme(np.maximum(noise, 0.0)) < 0.6
    (0.0, True)
    """
    for signed in (values, -values):
        top = signed.max()
        inner = signed[signed < top]
        at = signed.size - inner.size
        if at < max(5, _PILE_OF_A_REGION * signed.size) or not inner.size:
            continue
        if at > 2 * np.count_nonzero(inner == inner.max()) and np.unique(inner).size > 8:
            return at / signed.size
    return 0.0


def grey_step(values: Floats, sd: float) -> float:
    """Step of the grey levels where noise covers only a few of them; 0 where rounding makes no difference.

    Parameters
    ----------
    values : ndarray
        Pixels of a uniform region, all finite.
    sd : float
        Their standard deviation; of more than 1.5 steps rounding adds less than 2 %.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0.3, 1.0, 1000)
    >>> grey_step(np.round(noise / 2.0) * 2.0, 1.2), grey_step(noise, 1.0)
    (2.0, 0.0)
    """
    levels = np.unique(values[:: max(values.size // _SAMPLES, 1)])
    if not 1 < levels.size <= _FEW_LEVELS:
        return 0.0
    step = float(np.diff(levels).min())
    return step if sd < _COARSE * step else 0.0
