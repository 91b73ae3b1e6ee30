"""Projection dose reports: dose per plane (TID 10002, 10004 to 10007) and irradiation events (10003)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dose_audit.extract.codes import Code, key
from dose_audit.extract.concepts import (
    DEVICE_TYPES,
    FILTER_TYPES,
    FLUORO_MODES,
    GRIDS,
    IRRADIATION_EVENT_TYPES,
    LATERALITIES,
    MATERIALS,
    PLANES,
    PROCEDURES,
    Key,
    dcm,
    sct,
)
from dose_audit.extract.document import EVENT, LATERALITY, participant, person
from dose_audit.extract.exam import Exam, Filter, PlaneTotals, ProjectionEvent
from dose_audit.extract.fields import (
    Context,
    Extra,
    Rule,
    Table,
    aside,
    code,
    each,
    mean_of_pulses,
    number,
    pulses,
    term,
    text,
    walk,
    wording,
)
from dose_audit.extract.mammography import MAMMOGRAPHY_EVENT, MAMMOGRAPHY_TOTALS

if TYPE_CHECKING:
    from dose_audit.extract.reader import Item

__all__ = [
    "PLANE_TOTALS",
    "PROJECTION_CONTAINERS",
    "PROJECTION_EVENT",
    "add_up_planes",
    "finish_event",
    "modality_of_projection",
    "position_from_comment",
]

_CALIBRATION: Table = {
    dcm("113794"): aside("dose_measurement_device"),
    dcm("113723"): aside("calibration_datetime"),
    dcm("122322"): aside("calibration_factor", "ratio"),
    dcm("113763"): aside("calibration_uncertainty_percent", "percent"),
    dcm("113724"): aside("calibration_responsible_party"),
    dcm("113720"): aside("calibration_protocol"),
}


def _calibration(plane: PlaneTotals, item: Item, extra: Extra, ctx: Context) -> None:
    inside: Extra = {}
    walk(item.children, _CALIBRATION, plane, inside, ctx)
    if inside:
        extra.setdefault("calibration", []).append(inside)


def _detector_type(plane: PlaneTotals, item: Item, extra: Extra, ctx: Context) -> None:
    if item.code:
        ctx.exam.equipment.detector_type = ctx.exam.equipment.detector_type or item.code.meaning or item.code.value


PLANE_TOTALS: dict[Key, Rule] = {
    dcm("113764"): term("plane", PLANES),
    dcm("122505"): _calibration,
    # TID 10004
    dcm("113726"): number("fluoro_kap_gy_cm2", "kap_gy_cm2"),
    dcm("113728"): number("fluoro_dose_rp_mgy", "dose_mgy"),
    dcm("113730"): number("fluoro_time_s", "time_s"),
    dcm("113727"): number("acquisition_kap_gy_cm2", "kap_gy_cm2"),
    dcm("113729"): number("acquisition_dose_rp_mgy", "dose_mgy"),
    dcm("113855"): number("acquisition_time_s", "time_s"),
    # TID 10006 and 10007, and the older layout of 10004
    dcm("113722"): number("kap_gy_cm2", "kap_gy_cm2"),
    dcm("113725"): number("dose_rp_mgy", "dose_mgy"),
    dcm("113731"): number("radiographic_frames", "count"),
    dcm("113737"): aside("distance_source_to_reference_point_mm", "distance_mm"),
    dcm("113947"): _detector_type,
    dcm("113780"): aside("reference_point_definition"),
    dcm("113876"): participant,
    **MAMMOGRAPHY_TOTALS,
}
"""Accumulated X-Ray Dose Data; the target is a `PlaneTotals`."""


def _acquired_image(event: ProjectionEvent, item: Item, extra: Extra, ctx: Context) -> None:
    if item.reference and item.reference[1]:
        extra.setdefault("acquired_images", []).append(item.reference[1])


_FILTER: Table = {
    dcm("113772"): term("type", FILTER_TYPES),
    dcm("113757"): term("material", MATERIALS),
    dcm("113758"): number("min_mm", "length_mm"),
    dcm("113773"): number("max_mm", "length_mm"),
}


def _order_thickness(entry: Filter, item: Item, ctx: Context) -> None:
    if entry.min_mm is not None and entry.max_mm is not None and entry.min_mm > entry.max_mm:
        ctx.warn("filter_thickness_swapped", "the smallest filter thickness was above the largest", item)
        entry.min_mm, entry.max_mm = entry.max_mm, entry.min_mm


_MODIFIER: Table = {dcm("113744"): code("patient_orientation_modifier")}
_VIEW: Table = {
    dcm("111032"): code("view_modifier"),
    dcm("113946"): aside("projection_eponymous_name"),
}

PROJECTION_EVENT: dict[Key, Rule] = {
    # TID 10003
    dcm("113764"): term("plane", PLANES),
    dcm("113769"): text("irradiation_event_uid"),
    **EVENT,
    dcm("113721"): term("irradiation_event_type", IRRADIATION_EVENT_TYPES),
    dcm("125203"): text("acquisition_protocol"),
    sct("91723000"): code("anatomical_structure", LATERALITY),
    sct("272741003"): term("laterality", LATERALITIES),
    dcm("111031"): code("view", _VIEW),
    dcm("111032"): code("view_modifier"),
    dcm("113745"): code("patient_table_relationship"),
    dcm("113743"): code("patient_orientation", _MODIFIER),
    dcm("113744"): code("patient_orientation_modifier"),
    dcm("123014"): code("target_region", LATERALITY),
    dcm("122130"): number("kap_gy_cm2", "kap_gy_cm2"),
    dcm("111638"): aside("patient_equivalent_thickness_mm", "length_mm"),
    dcm("113780"): wording("reference_point", coded_as="reference_point_definition"),
    dcm("121106"): text("comment"),
    dcm("113870"): person,
    dcm("113876"): participant,
    # TID 10003A
    dcm("113845"): number("exposure_index", "index"),
    dcm("113846"): number("target_exposure_index", "index"),
    dcm("113847"): number("deviation_index", "index"),
    dcm("113795"): _acquired_image,
    # TID 10003B
    dcm("113738"): number("dose_rp_mgy", "dose_mgy"),
    dcm("113732"): term("fluoro_mode", FLUORO_MODES),
    dcm("113791"): number("pulse_rate_per_s", "rate_per_s"),
    dcm("113768"): number("pulse_count", "count"),
    dcm("113793"): pulses("pulse_width_ms", "time_ms"),
    dcm("113742"): number("irradiation_duration_s", "time_s"),
    dcm("113733"): pulses("kvp_kv", "voltage_kv"),
    dcm("113734"): pulses("tube_current_ma", "current_ma"),
    dcm("113767"): number("average_tube_current_ma", "current_ma"),
    dcm("113833"): number("max_tube_current_ma", "current_ma"),
    dcm("113824"): number("exposure_time_ms", "time_ms"),
    dcm("113736"): pulses("exposure_mas", "charge_mas"),
    dcm("113766"): number("focal_spot_mm", "length_mm"),
    dcm("113771"): each("filters", Filter, _FILTER, _order_thickness),
    dcm("113790"): number("collimated_field_area_cm2", "area_cm2"),
    dcm("113788"): number("field_height_mm", "distance_mm"),
    dcm("113789"): number("field_width_mm", "distance_mm"),
    dcm("111635"): term("grid", GRIDS, many=True),
    dcm("113731"): number("frames_count", "count"),
    # TID 10003C
    dcm("113956"): aside("cr_dr_mechanical_configuration"),
    dcm("112011"): number("primary_angle_deg", "angle_deg"),
    dcm("112012"): number("secondary_angle_deg", "angle_deg"),
    dcm("113739"): number("primary_end_angle_deg", "angle_deg"),
    dcm("113740"): number("secondary_end_angle_deg", "angle_deg"),
    dcm("113770"): number("column_angle_deg", "angle_deg"),
    dcm("113754"): number("table_tilt_deg", "angle_deg"),
    dcm("113755"): number("table_rotation_deg", "angle_deg"),
    dcm("113756"): number("table_cradle_deg", "angle_deg"),
    dcm("113748"): number("source_isocentre_mm", "distance_mm"),
    dcm("113750"): number("source_detector_mm", "distance_mm"),
    dcm("113737"): number("source_reference_point_mm", "distance_mm"),
    dcm("113792"): aside("distance_source_to_table_plane_mm", "distance_mm"),
    dcm("113751"): number("table_longitudinal_mm", "position_mm"),
    dcm("113752"): number("table_lateral_mm", "position_mm"),
    dcm("113753"): number("table_height_mm", "position_mm"),
    dcm("113759"): aside("table_longitudinal_end_position_mm", "position_mm"),
    dcm("113760"): aside("table_lateral_end_position_mm", "position_mm"),
    dcm("113761"): aside("table_height_end_position_mm", "position_mm"),
    **MAMMOGRAPHY_EVENT,
}
"""Irradiation Event X-Ray Data; the target is a `ProjectionEvent`."""


def finish_event(event: ProjectionEvent, item: Item, ctx: Context) -> None:
    """Number an event, turn its lists into means, and run the repairs that its device needs."""
    event.index = len(ctx.exam.events) + 1
    mean_of_pulses(event, "kvp_kv", "tube_current_ma", "exposure_mas", "pulse_width_ms")
    shutters = ctx.quirks.repairs.get("shutters")
    incomplete = event.field_height_mm is None or event.field_width_mm is None
    if shutters and incomplete and event.source_detector_mm:
        box = item.find(shutters["container"])
        if box is not None:
            _field_from_shutters(event, box, shutters, ctx)
    if event.comment and "comment_position" in ctx.quirks.repairs:
        diameter = re.search(r'<iiDiameter SRData="\s*(\d+(?:\.\d+)?)\s*"', event.comment)
        if diameter:
            event.extra["image_intensifier_diameter_mm"] = float(diameter[1])


def _field_from_shutters(event: ProjectionEvent, box: Item, how: Mapping[str, Any], ctx: Context) -> None:
    """Field at the detector from the distances of four shutters to the beam's axis, given at `at_mm`."""
    sides: dict[str, list[float]] = {"height": [], "width": []}
    for side, distances in sides.items():
        for name in how[side]:
            shutter = box.find(name)
            value = ctx.measured(shutter, "position_mm") if shutter is not None else None
            if value is None:
                return
            distances.append(value)
    assert event.source_detector_mm is not None
    scale = Decimal(repr(event.source_detector_mm)) / Decimal(repr(how["at_mm"]))
    height, width = (sum(map(Decimal, map(repr, sides[side]))) * scale for side in ("height", "width"))
    if height <= 0 or width <= 0:
        return
    event.field_height_mm, event.field_width_mm = float(height), float(width)
    if event.collimated_field_area_cm2 is None:
        event.collimated_field_area_cm2 = float(height * width / 100)
    ctx.warn("field_from_shutters", "the collimated field is computed from the shutters", box)


