"""Projection dose reports (TID 10001) of angiography, fluoroscopy and radiography systems, with their truths.

KAP and dose at the reference point are split over the runs in whole units of the last digit written, so that
the totals of a report are exactly what its events add up to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dose_audit.demo import sr
from dose_audit.demo.codes import Code, as_dict, dcm, snomed
from dose_audit.demo.header import device_uid, dt
from dose_audit.demo.plan import PlannedExam
from dose_audit.demo.truth import TO_GY_CM2, TO_MGY, number, total

__all__ = ["STYLES", "ProjectionStyle", "Run", "report_content", "report_truth", "runs"]


ISOCENTRE = dcm("15cm from Isocenter toward Source")


@dataclass(frozen=True, slots=True)
class ProjectionStyle:
    """Habits of one maker's projection dose report.

    Attributes
    ----------
    kap_unit, dose_unit : str
        Unit text of KAP and of dose (RP).
    kap_step, dose_step : str
        Last digit written, in that unit.
    exposure_unit, degree : str
        Unit text of the exposure (uA.s); meaning of the degree.
    acquisition_device : str or None
        Acquisition Device Type.
    reference_point : Code or str
        Reference Point Definition, as code or as free text.
    runs : int
        Irradiation events of an exam, fluoroscopy first, alternating with acquisitions; one is a radiograph.
    filters : bool
        Whether X-ray filters are written.
    geometry : bool
        Whether angles and table positions are written.
    exponents : bool
        Whether small numbers are written with a three-digit exponent.
    private : bool
        Whether private items follow an event.
    scope : str
        Scope of Accumulation.
    completion : str
        Completion Flag.
    """

    kap_unit: str
    dose_unit: str
    kap_step: str
    dose_step: str
    exposure_unit: str = "uA.s"
    acquisition_device: str | None = None
    reference_point: Code | str = ISOCENTRE
    runs: int = 4
    filters: bool = False
    geometry: bool = False
    exponents: bool = False
    private: bool = False
    scope: str = "Study"
    completion: str = "COMPLETE"


STYLES = {
    ("fluoroscopy", "siemens"): ProjectionStyle(
        "Gym2", "Gy", "0.0000001", "0.00001", exposure_unit="uAs", filters=True, geometry=True,
        exponents=True, completion="PARTIAL",
    ),
    # The device type is wrong, as Azurion's is; fluoroscopy time above zero says what it was.
    ("fluoroscopy", "philips"): ProjectionStyle(
        "Gy.m2", "Gy", "0.00000001", "0.000001",
        acquisition_device="Integrated Projection Radiography System",
        reference_point="15cm below BeamIsocenter", runs=4, filters=True, geometry=True, private=True,
        scope="Performed Procedure Step",
    ),
    ("fluoroscopy", "canon"): ProjectionStyle(
        "dGy.cm2", "mGy", "0.001", "0.001", reference_point="26.0 cm Chamber Patient Distance",
        scope="Performed Procedure Step", completion="PARTIAL",
    ),
    ("dx_report", "canon"): ProjectionStyle(
        "Gy.m2", "Gy", "0.00000001", "0", reference_point="Unknown", runs=1, scope="Performed Procedure Step",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One irradiation event, with numbers as decimal strings; ``None`` is a measurement without a value."""

    uid: str
    fluoroscopy: bool
    started: datetime
    kap: str
    dose_rp: str | None
    kvp: str
    tube_current_ma: str
    pulses: str
    pulse_width_ms: str
    exposure_time_ms: str
    exposure_uas: str
    duration_s: str
    primary_angle: str
    secondary_angle: str


def style_of(exam: PlannedExam) -> ProjectionStyle:
    """Return the report habits of an exam's device."""
    return STYLES[(exam.device.kind, exam.device.style)]


def _shares(count: int, exam: PlannedExam) -> list[Decimal]:
    random = exam.random("shares")
    weights = [Decimal(random.randrange(60, 140)) for _ in range(count)]
    return [weight / sum(weights) for weight in weights]


def _split(value: Decimal, step: Decimal, shares: Sequence[Decimal]) -> list[Decimal]:
    """Split a value into multiples of ``step`` that add up to it (rounded to ``step``)."""
    steps = int((value / step).to_integral_value())
    parts = [int(steps * share) for share in shares]
    parts[0] += steps - sum(parts)
    return [part * step for part in parts]


def _written(value: Decimal, style: ProjectionStyle) -> str:
    if value and style.exponents and value < Decimal("0.0001"):
        digits, exponent = f"{value.normalize():E}".split("E")
        return f"{digits}e-{abs(int(exponent)):03d}"
    if value and style.runs == 1:
        return f"{value:.2E}"
    return f"{value:f}"


