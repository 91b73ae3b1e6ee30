"""CT dose reports (TID 10011) in four makers' styles, with the exam-record values that they carry.

A style is a row of :data:`STYLES`: code scheme, unit text, which optional rows are written, and how a scan is
called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dose_audit.demo import sr
from dose_audit.demo.codes import as_dict, dcm, snomed
from dose_audit.demo.header import device_uid, iso, stamp
from dose_audit.demo.plan import PlannedExam
from dose_audit.demo.truth import number, total

__all__ = ["STYLES", "CtScan", "CtStyle", "report_content", "report_truth", "scans"]

XRAY_RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"

_PHANTOM = {"head_16cm": "IEC Head Dosimetry Phantom", "body_32cm": "IEC Body Dosimetry Phantom"}


@dataclass(frozen=True, slots=True)
class CtStyle:
    """Habits of one maker's CT dose report.

    Attributes
    ----------
    sop_class_uid, kind : str
        SOP class, and the record's name for it.
    scheme : str
        SNOMED scheme: ``SRT`` or ``SCT``.
    dlp_unit, sources_unit : str
        Unit text of DLP and of the number of X-ray sources, right or wrong.
    continuity : str
        Continuity Of Content of every container.
    localiser : str
        Acquisition protocol of the localiser.
    localiser_dose : bool
        Whether the localiser has a dose container.
    protocols : bool
        Whether events name their acquisition protocol.
    event_times : bool
        Whether events have DateTime Started.
    intent, dose_source, dose_check, participant : bool
        Which optional parts are written: Has Intent, Source of Dose Information, dose check, device
        participant.
    modulation : str or None
        X-Ray Modulation Type of a scan.
    source_id : str
        Identification of the X-ray source.
    collimation : tuple of str
        Nominal single and total collimation width, mm.
    pitch, rotation_s, kvp : str
        Of a spiral scan.
    head_sequenced : bool
        Whether heads are scanned step by step rather than in a spiral.
    """

    sop_class_uid: str = XRAY_RDSR
    kind: str = "ct_rdsr"
    scheme: str = "SRT"
    dlp_unit: str = "mGy.cm"
    sources_unit: str = "{X-Ray sources}"
    continuity: str = "SEPARATE"
    localiser: str = "Topogram"
    localiser_dose: bool = True
    protocols: bool = True
    event_times: bool = False
    intent: bool = True
    dose_source: bool = True
    dose_check: bool = False
    participant: bool = False
    modulation: str | None = None
    source_id: str = "A"
    collimation: tuple[str, str] = ("0.6", "38.4")
    pitch: str = "0.8"
    rotation_s: str = "0.5"
    kvp: str = "120"
    head_sequenced: bool = False


STYLES = {
    "siemens": CtStyle(dose_check=True, modulation="XYZ_EC"),
    "ge": CtStyle(
        sop_class_uid=ENHANCED_SR, kind="enhanced_sr", dlp_unit="mGycm", sources_unit="X-ray sources",
        continuity="CONTINUOUS", localiser_dose=False, protocols=False, intent=False, dose_source=False,
        source_id="1", collimation=("0.62", "40.0"), pitch="0.98", kvp="120.0",
    ),
    "canon": CtStyle(
        scheme="SCT", localiser="Scanogram", event_times=True, participant=True, modulation="XYZ_MODULATED",
        source_id="1", collimation=("0.5", "40"), pitch="0.813",
    ),
    "philips": CtStyle(
        localiser="Surview", modulation="Z-DOM", collimation=("0.625", "40.00"), pitch="0.984",
        head_sequenced=True, participant=True,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CtScan:
    """One irradiation event, with numbers as decimal strings; ``None`` is not written."""

    uid: str
    protocol: str | None
    region: str
    acquisition_type: str
    started: datetime
    phantom: str
    ctdi_vol_mgy: str | None
    dlp_mgy_cm: str | None
    length_mm: str
    exposure_time_s: str
    collimation: tuple[str, str]
    pitch: str | None
    rotation_s: str | None
    kvp: str
    tube_current_ma: str
    max_tube_current_ma: str


def _decimal(value: float, places: int) -> str:
    return f"{value:.{places}f}"


def scans(exam: PlannedExam) -> list[CtScan]:
    """Return the irradiation events of a CT exam in time order: a localiser, then one or two scans."""
    style = STYLES[exam.device.style]
    cohort = exam.cohort
    random = exam.random("scans")
    # Length varies little and never with chance's long tails: the DLP must stay as quiet as the CTDIvol.
    length = cohort.length_mm * math.exp(random.uniform(-0.05, 0.05))
    found = [_localiser(exam, style, length)]
    if exam.variant == "mixed_ctdi_phantoms":
        found.append(_scan(exam, style, 1, "Head", cohort.acquisition_protocol.replace("CAP", "Head"), 36.0, 170.0))
        found.append(_scan(exam, style, 2, cohort.region, cohort.acquisition_protocol, exam.leading, length))
    elif exam.variant in ("cumulative", "continued"):
        for position, share in ((1, 0.4), (2, 0.6)):
            name = cohort.acquisition_protocol
            found.append(_scan(exam, style, position, cohort.region, name, exam.leading, length * share))
    else:
        found.append(_scan(exam, style, 1, cohort.region, cohort.acquisition_protocol, exam.leading, length))
    return found


def _localiser(exam: PlannedExam, style: CtStyle, length: float) -> CtScan:
    head = exam.cohort.region == "Head"
    length_mm = _decimal(length + 60, 1)
    ctdi_vol = "0.06" if head else "0.12"
    dlp = (Decimal(ctdi_vol) * Decimal(length_mm) / 10).quantize(Decimal("0.01"))
    return CtScan(
        uid=exam.uid("event", 0),
        protocol=style.localiser if style.protocols else None,
        region=exam.cohort.region,
        acquisition_type="constant_angle",
        started=exam.started,
        phantom="head_16cm" if head else "body_32cm",
        ctdi_vol_mgy=ctdi_vol if style.localiser_dose else None,
        dlp_mgy_cm=str(dlp) if style.localiser_dose else None,
        length_mm=length_mm,
        exposure_time_s=_decimal((length + 60) / 100, 2),
        collimation=(style.collimation[0], style.collimation[0]),
        pitch=None,
        rotation_s=None,
        kvp=style.kvp,
        tube_current_ma="35",
        max_tube_current_ma="35",
    )


def _scan(
    exam: PlannedExam,
    style: CtStyle,
    position: int,
    region: str,
    protocol: str,
    ctdi_vol_mgy: float,
    length: float,
) -> CtScan:
    head = region == "Head"
    sequenced = head and style.head_sequenced
    ctdi_vol = _decimal(ctdi_vol_mgy, 2)
    length_mm = _decimal(length, 1)
    dlp = (Decimal(ctdi_vol) * Decimal(length_mm) / 10).quantize(Decimal("0.01"))
    current = ctdi_vol_mgy * (9.0 if head else 24.0)
    rotations = length / float(style.collimation[1]) / (1.0 if sequenced else float(style.pitch))
    return CtScan(
        uid=exam.uid("event", position),
        protocol=protocol if style.protocols else None,
        region=region,
        acquisition_type="sequenced" if sequenced else "spiral",
        started=exam.started + timedelta(seconds=75 * position),
        phantom="head_16cm" if head else "body_32cm",
        ctdi_vol_mgy=ctdi_vol,
        dlp_mgy_cm=str(dlp),
        length_mm=length_mm,
        exposure_time_s=_decimal(rotations * float(style.rotation_s), 2),
        collimation=style.collimation,
        pitch=None if sequenced else style.pitch,
        rotation_s=style.rotation_s,
        kvp=style.kvp,
        tube_current_ma=_decimal(current, 0),
        max_tube_current_ma=_decimal(current * 1.4, 0),
    )


_ACQUISITION_TYPES = {
    "constant_angle": lambda scheme: dcm("Constant Angle Acquisition"),
    "sequenced": lambda scheme: dcm("Sequenced Acquisition"),
    "spiral": lambda scheme: snomed("Spiral Acquisition", scheme),
}


def report_content(exam: PlannedExam, reported: Sequence[CtScan]) -> bytes:
    """Encode the content tree of a CT dose report.

    Parameters
    ----------
    exam : PlannedExam
        The exam.
    reported : sequence of CtScan
        The events of this report: all so far (cumulative) or only the new ones (continued).

    Returns
    -------
    bytes
        The elements from Value Type to Content Sequence.
    """
    style = STYLES[exam.device.style]
    scheme, where = style.scheme, exam.device
    last = reported[-1].started + timedelta(seconds=20)
    intent = sr.code(snomed("Has Intent", scheme), snomed("Diagnostic Intent", scheme), relationship=sr.MODIFIER)
    return sr.document(
        dcm("X-Ray Radiation Dose Report"),
        sr.code(
            dcm("Procedure reported"),
            snomed("Computed Tomography X-Ray", scheme),
            intent if style.intent else b"",
            relationship=sr.MODIFIER,
        ),
        *sr.device_observer(
            device_uid(exam),
            where.station_name,
            where.manufacturer,
            where.model_name,
            None if style.kind == "enhanced_sr" else where.serial_number,
            None,
        ),
        sr.datetime(dcm("Start of X-Ray Irradiation"), stamp(exam, reported[0].started), sr.OBSERVER),
        sr.datetime(dcm("End of X-Ray Irradiation"), stamp(exam, last), sr.OBSERVER),
        sr.code(
            dcm("Scope of Accumulation"),
            dcm("Study"),
            sr.uidref(dcm("Study Instance UID"), exam.uid("study"), sr.PROPERTY),
            relationship=sr.OBSERVER,
        ),
        sr.container(
            dcm("CT Accumulated Dose Data"),
            sr.num(dcm("Total Number of Irradiation Events"), str(len(reported)), "{events}"),
            sr.num(dcm("CT Dose Length Product Total"), _dlp_total(reported), style.dlp_unit),
            template="10012",
            continuity=style.continuity,
        ),
        *(_event(exam, scan, style) for scan in reported),
        sr.code(dcm("Source of Dose Information"), dcm("Automated Data Collection")) if style.dose_source else b"",
        template="10011",
        continuity=style.continuity,
    )


def _dlp_total(reported: Sequence[CtScan]) -> str:
    return str(sum((Decimal(scan.dlp_mgy_cm) for scan in reported if scan.dlp_mgy_cm), Decimal("0.00")))


def _event(exam: PlannedExam, scan: CtScan, style: CtStyle) -> bytes:
    scheme = style.scheme
    return sr.container(
        dcm("CT Acquisition"),
        sr.text(dcm("Acquisition Protocol"), scan.protocol) if scan.protocol else b"",
        sr.code(dcm("Target Region"), snomed(scan.region, scheme)),
        sr.code(dcm("CT Acquisition Type"), _ACQUISITION_TYPES[scan.acquisition_type](scheme)),
        sr.code(snomed("Procedure Context", scheme), snomed("CT without contrast", scheme)),
        sr.uidref(dcm("Irradiation Event UID"), scan.uid),
        sr.datetime(dcm("DateTime Started"), stamp(exam, scan.started)) if style.event_times else b"",
        _parameters(scan, style),
        _dose(scan, style),
        sr.text(dcm("X-Ray Modulation Type"), style.modulation) if style.modulation else b"",
        _participant(exam) if style.participant else b"",
        template="10013",
        continuity=style.continuity,
    )


def _parameters(scan: CtScan, style: CtStyle) -> bytes:
    return sr.container(
        dcm("CT Acquisition Parameters"),
        sr.num(dcm("Exposure Time"), scan.exposure_time_s, "s"),
        sr.num(dcm("Scanning Length"), scan.length_mm, "mm"),
        sr.num(dcm("Nominal Single Collimation Width"), scan.collimation[0], "mm"),
        sr.num(dcm("Nominal Total Collimation Width"), scan.collimation[1], "mm"),
        sr.num(dcm("Pitch Factor"), scan.pitch, "{ratio}") if scan.pitch else b"",
        sr.num(dcm("Number of X-Ray Sources"), "1", style.sources_unit),
        sr.container(
            dcm("CT X-Ray Source Parameters"),
            sr.text(dcm("Identification of the X-Ray Source"), style.source_id),
            sr.num(dcm("KVP"), scan.kvp, "kV"),
            sr.num(dcm("Maximum X-Ray Tube Current"), scan.max_tube_current_ma, "mA"),
            sr.num(dcm("X-Ray Tube Current"), scan.tube_current_ma, "mA"),
            sr.num(dcm("Exposure Time per Rotation"), scan.rotation_s, "s") if scan.rotation_s else b"",
            continuity=style.continuity,
        ),
        continuity=style.continuity,
    )


def _dose(scan: CtScan, style: CtStyle) -> bytes:
    if scan.ctdi_vol_mgy is None:
        return b""
    yes, no = snomed("Yes", style.scheme), snomed("No", style.scheme)
    alert = sr.container(
        dcm("Dose Check Alert Details"),
        sr.code(dcm("DLP Alert Value Configured"), no),
        sr.code(dcm("CTDIvol Alert Value Configured"), yes),
        sr.num(dcm("CTDIvol Alert Value"), "1000", "mGy"),
    )
    notification = sr.container(
        dcm("Dose Check Notification Details"),
        sr.code(dcm("DLP Notification Value Configured"), no),
        sr.code(dcm("CTDIvol Notification Value Configured"), no),
    )
    return sr.container(
        dcm("CT Dose"),
        sr.num(dcm("Mean CTDIvol"), scan.ctdi_vol_mgy, "mGy"),
        sr.code(dcm("CTDIw Phantom Type"), dcm(_PHANTOM[scan.phantom])),
        sr.num(dcm("DLP"), scan.dlp_mgy_cm, style.dlp_unit),
        alert if style.dose_check else b"",
        notification if style.dose_check else b"",
        continuity=style.continuity,
    )


def _participant(exam: PlannedExam) -> bytes:
    where = exam.device
    return sr.code(
        dcm("Device Role in Procedure"),
        dcm("Irradiating Device"),
        sr.text(dcm("Device Name"), where.station_name, relationship=sr.PROPERTY),
        sr.text(dcm("Device Manufacturer"), where.manufacturer, relationship=sr.PROPERTY),
        sr.text(dcm("Device Model Name"), where.model_name, relationship=sr.PROPERTY),
        sr.text(dcm("Device Serial Number"), where.serial_number, relationship=sr.PROPERTY),
        sr.uidref(dcm("Device Observer UID"), device_uid(exam), sr.PROPERTY),
    )


def report_truth(exam: PlannedExam, reported: Sequence[CtScan]) -> dict[str, Any]:
    """Return the report, totals and events that an exam record of this one report must hold."""
    style = STYLES[exam.device.style]
    by_phantom: dict[str, list[str | None]] = {}
    for scan in reported:
        if scan.dlp_mgy_cm is not None:
            by_phantom.setdefault(scan.phantom, []).append(scan.dlp_mgy_cm)
    last = reported[-1].started + timedelta(seconds=20)
    return {
        "report": {
            "procedure_reported": as_dict(snomed("Computed Tomography X-Ray", style.scheme)),
            "started_at": iso(exam, reported[0].started),
            "ended_at": iso(exam, last),
        },
        "totals": {
            "ct_dlp_mgy_cm": number(_dlp_total(reported)),
            "ct_event_count": float(len(reported)),
            "ct_dlp_by_phantom_mgy_cm": {name: total(texts) for name, texts in by_phantom.items()},
        },
        "events": [_event_truth(exam, scan, style, index) for index, scan in enumerate(reported, start=1)],
    }


def _event_truth(exam: PlannedExam, scan: CtScan, style: CtStyle, index: int) -> dict[str, Any]:
    return {
        "index": index,
        "type": "ct",
        "irradiation_event_uid": scan.uid,
        "started_at": iso(exam, scan.started) if style.event_times else None,
        "acquisition_protocol": scan.protocol,
        "target_region": as_dict(snomed(scan.region, style.scheme)),
        "ct_acquisition_type": scan.acquisition_type,
        "ctdi_vol_mgy": number(scan.ctdi_vol_mgy),
        "ctdi_phantom": scan.phantom if scan.ctdi_vol_mgy is not None else None,
        "dlp_mgy_cm": number(scan.dlp_mgy_cm),
        "scanning_length_mm": number(scan.length_mm),
        "exposure_time_s": number(scan.exposure_time_s),
        "nominal_single_collimation_mm": number(scan.collimation[0]),
        "nominal_total_collimation_mm": number(scan.collimation[1]),
        "pitch_factor": number(scan.pitch),
        "source_count": 1.0,
        "sources": [
            {
                "id": style.source_id,
                "kvp_kv": number(scan.kvp),
                "tube_current_ma": number(scan.tube_current_ma),
                "max_tube_current_ma": number(scan.max_tube_current_ma),
                "exposure_time_per_rotation_s": number(scan.rotation_s),
            }
        ],
        "modulation_type": style.modulation,
    }
