"""ACR CT phantom (Gammex 464): four modules of 40 mm; z from the middle of module 1."""

from __future__ import annotations

from dose_audit.phantom.digital.objects import BarGroup, Disc, Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom, polar
from dose_audit.phantom.digital.recipes._catphan import helical
from dose_audit.phantom.digital.render import Scene
from dose_audit.phantom.digital.solids import Ball, Extruded

MODULES = {"module 1": 0.0, "module 2": 40.0, "module 3": 80.0, "module 4": 120.0}
WATER_HU, LOW_BACKGROUND_HU, LOW_CONTRAST_HU = 0.0, 90.0, 6.0
# Middle of the limits in use.
INSERTS = {
    "polyethylene": (-135.0, -95.5),
    "bone": (-45.0, 910.0),
    "air": (45.0, -987.5),
    "acrylic": (135.0, 122.5),
}
INSERT_R_MM, INSERT_MM = 62.6, 25.0
# Diameter: (angle, radius) of four rods on a chord.
RODS = {
    6: ((-170.0, 56.1), (-157.5, 53.3), (-145.0, 53.3), (-132.4, 56.4)),
    5: ((152.1, 54.8), (141.8, 53.0), (131.2, 53.4), (120.4, 54.4)),
    4: ((83.0, 53.7), (74.5, 51.9), (65.6, 51.8), (57.0, 52.7)),
    3: ((20.6, 52.2), (13.9, 51.4), (7.2, 51.0), (0.6, 52.4)),
    2: ((-40.0, 51.0), (-43.5, 51.0), (-48.0, 51.0), (-51.0, 51.0)),
}
BARS = {0.4: -135.0, 0.5: 180.0, 0.6: 135.0, 0.7: 90.0, 0.8: 45.0, 0.9: 0.0, 1.0: -45.0, 1.2: -90.0}
BAR_R_MM, BAR_SIDE_MM, BAR_HU = 70.0, 15.0, 1500.0
WIRE_MM, WIRE_HU, WIRE_STEP_MM, WIRE_PITCH_MM = 0.3, 12_000.0, 0.5, 2.0


def build() -> DigitalPhantom:
    """The phantom, without pose or noise."""
    phantom = DigitalPhantom("acr464", Scene(-1000.0), helical(-25, 145), 199.6, modules=dict(MODULES))
    scene = phantom.scene
    scene.add(Disc(0, 0, 199.6), value=WATER_HU, z=(-20.0, 140.0), name="body")
    for name, (theta, hu) in INSERTS.items():
        at = polar(INSERT_R_MM, theta)
        phantom.insert(name, at, INSERT_MM, hu, inside=WATER_HU, z=(-20.0, 20.0), module="module 1", material=name)
    phantom.insert(
        "water",
        polar(INSERT_R_MM, 180),
        50.0,
        0.0,
        inside=WATER_HU,
        z=(-20.0, 20.0),
        module="module 1",
        material="water",
    )
    _wires(phantom)
    for z, module in ((0.0, "module 1"), (120.0, "module 4")):
        for theta in (-90, 0, 90, 180):
            at = polar(98.7, theta)
            ball = Ball(*at, z, 1.0)
            phantom.insert(f"marker {theta} {module}", at, 1.0, 6000.0, inside=0.0, module=module, what=ball)
    _low_contrast(phantom)
    for theta, r in ((-45.0, 20.0), (135.0, 80.0)):
        at = polar(r, theta)
        phantom.insert(f"bead {r:.0f}", at, 0.28, 150_000.0, inside=0.0, module="module 3", what=Ball(*at, 80.0, 0.28))
    for frequency, theta in BARS.items():
        at = polar(BAR_R_MM, theta)
        group = BarGroup(*at, frequency, round(BAR_SIDE_MM * frequency + 0.5), BAR_SIDE_MM, theta + 45.0)
        phantom.insert(
            f"{10 * frequency:.0f} lp/cm", at, BAR_SIDE_MM, BAR_HU, inside=WATER_HU, module="module 4",
            what=Extruded(group, 102.0, 138.0), frequency_per_mm=frequency, across_deg=theta + 45.0,
        )  # fmt: skip
    phantom.expected.update(ramp_z_per_wire_mm=WIRE_STEP_MM, markers_z_mm=[0.0, 120.0])
    return phantom


def _wires(phantom: DigitalPhantom) -> None:
    """Wires at 12 and 6 o'clock, each 0.5 mm further in z than its neighbour, in two columns by turns."""
    for side, sense in ((-1.0, 1.0), (1.0, -1.0)):
        for k in range(-6, 7):
            x, y = (-5.0 if k % 2 else 5.0), side * (52.5 + WIRE_PITCH_MM * k)
            z = sense * side * WIRE_STEP_MM * k
            wire = Extruded(Rectangle(x, y, 10.0, WIRE_MM), z - WIRE_MM / 2, z + WIRE_MM / 2)
            phantom.scene.add(wire, value=WIRE_HU, inside=WATER_HU, name=f"wire {side:+.0f} {k}")


def _low_contrast(phantom: DigitalPhantom) -> None:
    phantom.scene.add(Disc(0, 0, 170.0), value=LOW_BACKGROUND_HU, inside=WATER_HU, z=(20.0, 60.0), name="module 2")
    value = LOW_BACKGROUND_HU + LOW_CONTRAST_HU
    rods = {"rod 25": (25.0, polar(58.0, -90.0))}
    for diameter, places in RODS.items():
        rods.update({f"rod {diameter} {k + 1}": (float(diameter), polar(r, t)) for k, (t, r) in enumerate(places)})
    for name, (size, at) in rods.items():
        phantom.insert(
            name, at, size, value, inside=LOW_BACKGROUND_HU, z=(20.0, 60.0), module="module 2",
            contrast_hu=LOW_CONTRAST_HU,
        )  # fmt: skip