# As Siemens writes it: <PatientPosition><Position SRData="HFS "/>…
_POSITION = re.compile(r'<Position SRData="\s*(\w+)\s*"')


def position_from_comment(exam: Exam, ctx: Context) -> None:
    """Fill the patient's position of every event from the report's comment, when it names exactly one."""
    positions = ctx.quirks.repairs.get("comment_position")
    comment = exam.report.comment if exam.report else None
    if not positions or not comment:
        return
    named = {found.lower() for found in _POSITION.findall(comment)}
    meant = positions.get(named.pop()) if len(named) == 1 else None
    if meant is None:
        return
    table, orientation, modifier = (Code(value, "SRT", meaning) for value, meaning in meant)
    filled = False
    for event in exam.events:
        if isinstance(event, ProjectionEvent) and not (event.patient_table_relationship or event.patient_orientation):
            event.patient_table_relationship = table
            event.patient_orientation = orientation
            event.patient_orientation_modifier = modifier
            filled = True
    if filled:
        ctx.warn("position_in_comment", "the patient's position is taken from the report's comment")


_SUMMED = (
    "kap_gy_cm2",
    "dose_rp_mgy",
    "fluoro_time_s",
    "acquisition_time_s",
    "fluoro_kap_gy_cm2",
    "acquisition_kap_gy_cm2",
    "fluoro_dose_rp_mgy",
    "acquisition_dose_rp_mgy",
    "radiographic_frames",
)


