"""ACR MRI phantoms, large, medium and small: ramps, wedges, hole arrays, grid, uniform slice and low-contrast spokes."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, sqrt
from typing import Any

from dose_audit.phantom.digital.acquisition import Acquisition, Effects, NoiseModel, slice_positions
from dose_audit.phantom.digital.objects import Disc, Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom, Feature, polar
from dose_audit.phantom.digital.render import Scene
from dose_audit.phantom.digital.solids import Ramp, Wedge

SIGNAL = 1000.0
Holes = Mapping[float, tuple[tuple[float, float], tuple[float, float]]]
LCD_DIAMETERS_MM = (7.0, 6.39, 5.78, 5.17, 4.56, 3.95, 3.33, 2.72, 2.11, 1.5)
LCD_RADII_MM = (12.8, 25.6, 38.2)
# Slice, z, contrast of the membrane in percent; the first spoke is 9 deg further clockwise on each.
LCD_SLICES = ((8, 70.0, 1.4), (9, 80.0, 2.5), (10, 90.0, 3.6), (11, 100.0, 5.1))
LCD_CENTRE_Y_MM = 8.6
# Hole diameter: centres of the upper left and the lower right array of the large phantom.
HOLES_LARGE = {1.1: ((-17.5, 36.0), (-10.6, 42.7)), 1.0: ((5.6, 35.6), (12.1, 42.3)), 0.9: ((28.3, 36.2), (34.6, 42.7))}
HOLES_MEDIUM = {1.1: ((-30.0, 31.0), (-23.4, 37.0)), 1.0: ((-10.0, 31.0), (-3.5, 37.0)),
                0.9: ((9.0, 31.0), (15.0, 37.0)), 0.8: ((27.0, 31.0), (32.6, 37.0))}  # fmt: skip
WEDGE_END_Y_MM = -62.0


def build_large() -> DigitalPhantom:
    """190 mm wide, 148 mm long."""
    return _build("acr-mri-large", 190.0, 148.0, HOLES_LARGE, grid=5)


def build_medium() -> DigitalPhantom:
    """165 mm wide, 134 mm long; positions of the inserts scaled from the large one (unconfirmed)."""
    return _build("acr-mri-medium", 165.0, 134.0, HOLES_MEDIUM, grid=4)


def build_small() -> DigitalPhantom:
    """100 mm wide and long; its inserts are stood for by a dark bar in the first slice and a ring in the last two."""
    acquisition = Acquisition(
        "MR",
        (256, 256),
        (120 / 256, 120 / 256),
        thickness_mm=5.0,
        z_mm=slice_positions(0.0, 48.0, 8.0),
        psf_sigma_mm=0.25,
        noise=NoiseModel("rician", 8.0),
        effects=Effects(bias=(0.01, -0.02, 0.05), ghost_fraction=0.003),
        header={"SpacingBetweenSlices": "8"},
    )
    modules = {f"slice {k}": 8.0 * (k - 1) for k in range(1, 8)}
    phantom = DigitalPhantom("acr-mri-small", Scene(0.0), acquisition, 100.0, modules=modules)
    phantom.scene.add(Disc(0, 0, 100.0), value=SIGNAL, z=(-26.0, 74.0), name="body")
    phantom.expected.update(diameter_mm=100.0, length_mm=100.0)
    _dark(phantom, Rectangle(0, 15, 70, 25), (-10.0, 12.0), "insert")
    _dark(phantom, Disc(0, 0, 54), (37.0, 52.0), "ring")
    phantom.scene.add(Disc(0, 0, 46), contrast=SIGNAL, z=(37.0, 52.0), name="inside of the ring")
    return phantom


def _build(kind: str, diameter: float, length: float, holes: Holes, *, grid: int) -> DigitalPhantom:
    acquisition = Acquisition(
        "MR",
        (256, 256),
        (250 / 256, 250 / 256),
        thickness_mm=5.0,
        z_mm=slice_positions(0.0, 100.0, 10.0),
        psf_sigma_mm=0.45,
        noise=NoiseModel("rician", 8.0),
        effects=Effects(bias=(0.02, -0.03, 0.08), ghost_fraction=0.003),
        header={"SpacingBetweenSlices": "10"},
    )
    modules = {f"slice {k}": 10.0 * (k - 1) for k in range(1, 12)}
    phantom = DigitalPhantom(kind, Scene(0.0), acquisition, diameter, modules=modules)
    k = diameter / 190.0
    phantom.scene.add(Disc(0, 0, diameter), value=SIGNAL, z=(50 - length / 2, 50 + length / 2), name="body")
    phantom.expected.update(diameter_mm=diameter, length_mm=length)
    end = 10.0 * (grid - 1) - 7.0  # what stands in slice 1 reaches as far as the grid
    _thickness(phantom, k, end)
    _wedges(phantom, k)
    _resolution(phantom, k, holes)
    _grid(phantom, grid)
    _low_contrast(phantom, k)
    _holder(phantom, k, end)
    return phantom


def _dark(phantom: DigitalPhantom, shape: Rectangle | Disc, z: tuple[float, float], name: str) -> None:
    phantom.scene.add(shape, contrast=-SIGNAL, z=z, name=name)


def _thickness(phantom: DigitalPhantom, k: float, end: float) -> None:
    """A dark bar with two crossed 10:1 ramps of solution."""
    _dark(phantom, Rectangle(0, 0, 180 * k, 13), (-10.0, end), "ramp insert")
    for name, y, slope in (("upper ramp", -2.75, 0.1), ("lower ramp", 2.75, -0.1)):
        ramp = Ramp(0.0, y, 0.0, 0.0, slope, 100.0, 3.0, 1.0)
        phantom.insert(
            name,
            (0.0, y),
            3.0,
            SIGNAL,
            inside=0.0,
            module="slice 1",
            what=ramp,
            slope=slope,
            run_deg=0.0,
            length_mm=100.0,
        )


def _wedges(phantom: DigitalPhantom, k: float) -> None:
    """Crossed 45 deg wedges under 12 o'clock of slices 1 and 11; the right bar grows with z."""
    top, end = -84 * k, WEDGE_END_Y_MM * k
    height = 2 * (end - top)
    for module, z in (("slice 1", 0.0), ("slice 11", 100.0)):
        ends = (z - 16.0, z + 16.0)
        left, right = (Rectangle(x, end, height, 5.6, 90.0) for x in (-2.8, 2.8))
        phantom.scene.add(Wedge(left, z, -1.0, ends), contrast=-SIGNAL, name=f"left bar {module}")
        phantom.scene.add(right, contrast=-SIGNAL, z=ends, name=f"right bar {module}")
        phantom.scene.add(Wedge(right, z, 1.0, ends), contrast=SIGNAL)
        _note(phantom, f"wedges {module}", (0.0, end), 11.2, module, bar_difference_per_offset=2.0)


