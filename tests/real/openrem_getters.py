"""How the values that OpenREM's tests assert are got from our exam: functions that `openrem_paths` names in its rows.

A getter takes the reading and the match of the row's pattern and gives our value, already in OpenREM's storage unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dose_audit.extract.exam import Exam

CHARACTERISTICS = {
    "height": "height_m",
    "weight": "weight_kg",
    "age": "age_years",
    "sex": "sex",
    "body_surface_area": "body_surface_area_m2",
    "body_mass_index": "body_mass_index_kg_per_m2",
    "glucose": "glucose_mmol_per_l",
    "fasting_duration": "fasting_duration_h",
    "hydration_volume": "hydration_volume_ml",
    "recent_physical_activity": "recent_physical_activity",
    "serum_creatinine": "serum_creatinine_mg_per_dl",
    "glomerularfiltrationrate_set.glomerular_filtration_rate": "glomerular_filtration_rate_ml_per_min_1_73_m2",
    "patientstate_set.patient_state": "patient_state",
}


@dataclass
class Reading:
    """What one assertion is held against: the merged exam, its events in content order, and without names."""

    exam: Exam
    events: list[Any]
    anonymous: Exam
    exams: int


Getter = Callable[[Reading, "re.Match[str]"], Any]


def at(values: list[Any], index: str | None) -> Any:
    """The event at an index; an image read alone is its only one, wherever it stood in the study."""
    return values[0] if len(values) == 1 else values[int(index or 0)]


def meaning(code: Any) -> str | None:
    return code.meaning if code is not None else None


def wording(value: Any) -> Any:
    return getattr(value, "meaning", value)


def times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def clock(text: str | None) -> str | None:
    return re.sub(r"([+-]\d\d:\d\d|Z)$", "", text) if text else None


def event(field: str, factor: float | None = None) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = getattr(at(reading.events, match[1]), field)
        return value if factor is None else times(value, factor)

    return get


def event_code(field: str, part: str = "meaning") -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        code = getattr(at(reading.events, match[1]), field)
        return None if code is None else getattr(code, part)

    return get


def event_extra(name: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = at(reading.events, match[1]).extra.get(name)
        return getattr(value, "meaning", value)

    return get


def tube(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        sources = sorted(at(reading.events, match[1]).sources, key=lambda source: source.id or "")
        return getattr(sources[int(match[2] or 0)], field)

    return get


def filter_part(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        return getattr(at(reading.events, match[1]).filters[int(match[2] or 0)], field)

    return get


def dose_check(field: str) -> Getter:
    return lambda reading, match: getattr(at(reading.events, match[1]).dose_check, field)


def field_area(reading: Reading, match: re.Match[str]) -> Any:
    """OpenREM takes the detector's field of view for the beam's; here the two are kept apart."""
    found = at(reading.events, match[1])
    if found.collimated_field_area_cm2 is not None or "field_of_view_mm" not in found.extra:
        return times(found.collimated_field_area_cm2, 1e-4)
    rows, columns = found.extra["field_of_view_mm"]
    return rows * columns * 1e-6


def total(field: str, factor: float = 1) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        return times(getattr(reading.exam.totals, field), factor)

    return get


def total_or_sum(field: str, factor: float = 1) -> Getter:
    """OpenREM sums the images of a study into its total; here that sum stands beside it."""

    def get(reading: Reading, match: re.Match[str]) -> Any:
        totals = reading.exam.totals
        value = getattr(totals, field)
        return times(getattr(totals, f"events_{field}") if value is None else value, factor)

    return get


def agd(breast: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        totals = reading.exam.totals
        return totals.agd_mgy.get(breast, totals.events_agd_mgy.get(breast))

    return get


def accumulated_agd(reading: Reading, match: re.Match[str]) -> Any:
    totals = reading.exam.totals
    return list((totals.agd_mgy or totals.events_agd_mgy).values())[int(match[1])]


def exam(field: str) -> Getter:
    return lambda reading, match: getattr(reading.exam, field)


def patient(field: str) -> Getter:
    return lambda reading, match: getattr(reading.exam.patient, field)


def equipment(field: str) -> Getter:
    return lambda reading, match: getattr(reading.exam.equipment, field)


def report(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = getattr(reading.exam.report, field)
        if isinstance(value, list):
            value = value[0]
        return getattr(value, "meaning", value)

    return get


def device(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        device = next(seen for seen in reading.exam.report.observers if seen.type == "device")
        return getattr(device, field)

    return get


def observer_type(reading: Reading, match: re.Match[str]) -> Any:
    # OpenREM has the device in every row; the device is the observer whose attributes it asserts.
    return next(seen.type for seen in reading.exam.report.observers if seen.type == "device")


def participant(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = at(reading.events, match[1]).extra["devices"][0][field]
        return getattr(value, "meaning", value)

    return get


def administration(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        value = getattr(reading.exam.events[0], field)
        return getattr(value, "meaning", value)

    return get


def identifier(name: str) -> Getter:
    return lambda reading, match: wording(reading.exam.events[0].identifiers[name])


def characteristic(reading: Reading, match: re.Match[str]) -> Any:
    """Of the patient, under the record's name for it."""
    found = reading.exam.events[0].patient_characteristics[CHARACTERISTICS[match[1]]]
    return wording(found[0] if isinstance(found, list) else found)


