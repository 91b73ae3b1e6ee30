"""Uncertainty budgets: GUM by linear propagation, and Monte Carlo (JCGM 101) where a formula bends too much for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.measured import Measured, not_measurable

__all__ = ["Quantity", "monte_carlo", "propagate", "water_equivalent_budget"]

Distribution = Literal["normal", "rectangular", "triangular"]
_DIVISORS = {"normal": 1.0, "rectangular": math.sqrt(3), "triangular": math.sqrt(6)}


@dataclass(frozen=True, slots=True)
class Quantity:
    """One input of a budget.

    Parameters
    ----------
    value : float
        Best estimate.
    spread : float
        Standard uncertainty of a normal distribution; half-width of a rectangular or triangular one. At least 0.
    distribution : {'normal', 'rectangular', 'triangular'}

    Raises
    ------
    ValueError
        A number is not finite, the spread is below 0 or the distribution is unknown.

    Examples
    --------
    >>> round(Quantity(10.0, 2.0, "rectangular").standard_uncertainty, 4)
    1.1547
    """

    value: float
    spread: float = 0.0
    distribution: Distribution = "normal"

    def __post_init__(self) -> None:
        if self.distribution not in _DIVISORS:
            raise ValueError(f"a distribution is one of {', '.join(_DIVISORS)}, not {self.distribution!r}")
        if not (math.isfinite(self.value) and math.isfinite(self.spread) and self.spread >= 0):
            raise ValueError(f"{self.value} ± {self.spread}")

    @property
    def standard_uncertainty(self) -> float:
        """Spread over 1, sqrt(3) or sqrt(6)."""
        return self.spread / _DIVISORS[self.distribution]

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Values drawn from the distribution."""
        if self.spread == 0:
            return np.full(count, self.value)
        if self.distribution == "rectangular":
            return random.uniform(self.value - self.spread, self.value + self.spread, count)
        if self.distribution == "triangular":
            return random.triangular(self.value - self.spread, self.value, self.value + self.spread, count)
        return random.normal(self.value, self.spread, count)


def propagate(name: str, unit: str, formula: Callable[..., Any], inputs: Mapping[str, Quantity]) -> Measured:
    """GUM budget of a formula: linear propagation with exact derivatives.

    Parameters
    ----------
    name, unit : str
        Of the result.
    formula : callable
        Takes the inputs by name; arithmetic and functions of ``uncertainties.umath``.
    inputs : mapping of str to Quantity
        Independent of each other.

    Returns
    -------
    Measured
        `details["budget"]`: for each input its contribution to the standard uncertainty, in `unit`.

    Notes
    -----
    ``u² = Σ (∂f/∂x_i)² u_i²``.

    References
    ----------
    JCGM 100:2008; derivatives by the package ``uncertainties``.

    Examples
    --------
    >>> kerma = propagate("k", "mGy", lambda y, q: y * q, {"y": Quantity(0.05, 0.001), "q": Quantity(20.0, 0.3)})
    >>> round(kerma.value, 6), round(kerma.uncertainty, 6)
    (1.0, 0.025)
    """
    from uncertainties import ufloat

    method = "GUM, linear propagation"
    variables = {
        key: ufloat(item.value, item.standard_uncertainty, key) if item.spread else item.value
        for key, item in inputs.items()
    }
    try:
        result = formula(**variables)
    except (ArithmeticError, ValueError) as error:
        return not_measurable(name, unit, f"the formula has no value there: {error}", method=method)
    if not hasattr(result, "error_components"):
        return Measured(name, float(result), unit, 0.0, method=method, details={"budget": dict.fromkeys(inputs, 0.0)})
    if not (math.isfinite(result.nominal_value) and math.isfinite(result.std_dev)):
        return not_measurable(name, unit, "the formula has no value there", method=method)
    shares = {variable.tag: float(share) for variable, share in result.error_components().items()}
    budget = {key: shares.get(key, 0.0) for key in inputs}
    return Measured(name, result.nominal_value, unit, result.std_dev, method=method, details={"budget": budget})