def _resolution(phantom: DigitalPhantom, k: float, holes: Holes) -> None:
    """A dark block with pairs of 4 x 4 holes, centres two diameters apart, each row set off by a tenth of a diameter."""
    _dark(phantom, Rectangle(0.5 * k, 37 * k, 115 * k, 40 * k), (-9.0, 6.0), "hole block")
    for diameter, arrays in holes.items():
        for name, (cx, cy) in zip(("row", "column"), arrays, strict=True):
            for i in range(4):
                for j in range(4):
                    x, y = (j - 1.5) * 2 * diameter, (i - 1.5) * 2 * diameter
                    off = diameter / 10
                    x, y = (x + (i - 1.5) * off, y) if name == "row" else (x, y + (j - 1.5) * off)
                    phantom.scene.add(Disc(cx + x, cy + y, diameter), contrast=SIGNAL, z=(-9.0, 6.0))
            _note(phantom, f"holes {diameter} {name}", (cx, cy), 8 * diameter, "slice 1", hole_diameter_mm=diameter)


def _note(phantom: DigitalPhantom, name: str, at: tuple[float, float], size: float, module: str, **more: Any) -> None:
    """A feature of objects that are drawn already."""
    phantom.features.append(Feature(name, *at, phantom.modules[module], None, (size,), module, more=more))


