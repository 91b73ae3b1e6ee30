"""A digital phantom: its scene, the features whose truth is told, and the acquisition it is usually imaged with."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, inf, radians, sin
from typing import Any

from dose_audit.phantom.digital.acquisition import Acquisition
from dose_audit.phantom.digital.objects import Disc, Shape
from dose_audit.phantom.digital.render import Scene
from dose_audit.phantom.digital.solids import Solid

__all__ = ["DigitalPhantom", "Feature", "polar"]


def polar(r_mm: float, theta_deg: float) -> tuple[float, float]:
    """x, y of a point at a radius and an angle, clockwise on screen from 3 o'clock (y points down)."""
    return r_mm * cos(radians(theta_deg)), r_mm * sin(radians(theta_deg))


@dataclass(frozen=True, slots=True)
class Feature:
    """Something with a name, a place and a nominal value, for the truth beside the images.

    ``value`` is what is rendered (HU, signal, contrast); ``size_mm`` a diameter or the sides; ``z_mm`` the middle of the
    stretch in which it lies.
    """

    name: str
    x_mm: float
    y_mm: float
    z_mm: float = 0.0
    value: float | None = None
    size_mm: tuple[float, ...] = ()
    module: str = ""
    material: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class DigitalPhantom:
    """What a recipe makes.

    Parameters
    ----------
    kind : str
        Name on the command line.
    scene : Scene
        The objects, in phantom mm.
    acquisition : Acquisition
        How it is usually imaged.
    body_diameter_mm : float
        Diameter of the body (for cupping, bubble and table).
    modules : dict
        z of the modules' centres, phantom mm.
    features : list of Feature
        For the truth.
    expected : dict
        Truths by formula that belong to no feature (bar frequencies, plate thickness).
    vessel_diameter_mm : float, optional
        Diameter of what is filled and can hold a bubble; else the body's.
    """

    kind: str
    scene: Scene
    acquisition: Acquisition
    body_diameter_mm: float
    modules: dict[str, float] = field(default_factory=dict)
    features: list[Feature] = field(default_factory=list)
    expected: dict[str, Any] = field(default_factory=dict)
    vessel_diameter_mm: float | None = None

    def insert(
        self,
        name: str,
        at_mm: tuple[float, float],
        size_mm: float,
        value: float,
        *,
        inside: float,
        z: tuple[float, float] = (-inf, inf),
        module: str = "",
        material: str = "",
        what: Shape | Solid | None = None,
        **more: Any,
    ) -> None:
        """Add an object (a disc of diameter ``size_mm`` unless another is given) and its feature."""
        self.scene.add(what or Disc(*at_mm, size_mm), value=value, inside=inside, z=z, name=name)
        middle = (z[0] + z[1]) / 2 if abs(z[0]) < inf and abs(z[1]) < inf else self.modules.get(module, 0.0)
        self.features.append(Feature(name, *at_mm, middle, value, (size_mm,), module, material, more))
