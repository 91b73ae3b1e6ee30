"""MagNET/Eurospin test objects and a NEMA bottle and sphere: SNR, geometry, slice width, ghosting, resolution."""

from __future__ import annotations

from math import radians, tan

from dose_audit.phantom.digital.acquisition import Acquisition, Effects, NoiseModel, slice_positions
from dose_audit.phantom.digital.objects import BarGroup, Disc, Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.render import Scene
from dose_audit.phantom.digital.solids import Ball, Ramp

SIGNAL = 1000.0
ROD_PITCH_MM, ROD_MM = 60.0, 10.0
PLATE_SLOPE = tan(radians(11.3))
# Bar widths of the resolution object, mm.
BAR_WIDTHS_MM = (5.0, 2.0, 1.5, 1.0, 0.7, 0.5)


def _acquisition(slices: tuple[float, ...] = (0.0,), sd: float = 5.0, effects: Effects | None = None) -> Acquisition:
    return Acquisition(
        "MR",
        (256, 256),
        (250 / 256, 250 / 256),
        thickness_mm=5.0,
        z_mm=slices,
        psf_sigma_mm=0.45,
        noise=NoiseModel("rician", sd),
        effects=effects or Effects(),
    )


def _phantom(kind: str, diameter: float, acquisition: Acquisition) -> DigitalPhantom:
    phantom = DigitalPhantom(kind, Scene(0.0), acquisition, diameter, modules={"slice": 0.0})
    phantom.scene.add(Disc(0, 0, diameter), value=SIGNAL, z=(-60.0, 60.0), name="body")
    phantom.expected.update(diameter_mm=diameter, signal=SIGNAL)
    return phantom


def build_snr() -> DigitalPhantom:
    """Flood-field cylinder of 200 mm."""
    phantom = _phantom("magnet-snr", 200.0, _acquisition(sd=8.0, effects=Effects(bias=(0.01, 0.02, 0.05))))
    phantom.expected["snr"] = SIGNAL / 8.0
    return phantom


def build_bottle() -> DigitalPhantom:
    """Cylindrical bottle of 120 mm, five slices."""
    phantom = _phantom("bottle", 120.0, _acquisition(slice_positions(-20, 20, 10), 10.0))
    phantom.expected["snr"] = SIGNAL / 10.0
    return phantom


def build_sphere() -> DigitalPhantom:
    """Sphere of 170 mm, thirteen slices."""
    acquisition = _acquisition(slice_positions(-60, 60, 10), 10.0)
    phantom = DigitalPhantom("sphere", Scene(0.0), acquisition, 170.0, modules={"middle": 0.0})
    phantom.insert("sphere", (0.0, 0.0), 170.0, SIGNAL, inside=0.0, module="middle", what=Ball(0, 0, 0, 170.0))
    phantom.expected.update(diameter_mm=170.0, snr=SIGNAL / 10.0)
    return phantom


def _rods(phantom: DigitalPhantom) -> None:
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            at = (j * ROD_PITCH_MM, i * ROD_PITCH_MM)
            phantom.insert(f"rod {i + 1} {j + 1}", at, ROD_MM, 0.0, inside=SIGNAL, module="slice", material="plastic")
    phantom.expected["outer_rods_mm"] = 2 * ROD_PITCH_MM


def build_geometry() -> DigitalPhantom:
    """Nine rods, the outer ones 120 mm apart."""
    phantom = _phantom("magnet-geometry", 200.0, _acquisition())
    _rods(phantom)
    return phantom


def build_slice_width() -> DigitalPhantom:
    """The rods, and two opposed glass plates of 11.3 degrees between their rows."""
    phantom = _phantom("magnet-slice-width", 200.0, _acquisition())
    _rods(phantom)
    for name, y, slope in (("upper plate", -30.0, PLATE_SLOPE), ("lower plate", 30.0, -PLATE_SLOPE)):
        plate = Ramp(0.0, y, 0.0, 0.0, slope, 140.0, 40.0, 1.0)
        phantom.insert(
            name,
            (0.0, y),
            40.0,
            0.0,
            inside=SIGNAL,
            module="slice",
            what=plate,
            slope=slope,
            run_deg=0.0,
            length_mm=140.0,
        )
    return phantom


def build_ghosting() -> DigitalPhantom:
    """A bottle of 60 mm in the upper left, with a ghost of 1 %."""
    acquisition = _acquisition(sd=3.0, effects=Effects(ghost_fraction=0.01))
    phantom = DigitalPhantom("magnet-ghosting", Scene(0.0), acquisition, 60.0, modules={"slice": 0.0})
    phantom.insert("bottle", (-55.0, -55.0), 60.0, SIGNAL, inside=0.0, z=(-60.0, 60.0), module="slice")
    phantom.expected["ghost_percent"] = 1.0
    return phantom


def build_resolution() -> DigitalPhantom:
    """A dark square of 70 mm turned by 5 degrees (its edges give the MTF) and bar blocks."""
    phantom = _phantom("magnet-resolution", 200.0, _acquisition())
    square = Rectangle(25.0, 0.0, 70.0, 70.0, 5.0)
    phantom.insert("square", (25.0, 0.0), 70.0, 0.0, inside=SIGNAL, module="slice", what=square, angle_deg=5.0)
    for k, width in enumerate(BAR_WIDTHS_MM):
        at = (-45.0, -62.0 + 24 * k)
        group = BarGroup(*at, 1 / (2 * width), 4, 16.0, 0.0)
        phantom.insert(f"bars {width} mm", at, 16.0, 0.0, inside=SIGNAL, module="slice", what=group, bar_mm=width)
    return phantom
