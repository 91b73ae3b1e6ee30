"""From a scene in mm to an array of pixels: one slice, one projection, or a volume slice by slice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.objects import HalfPlane, Shape
from dose_audit.phantom.digital.pose import Pose, pixel_positions
from dose_audit.phantom.digital.psf import REACH, Blur, edge_through_pixel, gauss_points
from dose_audit.phantom.digital.slices import SliceProfile
from dose_audit.phantom.digital.solids import Extruded, SliceView, Solid

__all__ = ["Item", "Scene", "iter_volume", "render_image", "render_volume"]

Array = NDArray[np.float64]
Spacing = float | tuple[float, float]

BOX_REACH = 6.0
"""Standard deviations of blur drawn beyond an object; what is left out is 1e-9 of its contrast."""


@dataclass(frozen=True, slots=True)
class Item:
    """A solid and what it adds to what it lies in; ``name`` is how the truth speaks of it."""

    solid: Solid
    contrast: float
    name: str = ""


@dataclass
class Scene:
    """Everything that is in the picture, before blur and noise.

    Objects add: a rod of 100 HU in a body of -50 HU has contrast 150. So blur stays exact where they touch.

    Parameters
    ----------
    background : float
        Value where nothing is: -1000 HU in CT, 0 in MRI, the unattenuated signal in a projection.

    Examples
    --------
    >>> from dose_audit.phantom.digital.objects import Disc
    >>> scene = Scene(-1000.0)
    >>> scene.add(Disc(0, 0, 200), value=0.0, inside=-1000.0, name="body")
    >>> float(render_image(scene, shape=(9, 9), spacing_mm=10.0)[4, 4])
    0.0
    """

    background: float = 0.0
    items: list[Item] = field(default_factory=list)

    def add(
        self,
        what: Shape | Solid,
        *,
        value: float | None = None,
        inside: float | None = None,
        contrast: float | None = None,
        z: tuple[float, float] = (-math.inf, math.inf),
        name: str = "",
    ) -> None:
        """Put an object in: by its contrast, or by its value and that of what it replaces (default: the background)."""
        if (value is None) == (contrast is None):
            raise ValueError("give either value or contrast")
        if contrast is None:
            contrast = float(value or 0.0) - (self.background if inside is None else inside)
        solid = Extruded(what, *z) if isinstance(what, Shape) else what
        self.items.append(Item(solid, float(contrast), name))

    def named(self, name: str) -> Item:
        """The item of that name."""
        return next(item for item in self.items if item.name == name)


class _Plane:
    """The pixels of one geometry: their phantom coordinates, and how an object is drawn on them."""

    def __init__(self, shape: tuple[int, int], spacing_mm: Spacing, pose: Pose, psf_sigma_mm: Spacing, aperture: bool):
        self.shape, self.pose = shape, pose
        self.spacing = (spacing_mm, spacing_mm) if isinstance(spacing_mm, int | float) else spacing_mm
        if min(self.spacing) <= 0 or min(shape) < 1:
            raise ValueError(f"no image of shape {shape} with spacing {spacing_mm}")
        x, y = pixel_positions(shape, self.spacing)
        self.forward: Array = pose.matrix
        self.inverse: Array = np.asarray(np.linalg.inv(self.forward), dtype=np.float64)
        self.x_mm, self.y_mm = x, y
        self.blur = Blur.of(psf_sigma_mm).through(self.inverse)
        self.steps = self._sub_pixels() if aperture else []
        self.axis = (float(self.inverse[0, 2]), float(self.inverse[1, 2]), float(self.inverse[2, 2]))
        m, sx, sy = self.inverse, x - pose.x_mm, y - pose.y_mm
        self.qx, self.qy = m[0, 0] * sx + m[0, 1] * sy, m[1, 0] * sx + m[1, 1] * sy
        self.qz = m[2, 0] * sx + m[2, 1] * sy if pose.tilted else None
        self.kept: dict[int, tuple[tuple[slice, slice], Array]] = {}

    def _sub_pixels(self) -> list[tuple[float, float, float]]:
        """Offsets in phantom mm and weights of 8 x 8 Gauss points in a pixel (16 x 16 equal ones for a sharp edge)."""
        if self.blur.largest > 0.15 * max(self.spacing):
            nodes, weights = gauss_points(8)
            at, weight = nodes / 2, weights / 2
        else:
            at, weight = (np.arange(16) + 0.5) / 16 - 0.5, np.full(16, 1 / 16)
        m = self.inverse
        return [
            (
                m[0, 0] * u * self.spacing[1] + m[0, 1] * v * self.spacing[0],
                m[1, 0] * u * self.spacing[1] + m[1, 1] * v * self.spacing[0],
                float(wu * wv),
            )
            for u, wu in zip(at, weight, strict=True)
            for v, wv in zip(at, weight, strict=True)
        ]

    def box(self, solid: Solid, z_image_mm: float) -> tuple[slice, slice] | None:
        """Rows and columns that the object can touch, or None."""
        x, y, radius = solid.bounds
        if math.isinf(radius):
            return slice(0, self.shape[0]), slice(0, self.shape[1])
        m = self.forward
        along = (z_image_mm - self.pose.z_mm - m[2, 0] * x - m[2, 1] * y) / m[2, 2]
        cx = self.pose.x_mm + m[0, 0] * x + m[0, 1] * y + m[0, 2] * along
        cy = self.pose.y_mm + m[1, 0] * x + m[1, 1] * y + m[1, 2] * along
        reach = (radius * 1.01 + BOX_REACH * self.blur.largest) * max(self.pose.scales)
        row, column = (cy - self.y_mm[0, 0]) / self.spacing[0], (cx - self.x_mm[0, 0]) / self.spacing[1]
        rows = slice(
            max(0, math.floor(row - reach / self.spacing[0]) - 1),
            min(self.shape[0], math.ceil(row + reach / self.spacing[0]) + 2),
        )
        columns = slice(
            max(0, math.floor(column - reach / self.spacing[1]) - 1),
            min(self.shape[1], math.ceil(column + reach / self.spacing[1]) + 2),
        )
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def flat(self, shape: Shape, x: Array, y: Array) -> Array:
        """A flat shape on points, through the pixel's aperture if there is one."""
        if not self.steps:
            return shape.blurred(x, y, self.blur)
        if isinstance(shape, HalfPlane):
            nx, ny = shape.normal
            m = self.inverse  # the pixel's sides in phantom mm, projected on the normal
            wide = (
                abs(m[0, 0] * nx + m[1, 0] * ny) * self.spacing[1],
                abs(m[0, 1] * nx + m[1, 1] * ny) * self.spacing[0],
            )
            return edge_through_pixel(-shape.distance(x, y), self.blur.along(nx, ny), *wide)
        distance = shape.distance(x, y)
        margin = REACH * self.blur.largest + max(math.hypot(dx, dy) for dx, dy, _ in self.steps)
        if distance is None:
            near = np.ones(x.shape, dtype=bool)
            values = np.zeros(x.shape)
        else:
            near = np.abs(distance) < margin
            values = (distance < 0).astype(np.float64)
        xn, yn = x[near], y[near]
        total = np.zeros(xn.shape)
        for dx, dy, weight in self.steps:
            total += weight * shape.blurred(xn + dx, yn + dy, self.blur)
        values[near] = total
        return values

    def draw(self, scene: Scene, z_image_mm: float, profile: SliceProfile | None) -> Array:
        """One slice (or, without a profile, one projection) of the scene."""
        image = np.full(self.shape, float(scene.background))
        along = z_image_mm - self.pose.z_mm
        shift = (self.axis[0] * along, self.axis[1] * along)
        z_middle = self.axis[2] * along
        # How far from the middle's z the image's corners are, with a tilt.
        lean = 0.0 if self.qz is None else float(np.abs(self.qz[[0, 0, -1, -1], [0, -1, 0, -1]]).max())
        for item in scene.items:
            solid = item.solid
            low, high = solid.z_range
            reach = lean + (profile.reach_mm * abs(self.axis[2]) if profile else 0.0)
            if profile is not None and (z_middle + reach < low or z_middle - reach > high):
                continue
            kept = self.kept.get(id(solid))
            if kept is not None and isinstance(solid, Extruded) and profile is not None:
                view = SliceView(self.qx, self.qy, z_middle, self.blur, profile, self.axis)
                image[kept[0]] += item.contrast * float(solid.weight(view)) * kept[1]
                continue
            box = self.box(solid, z_image_mm)
            if box is None:
                continue
            x, y = self.qx[box] + shift[0], self.qy[box] + shift[1]
            if profile is None:
                if not isinstance(solid, Extruded):
                    raise TypeError(f"{type(solid).__name__} has a course along z: give a slice profile")
                image[box] += item.contrast * self.flat(solid.shape, x, y)
                continue
            z: Array | float = z_middle if self.qz is None else z_middle + self.qz[box]
            view = SliceView(x, y, z, self.blur, profile, self.axis)
            if isinstance(solid, Extruded):
                footprint = self.flat(solid.shape, x, y)
                if self.qz is None:
                    self.kept[id(solid)] = (box, footprint)
                image[box] += item.contrast * solid.weight(view) * footprint
            else:
                image[box] += item.contrast * solid.in_slice(view)
        return image


