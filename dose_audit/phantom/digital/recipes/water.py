"""Uniform water phantom with a plastic wall, as vendors give for daily checks, and a wire phantom for the MTF."""

from __future__ import annotations

from dataclasses import replace

from dose_audit.phantom.digital.acquisition import Effects, slice_positions
from dose_audit.phantom.digital.objects import Disc
from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.recipes._catphan import helical
from dose_audit.phantom.digital.render import Scene

OUTER_MM, WATER_MM, WALL_HU = 199.9, 189.0, 132.0


def build_water() -> DigitalPhantom:
    """Water, 189 mm wide, in a wall of 132 HU; 60 mm long."""
    acquisition = replace(
        helical(-40, 40, thickness_mm=5.0, sd_hu=5.0),
        effects=Effects(cupping_hu=1.0),
        spacing_mm=(300 / 512, 300 / 512),
    )
    phantom = DigitalPhantom("water", Scene(-1000.0), acquisition, OUTER_MM, modules={"water": 0.0})
    phantom.vessel_diameter_mm = WATER_MM
    phantom.scene.add(Disc(0, 0, OUTER_MM), value=WALL_HU, z=(-35.0, 35.0), name="wall")
    phantom.insert(
        "water", (0.0, 0.0), WATER_MM, 0.0, inside=WALL_HU, z=(-30.0, 30.0), module="water", material="water"
    )
    return phantom


def build_wire() -> DigitalPhantom:
    """A tungsten wire of 0.2 mm along z in a plastic cylinder of 20 mm, field 50 mm."""
    acquisition = replace(
        helical(-4, 4, thickness_mm=1.0, sd_hu=15.0),
        spacing_mm=(50 / 512, 50 / 512),
        z_mm=slice_positions(-4, 4, 1.0),
        psf_sigma_mm=0.4,
    )
    phantom = DigitalPhantom("wire", Scene(-1000.0), acquisition, 20.0, modules={"wire": 0.0})
    phantom.scene.add(Disc(0, 0, 20.0), value=100.0, name="cylinder")
    phantom.insert("wire", (1.7, -1.1), 0.2, 30_000.0, inside=100.0, module="wire", material="tungsten")
    return phantom