def runs(exam: PlannedExam) -> list[Run]:
    """Return the irradiation events of a projection exam in time order."""
    style = style_of(exam)
    random = exam.random("runs")
    shares = _shares(style.runs, exam)
    kap = Decimal(repr(exam.leading)) / Decimal(TO_GY_CM2[style.kap_unit])
    if style.runs == 1:
        kaps, doses = [Decimal(f"{kap:.2E}")], [None]
    else:
        kaps = _split(kap, Decimal(style.kap_step), shares)
        dose = Decimal(repr(_dose_rp(exam))) / Decimal(TO_MGY[style.dose_unit])
        doses = _split(dose, Decimal(style.dose_step), shares)
    # Beam-on time goes with dose, only less than in proportion: the rest is dose rate.
    beam = Decimal(repr(round((exam.leading / exam.cohort.median) ** 0.7, 4)))
    found = []
    for index, share in enumerate(shares):
        fluoroscopy = style.runs > 1 and index % 2 == 0
        width = Decimal(random.randrange(30, 90)) / 10
        pulses = max(1, int(share * beam * (900 if fluoroscopy else 180))) if style.runs > 1 else 1
        current = Decimal(random.randrange(400, 1200)) / 10 if style.runs > 1 else Decimal(160)
        time_ms = width * pulses
        dose_rp = doses[index]
        found.append(
            Run(
                uid=exam.uid("event", index),
                fluoroscopy=fluoroscopy,
                started=exam.started + timedelta(seconds=150 * index),
                kap=_written(kaps[index], style),
                dose_rp=None if dose_rp is None else _written(dose_rp, style),
                kvp=str(random.randrange(70, 100)),
                tube_current_ma=str(current),
                pulses=str(pulses),
                pulse_width_ms=str(width),
                exposure_time_ms=str(time_ms),
                exposure_uas=str((current * time_ms).quantize(Decimal(1))),
                duration_s=f"{Decimal(pulses) / Decimal('7.5' if fluoroscopy else '15'):.3f}",
                primary_angle=str(random.randrange(-400, 400) / 10),
                secondary_angle=str(random.randrange(-300, 300) / 10),
            )
        )
    return found


def _dose_rp(exam: PlannedExam) -> float:
    """Return the dose (RP) of an exam, in step with its KAP: field size is much the same in every exam."""
    field = exam.random("field").uniform(0.93, 1.07)
    return exam.cohort.dose_rp_mgy * exam.leading / exam.cohort.median * field


def report_content(exam: PlannedExam, reported: Sequence[Run]) -> bytes:
    """Encode the content tree of a projection dose report (see :func:`dose_audit.demo.ct.report_content`)."""
    style, where = style_of(exam), exam.device
    scope = (
        sr.uidref(dcm("Study Instance UID"), exam.uid("study"), sr.PROPERTY)
        if style.scope == "Study"
        else sr.uidref(
            dcm("Performed Procedure Step SOP Instance UID"),
            exam.uid("performed procedure step"),
            sr.PROPERTY,
        )
    )
    return sr.document(
        dcm("X-Ray Radiation Dose Report"),
        sr.code(
            dcm("Procedure reported"),
            dcm("Projection X-Ray"),
            sr.code(snomed("Has Intent"), snomed("Diagnostic Intent"), relationship=sr.MODIFIER),
            relationship=sr.MODIFIER,
        ),
        sr.code(dcm("Acquisition Device Type"), dcm(style.acquisition_device)) if style.acquisition_device else b"",
        *sr.device_observer(
            device_uid(exam),
            where.station_name,
            where.manufacturer,
            where.model_name,
            where.serial_number,
            None,
        ),
        sr.code(dcm("Scope of Accumulation"), dcm(style.scope), scope, relationship=sr.OBSERVER),
        _accumulated(reported, style),
        *(_event(exam, run, style) for run in reported),
        sr.code(dcm("Source of Dose Information"), dcm("Automated Data Collection")),
        template="10001",
        completion=style.completion,
    )


def _sum(texts: Sequence[str | None], style: ProjectionStyle) -> str | None:
    values = [Decimal(text) for text in texts if text is not None]
    return _written(sum(values, Decimal(0)), style) if values else None


def _seconds(reported: Sequence[Run]) -> str:
    return str(sum((Decimal(run.exposure_time_ms) for run in reported), Decimal(0)) / 1000)


