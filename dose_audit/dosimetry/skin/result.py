"""What a skin dose calculation gives back: the peak, the map, and what became of every event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dose_audit.dosimetry.skin.dose_map import DoseMap
from dose_audit.dosimetry.skin.geometry import Convention
from dose_audit.dosimetry.skin.orientation import Orientation
from dose_audit.dosimetry.skin.phantom import Phantom
from dose_audit.measured import Measured

__all__ = ["EventShare", "SkinDose"]


@dataclass(frozen=True, slots=True)
class EventShare:
    """One event in the calculation.

    Parameters
    ----------
    index : int
        As in the exam record.
    plane : str
    included : bool
        Whether it is in the map (or in the screening estimate).
    reason : str
        Why not; empty when it is.
    notes : tuple of str
        How reference distance and field were found, and doubts.
    numbers : mapping
        ``dose_rp_mgy``, ``reference_mm``, ``field_cm2`` (at the reference point), ``hvl_mm_al``, ``water_to_air``,
        ``source_skin_mm``, ``on_patient`` (0–1), ``peak_share_mgy`` (its part of the dose at the peak).
    """

    index: int
    plane: str
    included: bool
    reason: str = ""
    notes: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SkinDose:
    """Peak skin dose of an exam and how it came about.

    Parameters
    ----------
    peak : Measured
        ``peak_skin_dose``, mGy.
    method : {'map', 'screening', 'none'}
    dose_map : DoseMap or None
        ``None`` unless `method` is ``map``.
    phantom : Phantom or None
    convention : Convention or None
    orientation : Orientation
    events : tuple of EventShare
        Every projection event of the exam, in its order.
    on_patient : float or None
        Part of the KAP (of the air kerma, where there is none) that falls on the phantom; below 0.8 the geometry is
        doubtful.
    by_plane_mgy : mapping
        Peak of each plane by itself.
    """

    peak: Measured
    method: Literal["map", "screening", "none"]
    dose_map: DoseMap | None = None
    phantom: Phantom | None = None
    convention: Convention | None = None
    orientation: Orientation = field(default_factory=Orientation)
    events: tuple[EventShare, ...] = ()
    on_patient: float | None = None
    by_plane_mgy: Mapping[str, float] = field(default_factory=dict)

    @property
    def peak_place_mm(self) -> tuple[float, float] | None:
        """The peak on the map: along the skin from the middle of the side on the table (patient's left positive), and
        along the table towards the patient's head."""
        if self.dose_map is None:
            return None
        row, column = self.dose_map.peak_place
        left = 1.0 if self.orientation.left_is_positive else -1.0
        head = -1.0 if self.orientation.feet_first else 1.0
        return left * float(self.dose_map.around_mm[row]), head * float(self.dose_map.along_mm[column])

    def as_record(self) -> dict[str, Any]:
        """Plain data for JSON, without the map's cells."""
        place = self.peak_place_mm
        return {
            "peak_skin_dose": self.peak.as_record(),
            "method": self.method,
            "peak_around_mm": None if place is None else place[0],
            "peak_along_mm": None if place is None else place[1],
            "peak_by_plane_mgy": dict(self.by_plane_mgy),
            "on_patient": self.on_patient,
            "patient": self.orientation.words,
            "phantom": None
            if self.phantom is None
            else {
                "shape": self.phantom.shape,
                "width_mm": self.phantom.width_mm,
                "depth_mm": self.phantom.depth_mm,
                "origin": self.phantom.origin,
            },
            "geometry": None
            if self.convention is None
            else {"confidence": self.convention.confidence, "source": self.convention.source},
            "events": [
                {
                    "index": share.index,
                    "plane": share.plane,
                    "included": share.included,
                    "reason": share.reason or None,
                    "notes": list(share.notes),
                    **share.numbers,
                }
                for share in self.events
            ],
        }
