"""CatPhan 600: the 504's modules turned by half a turn, with CTP591 (beads) between; its vial position is empty.

Its gauge faces the other way than a 504's: on scans its groups follow each other in the other sense.
"""

from __future__ import annotations

from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.recipes import _catphan

SLABS = {
    "ctp404": (-12.5, 12.5, 100.0),
    "ctp591": (-52.5, -12.5, 60.0),
    "ctp528": (-90.0, -52.5, 80.0),
    "ctp515": (-130.0, -90.0, 52.0),
    "ctp486": (-190.0, -130.0, 16.0),
}
MODULES = {"ctp404": 0.0, "ctp591": -32.5, "ctp528": -70.0, "ctp515": -110.0, "ctp486": -160.0}
INSERTS = {
    "air": ("air", 90.0),
    "pmp": ("pmp", 60.0),
    "ldpe": ("ldpe", 0.0),
    "polystyrene": ("polystyrene", -60.0),
    "acrylic": ("acrylic", -120.0),
    "delrin": ("delrin", 180.0),
    "teflon": ("teflon", 120.0),
    "vial": ("air", -90.0),
}


def build() -> DigitalPhantom:
    """The phantom, without pose or noise."""
    phantom = _catphan.catphan("catphan600", SLABS, MODULES)
    _catphan.sensitometry(phantom, "ctp404", SLABS["ctp404"], INSERTS, teflon_pin_deg=135.0)
    _catphan.gauge(phantom, "ctp528", SLABS["ctp528"][2], turn_deg=180.0, mirrored=True)
    _catphan.low_contrast(phantom, "ctp515", SLABS["ctp515"], turn_deg=180.0)
    return phantom
