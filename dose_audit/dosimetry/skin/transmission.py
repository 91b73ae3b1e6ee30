"""What table and mattress let through, at the angle and through the part of them that a ray really crosses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.dosimetry.skin._tables import read_rows

__all__ = ["Support", "normal_transmission", "path_factors", "transmission"]


@dataclass(frozen=True, slots=True)
class Support:
    """The table and the mattress on it, as flat slabs with their middle at x = 0 and the table's top at y = 0.

    Parameters
    ----------
    table_width_mm, table_thickness_mm : float
        Width across the patient and thickness of the table top.
    mattress_width_mm, mattress_thickness_mm : float
        The same of the mattress under the patient's weight.

    Raises
    ------
    ValueError
        If a size is not above zero (the mattress may have no thickness).
    """

    table_width_mm: float = 450.0
    table_thickness_mm: float = 20.0
    mattress_width_mm: float = 450.0
    mattress_thickness_mm: float = 40.0

    def __post_init__(self) -> None:
        if min(self.table_width_mm, self.table_thickness_mm, self.mattress_width_mm) <= 0:
            raise ValueError("the table and the mattress need sizes above zero")
        if self.mattress_thickness_mm < 0:
            raise ValueError("a mattress cannot be thinner than nothing")


def normal_transmission(kvp_kv: ArrayLike, copper_mm: ArrayLike) -> NDArray[np.float64]:
    """Transmission of table and of mattress at normal incidence.

    Parameters
    ----------
    kvp_kv : array_like
        Tube voltage; held at 60–125 kV.
    copper_mm : array_like
        Added copper; held at 0–0.9 mm.

    Returns
    -------
    ndarray, shape (…, 2)
        Of the table alone, and of the mattress alone (table and mattress over table).

    Examples
    --------
    >>> normal_transmission(80, 0.1).round(3).tolist()
    [0.84, 0.893]
    """
    kvps, coppers, values = _measured()
    kvp, copper = np.broadcast_arrays(np.asarray(kvp_kv, float), np.asarray(copper_mm, float))
    kvp, copper = np.clip(kvp, kvps[0], kvps[-1]), np.clip(copper, coppers[0], coppers[-1])
    row = np.clip(np.searchsorted(kvps, kvp, side="right") - 1, 0, len(kvps) - 2)
    column = np.clip(np.searchsorted(coppers, copper, side="right") - 1, 0, len(coppers) - 2)
    up = ((kvp - kvps[row]) / (kvps[row + 1] - kvps[row]))[..., None]
    right = ((copper - coppers[column]) / (coppers[column + 1] - coppers[column]))[..., None]
    both = (1 - up) * ((1 - right) * values[row, column] + right * values[row, column + 1]) + up * (
        (1 - right) * values[row + 1, column] + right * values[row + 1, column + 1]
    )
    return np.stack([both[..., 0], both[..., 1] / both[..., 0]], axis=-1)


def path_factors(
    source_mm: NDArray[np.float64], points_mm: NDArray[np.float64], support: Support
) -> NDArray[np.float64]:
    """How many thicknesses of table and of mattress lie on the straight lines from the source to points.

    Parameters
    ----------
    source_mm : ndarray, shape (3,)
        Focal spot in the table's frame (x left, y down from the table's top, z head).
    points_mm : ndarray, shape (n, 3)
        Where the rays end, on or above the mattress (y not above minus its thickness) or anywhere else.
    support : Support

    Returns
    -------
    ndarray, shape (n, 2)
        Path in table and mattress over their thickness: 1 at right angles, 1/cos θ when oblique, less where the ray
        passes an edge, 0 where it misses or the source is on the patient's side.

    Examples
    --------
    >>> source = np.array([0.0, 600.0, 0.0])
    >>> path_factors(source, np.array([[0.0, -40.0, 0.0], [0.0, -40.0, 640.0]]), Support()).round(4).tolist()
    [[1.0, 1.0], [1.4142, 1.4142]]
    """
    way = points_mm - source_mm
    # A ray exactly along a slab's face would divide nothing by nothing: a hair's breadth aside it does not.
    aside = np.where(way[:, 0] == 0.0, 1e-9, way[:, 0])
    down = np.where(way[:, 1] == 0.0, 1e-9, way[:, 1])
    length = np.sqrt((way**2).sum(axis=1))
    factors = np.zeros((len(points_mm), 2))
    slabs = (
        (0.0, support.table_thickness_mm, support.table_width_mm),
        (-support.mattress_thickness_mm, 0.0, support.mattress_width_mm),
    )
    for column, (top, bottom, width) in enumerate(slabs):
        if bottom <= top or (source_mm[1] <= top and points_mm[:, 1].max(initial=top) <= top):
            continue
        # Ways to the slab's four faces, 0 at the source and 1 at the point.
        to_top, to_bottom = (top - source_mm[1]) / down, (bottom - source_mm[1]) / down
        to_right, to_left = (-width / 2 - source_mm[0]) / aside, (width / 2 - source_mm[0]) / aside
        first = np.maximum(np.minimum(to_top, to_bottom), np.minimum(to_right, to_left))
        last = np.minimum(np.maximum(to_top, to_bottom), np.maximum(to_right, to_left))
        inside = np.minimum(last, 1.0) - np.maximum(first, 0.0)
        factors[:, column] = np.maximum(inside, 0.0) * length / (bottom - top)
    return factors


def transmission(
    log_normal: NDArray[np.float64],
    source_mm: NDArray[np.float64],
    points_mm: NDArray[np.float64],
    support: Support,
) -> NDArray[np.float64]:
    """Transmission of table and mattress from the source to points: ``T_table^p · T_mattress^q``.

    The exponents are the path factors; so a ray at an angle θ to the vertical sees T^(1/cos θ).

    Parameters
    ----------
    log_normal : ndarray, shape (2,)
        Natural logarithms of `normal_transmission`.
    source_mm, points_mm, support
        As for `path_factors`.

    Returns
    -------
    ndarray, shape (n,)
        0 to 1.
    """
    return np.asarray(np.exp(path_factors(source_mm, points_mm, support) @ log_normal))


@cache
def _measured() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rows = read_rows("table_transmission.csv")
    kvp, copper, table, both = (np.array([float(row[name]) for row in rows]) for name in rows[0])
    kvps, coppers = np.unique(kvp), np.unique(copper)
    values = np.full((len(kvps), len(coppers), 2), np.nan)
    values[np.searchsorted(kvps, kvp), np.searchsorted(coppers, copper)] = np.stack([table, both], axis=-1)
    return kvps, coppers, values
