"""Restricted likelihood of a nested random-effects design, worked out from the innermost groups outwards."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST_RESIDUAL = 1e-4  # of the total spread: keeps the likelihood finite where repeated exams are equal
_STARTS = (0.25, 0.0025)


@dataclass(frozen=True)
class Nest:
    """A nested design with its observations reduced to group means and one sum of squares.

    Attributes
    ----------
    names : tuple of str
        Levels, outermost first.
    groups, outer_groups : dict of str to int
        Groups of each level, and of the level outside it (1 for the outermost).
    codes : dict of str to numpy.ndarray
        Group of every observation, by level.
    labels : tuple
        Of the outermost groups, in the order of their codes.
    values : numpy.ndarray
        Observations over `scale`, less their mean.
    scale, shift : float
        What was divided by and, in scaled units, taken off.
    """

    names: tuple[str, ...]
    groups: dict[str, int]
    outer_groups: dict[str, int]
    codes: dict[str, NDArray[np.int_]]
    labels: tuple[Hashable, ...]
    values: Floats
    scale: float
    shift: float

    @property
    def n(self) -> int:
        """Observations."""
        return int(self.values.size)

    def fit(self, kept: Sequence[str]) -> Fit:
        """Maximise the restricted likelihood over the levels `kept` and the residual."""
        likelihood = Likelihood.of(self, kept)
        starts = [np.array([start] * len(kept) + [math.log(0.5)]) for start in _STARTS]
        best = min((likelihood.minimise(start) for start in starts), key=lambda found: found[1])
        return Fit(self, likelihood, *best)


@dataclass(frozen=True)
class Likelihood:
    """−2·restricted log-likelihood as a function of the standard deviations.

    Attributes
    ----------
    mean, count : numpy.ndarray
        Of the innermost groups.
    within : float
        Sum of squares inside them.
    parents : tuple of numpy.ndarray
        Outer group of every group, innermost level first; the outermost groups have the parent 0.
    n : int
    """

    mean: Floats
    count: Floats
    within: float
    parents: tuple[NDArray[np.int_], ...]
    n: int

    @classmethod
    def of(cls, design: Nest, kept: Sequence[str]) -> Likelihood:
        """Reduce the observations to the groups of the innermost level kept."""
        inner = design.codes[kept[-1]]
        count = np.bincount(inner).astype(float)
        mean = np.bincount(inner, design.values) / count
        within = float(np.sum((design.values - mean[inner]) ** 2))
        parents = []
        for name, outer in zip(kept[::-1], [*kept[-2::-1], None], strict=True):
            parent = np.zeros(design.groups[name], dtype=int)
            if outer is not None:
                parent[design.codes[name]] = design.codes[outer]
            parents.append(parent)
        return cls(mean, count, within, tuple(parents), design.n)

    def deviance(self, sigmas: Floats) -> float:
        """−2·restricted log-likelihood without its constant; `sigmas` outermost first, residual last."""
        return self.ascend(sigmas)[0]

    def ascend(self, sigmas: Floats) -> tuple[float, Floats, Floats, float, float]:
        """Deviance; means of the outermost groups and their variances; the grand mean and its variance.

        Groups of one parent, with means m and variances v (their own effect included), are together worth one
        normal mean with weights 1/v, times exp(−½(Σ ln v + Σ (m − m̄)²/v + ln Σ 1/v)). The last step, with a
        flat prior on the grand mean, is the same sum: that is what makes the likelihood the restricted one.
        """
        residual = float(sigmas[-1]) ** 2
        total = (self.n - self.mean.size) * math.log(residual) + self.within / residual
        total += float(np.log(self.count).sum())
        mean, variance = self.mean, residual / self.count
        outer_mean, outer_variance = mean, variance
        for sigma, parent in zip(sigmas[-2::-1], self.parents, strict=True):
            spread = variance + float(sigma) ** 2
            outer_mean, outer_variance = mean, spread
            weight = np.bincount(parent, 1.0 / spread)
            joint = np.bincount(parent, mean / spread) / weight
            total += float(np.log(spread).sum() + ((mean - joint[parent]) ** 2 / spread).sum() + np.log(weight).sum())
            mean, variance = joint, 1.0 / weight
        return total, outer_mean, outer_variance, float(mean[0]), float(variance[0])

    def slope(self, sigmas: Floats) -> tuple[float, Floats]:
        """Deviance, and its derivatives by the variances and by the logarithm of the residual's standard deviation.

        The steps of `ascend`, and back through them: a group's joint mean is the one of least squares, so that the sum of
        squares of its parts does not depend on it.
        """
        residual = float(sigmas[-1]) ** 2
        total = (self.n - self.mean.size) * math.log(residual) + self.within / residual
        total += float(np.log(self.count).sum())
        mean, variance = self.mean, residual / self.count
        steps = []
        for sigma, parent in zip(sigmas[-2::-1], self.parents, strict=True):
            spread = variance + float(sigma) ** 2
            weight = np.bincount(parent, 1.0 / spread)
            joint = np.bincount(parent, mean / spread) / weight
            off = mean - joint[parent]
            total += float(np.log(spread).sum() + (off**2 / spread).sum() + np.log(weight).sum())
            steps.append((parent, spread, weight, off))
            mean, variance = joint, 1.0 / weight
        by_mean, by_variance = np.zeros(mean.size), np.zeros(mean.size)
        slopes = []
        for parent, spread, weight, off in reversed(steps):
            share = 1.0 / (spread * weight[parent])
            pull = by_mean[parent] * share
            by_variance = (1.0 - off**2 / spread - share - off * pull) / spread + by_variance[parent] * share**2
            by_mean = 2.0 * off / spread + pull
            slopes.append(float(by_variance.sum()))
        by_residual = (
            (self.n - self.mean.size) - self.within / residual + residual * float((by_variance / self.count).sum())
        )
        return total, np.array([*slopes, 2.0 * by_residual])

    def minimise(self, start: Floats, *, fixed: int | None = None, at: float = 0.0) -> tuple[Floats, float]:
        """Parameters of least deviance, and that deviance; with parameter `fixed` held `at` a value if asked.

        The parameters are the variances, whose slope at 0 says whether a component wants to leave 0 (that of a
        standard deviation would vanish there), and for the residual the logarithm of its standard deviation.
        """
        from scipy.optimize import minimize  # slow to import, and few need it

        free = np.array([i for i in range(start.size) if i != fixed], dtype=int)
        point = start.copy()
        if fixed is not None:
            point[fixed] = at

        def loss(trial: Floats) -> tuple[float, Floats]:
            point[free] = trial
            deviance, slope = self.slope(_sigmas(point))
            return deviance, slope[free]

        floor = math.log(_LEAST_RESIDUAL)
        bounds = [(floor, 5.0) if i == start.size - 1 else (0.0, 1e6) for i in free]
        if free.size:
            options = {"ftol": 1e-12, "gtol": 1e-6, "maxiter": 200}
            found = minimize(loss, start[free], jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            point[free] = found.x
        return point.copy(), self.deviance(_sigmas(point))


@dataclass(frozen=True)
class Fit:
    """Least deviance with its parameters, and what follows from them."""

    design: Nest
    likelihood: Likelihood
    point: Floats
    least: float

    @property
    def sigmas(self) -> Floats:
        """Standard deviations, outermost first and residual last, in the observations' own unit."""
        return _sigmas(self.point) * self.design.scale

    @property
    def deviance(self) -> float:
        """−2·restricted log-likelihood with its constant, in the observations' own unit."""
        freedom = self.design.n - 1
        return self.least + freedom * (math.log(2.0 * math.pi) + 2.0 * math.log(self.design.scale))

    def centre(self) -> tuple[float, float]:
        """Grand mean and its standard error."""
        *_, mean, variance = self.likelihood.ascend(_sigmas(self.point))
        return (mean + self.design.shift) * self.design.scale, math.sqrt(variance) * self.design.scale

    def effects(self) -> Iterator[tuple[Hashable, float, float, int]]:
        """Outermost groups: label, predicted effect, its standard error, observations."""
        sigmas = _sigmas(self.point)
        _, means, variances, mean, error = self.likelihood.ascend(sigmas)
        shrink = sigmas[0] ** 2 / variances
        effect = shrink * (means - mean)
        # Prediction variance, that of the estimated grand mean included.
        spread = np.sqrt(sigmas[0] ** 2 * (1.0 - shrink) + shrink**2 * error)
        counts = np.bincount(self.design.codes[self.design.names[0]])
        scale = self.design.scale
        for i, label in enumerate(self.design.labels):
            yield label, float(effect[i]) * scale, float(spread[i]) * scale, int(counts[i])

    def excess_at_zero(self, i: int) -> float:
        """Rise of the deviance where component `i` is 0."""
        return max(0.0, self.likelihood.minimise(self.point, fixed=i, at=0.0)[1] - self.least)

    def profile(self, i: int, cut: float) -> tuple[float, float | None]:
        """Ends of the interval of component `i`, where the profiled deviance rises by `cut`.

        0 where it does not rise so far on the way down; None for an upper end past a thousand times the spread.
        """
        from scipy.optimize import brentq

        last = i == self.point.size - 1
        best = float(_sigmas(self.point)[i])

        def rise(sigma: float) -> float:
            at = math.log(sigma) if last else sigma**2
            return self.likelihood.minimise(self.point, fixed=i, at=at)[1] - self.least - cut

        smallest = 2.0 * _LEAST_RESIDUAL if last else 0.0
        low = 0.0
        if best > smallest and rise(smallest) > 0.0:
            low = float(brentq(rise, smallest, best, xtol=1e-5, rtol=1e-5))
        edge = max(2.0 * best, 0.05)
        while rise(edge) < 0.0:
            edge *= 2.0
            if edge > 100.0:
                return low * self.design.scale, None
        high = float(brentq(rise, best, edge, xtol=1e-5, rtol=1e-5))
        return low * self.design.scale, high * self.design.scale


def nest(observations: Floats, levels: Mapping[str, Sequence[Hashable]]) -> Nest:
    """Number the groups of each level inside those of the level outside it, and scale the observations."""
    names = tuple(levels)
    outer = np.zeros(observations.size, dtype=int)
    codes: dict[str, NDArray[np.int_]] = {}
    groups: dict[str, int] = {}
    outer_groups: dict[str, int] = {}
    labels: tuple[Hashable, ...] = ()
    before = 1
    for name in names:
        known: dict[tuple[int, Hashable], int] = {}
        pairs = zip(outer.tolist(), levels[name], strict=True)
        outer = np.array([known.setdefault(pair, len(known)) for pair in pairs], dtype=int)
        codes[name], groups[name], outer_groups[name] = outer, len(known), before
        before = len(known)
        if name == names[0]:
            labels = tuple(label for _, label in known)
    scale = float(observations.std())
    shift = float(observations.mean()) / scale
    return Nest(names, groups, outer_groups, codes, labels, observations / scale - shift, scale, shift)


def _sigmas(point: Floats) -> Floats:
    """Standard deviations from the parameters: variances, and last the logarithm of the residual's own."""
    return np.append(np.sqrt(point[:-1]), math.exp(point[-1]))
