"""MTF from bar patterns by the noise-corrected variance method (Droege & Morin), never from maximum and minimum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dose_audit.image_quality.correlation import correlation_areas, remove_plane
from dose_audit.image_quality.mtf_curve import Floats
from dose_audit.image_quality.rois import Spacing, as_floats, as_image, spacing_pair
from dose_audit.measured import Measured, not_measurable

__all__ = ["BarGroup", "bar_mtf", "bar_mtf_curve"]

METHOD = "bar pattern, variance method (Droege & Morin 1982) with the noise of the solid regions removed"
_LEAST_PERIODS = 2.0
_LEAST_PIXELS = 36
_SIGNIFICANT = 2.0


@dataclass(frozen=True)
class BarGroup:
    """One group of a bar pattern.

    Parameters
    ----------
    frequency_per_mm : float
        Line pairs per mm, in the plane of `spacing_mm`.
    pattern : array_like, shape (rows, columns)
        Region inside the group, holding some periods of bars in any direction and nothing else.
    gap : array_like, optional
        The gaps' material beside this group, where it differs from group to group.
    spacing_mm : float or (row, column), optional
        Of this group's regions, where they were sampled on their own grid.
    response : array_like, shape (rows, columns), optional
        Share of the power of a sine of this frequency that such sampling left (`rectangle_response`); 1 by default.
    """

    frequency_per_mm: float
    pattern: ArrayLike
    gap: ArrayLike | None = None
    spacing_mm: Spacing | None = None
    response: ArrayLike | None = None


def bar_mtf(
    pattern: ArrayLike,
    bar: ArrayLike | None,
    gap: ArrayLike,
    spacing_mm: Spacing,
    frequency_per_mm: float,
    *,
    harmonics: float | None = None,
    response: ArrayLike | None = None,
) -> Measured:
    """MTF at a bar group's frequency.

    Parameters
    ----------
    pattern : array_like, shape (rows, columns)
        Region inside the group, bars in any direction, at least two periods (four wanted) of whole bars.
    bar, gap : array_like, shape (rows, columns)
        Regions of the bars' and the gaps' material without structure; they give the full contrast and the noise. Without
        `bar` the full contrast is twice the pattern's own mean above the gaps, which holds for bars that fill a part of
        the slice only; the pattern must then be whole periods, as wide as the gaps, about a middle of its own symmetry.
    spacing_mm : float or (row, column)
        Pixel spacing.
    frequency_per_mm : float
        Line pairs per mm.
    harmonics : float, optional
        ``Σ (MTF((2k+1)f)/(2k+1))²`` over the harmonics, where it is known; `bar_mtf_curve` finds it. Where it is not,
        what a curve as flat as ``exp(−f)`` would have of them goes into the uncertainty.
    response : array_like, shape (rows, columns), optional
        As in `BarGroup`.

    Returns
    -------
    Measured
        Named ``mtf at … lp/mm``; ``0`` with its uncertainty where the modulation is lost in the noise (``suspect``).

    Raises
    ------
    ValueError, TypeError
        For wrong shapes, a spacing or a frequency that is not positive.

    Notes
    -----
    ``MTF(f) = (π/√2) · sqrt(V − V_noise) / |S − B|``, less the harmonics. V is the variance in the pattern, weighted
    with a Hann window in both directions so that parts of a period at the border hardly matter; V_noise is that of the
    solid regions after a plane is removed, times ``1 − Σw²`` for the weights. What sampling between pixels took of the
    modulation is put back by `response`. Exact for the fundamental; harmonics
    add to V below a third of the cut-off frequency. Blur moves no signal out of whole periods, so that their mean is half
    the contrast whatever the blur; without `bar` a plane is removed from the pattern, too, because a thin object in a
    tilted slice fills it unevenly.

    Uncertainty: of the noise variances (with the noise's correlation), of the full contrast, of a third harmonic beyond the
    Nyquist frequency, and 0.5 % for the window.

    References
    ----------
    Droege & Morin, Med. Phys. 9 (1982) 758; Coltman, J. Opt. Soc. Am. 44 (1954) 468.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(80) * 0.1
    >>> bars = 100.0 + 0.2 * 400.0 * 2 / np.pi * np.sin(2 * np.pi * 1.0 * x) * np.ones((40, 1))    # modulation 0.2
    >>> solid = np.ones((10, 10))
    >>> round(bar_mtf(bars, 300.0 * solid, -100.0 * solid, 0.1, 1.0).value, 3)
    0.2
    """
    group, spacing = as_floats(as_image(pattern)), spacing_pair(spacing_mm)
    solids = [as_floats(as_image(part)) for part in (bar, gap) if part is not None]
    if not (math.isfinite(frequency_per_mm) and frequency_per_mm > 0):
        raise ValueError(f"a frequency is a positive number, not {frequency_per_mm!r}")
    name = f"mtf at {frequency_per_mm:g} lp/mm"
    for what, part in zip(("pattern", "gap material", "bar material"), (group, *reversed(solids)), strict=False):
        if not np.isfinite(part).all():
            return not_measurable(name, "1", f"the region of the {what} holds pixels without a number", method=METHOD)
        if part.size < _LEAST_PIXELS or min(part.shape) < 3:
            return not_measurable(name, "1", f"the region of the {what} is too small", method=METHOD)
    if frequency_per_mm >= 0.5 / min(spacing):
        return not_measurable(name, "1", "the bars are finer than the Nyquist frequency of the pixels", method=METHOD)
    periods = max(size * step for size, step in zip(group.shape, spacing, strict=True)) * frequency_per_mm
    if periods < _LEAST_PERIODS:
        return not_measurable(name, "1", f"the region holds only {periods:.1f} periods", method=METHOD)
    weights = np.outer(_hann(group.shape[0]), _hann(group.shape[1]))
    mean = float((weights * group).sum())
    noise_variances, freedoms, mean_errors, areas = zip(*(_noise(part) for part in solids), strict=True)
    noise, area = float(np.mean(noise_variances)), max(areas)
    if bar is None:
        group = group - _tilt(group, weights)
        step = 2.0 * (mean - float(solids[0].mean()))
        step_error = 2.0 * math.hypot(mean_errors[0], math.sqrt(noise * min(area * float((weights**2).sum()), 1.0)))
    else:
        step = float(solids[0].mean() - solids[1].mean())
        step_error = math.hypot(*mean_errors)
    variance = float((weights * (group - mean) ** 2).sum())
    if abs(step) <= 5 * step_error:
        return not_measurable(name, "1", "bars and gaps do not differ beyond the noise", method=METHOD)
    at_frequency = _share_at(np.sqrt(weights) * (group - mean), spacing, frequency_per_mm)
    kept = 1.0 - float((weights**2).sum())
    power = variance - kept * noise
    noise_error = kept * noise * math.sqrt(
        sum(2.0 / freedom for freedom in freedoms) / len(freedoms) ** 2 + 2.0 * area * float((weights**2).sum())
    )  # fmt: skip
    # The bars' own modulation beats with the noise: 2 · cov, of variance 4 · power · noise · Σw² · area.
    power_error = math.hypot(noise_error, math.sqrt(4.0 * max(power, 0.0) * noise * area * float((weights**2).sum())))
    left = 1.0 if response is None else float((weights * np.asarray(response, dtype=float)).sum())
    squared = (math.pi**2 / 2) * power / step**2 / left - (harmonics or 0.0)
    squared_error = (math.pi**2 / 2) * power_error / step**2 / left
    doubts = []
    if squared > _SIGNIFICANT * squared_error:
        value = math.sqrt(squared)
        unknown = min(value, 1.0) ** 5 / 18 / math.sqrt(3) if harmonics is None else 0.0  # (value³/3)²/(2 value)
        # Pixels fold the third harmonic to where it beats with the fundamental; of a Gaussian it is value⁹/3.
        folded = min(value, 1.0) ** 9 / 6 if 3 * frequency_per_mm > 0.5 / max(spacing) else 0.0
        own = squared_error / (2 * value)
        uncertainty = math.hypot(own, value * step_error / abs(step), 0.005 * value, unknown, folded)
    else:
        value = math.sqrt(max(squared, 0.0))
        uncertainty = math.sqrt(max(squared_error, 0.0))
        doubts.append("the modulation is not above the noise")
    signal_share = power / variance if variance > 0 else 0.0
    if not doubts and at_frequency < 0.7 * signal_share:
        doubts.append("most of the modulation is not at this frequency")
    levels = [part.mean() for part in solids]
    if bar is not None and not min(levels) - abs(step) * 0.25 <= mean <= max(levels) + abs(step) * 0.25:
        doubts.append("the pattern's mean lies outside bar and gap material: these are not its materials")
    if value > 1.1:
        doubts.append("a modulation above 1: the pattern is not of these materials")
    if periods < 3 and not (bar is None and abs(periods - round(periods)) < 0.02):
        doubts.append(f"the region holds only {periods:.1f} periods")
    if max(noise_variances) > 4 * min(noise_variances) and min(noise_variances) == 0:
        doubts.append("one of the solid regions has no noise at all: its values are clipped")
    return Measured(
        name,
        value,
        "1",
        uncertainty,
        "suspect" if doubts else "ok",
        "; ".join(doubts),
        METHOD,
        float(np.clip(1.0 - uncertainty / max(value, 0.02), 0.0, 1.0)),
        {
            "frequency_per_mm": frequency_per_mm,
            "variance": variance,
            "noise_variance": noise,
            "contrast": step,
            "harmonics": harmonics,
            "periods": periods,
        },
    )


def bar_mtf_curve(
    groups: Sequence[BarGroup], bar: ArrayLike | None, gap: ArrayLike | None, spacing_mm: Spacing
) -> tuple[Measured, ...]:
    """MTF at every group of a pattern, each freed of the harmonics that the finer groups show.

    Parameters
    ----------
    groups : sequence of BarGroup
        In any order.
    bar, gap, spacing_mm
        As `bar_mtf`; a group's own gap and spacing go before these.

    Returns
    -------
    tuple of Measured
        In ascending order of frequency.

    Raises
    ------
    ValueError
        For a group without a gap where none is given for all.

    Notes
    -----
    Coltman's sum from the top down: the harmonics 3f, 5f … of a coarse group have the MTF that was found at the finer
    groups (interpolated; 0 beyond the finest, or beyond the frequency where modulation is lost in the noise).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(80) * 0.1
    >>> group = BarGroup(1.0, 80.0 * np.sin(2 * np.pi * x) * np.ones((40, 1)))
    >>> [m.status for m in bar_mtf_curve([group], 200 * np.ones((9, 9)), -200 * np.ones((9, 9)), 0.1)]
    ['ok']
    """
    ordered = sorted(groups, key=lambda group: -group.frequency_per_mm)
    known: list[tuple[float, float]] = []
    found = []
    for group in ordered:
        total = 0.0
        if known:
            at, mtf = (np.array(column[::-1]) for column in zip(*known, strict=True))
            for order in (3, 5, 7):
                total += (float(np.interp(order * group.frequency_per_mm, at, mtf, right=0.0)) / order) ** 2
        beside = gap if group.gap is None else group.gap
        if beside is None:
            raise ValueError(f"the group of {group.frequency_per_mm:g} lp/mm has no gap material")
        spacing = spacing_mm if group.spacing_mm is None else group.spacing_mm
        result = bar_mtf(
            group.pattern, bar, beside, spacing, group.frequency_per_mm, harmonics=total, response=group.response
        )
        found.append(result)
        if result.value is not None:
            known.append((group.frequency_per_mm, result.value))
    return tuple(reversed(found))


def _share_at(windowed: Floats, spacing: tuple[float, float], frequency: float) -> float:
    """Share of the windowed pattern's power within the window's width of the frequency, in any direction."""
    power = np.abs(np.fft.fft2(windowed)) ** 2
    rows, columns = (np.fft.fftfreq(size, step) for size, step in zip(windowed.shape, spacing, strict=True))
    longest = max(size * step for size, step in zip(windowed.shape, spacing, strict=True))
    shortest = min(size * step for size, step in zip(windowed.shape, spacing, strict=True))
    near = np.abs(np.hypot(rows[:, None], columns[None, :]) - frequency) <= max(2.0 / longest, 1.0 / shortest)
    total = float(power.sum())
    return float(power[near].sum()) / total if total > 0 else 0.0


def _hann(size: int) -> Floats:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)
    return np.asarray(window / window.sum())


def _tilt(group: Floats, weights: Floats) -> Floats:
    """Weighted least-squares plane through a pattern, without its mean."""
    along = [np.arange(size) - 0.5 * (size - 1) for size in group.shape]
    slopes = [
        float((weights * group * at).sum() / (weights * at**2).sum()) for at in (along[0][:, None], along[1][None, :])
    ]
    return np.asarray(slopes[0] * along[0][:, None] + slopes[1] * along[1][None, :])


def _noise(part: Floats) -> tuple[float, float, float, float]:
    """Variance, its degrees of freedom, the standard uncertainty of the mean, and how many pixels are alike."""
    everything = np.ones(part.shape, dtype=bool)
    rest = remove_plane(part, everything)
    variance = float((rest**2).sum()) / max(part.size - 3, 1)
    area, area_squared = correlation_areas(part, everything)
    freedom = max((part.size - 3) / area_squared, 1.0)
    return variance, freedom, math.sqrt(variance * min(area / part.size, 1.0)), area_squared
