"""CatPhan 503: CTP404, CTP528 (facing the other way than in a 504) and CTP486, no low-contrast module."""

from __future__ import annotations

from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.recipes import _catphan
from dose_audit.phantom.digital.recipes.catphan504 import INSERTS as INSERTS_504

SLABS = {"ctp404": (-12.5, 12.5, 100.0), "ctp528": (-52.5, -12.5, 80.0), "ctp486": (-150.0, -70.0, 16.0)}
MODULES = {"ctp404": 0.0, "ctp528": -30.0, "ctp486": -110.0}
INSERTS = {name: entry for name, entry in INSERTS_504.items() if name != "air hole"}


def build() -> DigitalPhantom:
    """The phantom, without pose or noise."""
    phantom = _catphan.catphan("catphan503", SLABS, MODULES)
    _catphan.sensitometry(phantom, "ctp404", SLABS["ctp404"], INSERTS)
    _catphan.gauge(phantom, "ctp528", SLABS["ctp528"][2], mirrored=True)
    return phantom