def _exact_sum(values: Iterable[float]) -> float:
    return float(sum((Decimal(repr(value)) for value in values), Decimal(0)))


def add_up_planes(exam: Exam) -> None:
    """Set the exam's totals: those of *all planes* where the report has them, else the sum over its planes.

    Notes
    -----
    A sum of dose (RP) over two planes is a total output and no skin dose; `planes` keeps them apart.
    """
    totals = exam.totals
    whole = [plane for plane in totals.planes if plane.plane == "all"] or totals.planes
    for field in _SUMMED:
        values = [value for plane in whole if (value := getattr(plane, field)) is not None]
        if values:
            setattr(totals, field, _exact_sum(values))


def modality_of_projection(exam: Exam, ctx: Context) -> str:
    """What kind of exam a projection report is about.

    Mammography by the procedure; else what an exception for the device says; else by Acquisition Device Type;
    else fluoroscopy time or fluoroscopy KAP above zero is RF, and the rest DX.
    """
    report = exam.report
    if report and report.procedure_reported and PROCEDURES.get(key(report.procedure_reported)) == "MG":
        return "MG"
    forced = ctx.quirks.repairs.get("modality")
    device = report.extra.get("acquisition_device_type") if report else None
    by_device = DEVICE_TYPES.get(key(device)) if isinstance(device, Code) else None
    if forced:
        if by_device != forced["modality"]:
            ctx.warn("device_type_overruled", f"this device is {forced['modality']} whatever device type it sends")
        return str(forced["modality"])
    if by_device:
        return by_device
    totals = exam.totals
    if totals.fluoro_time_s is not None or totals.fluoro_kap_gy_cm2 is not None:
        return "RF" if totals.fluoro_time_s or totals.fluoro_kap_gy_cm2 else "DX"
    return "RF" if any(event.irradiation_event_type == "fluoroscopy" for event in exam.events) else "DX"


def _plane(exam: Exam, item: Item, extra: Extra, ctx: Context) -> None:
    plane = PlaneTotals()
    walk(item.children, PLANE_TOTALS, plane, plane.extra, ctx)
    exam.totals.planes.append(plane)


PROJECTION_CONTAINERS: Table = {
    dcm("113702"): _plane,
    dcm("113706"): each("events", ProjectionEvent, PROJECTION_EVENT, finish_event),
}
"""What TID 10001 adds to the root of a report; the target is the exam."""