def monte_carlo(
    name: str,
    unit: str,
    formula: Callable[..., ArrayLike],
    inputs: Mapping[str, Quantity],
    *,
    draws: int = 20_000,
    seed: int = 1,
) -> Measured:
    """Monte Carlo budget of a formula.

    Parameters
    ----------
    name, unit : str
        Of the result.
    formula : callable
        Takes arrays of length `draws` by name and gives one back.
    inputs : mapping of str to Quantity
    draws : int
        100 to 10 000 000.
    seed : int
        The same seed gives the same result.

    Returns
    -------
    Measured
        Mean and standard deviation; ``details["interval95"]`` is the shortest interval that holds 95 % of the draws.
        *Suspect* when some draws have no finite value.

    Raises
    ------
    ValueError
        `draws` is out of range or the formula gives another shape.

    References
    ----------
    JCGM 101:2008.

    Examples
    --------
    >>> area = monte_carlo("area", "mm2", lambda a, b: a * b, {"a": Quantity(3.0, 0.1), "b": Quantity(4.0, 0.1)})
    >>> abs(area.uncertainty - 0.5) < 0.01
    True
    """
    if not 100 <= draws <= 10_000_000:
        raise ValueError(f"{draws} draws; 100 to 10 000 000 are possible")
    random = np.random.default_rng(seed)
    drawn = np.asarray(formula(**{key: item.draw(random, draws) for key, item in inputs.items()}), float)
    if drawn.shape != (draws,):
        raise ValueError(f"the formula gave shape {drawn.shape} for {draws} draws")
    finite = np.sort(drawn[np.isfinite(drawn)])
    method = f"Monte Carlo, {draws} draws"
    if len(finite) < draws / 2:
        return not_measurable(name, unit, "most draws have no finite value", method=method)
    inner = math.ceil(0.95 * len(finite))
    widths = finite[inner - 1 :] - finite[: len(finite) - inner + 1]
    start = int(np.argmin(widths))
    details = {"interval95": [float(finite[start]), float(finite[start + inner - 1])]}
    result = Measured(name, float(finite.mean()), unit, float(finite.std(ddof=1)), method=method, details=details)
    missing = draws - len(finite)
    return result.doubt(f"{missing} of {draws} draws have no finite value") if missing else result


def water_equivalent_budget(
    image_hu: ArrayLike,
    spacing_mm: float | tuple[float, float],
    *,
    hu_of_water: Quantity = Quantity(0.0, 4.0, "rectangular"),
    slope_error: Quantity = Quantity(0.0, 0.01, "rectangular"),
    threshold_hu: Quantity = Quantity(-383.0, 100.0, "rectangular"),
    spacing_error: Quantity = Quantity(0.0, 0.002),
    draws: int = 100,
    seed: int = 1,
) -> Measured:
    """Uncertainty of a water-equivalent diameter by drawing CT numbers, threshold and pixel size anew.

    Parameters
    ----------
    image_hu, spacing_mm
        As `water_equivalent_diameter`.
    hu_of_water : Quantity
        Offset of the CT number of water in HU.
    slope_error : Quantity
        Relative error of the scale between air and water.
    threshold_hu : Quantity
        Threshold between patient and air.
    spacing_error : Quantity
        Relative error of the pixel size.
    draws, seed : int
        As `monte_carlo`, each draw a segmentation of its own.

    Returns
    -------
    Measured
        ``water_equivalent_diameter`` in mm with its uncertainty found so.

    References
    ----------
    JCGM 101:2008; AAPM Report 220 (2014).
    """
    from dose_audit.dosimetry.water_equivalent import water_equivalent_diameter

    image = np.asarray(image_hu, np.float32)
    nominal = water_equivalent_diameter(image, spacing_mm, threshold_hu=threshold_hu.value)
    if nominal.value is None:
        return nominal
    rows_mm, columns_mm = (float(side) for side in np.broadcast_to(spacing_mm, 2))

    def diameter(**drawn: NDArray[np.float64]) -> list[float]:
        found = []
        for offset, slope, threshold, size in zip(*drawn.values(), strict=True):
            changed = (image + 1000) * np.float32(1 + slope) - 1000 + np.float32(offset)
            spacing = (rows_mm * (1 + size), columns_mm * (1 + size))
            value = water_equivalent_diameter(changed, spacing, threshold_hu=float(threshold)).value
            found.append(math.nan if value is None else value)
        return found

    inputs = {"offset": hu_of_water, "slope": slope_error, "threshold": threshold_hu, "size": spacing_error}
    result = monte_carlo(nominal.name, "mm", diameter, inputs, draws=draws, seed=seed)
    if result.value is None or nominal.status == "ok":
        return result
    return result.doubt(nominal.reason)
