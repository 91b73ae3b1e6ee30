"""Dose on every skin cell: inverse square from the reference point, table, backscatter, and air kerma to skin dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry.backscatter import field_weights
from dose_audit.dosimetry.skin.phantom import Outline, Phantom, skin_outline
from dose_audit.dosimetry.skin.shots import Shots
from dose_audit.dosimetry.skin.transmission import Support, transmission

__all__ = ["DoseMap", "Entry", "dose_at", "enter", "make_map"]

_RAYS = 11
_MARGIN_MM = 20.0
_SMALLEST_SIDE_CM = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """Where n shots meet the patient.

    Parameters
    ----------
    fraction : ndarray, shape (n,)
        Part of each field that falls on the patient.
    distance_mm : ndarray, shape (n,)
        Focal spot to skin along the ray of the field that enters first; NaN where none does.
    along_mm : ndarray, shape (n, 2)
        First and last position along the patient; NaN where there is none.
    inside : ndarray of bool, shape (n,)
        Where the focal spot would be inside the patient.
    """

    fraction: NDArray[np.float64]
    distance_mm: NDArray[np.float64]
    along_mm: NDArray[np.float64]
    inside: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DoseMap:
    """Skin dose, unrolled.

    Parameters
    ----------
    dose_mgy : ndarray, shape (n_around, n_along)
    around_mm : ndarray, shape (n_around,)
        Along the skin from the middle of the side on the table, growing towards +x of the table's frame.
    along_mm : ndarray, shape (n_along,)
        Along the table, growing to the head of a patient who lies head first.
    outline : Outline
        The cross-section's cells.
    """

    dose_mgy: NDArray[np.float64]
    around_mm: NDArray[np.float64]
    along_mm: NDArray[np.float64]
    outline: Outline

    @property
    def peak_mgy(self) -> float:
        """The highest dose of any cell."""
        return float(self.dose_mgy.max(initial=0.0))

    @property
    def peak_place(self) -> tuple[int, int]:
        """Row and column of the peak."""
        row, column = np.unravel_index(int(self.dose_mgy.argmax()), self.dose_mgy.shape)
        return int(row), int(column)

    def points(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (n, 3) and outward normals (n, 2) of cells given by their flat index."""
        rows, columns = np.divmod(places, len(self.along_mm))
        outline = self.outline
        points = np.stack([outline.x_mm[rows], outline.y_mm[rows], self.along_mm[columns]], axis=1)
        return points, outline.normal[rows]


def enter(shots: Shots, phantom: Phantom, support: Support) -> Entry:
    """Trace a bundle of rays of every shot to the patient.

    Parameters
    ----------
    shots : Shots
    phantom : Phantom
    support : Support

    Returns
    -------
    Entry

    Notes
    -----
    11 × 11 rays a field, its edges included and counted half.
    """
    steps = np.linspace(-1.0, 1.0, _RAYS)
    edge = np.where(np.abs(steps) == 1.0, 0.5, 1.0)
    weight = np.outer(edge, edge).ravel() / edge.sum() ** 2
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    offsets = grid[None] * shots.half_field[:, None, :]
    way = shots.axis[:, None, :] + np.einsum("nrk,nkc->nrc", offsets, shots.across)
    reach, inside = _first_meeting(shots.source_mm[:, None, :], way, phantom, support)
    hit = np.isfinite(reach)
    length = np.where(hit, reach, np.inf) * np.sqrt((way**2).sum(axis=-1))
    along = shots.source_mm[:, None, 2] + np.where(hit, reach, 0.0) * way[..., 2]
    first = np.where(hit, along, np.inf).min(axis=1)
    last = np.where(hit, along, -np.inf).max(axis=1)
    nearest = length.min(axis=1)
    missed = ~hit.any(axis=1)
    for values in (first, last, nearest):
        values[missed] = np.nan
    return Entry((hit * weight).sum(axis=1), nearest, np.stack([first, last], axis=1), inside)