def render_image(
    scene: Scene,
    *,
    shape: tuple[int, int],
    spacing_mm: Spacing,
    psf_sigma_mm: Spacing = 0.0,
    pose: Pose | None = None,
    profile: SliceProfile | None = None,
    z_mm: float = 0.0,
    aperture: bool = False,
) -> Array:
    """One image of a scene, without noise.

    Parameters
    ----------
    scene : Scene
        What is there.
    shape : (int, int)
        Rows and columns.
    spacing_mm : float or (float, float)
        Pixel pitch; two numbers as DICOM writes them, between rows, then between columns.
    psf_sigma_mm : float or (float, float)
        Standard deviation of the Gaussian point-spread function; two numbers: along x, along y.
    pose : Pose, optional
        Where the phantom lies.
    profile : SliceProfile, optional
        Slice sensitivity profile; without it objects are taken as infinitely long (a projection).
    z_mm : float
        Position of the slice.
    aperture : bool
        Whether a pixel averages over its area (a detector) or samples a point (a reconstructed image).

    Returns
    -------
    ndarray of float64, (rows, columns)

    Raises
    ------
    TypeError
        If a ramp, wedge or ball is rendered without a slice profile.
    """
    plane = _Plane(shape, spacing_mm, pose or Pose(), psf_sigma_mm, aperture)
    return plane.draw(scene, z_mm, profile)


