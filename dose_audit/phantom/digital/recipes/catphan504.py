"""CatPhan 504: CTP404, CTP528, CTP515 and CTP486 as measured on real specimens; z from the middle of the wires."""

from __future__ import annotations

from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.recipes import _catphan

SLABS = {
    "ctp404": (-12.5, 12.5, 100.0),
    "ctp528": (12.5, 52.5, 80.0),
    "ctp515": (-53.0, -12.5, 52.0),
    "ctp486": (-114.0, -53.0, 16.0),
}
MODULES = {"ctp404": 0.0, "ctp528": 30.0, "ctp515": -33.0, "ctp486": -80.0}
INSERTS = {
    "air": ("air", -90.0),
    "air hole": ("air", 90.0),
    "pmp": ("pmp", -120.0),
    "ldpe": ("ldpe", 180.0),
    "polystyrene": ("polystyrene", 120.0),
    "acrylic": ("acrylic", 60.0),
    "delrin": ("delrin", 0.0),
    "teflon": ("teflon", -60.0),
}


def build() -> DigitalPhantom:
    """The phantom, without pose or noise."""
    phantom = _catphan.catphan("catphan504", SLABS, MODULES)
    _catphan.sensitometry(phantom, "ctp404", SLABS["ctp404"], INSERTS)
    _catphan.gauge(phantom, "ctp528", SLABS["ctp528"][2])
    _catphan.low_contrast(phantom, "ctp515", SLABS["ctp515"])
    return phantom