def _accumulated(reported: Sequence[Run], style: ProjectionStyle) -> bytes:
    fluoroscopy = [run for run in reported if run.fluoroscopy]
    acquisition = [run for run in reported if not run.fluoroscopy]
    kap, dose = style.kap_unit, style.dose_unit

    def pair(part: Sequence[Run], kap_name: str, dose_name: str) -> tuple[bytes, bytes]:
        return (
            sr.num(dcm(kap_name), _sum([run.kap for run in part], style), kap),
            sr.num(dcm(dose_name), _sum([run.dose_rp for run in part], style), dose),
        )

    return sr.container(
        dcm("Accumulated X-Ray Dose Data"),
        sr.code(dcm("Acquisition Plane"), dcm("Single Plane"), relationship=sr.MODIFIER),
        _calibration() if style.filters else b"",
        *pair(reported, "Dose Area Product Total", "Dose (RP) Total"),
        *(
            (
                *pair(fluoroscopy, "Fluoro Dose Area Product Total", "Fluoro Dose (RP) Total"),
                sr.num(dcm("Total Fluoro Time"), _fluoro_time(fluoroscopy), "s"),
            )
            if fluoroscopy
            else ()
        ),
        *pair(acquisition, "Acquisition Dose Area Product Total", "Acquisition Dose (RP) Total"),
        sr.num(dcm("Total Acquisition Time"), _seconds(acquisition), "s"),
        _reference_point(style),
        template="10002",
    )


def _fluoro_time(fluoroscopy: Sequence[Run]) -> str:
    return str(sum((Decimal(run.duration_s) for run in fluoroscopy), Decimal(0)))


def _calibration() -> bytes:
    return sr.container(
        dcm("Calibration"),
        sr.code(dcm("Dose Measurement Device"), snomed("Dosimeter"), relationship=sr.MODIFIER),
        sr.datetime(dcm("Calibration DateTime"), "20251103090000"),
        sr.num(dcm("Calibration Factor"), "1", "1"),
        sr.num(dcm("Calibration Uncertainty"), "5", "%"),
        sr.text(dcm("Calibration Responsible Party"), "Service"),
    )


def _reference_point(style: ProjectionStyle) -> bytes:
    concept = dcm("Reference Point Definition")
    if isinstance(style.reference_point, str):
        return sr.text(concept, style.reference_point)
    return sr.code(concept, style.reference_point)


def _event(exam: PlannedExam, run: Run, style: ProjectionStyle) -> bytes:
    event_type = snomed("Fluoroscopy") if run.fluoroscopy else dcm("Stationary Acquisition")
    return sr.container(
        dcm("Irradiation Event X-Ray Data"),
        sr.code(dcm("Acquisition Plane"), dcm("Single Plane"), relationship=sr.MODIFIER),
        sr.datetime(dcm("DateTime Started"), dt(run.started)),
        sr.code(dcm("Irradiation Event Type"), event_type),
        sr.text(dcm("Acquisition Protocol"), exam.cohort.acquisition_protocol),
        _reference_point(style),
        sr.uidref(dcm("Irradiation Event UID"), run.uid),
        sr.num(dcm("Dose Area Product"), run.kap, style.kap_unit),
        sr.num(dcm("Dose (RP)"), run.dose_rp, style.dose_unit),
        *(_geometry(run) if style.geometry else ()),
        _filter() if style.filters else b"",
        sr.code(dcm("Fluoro Mode"), dcm("Pulsed")) if run.fluoroscopy else b"",
        sr.num(dcm("Pulse Rate"), "7.5" if run.fluoroscopy else "15", "{pulse}/s") if style.runs > 1 else b"",
        sr.num(dcm("Number of Pulses"), run.pulses, "1"),
        sr.num(dcm("KVP"), run.kvp, "kV"),
        sr.num(dcm("X-Ray Tube Current"), run.tube_current_ma, "mA"),
        sr.num(dcm("Exposure Time"), run.exposure_time_ms, "ms"),
        sr.num(dcm("Pulse Width"), run.pulse_width_ms, "ms") if style.runs > 1 else b"",
        sr.num(dcm("Exposure"), run.exposure_uas, style.exposure_unit),
        sr.num(dcm("Irradiation Duration"), run.duration_s, "s") if style.runs > 1 else b"",
        sr.num(dcm("Focal Spot Size"), "0.6", "mm"),
        sr.code(dcm("Target Region"), snomed(exam.cohort.region)),
        sr.num(("003", "99PHI-IXR-XPER", "Number of Frames"), run.pulses, "1") if style.private else b"",
        template="10003",
    )


