"""CatPhan 700 as it appears on scans (mirrored against its drawing): CTP682, CTP714 bars, CTP515, CTP723, CTP712."""

from __future__ import annotations

from math import cos, radians, sin

from dose_audit.phantom.digital.objects import BarGroup
from dose_audit.phantom.digital.phantom import DigitalPhantom, polar
from dose_audit.phantom.digital.recipes import _catphan
from dose_audit.phantom.digital.solids import Extruded

SLABS = {
    "ctp682": (-20.0, 12.5, 95.0),
    "ctp714": (-60.0, -20.0, 80.0),
    "ctp515": (-100.0, -60.0, 52.0),
    "ctp723": (-140.0, -100.0, 50.0),
    "ctp712": (-190.0, -140.0, 16.0),
}
MODULES = {"ctp682": 0.0, "ctp714": -40.0, "ctp515": -80.0, "ctp723": -120.0, "ctp712": -160.0}
INSERTS = {
    "air": ("air", -90.0),
    "pmp": ("pmp", -60.0),
    "lung": ("lung", -15.0),
    "delrin": ("delrin", 15.0),
    "polystyrene": ("polystyrene", 60.0),
    "teflon": ("teflon", 90.0),
    "bone20": ("bone20", 120.0),
    "ldpe": ("ldpe", 165.0),
    "bone50": ("bone50", -165.0),
    "acrylic": ("acrylic", -120.0),
}
# Line pairs per mm: offset along the side, and the direction in which the side lies.
BARS = {
    0.1: (-7.0, -90.0),
    0.2: (11.0, -90.0),
    0.3: (-5.5, -45.0),
    0.4: (9.5, -45.0),
    0.5: (-9.0, 0.0),
    0.6: (2.0, 0.0),
    0.7: (12.0, 0.0),
    0.8: (-10.5, 45.0),
}
BAR_R_MM = 50.0


def build() -> DigitalPhantom:
    """The phantom, without pose or noise."""
    phantom = _catphan.catphan("catphan700", SLABS, MODULES)
    slab = SLABS["ctp682"]
    _catphan.sensitometry(phantom, "ctp682", slab, INSERTS, radius_mm=58.7, wires_at=(-90, 90), nodes=False)
    at = polar(28.0, -45.0)
    phantom.insert("water", at, 10.6, 0.0, inside=slab[2], z=slab[:2], module="ctp682", material="water")
    z = MODULES["ctp714"]
    for frequency, (offset, side) in BARS.items():
        x = BAR_R_MM * cos(radians(side)) - offset * sin(radians(side))
        y = BAR_R_MM * sin(radians(side)) + offset * cos(radians(side))
        group = BarGroup(x, y, frequency, {0.1: 2, 0.2: 3}.get(frequency, 4), 8.0, side + 90.0)
        phantom.insert(
            f"{10 * frequency:.0f} lp/cm", (x, y), 8.0, _catphan.GAUGE_HU, inside=SLABS["ctp714"][2], module="ctp714",
            material="aluminium", what=Extruded(group, z - 2.5, z + 2.5), frequency_per_mm=frequency,
        )  # fmt: skip
    _catphan.low_contrast(phantom, "ctp515", SLABS["ctp515"], turn_deg=180.0)
    phantom.insert(
        "bead", (0.0, 0.0), _catphan.BEAD_MM, _catphan.BEAD_HU, inside=SLABS["ctp723"][2], module="ctp723",
        what=_catphan.Ball(0.0, 0.0, MODULES["ctp723"], _catphan.BEAD_MM), material="tungsten carbide",
    )  # fmt: skip
    return phantom
