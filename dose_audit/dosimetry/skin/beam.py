"""One irradiation event as a beam: kerma at a known distance, field, quality, pose; or the reason why it is none."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from dose_audit.dosimetry.backscatter import backscatter_in_range
from dose_audit.dosimetry.skin.geometry import Convention, Pose, read_pose, table_position
from dose_audit.dosimetry.skin.hvl import INHERENT_ALUMINIUM_MM, half_value_layer, quality_in_range, water_to_air
from dose_audit.extract.exam import ProjectionEvent

__all__ = ["Beam", "Quality", "field_at_reference", "kerma_at_reference", "read_beam", "read_quality", "reference_mm"]

_PLAUSIBLE_REFERENCE_MM = (300.0, 1300.0)
_PLAUSIBLE_FIELD_CM2 = (0.2, 2500.0)
_LARGEST = 1e12
_LARGEST_KERMA_MGY = 1e5  # 100 Gy in one event is a unit slip
_ALIKE = (0.6, 1.7)
_SHUTTERS_STATED_AT_MM = 1000.0
_ASSUMED_KVP_KV = 80.0
_HELD = "beam or field beyond the backscatter tables: their edge holds"


@dataclass(frozen=True, slots=True)
class Quality:
    """Spectrum of an event in the numbers that the skin dose needs."""

    kvp_kv: float
    aluminium_mm: float
    copper_mm: float
    hvl_mm_al: float
    water_to_air: float
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Beam:
    """An event that can be placed on the patient.

    Parameters
    ----------
    index : int
        The event's place in the exam.
    plane : str
        ``single``, ``A``, ``B``.
    kerma_mgy : float
        Air kerma at the reference point, free in air.
    kap_gy_cm2 : float or None
    reference_mm, source_isocentre_mm : float
        Focal spot to the reference point, and to the isocentre.
    field_mm : tuple of float
        Width (left to right at 0°) and height (along the patient) of the field at the reference point.
    quality : Quality
    pose : Pose
    notes, doubts : tuple of str
        What was read how, and what makes the result suspect.
    """

    index: int
    plane: str
    kerma_mgy: float
    kap_gy_cm2: float | None
    reference_mm: float
    source_isocentre_mm: float
    field_mm: tuple[float, float]
    quality: Quality
    pose: Pose
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def read_beam(event: ProjectionEvent, convention: Convention) -> Beam | str:
    """Turn an event into a beam.

    Parameters
    ----------
    event : ProjectionEvent
    convention : Convention
        How its maker reports geometry.

    Returns
    -------
    Beam or str
        The beam, or in words why the event cannot be placed on the patient.
    """
    pose = read_pose(event, convention)
    if isinstance(pose, str):
        return pose
    isocentre = _positive(event.source_isocentre_mm)
    if isocentre is None or not 400.0 <= isocentre <= 1200.0:
        return (
            "no distance from the source to the isocentre"
            if isocentre is None
            else (f"a source {isocentre:.0f} mm from the isocentre cannot be")
        )
    reference, said, doubt = reference_mm(event, convention)
    if reference is None:
        return said
    field = field_at_reference(event, reference)
    if isinstance(field, str):
        return field
    width, height, how = field
    kerma = kerma_at_reference(event, width * height / 100.0)
    if isinstance(kerma, str):
        return kerma
    quality = read_quality(event)
    side_cm = math.sqrt(width * height) / 10.0
    held = "" if backscatter_in_range(quality.kvp_kv, quality.hvl_mm_al, side_cm) else _HELD
    return Beam(
        index=event.index,
        plane=event.plane or "single",
        kerma_mgy=kerma[0],
        kap_gy_cm2=event.kap_gy_cm2,
        reference_mm=reference,
        source_isocentre_mm=isocentre,
        field_mm=(width, height),
        quality=quality,
        pose=pose,
        notes=tuple(note for note in (said, how, kerma[1], held) if note),
        doubts=tuple(item for item in (doubt, *pose.doubts, *quality.doubts) if item),
    )


def reference_mm(event: ProjectionEvent, convention: Convention | None = None) -> tuple[float | None, str, str]:
    """Distance from the focal spot to the point at which the event's dose is stated.

    Parameters
    ----------
    event : ProjectionEvent
    convention : Convention, optional
        Needed only for reference points that are stated from the table's top.

    Returns
    -------
    distance_mm : float or None
    how : str
        From what; or why it is not known.
    doubt : str
        Not empty where the distance is a default.

    Notes
    -----
    In this order: the reported Distance Source to Reference Point (113737) where it can be one; the Reference Point
    Definition (113860: 15 cm from the isocentre towards the source, 113861: 30 cm before the image receptor, 113862
    and 113863: 1 and 30 cm above the table's top); 15 cm from the isocentre, IEC 60601-2-43's for isocentric systems,
    as a stated default.
    """
    low, high = _PLAUSIBLE_REFERENCE_MM
    stated = _positive(event.source_reference_point_mm)
    if stated is not None and low <= stated <= high:
        return stated, "reference distance as reported", ""
    code = event.extra.get("reference_point_definition")
    value = getattr(code, "value", None)
    text = (event.reference_point or "").casefold()
    isocentre, detector = _positive(event.source_isocentre_mm), _detector_mm(event)
    found: float | None = None
    if isocentre and (value == "113860" or re.search(r"15\s*cm.*isocent", text)):
        found = isocentre - 150.0
    elif detector and (value == "113861" or re.search(r"30\s*cm.*(image|detector)", text)):
        found = detector - 300.0
    elif isocentre and convention and value in ("113862", "113863"):
        place = table_position(event, convention)
        if not isinstance(place, str):
            found = isocentre + place[1] - (10.0 if value == "113862" else 300.0)
    if found is not None and low <= found <= high:
        return found, f"reference distance from its definition ({event.reference_point})", ""
    if text or value or stated:
        return None, f"reference point not understood ({event.reference_point or value or f'{stated:g} mm'})", ""
    if isocentre and low <= isocentre - 150.0 <= high:
        default = "no reference point in the report: 15 cm from the isocentre is taken"
        return isocentre - 150.0, "reference distance by default", default
    return None, "no reference point", ""


def field_at_reference(event: ProjectionEvent, reference: float) -> tuple[float, float, str] | str:
    """Width and height of the field at the reference point.

    Parameters
    ----------
    event : ProjectionEvent
    reference : float
        Focal spot to reference point, mm.

    Returns
    -------
    (width_mm, height_mm, how) or str
        Why there is none.

    Notes
    -----
    KAP over air kerma is the field's area where both are stated, whatever the collimator reports; a reported field is
    believed for its area and shape only where it agrees with that (within a factor of 0.6 to 1.7): collimated field
    area at the detector, then its sides, then the shutters, which Philips states at 1 m.
    """
    kap, kerma = _positive(event.kap_gy_cm2), _positive(event.dose_rp_mgy)
    by_kap = kap * 1000.0 / kerma if kap and kerma else None
    if by_kap is not None and not _PLAUSIBLE_FIELD_CM2[0] <= by_kap <= _PLAUSIBLE_FIELD_CM2[1]:
        by_kap = None
    sides = _sides(event)
    ratio = sides[0] / sides[1] if sides else 1.0
    for area, name in _reported_areas(event, reference, sides):
        if not _PLAUSIBLE_FIELD_CM2[0] <= area <= _PLAUSIBLE_FIELD_CM2[1]:
            continue
        if by_kap is None or _ALIKE[0] <= area / by_kap <= _ALIKE[1]:
            side = math.sqrt(area * 100.0)
            return side * math.sqrt(ratio), side / math.sqrt(ratio), f"field from the {name}"
    if by_kap is None:
        return "no field size: neither a collimated field nor KAP with air kerma"
    side = math.sqrt(by_kap * 100.0)
    how = "reported collimation disagrees with KAP over air kerma" if sides else "no collimated field"
    return side, side, f"square field from KAP over air kerma ({how})"


def kerma_at_reference(event: ProjectionEvent, field_cm2: float) -> tuple[float, str] | str:
    """Air kerma at the reference point in mGy with how it was found, or why it is not known."""
    kerma = event.dose_rp_mgy
    if kerma is not None and math.isfinite(kerma):
        return (kerma, "") if 0 <= kerma <= _LARGEST_KERMA_MGY else f"air kerma of {kerma:g} mGy cannot be"
    kap = event.kap_gy_cm2
    if kap is not None and math.isfinite(kap) and kap >= 0:
        kerma = kap * 1000.0 / field_cm2
        if kerma > _LARGEST_KERMA_MGY:
            return f"air kerma of {kerma:g} mGy, from KAP over the field, cannot be"
        return kerma, "air kerma from KAP over the reported field"
    return "neither air kerma at the reference point nor KAP"


def read_quality(event: ProjectionEvent) -> Quality:
    """Tube voltage, filters, half-value layer and water-to-air ratio of an event; what is missing is assumed and said."""
    doubts = []
    kvp = _positive(event.kvp_kv)
    if kvp is None or not 30.0 <= kvp <= 160.0:
        doubts.append(f"no tube voltage: {_ASSUMED_KVP_KV:g} kV taken for the beam quality")
        kvp = _ASSUMED_KVP_KV
    copper = aluminium = 0.0
    for filter_ in event.filters:
        least, most = _positive(filter_.min_mm), _positive(filter_.max_mm)
        # A minimum of 0 below a maximum is an unset one (Philips Azurion), not a wedge that thins out to nothing.
        thickness = (least + most) / 2 if least and most else most or least or 0.0
        if filter_.material == "Cu":
            copper += thickness
        elif filter_.material == "Al":
            aluminium += thickness
    total = INHERENT_ALUMINIUM_MM + aluminium
    if not quality_in_range(kvp, total, copper):
        doubts.append(f"{kvp:g} kV with {total:g} mm Al and {copper:g} mm Cu lies outside the beam quality table")
    return Quality(
        kvp_kv=kvp,
        aluminium_mm=total,
        copper_mm=copper,
        hvl_mm_al=float(half_value_layer(kvp, total, copper)),
        water_to_air=float(water_to_air(kvp, total, copper)),
        doubts=tuple(doubts),
    )


def _sides(event: ProjectionEvent) -> tuple[float, float] | None:
    """Width and height of the field in any scale: only their ratio counts."""
    width, height = _positive(event.field_width_mm), _positive(event.field_height_mm)
    if not (width and height):
        shutters = _shutters(event)
        if shutters is None:
            return None
        width, height = shutters
    return (width, height) if 0.1 <= width / height <= 10.0 else None


def _shutters(event: ProjectionEvent) -> tuple[float, float] | None:
    blades = event.extra.get("wedges_and_shutters")
    if not isinstance(blades, dict):
        return None
    left, right, top, bottom = (
        _number(blades.get(f"{name}_shutter_mm")) for name in ("left", "right", "top", "bottom")
    )
    if left is None or right is None or top is None or bottom is None:
        return None
    width, height = left + right, top + bottom
    return (width, height) if width > 0 and height > 0 else None


def _reported_areas(
    event: ProjectionEvent, reference: float, sides: tuple[float, float] | None
) -> list[tuple[float, str]]:
    """Areas at the reference point (cm²) that the report's collimation speaks for, most direct first."""
    areas = []
    detector, collimated = _detector_mm(event), _positive(event.collimated_field_area_cm2)
    if detector:
        scale = (reference / detector) ** 2
        if collimated:
            areas.append((collimated * scale, "collimated field area"))
        width, height = _positive(event.field_width_mm), _positive(event.field_height_mm)
        if width and height:
            areas.append((width * height / 100.0 * scale, "collimated field's sides"))
    shutters = _shutters(event)
    if shutters and sides:
        areas.append((shutters[0] * shutters[1] / 100.0 * (reference / _SHUTTERS_STATED_AT_MM) ** 2, "shutters at 1 m"))
    return areas


def _detector_mm(event: ProjectionEvent) -> float | None:
    return _positive(event.source_detector_mm) or _positive(event.extra.get("final_distance_source_to_detector_mm"))


def _number(value: object) -> float | None:
    # Beyond this nothing is a length, an area or a voltage; the square of what is kept stays a number.
    return float(value) if isinstance(value, int | float) and abs(value) <= _LARGEST else None


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number >= 1 / _LARGEST else None