def iter_volume(
    scene: Scene,
    *,
    shape: tuple[int, int],
    spacing_mm: Spacing,
    z_mm: Sequence[float],
    profile: SliceProfile,
    psf_sigma_mm: Spacing = 0.0,
    pose: Pose | None = None,
    aperture: bool = False,
) -> Iterator[Array]:
    """Slices of a scene at the given positions, one at a time; parameters as in `render_image`."""
    plane = _Plane(shape, spacing_mm, pose or Pose(), psf_sigma_mm, aperture)
    for z in z_mm:
        yield plane.draw(scene, float(z), profile)


def render_volume(
    scene: Scene,
    *,
    shape: tuple[int, int],
    spacing_mm: Spacing,
    z_mm: Sequence[float],
    profile: SliceProfile,
    psf_sigma_mm: Spacing = 0.0,
    pose: Pose | None = None,
    aperture: bool = False,
) -> NDArray[np.float32]:
    """All slices in one array (slices, rows, columns) of float32; parameters as in `render_image`."""
    volume = np.empty((len(z_mm), *shape), dtype=np.float32)
    slices = iter_volume(
        scene,
        shape=shape,
        spacing_mm=spacing_mm,
        z_mm=z_mm,
        profile=profile,
        psf_sigma_mm=psf_sigma_mm,
        pose=pose,
        aperture=aperture,
    )
    for k, image in enumerate(slices):
        volume[k] = image
    return volume
