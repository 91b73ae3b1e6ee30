"""Peak skin dose of an exam: each event placed on the patient where its geometry is known, a screening estimate else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry.skin.beam import Beam, read_beam
from dose_audit.dosimetry.skin.dose_map import DoseMap, Entry, dose_at, enter, make_map
from dose_audit.dosimetry.skin.geometry import Convention, find_convention
from dose_audit.dosimetry.skin.orientation import Orientation, angles_of_patient, read_orientation
from dose_audit.dosimetry.skin.phantom import Phantom, phantom_for
from dose_audit.dosimetry.skin.result import EventShare, SkinDose
from dose_audit.dosimetry.skin.screening import SCREENING_UNCERTAINTY, screen
from dose_audit.dosimetry.skin.shots import MAX_SHOTS, Shots, count_shots, lay_out
from dose_audit.dosimetry.skin.transmission import Support
from dose_audit.dosimetry.skin.uncertainty import Budget, peak_uncertainty
from dose_audit.extract.exam import Exam, ProjectionEvent
from dose_audit.measured import Measured, not_measurable

__all__ = ["skin_dose"]

_NAME, _UNIT = "peak_skin_dose", "mGy"
_MAP_METHOD = (
    "reference air kerma, inverse square to the skin, table, backscatter and water-to-air ratio on a trunk phantom"
)
_SCREENING_METHOD = "screening: all events of a plane on the same skin, at the reference point, no table"
_LEAST_ON_PATIENT = 0.8
_LEAST_MAPPED = 0.95
_LEAST_TURNED = 0.1  # of the peak
_MEAN_FIELD_CM2 = (2.0, 2500.0)  # real reports have 45 to 414
_UNVERIFIED = {"inferred": 40.0, "standard": 40.0}


def skin_dose(
    exam: Exam,
    *,
    phantom: Phantom | None = None,
    support: Support | None = None,
    convention: Convention | None = None,
    budget: Budget | None = None,
    cell_mm: float = 5.0,
) -> SkinDose:
    """Peak skin dose and map of an exam from its radiation dose report.

    Parameters
    ----------
    exam : Exam
        As `dose_audit.extract.read_exam` returns it.
    phantom : Phantom, optional
        The patient; else an elliptic trunk after the exam's height and weight, else the reference adult.
    support : Support, optional
        Table and mattress; else 45 cm wide with a mattress of 4 cm.
    convention : Convention, optional
        How the device reports its geometry; else the shipped table's row for its maker and model.
    budget : Budget, optional
        Standard uncertainties; else a maker's tolerances.
    cell_mm : float
        Size of a skin cell, 1–20 mm.

    Returns
    -------
    SkinDose
        With status ``not_measurable`` where no event brings a dose; ``suspect`` for a screening estimate, for
        unverified or missing geometry, and where events had to be left out.

    Notes
    -----
    See `dose_audit.dosimetry.skin.dose_map.make_map` for the formula. Planes are added on the skin, never as totals.

    Examples
    --------
    >>> from dose_audit.extract.exam import Exam
    >>> skin_dose(Exam()).peak.reason
    'no projection event in the exam'
    """
    events = [event for event in exam.events if isinstance(event, ProjectionEvent)]
    if not events:
        return SkinDose(not_measurable(_NAME, _UNIT, "no projection event in the exam"), "none")
    convention = convention or find_convention(exam.equipment.manufacturer, exam.equipment.model_name)
    if convention is None:
        device = " ".join(name for name in (exam.equipment.manufacturer, exam.equipment.model_name) if name)
        return _screened(events, f"no declared geometry for {device or 'an unnamed device'}")
    orientation = read_orientation(events)
    if orientation.other:
        return _screened(events, f"the patient lies neither on the back nor on the front ({orientation.other})")
    read = [read_beam(event, convention) for event in events]
    beams = [beam for beam in read if isinstance(beam, Beam)]
    refused = {event.index: beam for event, beam in zip(events, read, strict=True) if isinstance(beam, str)}
    if not beams:
        return _screened(events, Counter(refused.values()).most_common(1)[0][0])
    if sum(count_shots(beam) for beam in beams) > MAX_SHOTS:
        return _screened(events, f"more than {MAX_SHOTS} exposures to place")
    support = support or Support()
    phantom = phantom or phantom_for(exam.patient.height_m, exam.patient.weight_kg)
    beams, shots, entry = _outside_patient(beams, lay_out(beams), phantom, support, refused)
    if not beams:
        return _screened(events, Counter(refused.values()).most_common(1)[0][0])
    dose_map = make_map(shots, phantom, support, cell_mm)
    return _assembled(events, beams, shots, entry, dose_map, refused, phantom, support, convention, budget)


def _outside_patient(
    beams: list[Beam], shots: Shots, phantom: Phantom, support: Support, refused: dict[int, str]
) -> tuple[list[Beam], Shots, Entry]:
    """Leave out beams whose focal spot would be inside the patient, which only a wrong report can say."""
    entry = enter(shots, phantom, support)
    inside = set(shots.beam[entry.inside].tolist())
    if not inside:
        return beams, shots, entry
    for number in inside:
        refused[beams[number].index] = "the focal spot would lie inside the patient"
    beams = [beam for number, beam in enumerate(beams) if number not in inside]
    if not beams:
        return beams, shots, entry
    shots = lay_out(beams)
    return beams, shots, enter(shots, phantom, support)


def _assembled(
    events: Sequence[ProjectionEvent],
    beams: list[Beam],
    shots: Shots,
    entry: Entry,
    dose_map: DoseMap,
    refused: dict[int, str],
    phantom: Phantom,
    support: Support,
    convention: Convention,
    budget: Budget | None,
) -> SkinDose:
    names = sorted({beam.plane for beam in beams})
    planes = np.array([names.index(beam.plane) for beam in beams])[shots.beam]
    weight = np.bincount(shots.beam)[shots.beam]
    fraction = np.asarray(np.bincount(shots.beam, entry.fraction / weight, len(beams)), dtype=float)
    on_patient = _on_patient(beams, fraction)
    peak_mgy = dose_map.peak_mgy
    shares = _shares(events, beams, shots, entry, fraction, dose_map, refused, support)
    orientation = read_orientation(events)
    doubts = _doubts(events, beams, refused, convention, on_patient, orientation)
    turned = _angle_spread(beams, dose_map, phantom, support, orientation)
    if abs(turned) > _LEAST_TURNED:
        doubts.append(
            f"the patient lies {orientation.words}: with angles told as the patient sees them, and not as the table does, "
            f"the peak were {100 * turned:+.0f} %"
        )
    by_plane = dict.fromkeys(names, peak_mgy)
    if len(names) > 1:
        by_plane = {
            name: make_map(shots.only(planes == number), phantom, support, 10.0).peak_mgy
            for number, name in enumerate(names)
        }
    if peak_mgy <= 0:
        dosed = any(beam.kerma_mgy > 0 for beam in beams)
        if dosed:
            reason = "no field falls on the patient where the report puts the table"
            peak = not_measurable(_NAME, _UNIT, reason, method=_MAP_METHOD)
        else:
            peak = Measured(_NAME, 0.0, _UNIT, method=_MAP_METHOD)
        for doubt in doubts if not dosed else ():
            peak = peak.doubt(doubt)
        return SkinDose(peak, "map", dose_map, phantom, convention, orientation, shares, on_patient, by_plane)
    budget = budget or Budget(height_mm=_UNVERIFIED.get(convention.confidence, Budget().height_mm))
    spread = peak_uncertainty(shots, planes, dose_map, phantom, support, budget)
    peak = Measured(
        _NAME,
        peak_mgy,
        _UNIT,
        uncertainty=peak_mgy * math.hypot(spread.relative, turned),
        method=_MAP_METHOD,
        details={
            "relative_uncertainty_factors": spread.factors,
            "relative_uncertainty_geometry": spread.geometry,
            "angles_of_patient": turned,
            "on_patient": on_patient,
            "phantom": phantom.origin,
        },
    )
    for doubt in doubts:
        peak = peak.doubt(doubt)
    return SkinDose(peak, "map", dose_map, phantom, convention, orientation, shares, on_patient, by_plane)


def _on_patient(beams: Sequence[Beam], fraction: NDArray[np.float64]) -> float | None:
    """Part of the KAP on the phantom, of the air kerma where an event has no KAP."""
    weight = np.array([beam.kerma_mgy * beam.field_mm[0] * beam.field_mm[1] for beam in beams])
    return float((weight * fraction).sum() / weight.sum()) if weight.sum() > 0 else None


def _shares(
    events: Sequence[ProjectionEvent],
    beams: Sequence[Beam],
    shots: Shots,
    entry: Entry,
    fraction: NDArray[np.float64],
    dose_map: DoseMap,
    refused: dict[int, str],
    support: Support,
) -> tuple[EventShare, ...]:
    peak = np.array([dose_map.dose_mgy.argmax()])
    points, normals = dose_map.points(peak)
    at_peak = np.bincount(shots.beam, dose_at(shots, points, normals, support)[:, 0], len(beams))
    first = np.searchsorted(shots.beam, np.arange(len(beams)))
    made = {}
    for number, beam in enumerate(beams):
        numbers = {
            "dose_rp_mgy": beam.kerma_mgy,
            "reference_mm": beam.reference_mm,
            "field_cm2": beam.field_mm[0] * beam.field_mm[1] / 100.0,
            "hvl_mm_al": beam.quality.hvl_mm_al,
            "water_to_air": beam.quality.water_to_air,
            "on_patient": float(fraction[number]),
            "peak_share_mgy": float(at_peak[number]),
        }
        distance = float(entry.distance_mm[first[number]])
        if np.isfinite(distance):
            numbers["source_skin_mm"] = distance
        made[beam.index] = EventShare(beam.index, beam.plane, True, "", beam.notes + beam.doubts, numbers)
    return tuple(
        made.get(event.index)
        or EventShare(event.index, event.plane or "single", False, refused.get(event.index, "not placed"))
        for event in events
    )


def _doubts(
    events: Sequence[ProjectionEvent],
    beams: Sequence[Beam],
    refused: dict[int, str],
    convention: Convention,
    on_patient: float | None,
    orientation: Orientation,
) -> list[str]:
    """Everything that speaks against the map as a whole, each said once."""
    doubts = [convention.doubt] if convention.doubt else []
    dosed = [beam for beam in beams if beam.kerma_mgy > 0]
    doubts += list(dict.fromkeys(doubt for beam in dosed for doubt in beam.doubts))
    doubts += _contradiction(dosed)
    left_out = [event for event in events if event.index in refused]
    lost = sum(event.dose_rp_mgy or 0.0 for event in left_out)
    unknown = sum(1 for event in left_out if event.dose_rp_mgy is None)
    total = lost + sum(beam.kerma_mgy for beam in beams)
    if unknown or (total > 0 and lost / total > 1.0 - _LEAST_MAPPED):
        reasons = ", ".join(dict.fromkeys(refused.values()))
        part = f" with {100.0 * lost / total:.0f} % of the air kerma" if total > 0 else ""
        doubts.append(f"{len(left_out)} of {len(events)} events left out{part}: {reasons}")
    if on_patient is not None and on_patient < _LEAST_ON_PATIENT:
        doubts.append(f"only {100.0 * on_patient:.0f} % of the KAP falls on the phantom")
    if orientation.turned:
        doubts.append("the patient was turned during the exam; the map is of the table")
    if not orientation.said:
        doubts.append("the report does not say how the patient lies")
    return doubts


def _contradiction(beams: Sequence[Beam]) -> list[str]:
    """What KAP and air kerma of the whole exam say of each other: a unit that slipped in one of them is a field nobody has."""
    kap = sum(beam.kap_gy_cm2 for beam in beams if beam.kap_gy_cm2)
    kerma = sum(beam.kerma_mgy for beam in beams if beam.kap_gy_cm2)
    area_cm2 = 1000.0 * kap / kerma if kap and kerma else None
    if area_cm2 is None or _MEAN_FIELD_CM2[0] <= area_cm2 <= _MEAN_FIELD_CM2[1]:
        return []
    return [f"KAP over air kerma is a mean field of {area_cm2:.3g} cm², which cannot be: one of the two is wrong"]


def _angle_spread(
    beams: Sequence[Beam], dose_map: DoseMap, phantom: Phantom, support: Support, orientation: Orientation
) -> float:
    """By what part the peak changes if the angles are told as the patient sees them."""
    if dose_map.peak_mgy <= 0:
        return 0.0
    turned = angles_of_patient(beams, orientation)
    if all(one.pose == other.pose for one, other in zip(beams, turned, strict=True)):
        return 0.0
    cell_mm = abs(float(dose_map.around_mm[1] - dose_map.around_mm[0]))
    return make_map(lay_out(turned), phantom, support, min(max(cell_mm, 1.0), 20.0)).peak_mgy / dose_map.peak_mgy - 1


def _screened(events: Sequence[ProjectionEvent], why: str) -> SkinDose:
    """The screening estimate, with the reason why there is no map."""
    shares = screen(events)
    by_plane: dict[str, float] = {}
    for share in shares:
        if share.dose_mgy is not None:
            by_plane[share.plane] = by_plane.get(share.plane, 0.0) + share.dose_mgy
    made = tuple(
        EventShare(
            share.index,
            share.plane,
            share.dose_mgy is not None,
            share.note if share.dose_mgy is None else "",
            (share.note,) if share.dose_mgy is not None else (),
            {} if share.dose_mgy is None else {"peak_share_mgy": share.dose_mgy},
        )
        for share in shares
    )
    orientation = read_orientation(events)
    if not by_plane:
        reason = f"{why}; and no event states air kerma or KAP"
        return SkinDose(not_measurable(_NAME, _UNIT, reason), "none", orientation=orientation, events=made)
    value = max(by_plane.values())
    lost = sum(1 for share in shares if share.dose_mgy is None)
    reason = f"screening estimate, no map: {why}" + (f"; {lost} events bring no dose" if lost else "")
    peak = Measured(
        _NAME,
        value,
        _UNIT,
        uncertainty=value * SCREENING_UNCERTAINTY,
        status="suspect",
        reason=reason,
        method=_SCREENING_METHOD,
    )
    return SkinDose(peak, "screening", orientation=orientation, events=made, by_plane_mgy=by_plane)
