"""What the CatPhan models share: housing, the modules' drawings, the bar gauge and the low-contrast targets."""

from __future__ import annotations

from collections.abc import Mapping
from math import radians, tan

from dose_audit.phantom.digital.acquisition import Acquisition, Effects, NoiseModel, slice_positions
from dose_audit.phantom.digital.objects import BarGroup, Disc
from dose_audit.phantom.digital.phantom import DigitalPhantom, polar
from dose_audit.phantom.digital.render import Scene
from dose_audit.phantom.digital.solids import Ball, Extruded, Ramp

HOUSING_MM, MODULE_MM, HOUSING_HU = 201.0, 150.6, 55.0
INSERT_R_MM, INSERT_MM = 58.4, 12.2
WIRE_R_MM, WIRE_SLOPE, WIRE_LENGTH_MM = 38.0, tan(radians(23.0)), 48.0
# A steel wire of 0.3 mm: what its HU come to once blurred is what matters, about 300 in a slice of 2.5 mm.
WIRE_MM, WIRE_HU = 0.3, 15_000.0
BEAD_MM, BEAD_HU = 0.28, 150_000.0

# Middle of the manufacturer's ranges.
HU: Mapping[str, float] = {
    "air": -1000.0,
    "lung": -868.0,
    "pmp": -196.0,
    "ldpe": -104.0,
    "polystyrene": -47.0,
    "water": 0.0,
    "acrylic": 115.0,
    "bone20": 237.0,
    "delrin": 365.0,
    "bone50": 725.0,
    "teflon": 1000.0,
}

# Angle of each group of the gauge as seen on a 504, clockwise from 3 o'clock, 1 to 21 lp/cm.
GAUGE_THETA = (153, 129, 105, 86, 68, 49, 32, 15, 0, -15, -30, -44, -58, -71, -85, -98, -111, -124, -136, -148, -161)
GAUGE_BARS = (2, 3, 4, 4, 4, *[5] * 16)
GAUGE_R_MM, GAUGE_THICKNESS_MM, GAUGE_HU = 47.5, 2.0, 2300.0

# CTP515, diameters of the outer targets and the angles of the 1.0 % set as seen on real specimens.
LOW_DIAMETERS_MM = (15, 9, 8, 7, 6, 5, 4, 3, 2)
LOW_THETA = (-87.0, -66.9, -51.2, -37.2, -24.3, -11.8, -2.8, 4.5, 11.0)
LOW_SETS = ((1.0, 0.0), (0.3, 120.0), (0.5, 240.0))
LOW_R_MM, INNER_R_MM = 49.1, 25.0


def catphan(kind: str, slabs: Mapping[str, tuple[float, float, float]], modules: Mapping[str, float]) -> DigitalPhantom:
    """Housing and module slabs (z from, z to, HU) of a model, without anything in them."""
    low, high = min(s[0] for s in slabs.values()), max(s[1] for s in slabs.values())
    ends = (low - 6.0, high + 6.0)
    phantom = DigitalPhantom(kind, Scene(-1000.0), helical(ends[0] - 5, ends[1] + 5), HOUSING_MM, modules=dict(modules))
    phantom.scene.add(Disc(0, 0, HOUSING_MM), value=HOUSING_HU, z=ends, name="housing")
    for name, (z0, z1, hu) in slabs.items():
        phantom.scene.add(Disc(0, 0, MODULE_MM), value=hu, inside=HOUSING_HU, z=(z0, z1), name=name)
    phantom.expected.update(housing_z_mm=list(ends), slabs={name: list(slab) for name, slab in slabs.items()})
    return phantom


def helical(first_mm: float, last_mm: float, thickness_mm: float = 2.5, sd_hu: float = 8.0) -> Acquisition:
    """A CT acquisition over a length: 512 x 512 over 250 mm, standard kernel, FBP-like noise."""
    return Acquisition(
        "CT",
        (512, 512),
        (250 / 512, 250 / 512),
        thickness_mm=thickness_mm,
        z_mm=slice_positions(first_mm, last_mm, thickness_mm),
        psf_sigma_mm=0.6,
        noise=NoiseModel("coloured", sd_hu),
        effects=Effects(padding=None),
    )


