"""Exams made for the skin dose tests: one plain event on a Siemens table, and what is changed about it."""

from __future__ import annotations

from typing import Any

from dose_audit.extract.codes import Code
from dose_audit.extract.exam import Equipment, Exam, Filter, Patient, ProjectionEvent

__all__ = ["event", "exam"]

_SUPINE = {
    "patient_table_relationship": Code("F-10470", "SRT", "headfirst"),
    "patient_orientation_modifier": Code("F-10340", "SRT", "supine"),
}


def event(index: int = 1, **changes: Any) -> ProjectionEvent:
    """A fluoroscopy run from under the table: 80 kV, 100 mGy at 60 cm, 10 cm square there, skin at 65 cm."""
    plain: dict[str, Any] = {
        "index": index,
        "plane": "single",
        "irradiation_event_type": "fluoroscopy",
        "dose_rp_mgy": 100.0,
        "kap_gy_cm2": 10.0,
        "kvp_kv": 80.0,
        "primary_angle_deg": 0.0,
        "secondary_angle_deg": 0.0,
        "table_longitudinal_mm": 0.0,
        "table_lateral_mm": 600.0,
        "table_height_mm": 140.0,
        "source_isocentre_mm": 750.0,
        "source_detector_mm": 1200.0,
        "reference_point": "15cm from Isocenter toward Source",
        "extra": {"reference_point_definition": Code("113860", "DCM", "15cm from Isocenter toward Source")},
        **_SUPINE,
    }
    plain.update(changes)
    if "filters" in changes:
        plain["filters"] = [
            Filter(type="strip", material=name, min_mm=mm, max_mm=mm) for name, mm in changes["filters"]
        ]
    return ProjectionEvent(**plain)


def exam(*events: ProjectionEvent, manufacturer: str = "Siemens", model: str = "AXIOM-Artis", **patient: Any) -> Exam:
    """An exam of these events."""
    return Exam(
        modality="RF",
        equipment=Equipment(manufacturer=manufacturer, model_name=model),
        patient=Patient(**patient),
        events=list(events),
    )