def _grid(phantom: DigitalPhantom, number: int) -> None:
    """Dark lines 1.6 mm wide, 15.1 mm apart; crossings are put back once, having been taken away twice."""
    pitch, width, z = 15.1, 1.6, (10.0 * (number - 1) - 5.5, 10.0 * (number - 1) + 5.5)
    reach = phantom.body_diameter_mm / 2 - 6.0
    count = 2 * floor(reach / pitch) + (0 if floor(reach / pitch) * pitch < reach - 2 else -1)
    lines = [(i - count / 2) * pitch for i in range(count + 1)]

    def half(at: float) -> float:  # whole squares that fit into the circle at that height
        return max((abs(b) for b in lines if b * b + at * at <= reach * reach + 1), default=0.0)

    for at in lines:
        if half(at) > 0:
            _dark(phantom, Rectangle(0, at, 2 * half(at) + width, width), z, "grid row")
            _dark(phantom, Rectangle(at, 0, width, 2 * half(at) + width), z, "grid column")
    for x in lines:
        for y in lines:
            if half(y) >= abs(x) - 1e-9 and half(x) >= abs(y) - 1e-9:
                phantom.scene.add(Rectangle(x, y, width, width), contrast=SIGNAL, z=z)
    phantom.expected["grid"] = {"slice": number, "pitch_mm": pitch, "lines_mm": lines}


def _low_contrast(phantom: DigitalPhantom, k: float) -> None:
    """A ring, in it a membrane on each of four slices with ten spokes of three holes."""
    cy = LCD_CENTRE_Y_MM * k
    _dark(phantom, Disc(0, cy, 101.6 * k), (64.0, 106.0), "ring")
    phantom.scene.add(Disc(0, cy, 88 * k), contrast=SIGNAL, z=(64.0, 106.0), name="inside of the ring")
    for index, (number, z, percent) in enumerate(LCD_SLICES):
        ends = (z - 4.0, z + 4.0)
        drop = SIGNAL * percent / 100
        phantom.scene.add(Disc(0, cy, 88 * k), contrast=-drop, z=ends, name=f"membrane {number}")
        for spoke, diameter in enumerate(LCD_DIAMETERS_MM):
            theta = -90.0 + 9.0 * index + 36.0 * spoke
            for ring, radius in enumerate(LCD_RADII_MM):
                x, y = polar(radius * k, theta)
                phantom.insert(
                    f"lcd {number} spoke {spoke + 1} disc {ring + 1}", (x, y + cy), diameter, SIGNAL, inside=SIGNAL - drop,
                    z=ends, module=f"slice {number}", contrast_percent=percent, theta_deg=theta,
                )  # fmt: skip
    phantom.expected["low_contrast"] = {
        "centre_mm": [0.0, cy],
        "slices": [{"slice": n, "contrast_percent": c, "first_spoke_deg": -90.0 + 9 * i} for i, (n, _, c) in
                   enumerate(LCD_SLICES)],
    }  # fmt: skip


def _holder(phantom: DigitalPhantom, k: float, end: float) -> None:
    """The notch at 12 o'clock, the vial ring and the small plate: what makes the roll of a slice visible."""
    edge = sqrt((phantom.body_diameter_mm / 2) ** 2 - 36) - 0.5
    top = -84 * k
    _dark(phantom, Rectangle(0, (top - edge) / 2, 12, edge + top), (-15.0, 115.0), "notch")
    _dark(phantom, Disc(-46 * k, -46 * k, 38 * k), (-15.0, end), "vial wall")
    phantom.scene.add(Disc(-46 * k, -46 * k, 29 * k), contrast=SIGNAL, z=(-15.0, end), name="vial")
    _dark(phantom, Rectangle(56 * k, 38 * k, 8 * k, 38 * k), (7.0, end), "plate")
