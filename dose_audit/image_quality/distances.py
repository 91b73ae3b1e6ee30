"""Distances between nodes, and the affine map (scale, skew, rotation) from where they should be to where they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dose_audit.image_quality.inserts import InsertFit, fit_insert
from dose_audit.image_quality.rois import Position, Spacing, as_image, spacing_pair
from dose_audit.measured import Measured, not_measurable

__all__ = ["AffineDistortion", "NodeDistances", "affine_distortion", "node_distances"]

Floats = NDArray[np.float64]
_METHOD = "distances between fitted node centres, both spacings applied"
_AFFINE = "least-squares affine map from nominal to measured node centres"


@dataclass(frozen=True, slots=True)
class NodeDistances:
    """Distances between nodes found near their expected places.

    Parameters
    ----------
    nodes : tuple of InsertFit
        One per expected place, in their order.
    distances : mapping of (first, second) to Measured
        In mm, for every pair asked for.
    """

    nodes: tuple[InsertFit, ...]
    distances: Mapping[tuple[int, int], Measured]


@dataclass(frozen=True, slots=True)
class AffineDistortion:
    """What an affine map says of the image's geometry.

    Parameters
    ----------
    scale_x, scale_y : Measured
        Measured over nominal length along the phantom's axes.
    skew : Measured
        Departure of the axes from a right angle, in degrees.
    rotation : Measured
        Roll of the phantom, in degrees, clockwise on the screen.
    distortion : Measured
        Largest distance of a node from the affine map, in mm: what is not scale, skew or roll.
    """

    scale_x: Measured
    scale_y: Measured
    skew: Measured
    rotation: Measured
    distortion: Measured


def node_distances(
    image: ArrayLike,
    spacing_mm: Spacing,
    places_px: Sequence[Position],
    radius_mm: float,
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
    search_mm: float | None = None,
    fix_radius: bool = True,
) -> NodeDistances:
    """Find nodes (holes, pins) near their expected places and measure how far apart they are.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    spacing_mm : float or (row, column)
    places_px : sequence of (row, column)
        Expected places.
    radius_mm : float
        Radius of the nodes.
    pairs : sequence of (first, second), optional
        Pairs of indices into `places_px`; all by default.
    search_mm, fix_radius
        See `fit_insert`.

    Returns
    -------
    NodeDistances

    Examples
    --------
    >>> row, column = np.mgrid[:80, :80] * 0.5
    >>> image = 100 - sum(90.0 * (np.hypot(row - 10, column - at) < 1.5) for at in (10.0, 30.0))
    >>> result = node_distances(image, 0.5, [(20, 20), (21, 59)], 1.5)
    >>> round(result.distances[0, 1].value, 1)
    20.0
    """
    array = as_image(image)
    spacing = spacing_pair(spacing_mm)
    nodes = tuple(
        fit_insert(array, spacing, place, radius_mm, search_mm=search_mm, fix_radius=fix_radius) for place in places_px
    )
    wanted = list(pairs) if pairs is not None else list(combinations(range(len(nodes)), 2))
    return NodeDistances(nodes, {pair: _distance(nodes, pair, spacing) for pair in wanted})


def affine_distortion(
    measured_px: Sequence[Position | None], nominal_mm: ArrayLike, spacing_mm: Spacing, *, uncertainty_mm: float = 0.02
) -> AffineDistortion:
    """Scale, skew, roll and remaining distortion from node centres.

    Parameters
    ----------
    measured_px : sequence of (row, column) or None
        Node centres; ``None`` for a node that was not found.
    nominal_mm : array_like, shape (n, 2)
        Where they lie in the phantom: right and down, in mm.
    spacing_mm : float or (row, column)
    uncertainty_mm : float
        Standard uncertainty of one coordinate of a node, the least that is assumed.

    Returns
    -------
    AffineDistortion
        ``not_measurable`` with fewer than three nodes, or with nodes on one line.

    Notes
    -----
    With ``measured = M nominal + c`` the scales are the lengths of M's columns, the roll is the direction of the first and
    the skew the angle between them less 90°.

    Examples
    --------
    >>> nominal = [(-25, -25), (25, -25), (25, 25), (-25, 25)]
    >>> measured = [(100 + y / 0.5, 100 + 1.02 * x / 0.5) for x, y in nominal]
    >>> round(affine_distortion(measured, nominal, 0.5).scale_x.value, 3)
    1.02
    """
    spacing = spacing_pair(spacing_mm)
    nominal = np.asarray(nominal_mm, dtype=float)
    if nominal.ndim != 2 or nominal.shape[1] != 2 or nominal.shape[0] != len(measured_px):
        raise ValueError("nominal places are (n, 2), one for each node")
    there = [index for index, place in enumerate(measured_px) if place is not None]
    if len(there) < 3:
        return _no_affine(f"only {len(there)} nodes were found; an affine map needs three")
    places = np.array([np.asarray(measured_px[index], dtype=float) for index in there])
    right_down = np.column_stack([places[:, 1] * spacing[1], places[:, 0] * spacing[0]])
    design = np.column_stack([nominal[there] - nominal[there].mean(axis=0), np.ones(len(there))])
    if np.linalg.matrix_rank(design, tol=1e-6 * float(np.abs(design).max())) < 3:
        return _no_affine("the nodes that were found lie on one line")
    solution = np.linalg.lstsq(design, right_down, rcond=None)[0]
    left = right_down - design @ solution
    freedom = 2 * len(there) - 6
    spread = max(uncertainty_mm, math.sqrt(float((left**2).sum()) / freedom) if freedom > 0 else 0.0)
    inverse = np.linalg.inv(design.T @ design)
    x_axis, y_axis = solution[0], solution[1]
    length_x, length_y = float(np.hypot(*x_axis)), float(np.hypot(*y_axis))
    if length_x == 0 or length_y == 0:
        return _no_affine("the nodes fall together")
    error_x, error_y = spread * math.sqrt(inverse[0, 0]), spread * math.sqrt(inverse[1, 1])
    roll = math.degrees(math.atan2(x_axis[1], x_axis[0]))
    between = math.degrees(math.atan2(y_axis[1], y_axis[0])) - roll
    skew = (between - 90.0 + 180.0) % 360.0 - 180.0
    roll_error = math.degrees(error_x / length_x)
    skew_error = math.hypot(roll_error, math.degrees(error_y / length_y))
    farthest = float(np.hypot(left[:, 0], left[:, 1]).max())
    details = {"nodes": len(there), "residual_rms_mm": math.sqrt(float((left**2).mean()))}
    return AffineDistortion(
        Measured("scale_x", length_x, "1", error_x, method=_AFFINE, details=details),
        Measured("scale_y", length_y, "1", error_y, method=_AFFINE, details=details),
        Measured("skew", skew, "deg", skew_error, method=_AFFINE, details=details),
        Measured("rotation", roll, "deg", roll_error, method=_AFFINE, details=details),
        Measured("distortion", farthest, "mm", spread, method=_AFFINE, details=details)
        if freedom > 0
        else not_measurable("distortion", "mm", "three nodes leave nothing over to judge by", method=_AFFINE),
    )


def _distance(nodes: Sequence[InsertFit], pair: tuple[int, int], spacing: tuple[float, float]) -> Measured:
    first, second = nodes[pair[0]], nodes[pair[1]]
    name = f"distance_{pair[0]}_{pair[1]}"
    if first.position_px is None or second.position_px is None:
        reasons = [f"node {i}: {nodes[i].contrast.reason}" for i in pair if nodes[i].position_px is None]
        return not_measurable(name, "mm", "; ".join(reasons), method=_METHOD)
    down = (second.position_px[0] - first.position_px[0]) * spacing[0]
    right = (second.position_px[1] - first.position_px[1]) * spacing[1]
    spread = math.hypot(first.position_uncertainty_mm or 0.0, second.position_uncertainty_mm or 0.0)
    value = Measured(name, math.hypot(down, right), "mm", spread, method=_METHOD)
    doubts = [f"node {i}: {nodes[i].contrast.reason}" for i in pair if nodes[i].contrast.status == "suspect"]
    return value.doubt("; ".join(doubts)) if doubts else value


def _no_affine(reason: str) -> AffineDistortion:
    units = {"scale_x": "1", "scale_y": "1", "skew": "deg", "rotation": "deg", "distortion": "mm"}
    lost = {name: not_measurable(name, unit, reason, method=_AFFINE) for name, unit in units.items()}
    return AffineDistortion(**lost)
