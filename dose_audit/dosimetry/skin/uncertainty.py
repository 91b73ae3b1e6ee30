"""How uncertain a peak skin dose is: Monte Carlo over what is common to all events and over where the patient lies.

Two parts, because the second costs a map a draw: factors (calibration, table, backscatter) on the cells that can become
the peak, and geometry (patient aside, mattress, size) on coarse maps. They are added in quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry.skin.dose_map import DoseMap, dose_at, make_map
from dose_audit.dosimetry.skin.phantom import Phantom
from dose_audit.dosimetry.skin.shots import Shots
from dose_audit.dosimetry.skin.transmission import Support, path_factors

__all__ = ["Budget", "PeakUncertainty", "peak_uncertainty"]

_COARSE_CELL_MM = 15.0
_CANDIDATES = 250
_NEAR_PEAK = 0.6
_KERMA_THAT_COUNTS = 0.98
_SHOTS_IN_ALL = 1500
_FEWEST_DRAWS = 8


@dataclass(frozen=True, slots=True)
class Budget:
    """Standard uncertainties (k = 1).

    Parameters
    ----------
    air_kerma : float
        Of the displayed reference air kerma, relative, common to all events of a plane: half of the ±35 % that
        IEC 60601-2-43 allows. Put a calibration's own here.
    event_kerma : float
        What remains from event to event, relative: rounding, and a filter or a tube voltage that differs from the report.
    table : float
        Of table and mattress transmission, relative, at normal incidence.
    backscatter : float
        Of backscatter and water-to-air ratio together, relative.
    aside_mm, height_mm : float
        Patient's place across the table, and height of the skin above it or of the table under the isocentre.
    size : float
        Of the trunk's axes, relative.
    """

    air_kerma: float = 0.175
    event_kerma: float = 0.05
    table: float = 0.075
    backscatter: float = 0.03
    aside_mm: float = 20.0
    height_mm: float = 20.0
    size: float = 0.08

    def __post_init__(self) -> None:
        if min(getattr(self, part.name) for part in fields(self)) < 0:
            raise ValueError("an uncertainty cannot be below zero")


@dataclass(frozen=True, slots=True)
class PeakUncertainty:
    """Relative standard uncertainties (k = 1) of a peak skin dose.

    Parameters
    ----------
    relative : float
        All together.
    factors, geometry : float
        The two parts.
    """

    relative: float
    factors: float
    geometry: float


def peak_uncertainty(
    shots: Shots,
    planes: NDArray[np.int64],
    dose_map: DoseMap,
    phantom: Phantom,
    support: Support,
    budget: Budget,
    *,
    draws: int = 400,
    geometry_draws: int = 20,
    seed: int = 43,
) -> PeakUncertainty:
    """Monte Carlo uncertainty of the highest skin dose.

    Parameters
    ----------
    shots : Shots
    planes : ndarray of int, shape (n_shots,)
        The X-ray plane of each shot: each has a kerma meter of its own.
    dose_map : DoseMap
        The map whose peak is meant; it must have one.
    phantom : Phantom
    support : Support
    budget : Budget
    draws, geometry_draws : int
        Of factors and of maps; at least 2 each. With very many shots there are fewer maps, but not below 8.
    seed : int
        The same for the same result.

    Returns
    -------
    PeakUncertainty

    Notes
    -----
    JCGM 101:2008. Relative factors are lognormal, places normal. The peak is sought anew in every draw, so a second
    field that may overtake the first counts.
    """
    random = np.random.default_rng(seed)
    factors = _spread(_factor_peaks(shots, planes, dose_map, support, budget, draws, random))
    moves = max(budget.aside_mm, budget.height_mm, budget.size) > 0
    geometry = _spread(_geometry_peaks(shots, phantom, support, budget, geometry_draws, random)) if moves else 0.0
    return PeakUncertainty(float(np.hypot(factors, geometry)), factors, geometry)


def _factor_peaks(
    shots: Shots,
    planes: NDArray[np.int64],
    dose_map: DoseMap,
    support: Support,
    budget: Budget,
    draws: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Peaks over the candidate cells with every factor drawn anew."""
    flat = dose_map.dose_mgy.ravel()
    near = np.flatnonzero(flat >= _NEAR_PEAK * flat.max())
    if len(near) > _CANDIDATES:
        near = near[np.linspace(0, len(near) - 1, _CANDIDATES).astype(int)]
    near = np.union1d(near, [flat.argmax()])
    points, normals = dose_map.points(near)
    doses = dose_at(shots, points, normals, support)
    counted = np.flatnonzero(doses.any(axis=1))
    doses = doses[counted]
    # A shot's path through the table hardly differs between the cells of one field: its mean stands for all.
    under = np.array(
        [
            path_factors(shots.source_mm[n], points[row > 0], support).mean()
            for n, row in zip(counted, doses, strict=True)
        ]
    )
    normal = random.standard_normal
    plane = planes[counted]
    log = budget.air_kerma * normal((draws, int(planes.max()) + 1))[:, plane]
    _, event = np.unique(shots.beam[counted], return_inverse=True)
    log = log + budget.event_kerma * normal((draws, int(event.max()) + 1))[:, event]
    log = log + budget.table * normal((draws, 1)) * under
    log = log + budget.backscatter * normal((draws, 1))
    return np.asarray((np.exp(log) @ doses).max(axis=1))


def _geometry_peaks(
    shots: Shots, phantom: Phantom, support: Support, budget: Budget, draws: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Peaks of coarse maps with the patient elsewhere and of another size."""
    shots = _merged(shots)
    draws = int(np.clip(_SHOTS_IN_ALL / len(shots), min(draws, _FEWEST_DRAWS), draws))
    aside, height, size = random.standard_normal((3, draws))
    peaks = []
    for number in range(draws):
        scale = float(np.exp(budget.size * size[number]))
        drawn = replace(phantom, width_mm=phantom.width_mm * scale, depth_mm=phantom.depth_mm * scale)
        moved = shots.moved(budget.aside_mm * float(aside[number]), budget.height_mm * float(height[number]))
        peaks.append(make_map(moved, drawn, support, _COARSE_CELL_MM).peak_mgy)
    return np.array(peaks)


def _merged(shots: Shots) -> Shots:
    """Shots that stand within a centimetre of each other as one, and the faintest 2 % not at all: coarse maps need no more."""
    keys = np.hstack([shots.source_mm / 10.0, shots.axis / 0.02, shots.half_field / 0.01]).round()
    _, first, member = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    kerma = np.bincount(member.ravel(), shots.kerma_mgy)
    largest = np.argsort(kerma)[::-1]
    before = np.cumsum(kerma[largest]) - kerma[largest]
    kept = np.sort(largest[before < _KERMA_THAT_COUNTS * kerma.sum()])
    return replace(shots.only(first[kept]), kerma_mgy=kerma[kept])


def _spread(peaks: NDArray[np.float64]) -> float:
    """Standard deviation of the peaks over their mean."""
    mean = float(peaks.mean())
    return float(peaks.std(ddof=1)) / mean if mean > 0 else 0.0
