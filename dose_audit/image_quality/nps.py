"""Noise power spectrum of detrended regions (ICRU 87, TG-233, IEC 62220-1), with its frequencies in cycles per mm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from dose_audit.image_quality.grey_levels import COARSE, ROUNDED, grey_step, share_at_extreme
from dose_audit.image_quality.mtf_curve import Floats
from dose_audit.image_quality.rois import Spacing, spacing_pair
from dose_audit.image_quality.ttf import image_stack
from dose_audit.measured import Measured, Status, not_measurable

__all__ = ["AxisSpectrum", "NoisePowerSpectrum", "noise_power_spectrum", "normalised_nps"]

METHOD = "NPS: half-overlapped regions, second-order surface removed, |FFT|² averaged, radial bins in /mm up to Nyquist"
_SAMPLES = 100_000  # of the pixels: enough to know their spread and where they pile up
_UNLIKE = 5.0  # between the middle and the rim of a large body noise differs threefold in variance
_CERTAIN = 0.1  # scatter of a region's variance below which such a difference is no chance
_LEAST_ROI = 16
_PEAK_SHARE = 0.6  # of the peak's height: the part of the curve through which a cubic is laid
_AXIS_LINES = 7  # lines beside each axis, the axis itself left out (IEC 62220-1)


@dataclass(frozen=True)
class AxisSpectrum:
    """The spectrum near one axis, as IEC 62220-1 wants it."""

    frequencies_per_mm: Floats
    density: Floats
    uncertainty: Floats


@dataclass(frozen=True)
class NoisePowerSpectrum:
    """A two-dimensional noise power spectrum, its radial mean and what is read from it.

    Parameters
    ----------
    frequencies_per_mm, density, uncertainty : ndarray, shape (n,)
        Mean frequency in each radial bin from 1/(N·p) to the Nyquist frequency, mean density, standard uncertainty.
    unit : str
        Of `density`: the square of the image's unit times mm², or mm² when normalised.
    spectrum : ndarray, shape (N, N // 2 + 1)
        The two-dimensional density; row frequencies in FFT order, column frequencies from 0 (the other half mirrors it).
    row_frequencies_per_mm, column_frequencies_per_mm : ndarray
        Of its two axes.
    integral, noise, f_av, f_peak : Measured
        Integral over both frequencies (the variance), its square root, mean and peak frequency of the radial curve.
    along_rows, along_columns : AxisSpectrum
        Spectrum of variations along a row (horizontal axis) and along a column, each from 7 lines on both sides of
        the axis, the axis itself left out.
    rois : int
        Number of regions.
    """

    frequencies_per_mm: Floats
    density: Floats
    uncertainty: Floats
    unit: str
    spectrum: Floats
    row_frequencies_per_mm: Floats
    column_frequencies_per_mm: Floats
    integral: Measured
    noise: Measured
    f_av: Measured
    f_peak: Measured
    along_rows: AxisSpectrum
    along_columns: AxisSpectrum
    nyquist_per_mm: float
    rois: int
    status: Status = "ok"
    reason: str = ""
    method: str = METHOD
    details: dict[str, float] = field(default_factory=dict)

    @property
    def measurements(self) -> tuple[Measured, ...]:
        """The numbers, without the curves."""
        return self.integral, self.noise, self.f_av, self.f_peak


def noise_power_spectrum(
    images: ArrayLike, spacing_mm: Spacing, *, roi_size: int = 128, unit: str = "HU", axis_bin_per_mm: float = 0.05
) -> NoisePowerSpectrum:
    """Noise power spectrum of a uniform region.

    Parameters
    ----------
    images : array_like, shape (rows, columns) or (slices, rows, columns)
        Uniform region, or the same one in several slices or exposures. Slow trends (cupping, heel) may be there.
    spacing_mm : float or (row, column)
        Pixel spacing.
    roi_size : int
        Pixels a side of the regions that are transformed; made smaller when the images are.
    unit : str
        Of the images.
    axis_bin_per_mm : float
        Width of the bins of the spectra along the axes.

    Returns
    -------
    NoisePowerSpectrum

    Raises
    ------
    ValueError, TypeError
        For wrong shapes or spacings, or regions below 16 pixels.

    Notes
    -----
    ``NPS(u, v) = p_x p_y/(N_x N_y) · <|FFT(I − S)|²>`` over regions overlapped by half, S each region's second-order
    surface (six coefficients, least squares). Radial bins are 1/(N·p) wide and stop at the Nyquist frequency;
    ``f_av = ∫ f·NPS df/∫ NPS df`` from 0 to there, and f_peak is the highest point of a cubic through the part of the curve that
    is higher than 60 % of its highest value (smoothed over three bins). The integral is over the whole plane, corners
    included, and times ``N²/(N² − 6)`` for the six coefficients, so that it is the variance (Parseval). The surface takes
    most of what lies below half a bin, and some of the first bin: with coloured noise that falls to 0 at 0 about 14 % of it.
    Of white noise in regions of 96 pixels that makes f_av 1.7 % too high.

    Uncertainties: from the spread over regions, of which about 1 in 2.25 counts for a bin when they are overlapped by
    half, and 1 in 4 for the integral and f_av.

    References
    ----------
    ICRU Report 87 (2012); Samei et al., TG-233, Med. Phys. 46 (2019) e735; IEC 62220-1-1:2015; Dobbins et al., Med.
    Phys. 22 (1995) 1581.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(0.0, 10.0, (512, 512))
    >>> nps = noise_power_spectrum(noise, 0.5)
    >>> round(nps.noise.value), round(float(nps.density.mean()))    # 10² · 0.5² = 25 at every frequency
    (10, 25)
    """
    return _spectrum(images, spacing_mm, roi_size, unit, axis_bin_per_mm, normalised=False, signal=None)


def normalised_nps(
    images: ArrayLike,
    spacing_mm: Spacing,
    *,
    roi_size: int = 256,
    large_area_signal: float | None = None,
    axis_bin_per_mm: float = 0.05,
) -> NoisePowerSpectrum:
    """NNPS of flat-field exposures: the noise power spectrum of linearised data over the square of their signal.

    Parameters
    ----------
    images : array_like, shape (rows, columns) or (exposures, rows, columns)
        Linearised to be proportional to exposure (see `signal_transfer`), offset-free.
    spacing_mm, roi_size, axis_bin_per_mm
        As `noise_power_spectrum`; IEC 62220-1 wants regions of 256 pixels from at least 4 million pixels in all.
    large_area_signal : float, optional
        By default the mean of the images.

    Returns
    -------
    NoisePowerSpectrum
        In mm²; `along_rows` and `along_columns` are what the standard reports.

    Raises
    ------
    ValueError, TypeError
        As `noise_power_spectrum`.

    Notes
    -----
    ``NNPS = NPS/signal²``. With fewer than 4 million pixels the result is ``ok`` but its uncertainty larger than the
    5 % that the standard's number of regions gives.

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.random.default_rng(0).normal(1000.0, 20.0, (512, 512))
    >>> nnps = normalised_nps(flat, 0.1)
    >>> round(float(1e6 * nnps.along_rows.density.mean()))    # (20/1000)² · 0.1² = 4·10⁻⁶ mm²
    4
    """
    return _spectrum(images, spacing_mm, roi_size, "1", axis_bin_per_mm, normalised=True, signal=large_area_signal)


def _spectrum(
    images: ArrayLike,
    spacing_mm: Spacing,
    roi_size: int,
    unit: str,
    axis_bin: float,
    *,
    normalised: bool,
    signal: float | None,
) -> NoisePowerSpectrum:
    stack, spacing = image_stack(images), spacing_pair(spacing_mm)
    if roi_size < _LEAST_ROI:
        raise ValueError(f"regions of {roi_size} pixels are too small: at least {_LEAST_ROI}")
    if not axis_bin > 0:
        raise ValueError(f"a bin is a positive width in /mm, not {axis_bin!r}")
    nyquist = 0.5 / max(spacing)
    size = min(roi_size, *stack.shape[1:])
    if size < _LEAST_ROI:
        return _nothing(f"the images are smaller than {_LEAST_ROI} pixels a side", unit, nyquist)
    down, right = _starts(stack.shape[1], size), _starts(stack.shape[2], size)
    starts = [(k, row, column) for k in range(stack.shape[0]) for row in down for column in right]
    rois = np.stack([stack[k, row : row + size, column : column + size].ravel() for k, row, column in starts])
    doubts = []
    broken = ~np.isfinite(rois.sum(axis=1))
    if broken.all():
        return _nothing("every region holds pixels without a number", unit, nyquist)
    if broken.any():
        rois = rois[~broken]
        doubts.append(f"{int(broken.sum())} of {broken.size} regions hold pixels without a number and were left out")
    few = rois.ravel()[:: max(rois.size // _SAMPLES, 1)]
    if share := share_at_extreme(few):
        doubts.append(f"{100 * share:.1f} % of the pixels share the extreme value: clipped")
    level = float(rois.mean()) if signal is None else float(signal)
    if normalised and not level > 0:
        return _nothing(f"a signal of {level:.4g} cannot normalise a spectrum: are the data linearised?", unit, nyquist)
    rest = _detrend(rois, size)
    variances = np.einsum("ij,ij->i", rest, rest) / (size * size - 6)
    if not variances.max() > 1e-20 * level**2:
        return _nothing("the region holds no noise at all", unit, nyquist)
    noise_sd = math.sqrt(float(np.median(variances)))
    if 0 < noise_sd < ROUNDED * grey_step(few, noise_sd):
        doubts.append(COARSE)
    scale = (spacing[0] * spacing[1]) / (size * size) / (level**2 if normalised else 1.0)
    transformed = fft.rfft2(rest.reshape(-1, size, size), workers=1)
    powers = np.square(transformed.real)
    powers += np.square(transformed.imag)
    powers *= scale
    return _Reader(powers, variances, size, spacing, unit, level, normalised, axis_bin, doubts, rest,
                   (stack.shape[0], down.size, right.size)).read()  # fmt: skip


def _starts(length: int, size: int) -> NDArray[np.intp]:
    """Starts of half-overlapped regions, spread so that the whole length is used."""
    count = (length - size) // max(size // 2, 1) + 1
    return np.unique(np.rint(np.linspace(0, length - size, count)).astype(np.intp))


def _detrend(rois: Floats, size: int) -> Floats:
    """Remove each region's least-squares second-order surface."""
    axis = np.linspace(-1.0, 1.0, size)
    y, x = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    basis = np.linalg.qr(np.stack([np.ones_like(x), y, x, y * y, y * x, x * x], axis=1))[0]
    return np.asarray(rois - (rois @ basis) @ basis.T)


def _independent(grid: tuple[int, int, int], shared: float) -> float:
    """How many independent regions half-overlapped ones count for, less one in the spread that is taken from them."""
    count = float(grid[0])
    for size in grid[1:]:
        count *= size**2 / (size + 2 * shared * (size - 1))
    return max(count - 1.0, 1.0) if math.prod(grid) > 1 else 1.0


@dataclass
class _Reader:
    """Reads curves and numbers off the regions' power spectra."""

    powers: Floats
    variances: Floats
    size: int
    spacing: tuple[float, float]
    unit: str
    level: float
    normalised: bool
    axis_bin: float
    doubts: list[str]
    rest: Floats
    grid: tuple[int, int, int]  # images, rows and columns of regions

    def read(self) -> NoisePowerSpectrum:
        size, count = self.size, self.powers.shape[0]
        rows, columns = fft.fftfreq(size, self.spacing[0]), fft.rfftfreq(size, self.spacing[1])
        nyquist = 0.5 / max(self.spacing)
        # Half-overlapped neighbours share half of what the integral, and a quarter of what one bin, is made of.
        side_by_side, independent = (
            _independent(self.grid, shared) * count / math.prod(self.grid) for shared in (0.5, 0.25)
        )
        spectrum = self.powers.mean(axis=0)
        # Columns of the half plane stand for two, but for the first and (of an even size) the last.
        twice = np.full(columns.size, 2.0)
        twice[0] = 1.0
        if size % 2 == 0:
            twice[-1] = 1.0
        width = 1.0 / (size * max(self.spacing))
        radius = np.hypot(rows[:, None], columns[None, :])
        bins = np.rint(radius / width).astype(np.intp)
        last = int(nyquist / width)
        bins[(bins > last) | (radius > nyquist * (1 + 1e-9))] = 0
        weights = np.broadcast_to(twice, bins.shape)
        at = np.bincount(bins.ravel(), (weights * radius).ravel())[1:] / np.bincount(bins.ravel(), weights.ravel())[1:]
        curves, number = self._binned(bins, weights, last + 1)
        density = curves.mean(axis=0)[1:]
        uncertainty = self._errors(curves, number, independent)[1:]
        integral_, noise = self._integral(count, side_by_side)
        f_av, f_peak = self._frequencies(at, density, curves[:, 1:], side_by_side, width, nyquist)
        self._judge()
        status: Status = "suspect" if self.doubts else "ok"
        reason = "; ".join(self.doubts)
        numbers = [m.doubt(reason) if self.doubts else m for m in (integral_, noise, f_av, f_peak)]
        return NoisePowerSpectrum(
            at,
            density,
            uncertainty,
            "mm2" if self.normalised else f"{self.unit}2.mm2",
            spectrum,
            rows,
            columns,
            numbers[0],
            numbers[1],
            numbers[2],
            numbers[3],
            along_rows=self._axis(columns[None, :], rows[:, None], self.spacing[0], independent, nyquist),
            along_columns=self._axis(rows[:, None], columns[None, :], self.spacing[1], independent, nyquist),
            nyquist_per_mm=nyquist,
            rois=count,
            status=status,
            reason=reason,
            details={"mean": self.level, "roi_size": float(size)},
        )

    def _binned(self, bins: NDArray[np.intp], weights: Floats, count: int) -> tuple[Floats, Floats]:
        """Each region's mean power in every bin, and how many frequencies lie in it; nothing is read of bin 0."""
        flat, share = bins.ravel(), weights.ravel()
        order = np.flatnonzero(flat)
        order = order[np.argsort(flat[order], kind="stable")]
        number = np.bincount(flat[order], share[order], minlength=count)
        means = np.zeros((self.powers.shape[0], count))
        filled = np.flatnonzero(number)
        if filled.size:
            powers = self.powers.reshape(self.powers.shape[0], -1)[:, order]
            powers *= share[order]
            starts = np.searchsorted(flat[order], filled)
            means[:, filled] = np.add.reduceat(powers, starts, axis=1) / number[filled]
        return means, np.asarray(number, dtype=np.float64)

    def _errors(self, curves: Floats, number: Floats, independent: float) -> Floats:
        if curves.shape[0] > 3:
            return np.asarray(curves.std(axis=0, ddof=1) / math.sqrt(independent))
        # One region: a periodogram's value scatters like its mean, and half of the frequencies mirror the others.
        return np.asarray(curves.mean(axis=0) / np.sqrt(np.maximum(number / 2, 1) * independent))

    def _integral(self, count: int, independent: float) -> tuple[Measured, Measured]:
        square = self.level**2 if self.normalised else 1.0
        variance = float(self.variances.mean()) / square
        if count > 3:
            error = float(self.variances.std(ddof=1)) / square / math.sqrt(independent)
        else:
            power = self.powers.mean(axis=0)
            error = variance * math.sqrt(2.0 * float((power**2).sum()) / 2.0) / float(power.sum()) / math.sqrt(count)
        unit = "1" if self.normalised else self.unit
        name = "nnps_integral" if self.normalised else "nps_integral"
        noise = math.sqrt(variance)
        return (
            Measured(name, variance, "1" if unit == "1" else f"{unit}2", error, method=METHOD),
            Measured("noise", noise, unit, error / (2 * noise), method=METHOD),
        )

    def _frequencies(
        self, at: Floats, density: Floats, curves: Floats, independent: float, width: float, nyquist: float
    ) -> tuple[Measured, Measured]:
        # Trapezoids from 0 to the Nyquist frequency, the curve level before its first and behind its last point: a mean over
        # the points alone leaves out the lowest frequencies, and is half a bin too high.
        ends = np.concatenate([[0.0], at, [max(nyquist, float(at[-1]))]])
        steps = 0.5 * (np.diff(ends, prepend=0.0) + np.diff(ends, append=ends[-1]))
        weights, moments = steps[1:-1].copy(), (steps * ends)[1:-1]
        weights[0] += steps[0]
        weights[-1] += steps[-1]
        moments[-1] += steps[-1] * ends[-1]
        total = float(weights @ density)
        f_av = float(moments @ density) / total
        many = curves.shape[0] > 3
        if many:
            # Ratio estimator: spread of each region's deviation from the common mean frequency.
            deviations = (curves @ moments - f_av * (curves @ weights)) / total
            error = float(deviations.std(ddof=1)) / math.sqrt(independent)
        else:
            error = width
        smooth = np.convolve(np.pad(density, 1, mode="edge"), np.ones(3) / 3, mode="valid")
        top = int(smooth.argmax())
        high = smooth > _PEAK_SHARE * smooth[top]
        first, last = top, top
        while first > 0 and high[first - 1]:
            first -= 1
        while last < at.size - 1 and high[last + 1]:
            last += 1
        f_peak, error_peak = float(at[top]), width
        if last - first >= 2:
            near = slice(first, last + 1)
            # A cubic where there are bins enough: spectra fall more slowly behind their peak than they rise.
            curve = np.polynomial.Polynomial.fit(at[near], density[near], 3 if last - first >= 7 else 2)
            fine = np.linspace(at[first], at[last], 401)
            f_peak = float(fine[curve(fine).argmax()])
        peak = Measured("f_peak", f_peak, "/mm", error_peak, method=METHOD)
        if last - first + 1 > 0.5 * at.size:
            peak = peak.doubt("the curve is so flat that noise decides where its peak is")
        elif top in (0, smooth.size - 1):
            peak = peak.doubt("the curve is highest at the end of its range")
        return Measured("f_av", f_av, "/mm", error, method=METHOD), peak

    def _axis(
        self, along: Floats, beside: Floats, beside_spacing: float, independent: float, nyquist: float
    ) -> AxisSpectrum:
        """Mean over the lines beside one axis, at the radial frequency of each point (IEC 62220-1)."""
        lines = np.rint(np.abs(beside) * self.size * beside_spacing)
        radius = np.hypot(along, beside)
        chosen = (lines >= 1) & (lines <= _AXIS_LINES) & (np.abs(along) > 0) & (radius < nyquist)
        count = int(nyquist / self.axis_bin)
        bins = np.where(chosen, np.rint(radius / self.axis_bin), 0).astype(np.intp)
        bins[bins > count] = 0
        curves, number = self._binned(bins, np.ones(bins.shape), count + 1)
        filled = np.flatnonzero(number[1:] > 0) + 1
        errors = self._errors(curves, number, independent)
        at = np.asarray(filled * self.axis_bin, dtype=np.float64)
        return AxisSpectrum(at, curves.mean(axis=0)[filled], errors[filled])

    def _judge(self) -> None:
        """Whether the regions hold the same even noise."""
        typical = float(np.median(self.variances))
        if typical <= 0:
            self.doubts.append("most regions hold no noise at all")
        elif self.variances.max() > 3.0 * typical:
            self.doubts.append("one region's variance is more than three times the median: is there an object in it?")
        elif self.variances.max() > _UNLIKE * self.variances.min() and self._scatter() < _CERTAIN:
            self.doubts.append("the regions' variances differ more than fivefold: is there an object in some of them?")
        few = np.abs(self.rest.ravel()[:: max(self.rest.size // _SAMPLES, 1)])
        sd = math.sqrt(max(typical, 0.0))
        robust = min(max(1.4826 * float(np.median(few)), sd / 3.0), sd)
        extreme = max(self.rest.max(), -self.rest.min()) / robust if robust > 0 else 0.0
        if extreme > 12:
            self.doubts.append(f"a pixel lies {extreme:.0f} standard deviations off")

    def _scatter(self) -> float:
        """Relative standard deviation that the least of the regions' variances has by chance, by its own spectrum."""
        least = int(self.variances.argmin())
        if self.variances[least] < 1e-9 * float(np.median(self.variances)):
            return 0.0
        power = self.powers[least]
        return math.sqrt(0.5 * float((power**2).sum())) / float(power.sum())


def _nothing(reason: str, unit: str, nyquist: float) -> NoisePowerSpectrum:
    empty = np.empty(0)
    axis = AxisSpectrum(empty, empty, empty)
    names: Sequence[tuple[str, str]] = (
        ("nps_integral", f"{unit}2" if unit != "1" else "1"), ("noise", unit), ("f_av", "/mm"), ("f_peak", "/mm"),
    )  # fmt: skip
    integral, noise, f_av, f_peak = [not_measurable(name, unit_, reason, method=METHOD) for name, unit_ in names]
    return NoisePowerSpectrum(
        empty, empty, empty, unit, np.empty((0, 0)), empty, empty, integral, noise, f_av, f_peak,
        along_rows=axis, along_columns=axis, nyquist_per_mm=nyquist, rois=0, status="not_measurable", reason=reason,
    )  # fmt: skip
