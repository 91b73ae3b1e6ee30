"""CatPhan 604: the 504 with two bone inserts; the wires are not in the middle of their slab."""

from __future__ import annotations

from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.recipes import _catphan
from dose_audit.phantom.digital.recipes.catphan504 import INSERTS as INSERTS_504

SLABS = {
    "ctp732": (-20.4, 12.9, 95.0),
    "ctp730": (12.9, 62.0, 80.0),
    "ctp515": (-60.0, -20.4, 52.0),
    "ctp729": (-110.0, -60.0, 16.0),
}
MODULES = {"ctp732": 0.0, "ctp730": 40.0, "ctp515": -40.0, "ctp729": -80.0}
INSERTS = {**INSERTS_504, "bone50": ("bone50", -150.0), "bone20": ("bone20", 30.0)}


def build() -> DigitalPhantom:
    """The phantom, without pose or noise."""
    phantom = _catphan.catphan("catphan604", SLABS, MODULES)
    _catphan.sensitometry(phantom, "ctp732", SLABS["ctp732"], INSERTS, teflon_pin_deg=None, radius_mm=57.8)
    _catphan.gauge(phantom, "ctp730", SLABS["ctp730"][2])
    _catphan.low_contrast(phantom, "ctp515", SLABS["ctp515"])
    return phantom