def organ(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        doses = reading.exam.events[0].organ_doses
        value = getattr(doses[0 if match[1] == "first" else -1], field)
        return getattr(value, "meaning", value)

    return get


def series(field: str) -> Getter:
    return lambda reading, match: getattr(reading.exam.pet_series[0], field)


def series_entry(field: str) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        return getattr(reading.exam.pet_series[0], field)[int(match[1]) if match[1] else 0]

    return get


def count_of(kind: str) -> Getter:
    return lambda reading, match: sum(event.ct_acquisition_type == kind for event in reading.exam.events)


def date(reading: Reading, match: re.Match[str]) -> Any:
    return (reading.exam.study_datetime or "")[:10] or None


def study_time(reading: Reading, match: re.Match[str]) -> Any:
    _, _, found = (clock(reading.exam.study_datetime) or "").partition("T")
    return found or None


def event_time(reading: Reading, match: re.Match[str]) -> Any:
    return clock(at(reading.events, match[1]).started_at)


def at_moment(get: Getter) -> Getter:
    return lambda reading, match: clock(get(reading, match))


def processed(reading: Reading, match: re.Match[str]) -> Any:
    return sorted(source.sop_instance_uid for source in reading.exam.sources)


def scanned(number: int, field: str) -> Getter:
    """Of the n-th acquisition that is no localizer."""

    def get(reading: Reading, match: re.Match[str]) -> Any:
        scans = [event for event in reading.events if event.ct_acquisition_type != "constant_angle"]
        return getattr(scans[number], field)

    return get


def filters_of(acquisition_protocol: str | None, thickness: bool) -> Getter:
    def get(reading: Reading, match: re.Match[str]) -> Any:
        event = next(seen for seen in reading.events if acquisition_protocol in (None, seen.acquisition_protocol))
        if thickness:
            return " | ".join(f"{(one.min_mm + one.max_mm) / 2:.4f}" for one in event.filters)
        return " | ".join(one.material for one in event.filters)

    return get


def study_totals(reading: Reading, match: re.Match[str]) -> Any:
    """OpenREM's table of an RF study, told apart by the words of the assertion."""
    totals = reading.exam.totals
    words = match[1]
    stationary = [event for event in reading.events if event.irradiation_event_type == "stationary_acquisition"]
    table = {
        "Fluoroscopy DAP": times(totals.fluoro_kap_gy_cm2, 100),
        "Fluoroscopy dose at RP": times(totals.fluoro_dose_rp_mgy, 1e-3),
        "Fluoroscopy time": totals.fluoro_time_s,
        "Acquisition DAP": times(totals.acquisition_kap_gy_cm2, 100),
        "Acquisition dose at RP": times(totals.acquisition_dose_rp_mgy, 1e-3),
        "Acquisition time": totals.acquisition_time_s,
        "- Stationary Acquisition DAP": sum(event.kap_gy_cm2 for event in stationary) * 100,
        "- Stationary Acquisition dose at RP": sum(event.dose_rp_mgy for event in stationary) * 1e-3,
        "- Stationary Acquisition time": sum(event.irradiation_duration_s or 0 for event in stationary),
        "Total DAP": times(totals.kap_gy_cm2, 100),
        "Total dose at RP": times(totals.dose_rp_mgy, 1e-3),
        "Total time": (totals.fluoro_time_s or 0) + (totals.acquisition_time_s or 0),
    }
    return table[words]


def position(reading: Reading, match: re.Match[str]) -> Any:
    return at(reading.events, match[1]).reference_point
