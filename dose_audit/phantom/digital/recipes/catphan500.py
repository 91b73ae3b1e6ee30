"""CatPhan 500: CTP401 with four inserts, then CTP528, CTP515 and CTP486 (chain unconfirmed)."""

from __future__ import annotations

from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.recipes import _catphan

SLABS = {
    "ctp401": (-12.5, 12.5, 100.0),
    "ctp528": (12.5, 50.0, 80.0),
    "ctp515": (50.0, 90.0, 52.0),
    "ctp486": (90.0, 140.0, 16.0),
}
MODULES = {"ctp401": 0.0, "ctp528": 30.0, "ctp515": 70.0, "ctp486": 110.0}
INSERTS = {
    "teflon": ("teflon", 0.0),
    "acrylic": ("acrylic", 90.0),
    "ldpe": ("ldpe", 180.0),
    "air": ("air", -90.0),
}


def build() -> DigitalPhantom:
    """The phantom, without pose or noise."""
    phantom = _catphan.catphan("catphan500", SLABS, MODULES)
    _catphan.sensitometry(phantom, "ctp401", SLABS["ctp401"], INSERTS)
    _catphan.gauge(phantom, "ctp528", SLABS["ctp528"][2])
    _catphan.low_contrast(phantom, "ctp515", SLABS["ctp515"])
    return phantom
