"""Fan or cone beam: which of the two made a CT series, told by its header as far as the header tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["is_cone_beam"]

# Makers of cone-beam devices label their images as CT; models, types and descriptions give them away.
_CONE_BEAM_TEXT = re.compile(
    r"cone[ _-]?beam|\bcbct\b|\bobi\b|on-?board imager|\bxvi\b|truebeam|halcyon|ethos|hypersight|\bdvt\b|newtom|i-?cat\b|"
    r"planmeca|promax|dyna ?ct|xpercct|\bo-?arm\b|\bartis\b",
    re.IGNORECASE,
)
_CONE_BEAM_ONLY = re.compile(r"planmeca|carestream dental|morita|vatech|newtom|sirona", re.IGNORECASE)
# They make linear accelerators with a cone-beam imager, and planning systems that pass on the fan-beam images of others
# under their own name.
_EITHER = re.compile(r"varian|elekta", re.IGNORECASE)
# The detector of a gantry is about 1 m from its focus, that of an accelerator's imager 1.5 m.
_IMAGER_DISTANCE_MM = 1300.0
# Gantries turn in 0.25 to 3 s, accelerators and C-arms in 5 to 60 s.
_FAST_TURN_S, _SLOW_TURN_S = 3.0, 4.5
_FAN_ACQUISITIONS = {"SPIRAL", "SEQUENCED", "CONSTANT_ANGLE"}
_FAN_OPTIONS = re.compile(r"helical|helix|spiral|axial mode|cine mode", re.IGNORECASE)


def _number(header: Mapping[str, Any], keyword: str) -> float:
    """A number, or 0 where none is sent."""
    try:
        return float(header.get(keyword) or 0.0)
    except (TypeError, ValueError):
        return 0.0


def is_cone_beam(header: Mapping[str, Any]) -> bool | None:
    """Whether a CT series comes from a cone-beam device.

    Parameters
    ----------
    header : mapping
        Attributes by keyword.

    Returns
    -------
    bool or None
        `None` where a maker of both sorts of images sends nothing that tells them apart.

    Examples
    --------
    >>> is_cone_beam({"Manufacturer": "Varian Medical Systems", "ManufacturerModelName": "On-Board Imager"})
    True
    >>> is_cone_beam({"Manufacturer": "Varian Medical Systems", "SpiralPitchFactor": 0.9})
    False
    >>> is_cone_beam({"Manufacturer": "Varian Medical Systems"}) is None
    True
    """
    texts = (
        str(header.get(keyword) or "")
        for keyword in ("ManufacturerModelName", "ImageType", "SeriesDescription", "StudyDescription", "ProtocolName")
    )
    maker = str(header.get("Manufacturer") or "")
    turn = _number(header, "RevolutionTime")
    if (
        _CONE_BEAM_TEXT.search(" ".join(texts))
        or _CONE_BEAM_ONLY.search(maker)
        or _number(header, "DistanceSourceToDetector") >= _IMAGER_DISTANCE_MM
        or turn >= _SLOW_TURN_S
    ):
        return True
    fan = (
        _number(header, "SpiralPitchFactor") > 0.0
        or str(header.get("AcquisitionType") or "").upper() in _FAN_ACQUISITIONS
        or 0.0 < turn <= _FAST_TURN_S
        or _number(header, "SingleCollimationWidth") > 0.0
        or bool(_FAN_OPTIONS.search(str(header.get("ScanOptions") or "")))
    )
    return None if _EITHER.search(maker) and not fan else False