def make_map(shots: Shots, phantom: Phantom, support: Support, cell_mm: float = 5.0) -> DoseMap:
    """Add up all shots on the patient's skin.

    Parameters
    ----------
    shots : Shots
    phantom : Phantom
    support : Support
    cell_mm : float
        Size of a cell, 1–20 mm.

    Returns
    -------
    DoseMap
        At least one column long; all zero where no shot meets the patient.

    Notes
    -----
    ``D = K_ref · (d_ref/d)² · T · B · (µen/ρ)_water/air`` for every cell inside the field's pyramid that faces the
    source, d from focal spot to cell; B at the side of the square field of the same area at the cell.
    """
    if not 1.0 <= cell_mm <= 20.0:
        raise ValueError(f"cells of {cell_mm} mm; 1 to 20 mm make sense")
    outline = skin_outline(phantom, support.mattress_thickness_mm, cell_mm)
    spans = enter(shots, phantom, support).along_mm
    seen = np.isfinite(spans[:, 0])
    first, last = (spans[seen, 0].min(), spans[seen, 1].max()) if seen.any() else (0.0, 0.0)
    low = int(np.floor((first - _MARGIN_MM) / cell_mm))
    high = int(np.ceil((last + _MARGIN_MM) / cell_mm))
    along: NDArray[np.float64] = np.asarray((np.arange(low, high) + 0.5) * cell_mm, dtype=float)
    dose = np.zeros((len(outline.around_mm), len(along)))
    for number in np.flatnonzero(seen).tolist():
        columns = slice(*np.searchsorted(along, spans[number] + np.array([-_MARGIN_MM, _MARGIN_MM])))
        rows, places = _cells_in_field(shots, number, outline, along[columns])
        if not len(rows):
            continue
        points = np.stack([outline.x_mm[rows], outline.y_mm[rows], along[columns][places]], axis=1)
        dose[rows, places + (columns.start or 0)] += _dose_on(shots, number, points, support)
    return DoseMap(dose, outline.around_mm, along, outline)


def dose_at(
    shots: Shots, points_mm: NDArray[np.float64], normals: NDArray[np.float64], support: Support
) -> NDArray[np.float64]:
    """Dose of each shot at given places of the skin.

    Parameters
    ----------
    shots : Shots
    points_mm : ndarray, shape (m, 3)
    normals : ndarray, shape (m, 2)
        Outward normals of the skin there (x, y).
    support : Support

    Returns
    -------
    ndarray, shape (n, m)
        mGy.
    """
    doses = np.zeros((len(shots), len(points_mm)))
    for number in range(len(shots)):
        way = points_mm - shots.source_mm[number]
        depth = way @ shots.axis[number]
        beside = np.abs(way @ shots.across[number].T)
        hit = (depth > 0) & (beside <= depth[:, None] * shots.half_field[number]).all(axis=1)
        hit &= (way[:, :2] * normals).sum(axis=1) < 0
        if hit.any():
            doses[number, hit] = _dose_on(shots, number, points_mm[hit], support)
    return doses


def _dose_on(shots: Shots, number: int, points: NDArray[np.float64], support: Support) -> NDArray[np.float64]:
    """Dose of one shot on points known to lie in its field."""
    source = shots.source_mm[number]
    way = points - source
    squared = (way**2).sum(axis=1)
    depth = way @ shots.axis[number]
    side_cm = depth * 2.0 * np.sqrt(shots.half_field[number].prod()) / 10.0
    factors = field_weights(side_cm) @ shots.knots[number]
    scatter = 1.0 + (factors - 1.0) * np.minimum(side_cm / _SMALLEST_SIDE_CM, 1.0)
    through = transmission(shots.log_transmission[number], source, points, support)
    kerma = shots.kerma_mgy[number] * shots.reference_mm[number] ** 2 / squared
    return np.asarray(kerma * scatter * through * shots.factor[number])


def _cells_in_field(
    shots: Shots, number: int, outline: Outline, along: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices around and along of the cells that one shot meets; a cylinder's cells separate into the two."""
    source, axis, across = shots.source_mm[number], shots.axis[number], shots.across[number]
    flat = np.stack([outline.x_mm - source[0], outline.y_mm - source[1]], axis=1)
    facing = np.flatnonzero((flat * outline.normal).sum(axis=1) < 0)
    flat, ahead = flat[facing], along - source[2]
    depth = (flat @ axis[:2])[:, None] + ahead * axis[2]
    hit = depth > 0
    for side in range(2):
        beside = (flat @ across[side, :2])[:, None] + ahead * across[side, 2]
        hit &= np.abs(beside) <= depth * shots.half_field[number, side]
    rows, places = np.nonzero(hit)
    return facing[rows], places


def _first_meeting(
    source: NDArray[np.float64], way: NDArray[np.float64], phantom: Phantom, support: Support
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How many lengths of `way` from the source to the skin (NaN: never), and whether the source is inside."""
    surface = -support.mattress_thickness_mm
    if phantom.shape == "flat":
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = (surface - source[..., 1]) / way[..., 1]
            meets = (reach > 0) & (way[..., 1] < 0)
            meets &= np.abs(source[..., 0] + reach * way[..., 0]) <= phantom.width_mm / 2
        return np.where(meets, reach, np.nan), np.zeros(len(source), dtype=bool)
    half = np.array([phantom.width_mm / 2, phantom.depth_mm / 2])
    middle = np.array([0.0, surface - half[1]])
    start, step = (source[..., :2] - middle) / half, way[..., :2] / half
    square = (step**2).sum(axis=-1)
    mixed = (start * step).sum(axis=-1)
    rest = (start**2).sum(axis=-1) - 1.0
    under_root = mixed**2 - square * rest
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (-mixed - np.sqrt(under_root)) / square
    meets = (under_root >= 0) & (reach > 0)
    return np.where(meets, reach, np.nan), np.asarray(rest[:, 0] < 0)