def _geometry(run: Run) -> tuple[bytes, ...]:
    return (
        sr.num(dcm("Positioner Primary Angle"), run.primary_angle, "deg"),
        sr.num(dcm("Positioner Secondary Angle"), run.secondary_angle, "deg"),
        sr.num(dcm("Distance Source to Detector"), "1100", "mm"),
        sr.num(dcm("Distance Source to Isocenter"), "785", "mm"),
        sr.num(dcm("Table Longitudinal Position"), "-25.9", "mm"),
        sr.num(dcm("Table Lateral Position"), "5.2", "mm"),
        sr.num(dcm("Table Height Position"), "151.8", "mm"),
        sr.code(dcm("Patient Table Relationship"), snomed("headfirst")),
        sr.code(
            dcm("Patient Orientation"),
            snomed("recumbent"),
            sr.code(dcm("Patient Orientation Modifier"), snomed("supine"), relationship=sr.MODIFIER),
        ),
    )


def _filter() -> bytes:
    return sr.container(
        dcm("X-Ray Filters"),
        sr.code(dcm("X-Ray Filter Type"), dcm("Strip filter")),
        sr.code(dcm("X-Ray Filter Material"), snomed("Copper")),
        sr.num(dcm("X-Ray Filter Thickness Minimum"), "0.3", "mm"),
        sr.num(dcm("X-Ray Filter Thickness Maximum"), "0.3", "mm"),
    )


def report_truth(exam: PlannedExam, reported: Sequence[Run]) -> dict[str, Any]:
    """Return the report, totals and events that an exam record of this one report must hold."""
    style = style_of(exam)
    kap, dose = TO_GY_CM2[style.kap_unit], TO_MGY[style.dose_unit]
    fluoroscopy = [run for run in reported if run.fluoroscopy]
    acquisition = [run for run in reported if not run.fluoroscopy]
    plane: dict[str, Any] = {
        "kap_gy_cm2": total([run.kap for run in reported], kap),
        "dose_rp_mgy": total([run.dose_rp for run in reported], dose),
        "acquisition_kap_gy_cm2": total([run.kap for run in acquisition], kap),
        "acquisition_dose_rp_mgy": total([run.dose_rp for run in acquisition], dose),
        "acquisition_time_s": number(_seconds(acquisition)),
        "fluoro_kap_gy_cm2": total([run.kap for run in fluoroscopy], kap),
        "fluoro_dose_rp_mgy": total([run.dose_rp for run in fluoroscopy], dose),
        "fluoro_time_s": number(_fluoro_time(fluoroscopy)) if fluoroscopy else None,
    }
    return {
        "report": {
            "procedure_reported": as_dict(dcm("Projection X-Ray")),
            "scope_of_accumulation": as_dict(dcm(style.scope)),
        },
        "totals": {**plane, "planes": [{"plane": "single", **plane}]},
        "events": [_event_truth(exam, run, style, index) for index, run in enumerate(reported, start=1)],
    }


def _event_truth(exam: PlannedExam, run: Run, style: ProjectionStyle, index: int) -> dict[str, Any]:
    truth: dict[str, Any] = {
        "index": index,
        "type": "projection",
        "irradiation_event_uid": run.uid,
        "started_at": run.started.isoformat(),
        "acquisition_protocol": exam.cohort.acquisition_protocol,
        "target_region": as_dict(snomed(exam.cohort.region)),
        "plane": "single",
        "irradiation_event_type": "fluoroscopy" if run.fluoroscopy else "stationary_acquisition",
        "kap_gy_cm2": number(run.kap, TO_GY_CM2[style.kap_unit]),
        "dose_rp_mgy": number(run.dose_rp, TO_MGY[style.dose_unit]),
        "kvp_kv": number(run.kvp),
        "tube_current_ma": number(run.tube_current_ma),
        "exposure_time_ms": number(run.exposure_time_ms),
        "exposure_mas": number(run.exposure_uas, "0.001"),
        "pulse_count": number(run.pulses),
        "focal_spot_mm": 0.6,
    }
    if style.runs > 1:
        truth["pulse_rate_per_s"] = 7.5 if run.fluoroscopy else 15.0
        truth["pulse_width_ms"] = number(run.pulse_width_ms)
        truth["irradiation_duration_s"] = number(run.duration_s)
    if style.geometry:
        truth.update(
            primary_angle_deg=number(run.primary_angle),
            secondary_angle_deg=number(run.secondary_angle),
            source_detector_mm=1100.0,
            source_isocentre_mm=785.0,
            table_longitudinal_mm=-25.9,
            table_lateral_mm=5.2,
            table_height_mm=151.8,
        )
    return truth