def sensitometry(
    phantom: DigitalPhantom,
    module: str,
    slab: tuple[float, float, float],
    inserts: Mapping[str, tuple[str, float]],
    *,
    teflon_pin_deg: float | None = -45.0,
    radius_mm: float = INSERT_R_MM,
    wires_at: tuple[float, ...] = (-90, 0, 90, 180),
    nodes: bool = True,
) -> None:
    """A CTP404-type module: inserts (name: material, angle), nodes on a 50 mm square, wire ramps, acrylic spheres."""
    z0, z1, hu = slab
    for name, (material, theta) in inserts.items():
        at = polar(radius_mm, theta)
        phantom.insert(name, at, INSERT_MM, HU[material], inside=hu, z=(z0, z1), module=module, material=material)
    for theta in (-45, 45, 135, -135) if nodes else ():
        material = "teflon" if theta == teflon_pin_deg else "air"
        at = (25.0 if abs(theta) < 90 else -25.0, 25.0 if theta > 0 else -25.0)
        phantom.insert(f"node {theta}", at, 3.0, HU[material], inside=hu, z=(z0, z1), module=module, material=material)
    for theta in wires_at:
        x, y = polar(WIRE_R_MM, theta)
        ramp = Ramp(x, y, phantom.modules[module], theta + 90.0, WIRE_SLOPE, WIRE_LENGTH_MM, WIRE_MM, WIRE_MM)
        phantom.insert(
            f"wire {theta}", (x, y), WIRE_MM, WIRE_HU, inside=hu, module=module, material="wire", what=ramp,
            run_deg=theta + 90.0, slope=WIRE_SLOPE, length_mm=WIRE_LENGTH_MM,
        )  # fmt: skip
    if nodes:
        for theta, size in zip((-90, -18, 54, 126, 198), (10, 8, 6, 4, 2), strict=True):
            ball = Ball(*polar(15.0, theta), phantom.modules[module], size)
            phantom.scene.add(ball, value=HU["acrylic"], inside=hu, name=f"sphere {size}")


def gauge(
    phantom: DigitalPhantom,
    module: str,
    hu: float,
    *,
    turn_deg: float = 0.0,
    mirrored: bool = False,
    beads: bool = True,
) -> None:
    """The 21-group bar gauge and its two beads; ``mirrored`` where its module faces the other way than a 504's."""
    z = phantom.modules[module]
    for k, (drawn, bars) in enumerate(zip(GAUGE_THETA, GAUGE_BARS, strict=True)):
        theta = (180.0 - drawn if mirrored else drawn) + turn_deg
        frequency = (k + 1) / 10  # line pairs per mm; a gap of 5/(lp/cm) mm is half a period
        at = polar(GAUGE_R_MM, theta)
        length = max(3.0, 9.0 - 0.35 * k)
        group = BarGroup(*at, frequency, bars, length, theta + 90.0)
        phantom.insert(
            f"{k + 1} lp/cm", at, length, GAUGE_HU, inside=hu, module=module, material="aluminium", what=Extruded(
                group, z - GAUGE_THICKNESS_MM / 2, z + GAUGE_THICKNESS_MM / 2
            ), frequency_per_mm=frequency, bars=bars, across_deg=theta + 90.0,
        )  # fmt: skip
    if beads:
        for y, above in ((20.0, 2.5), (-20.0, 10.0)):
            ball = Ball(0.0, y, z + above, BEAD_MM)
            phantom.insert(
                f"bead {y:+.0f}", (0.0, y), BEAD_MM, BEAD_HU, inside=hu, module=module, material="tungsten carbide",
                what=ball,
            )  # fmt: skip


def low_contrast(
    phantom: DigitalPhantom, module: str, slab: tuple[float, float, float], *, turn_deg: float = 0.0
) -> None:
    """CTP515: three sets of nine targets through the slab, and three of four that are 3, 5 and 7 mm long."""
    z0, z1, hu = slab
    for percent, turn in LOW_SETS:
        for diameter, theta in zip(LOW_DIAMETERS_MM, LOW_THETA, strict=True):
            phantom.insert(
                f"{percent} % {diameter} mm", polar(LOW_R_MM, theta + turn + turn_deg), diameter, hu + 10 * percent,
                inside=hu, z=(z0, z1), module=module, contrast_hu=10 * percent,
            )  # fmt: skip
    z = phantom.modules[module]
    for length, turn in ((7.0, -60.0), (3.0, 60.0), (5.0, 180.0)):
        for k, diameter in enumerate((9, 7, 5, 3)):
            phantom.insert(
                f"sub-slice {length:.0f} mm {diameter} mm", polar(INNER_R_MM, turn + 25 * k - 37 + turn_deg), diameter,
                hu + 10, inside=hu, z=(z - length / 2, z + length / 2), module=module, contrast_hu=10.0,
            )  # fmt: skip
