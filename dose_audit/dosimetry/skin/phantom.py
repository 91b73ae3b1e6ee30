"""The patient as a surface of skin cells: an elliptic trunk, sized from height and weight where they are known, or a plane.

Cells are given in the table's frame: x to the left of a supine patient, y down, z to the head, the table's top at y = 0.
The trunk has no ends: a report does not say where along the table the patient lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["REFERENCE_ADULT", "Outline", "Phantom", "phantom_for", "skin_outline"]

# Trunk of the adult mathematical phantom (Cristy and Eckerman, ORNL/TM-8381): an ellipse of 40 cm by 20 cm.
_REFERENCE_HEIGHT_M, _REFERENCE_WEIGHT_KG = 1.786, 73.2
_REFERENCE_WIDTH_MM, _REFERENCE_DEPTH_MM = 400.0, 200.0
_SCALES = (0.35, 1.8)


@dataclass(frozen=True, slots=True)
class Phantom:
    """What stands for the patient's trunk.

    Parameters
    ----------
    shape : {'elliptic', 'flat'}
        An elliptic cylinder lying on the mattress, or the plane of the mattress' top.
    width_mm, depth_mm : float
        Full axes of the ellipse, left to right and front to back; a plane has only the width.
    origin : str
        In words, where the size comes from.

    Raises
    ------
    ValueError
        If a size is not between 10 and 2000 mm.

    Examples
    --------
    >>> Phantom("elliptic", 400, 200).width_mm
    400
    """

    shape: Literal["elliptic", "flat"]
    width_mm: float
    depth_mm: float
    origin: str = "as given"

    def __post_init__(self) -> None:
        for size in (self.width_mm, self.depth_mm):
            if not 10.0 <= size <= 2000.0:
                raise ValueError(f"a trunk of {self.width_mm} mm by {self.depth_mm} mm is not a patient's")


REFERENCE_ADULT = Phantom(
    "elliptic", _REFERENCE_WIDTH_MM, _REFERENCE_DEPTH_MM, "reference adult (1.786 m, 73.2 kg): no size in the report"
)


@dataclass(frozen=True, slots=True)
class Outline:
    """The skin around one cross-section, in cells of equal length.

    Parameters
    ----------
    around_mm : ndarray, shape (n,)
        Distance along the skin from the middle of the side that lies on the table, growing towards +x.
    x_mm, y_mm : ndarray, shape (n,)
        Middles of the cells.
    normal : ndarray, shape (n, 2)
        Outward unit normals (x, y).
    """

    around_mm: NDArray[np.float64]
    x_mm: NDArray[np.float64]
    y_mm: NDArray[np.float64]
    normal: NDArray[np.float64]


def phantom_for(height_m: float | None, weight_kg: float | None) -> Phantom:
    """An elliptic trunk for a patient of this height and weight, the reference adult where they are not known.

    Parameters
    ----------
    height_m : float or None
        0.4–2.3 m.
    weight_kg : float or None
        1–300 kg.

    Returns
    -------
    Phantom
        Its ``origin`` says what was used.

    Notes
    -----
    Both axes of the reference trunk times ``√((m/73.2 kg) / (h/1.786 m))``: equal density and equal proportion of the
    length. One of the two without the other sizes nothing: a height says little of the girth.

    References
    ----------
    M. Cristy, K. F. Eckerman, ORNL/TM-8381 (1987).

    Examples
    --------
    >>> phantom_for(1.786, 73.2).width_mm
    400.0
    >>> phantom_for(None, 90).origin
    'reference adult (1.786 m, 73.2 kg): no size in the report'
    """
    if height_m is None or weight_kg is None or not 0.4 <= height_m <= 2.3 or not 1.0 <= weight_kg <= 300.0:
        return REFERENCE_ADULT
    scale = math.sqrt((weight_kg / _REFERENCE_WEIGHT_KG) / (height_m / _REFERENCE_HEIGHT_M))
    scale = min(max(scale, _SCALES[0]), _SCALES[1])
    origin = f"scaled to {height_m:.2f} m and {weight_kg:.1f} kg"
    return Phantom("elliptic", _REFERENCE_WIDTH_MM * scale, _REFERENCE_DEPTH_MM * scale, origin)


def skin_outline(phantom: Phantom, mattress_mm: float, cell_mm: float) -> Outline:
    """Cells around a cross-section of the phantom lying on a mattress.

    Parameters
    ----------
    phantom : Phantom
    mattress_mm : float
        Thickness of the mattress: the lowest skin is that much above the table's top.
    cell_mm : float
        Wanted length of a cell; the true one divides the girth evenly.

    Returns
    -------
    Outline
        Symmetric about x = 0.

    Examples
    --------
    >>> outline = skin_outline(REFERENCE_ADULT, 40.0, 10.0)
    >>> len(outline.around_mm), round(float(outline.y_mm.max()))
    (96, -40)
    """
    if phantom.shape == "flat":
        count = 2 * max(1, round(phantom.width_mm / cell_mm / 2))
        along = (np.arange(count) + 0.5) * phantom.width_mm / count - phantom.width_mm / 2
        down = np.tile([0.0, 1.0], (count, 1))
        return Outline(along, along, np.full(count, -mattress_mm), down)
    half_width, half_depth = phantom.width_mm / 2, phantom.depth_mm / 2
    # Angle 0 is the lowest point, growing to +x; a fine table of arc length turns equal angles into equal cells.
    fine = np.linspace(0.0, math.pi, 4001)
    middle = (fine[1:] + fine[:-1]) / 2
    pieces = np.hypot(half_width * np.cos(middle), half_depth * np.sin(middle)) * (fine[1] - fine[0])
    arc = np.concatenate([[0.0], np.cumsum(pieces)])
    count = 2 * max(8, round(arc[-1] / cell_mm))
    right = (np.arange(count // 2) + 0.5) * arc[-1] / (count // 2)
    angle = np.interp(right, arc, fine)
    angle = np.concatenate([-angle[::-1], angle])
    around = np.concatenate([-right[::-1], right])
    x = half_width * np.sin(angle)
    y = half_depth * np.cos(angle) - half_depth - mattress_mm
    normal = np.stack([np.sin(angle) / half_width, np.cos(angle) / half_depth], axis=1)
    normal /= np.hypot(normal[:, 0], normal[:, 1])[:, None]
    return Outline(around, x, y, normal)
