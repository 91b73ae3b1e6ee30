"""Where the phantom lies in the image: shift, roll, tilt and scale as one transform between phantom and image mm."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Pose", "pixel_of", "pixel_positions"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pose:
    """Placement of a phantom.

    Parameters
    ----------
    x_mm, y_mm, z_mm : float
        Where the phantom's origin lies in the image; (0, 0) is the middle of the image, x to the right, y down.
    roll_deg : float
        Turn in the image plane, clockwise on screen (from +x towards +y).
    tilt_x_deg, tilt_y_deg : float
        Lean of the phantom's axis: its far end (+z) moves along +x, or along +y.
    scale : float or (float, float)
        Size in the image over true size; two numbers for a scale that differs along the image's x and y.
    end_for_end : bool
        Turned end for end about the image's y axis: z runs the other way and the image is mirrored left to right.

    Examples
    --------
    >>> Pose(roll_deg=90).to_image(np.array([10.0, 0.0, 0.0])).round(6).tolist()
    [0.0, 10.0, 0.0]
    """

    x_mm: float = 0.0
    y_mm: float = 0.0
    z_mm: float = 0.0
    roll_deg: float = 0.0
    tilt_x_deg: float = 0.0
    tilt_y_deg: float = 0.0
    scale: float | tuple[float, float] = 1.0
    end_for_end: bool = False

    @property
    def scales(self) -> tuple[float, float]:
        """Scale along x and along y."""
        return (self.scale, self.scale) if isinstance(self.scale, int | float) else self.scale

    @property
    def tilted(self) -> bool:
        """Whether the phantom's axis is not the image's."""
        return self.tilt_x_deg != 0 or self.tilt_y_deg != 0

    @property
    def matrix(self) -> Array:
        """3 x 3, phantom to image; the shift is added after it."""
        roll, tx, ty = (math.radians(a) for a in (self.roll_deg, self.tilt_x_deg, self.tilt_y_deg))
        turn = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1.0]])
        lean_x = np.array([[math.cos(tx), 0, math.sin(tx)], [0, 1.0, 0], [-math.sin(tx), 0, math.cos(tx)]])
        lean_y = np.array([[1.0, 0, 0], [0, math.cos(ty), math.sin(ty)], [0, -math.sin(ty), math.cos(ty)]])
        flip = np.diag([-1.0, 1.0, -1.0]) if self.end_for_end else np.eye(3)
        matrix: Array = np.diag([*self.scales, 1.0]) @ lean_x @ lean_y @ turn @ flip
        return matrix

    @property
    def shift(self) -> Array:
        """Image position of the phantom's origin, mm."""
        return np.array([self.x_mm, self.y_mm, self.z_mm])

    def to_image(self, points: ArrayLike) -> Array:
        """Phantom coordinates (..., 3) to image mm."""
        moved: Array = np.asarray(points, dtype=np.float64) @ self.matrix.T + self.shift
        return moved

    def to_phantom(self, points: ArrayLike) -> Array:
        """Image mm (..., 3) to phantom coordinates."""
        moved: Array = (np.asarray(points, dtype=np.float64) - self.shift) @ np.linalg.inv(self.matrix).T
        return moved

    def in_slice(self, x: float, y: float, z_image_mm: float) -> tuple[float, float]:
        """Where the line (x, y) along the phantom's axis crosses the image plane at ``z_image_mm``."""
        start, axis = self.to_image(np.array([x, y, 0.0])), self.matrix[:, 2]
        along = (z_image_mm - start[2]) / axis[2]
        return float(start[0] + along * axis[0]), float(start[1] + along * axis[1])

    def as_record(self) -> dict[str, object]:
        """Plain data for the truth beside an image."""
        return {**asdict(self), "scale": list(self.scales)}


def pixel_positions(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> tuple[Array, Array]:
    """Image mm of the columns (1, n) and rows (n, 1): the middle of the image is (0, 0)."""
    rows, columns = shape
    x: Array = (np.arange(columns, dtype=np.float64) - (columns - 1) / 2) * spacing_mm[1]
    y: Array = (np.arange(rows, dtype=np.float64) - (rows - 1) / 2) * spacing_mm[0]
    return x[None, :], y[:, None]


def pixel_of(x_mm: float, y_mm: float, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> tuple[float, float]:
    """Row and column (0-based, whole numbers at pixel centres) of a point in image mm."""
    return y_mm / spacing_mm[0] + (shape[0] - 1) / 2, x_mm / spacing_mm[1] + (shape[1] - 1) / 2
