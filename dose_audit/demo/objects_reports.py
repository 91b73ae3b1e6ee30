"""Single reports of the rarer kinds: Enhanced X-Ray, Patient and Radiopharmaceutical Radiation Dose SR,
Arcadis.
"""

from __future__ import annotations

from decimal import Decimal

from pydicom import Dataset

from dose_audit.demo import sr
from dose_audit.demo.codes import dcm, snomed
from dose_audit.demo.objects import STARTED, object_uid, report

__all__ = [
    "arcadis_summary",
    "enhanced_xray_report",
    "patient_dose_report",
    "radiopharmaceutical_report",
]

ENHANCED_XRAY_RDSR = "1.2.840.10008.5.1.4.1.1.88.76"
PATIENT_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.73"
RADIOPHARMACEUTICAL_RDSR = "1.2.840.10008.5.1.4.1.1.88.68"
XRAY_RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"

_ENDED = "20260304101530"


def _observer(name: str) -> tuple[bytes, ...]:
    return sr.device_observer(object_uid(name, "device"), "SINGLE1", "Demonstration", "Generator", "90001", None)


def _between() -> tuple[bytes, bytes]:
    return sr.datetime(dcm("DateTime Started"), STARTED), sr.datetime(dcm("DateTime Ended"), _ENDED)


def enhanced_xray_report(
    *,
    kap_gy_m2: tuple[str, ...] = ("0.00012", "0.00034"),
    dose_rp_gy: tuple[str, ...] = ("0.011", "0.027"),
    fluoro_time_s: str = "42.5",
) -> Dataset:
    """Return an Enhanced X-Ray Radiation Dose SR (TID 10040): fluoroscopy, then an acquisition, of one
    source.

    Parameters
    ----------
    kap_gy_m2, dose_rp_gy : tuple of str
        Of the fluoroscopy and of the acquisition; the totals are written as their exact sums.
    fluoro_time_s : str
        Total fluoroscopy time.
    """
    name = "enhanced x-ray report"
    source = sr.text(dcm("Identification of the X-Ray Source"), "A")
    kap_total, dose_total = _add(kap_gy_m2), _add(dose_rp_gy)
    event_types = (snomed("Fluoroscopy", "SCT"), dcm("Stationary Acquisition"))
    summaries = [
        sr.container(
            dcm("Irradiation Event Summary Data"),
            sr.uidref(dcm("Irradiation Event UID"), object_uid(name, "event", index)),
            *_between(),
            source,
            sr.code(dcm("Irradiation Event Type"), event_type),
            sr.num(dcm("Dose (RP)"), dose, "Gy"),
            sr.num(dcm("Dose Area Product"), kap, "Gy.m2"),
            template="10042",
        )
        for index, (event_type, kap, dose) in enumerate(zip(event_types, kap_gy_m2, dose_rp_gy, strict=True))
    ]
    details = sr.container(
        dcm("Irradiation Details"),
        *_between(),
        sr.uidref(dcm("Frame of Reference UID"), object_uid(name, "frame")),
        sr.code(dcm("RDSR Frame of Reference Origin"), dcm("Isocenter Origin")),
        sr.container(
            dcm("Radiation Source Characteristics"),
            *_between(),
            source,
            sr.num(dcm("Focal Spot Size"), "0.6", "mm"),
        ),
        sr.container(
            dcm("Radiation Technique"),
            *_between(),
            source,
            sr.num(dcm("KVP"), "81", "kV"),
            sr.num(dcm("X-Ray Tube Current"), "94.5", "mA"),
            sr.num(dcm("Pulse Width"), "5.2", "ms"),
        ),
        sr.container(
            dcm("Radiation Output"),
            *_between(),
            source,
            sr.num(dcm("Air Kerma at Output Measurement Point"), "38", "mGy"),
            template="10048",
        ),
        sr.container(
            dcm("Radiation Field Area"),
            *_between(),
            source,
            sr.num(dcm("Collimated Field Area"), "0.0144", "m2"),
        ),
        sr.container(
            dcm("Procedure Characteristics"),
            *_between(),
            source,
            sr.text(dcm("Acquisition Protocol"), "Cardiac"),
            sr.code(dcm("Target Region"), snomed("Heart", "SCT")),
            template="10054",
        ),
        template="10043",
    )
    content = sr.document(
        dcm("X-Ray Radiation Dose Report"),
        sr.code(
            dcm("Procedure reported"),
            dcm("Projection X-Ray"),
            sr.code(snomed("Has Intent", "SCT"), snomed("Diagnostic Intent", "SCT"), relationship=sr.MODIFIER),
            relationship=sr.MODIFIER,
        ),
        *_observer(name),
        sr.code(
            dcm("Scope of Accumulation"),
            dcm("Study"),
            sr.uidref(dcm("Study Instance UID"), object_uid(name, "study"), sr.PROPERTY),
            relationship=sr.OBSERVER,
        ),
        sr.container(
            dcm("Accumulated Dose Data"),
            source,
            sr.num(dcm("Dose Area Product Total"), kap_total, "Gy.m2"),
            sr.num(dcm("Dose (RP) Total"), dose_total, "Gy"),
            sr.num(dcm("Fluoro Dose Area Product Total"), kap_gy_m2[0], "Gy.m2"),
            sr.num(dcm("Acquisition Dose Area Product Total"), kap_gy_m2[1], "Gy.m2"),
            sr.num(dcm("Total Fluoro Time"), fluoro_time_s, "s"),
            sr.num(dcm("Total Acquisition Time"), "3.2", "s"),
            template="10041",
        ),
        *summaries,
        details,
        sr.code(dcm("Source of Dose Information"), dcm("Automated Data Collection")),
        template="10040",
    )
    return report(name, ENHANCED_XRAY_RDSR, content)


def patient_dose_report(
    *, effective_dose_msv: str = "4.7", skin_dose_mgy: str = "1830", sr_instance: str | None = None
) -> Dataset:
    """Return a Patient Radiation Dose SR (TID 10030): effective dose and highest skin dose, with what they
    rest on.

    Parameters
    ----------
    effective_dose_msv, skin_dose_mgy : str
        The two estimates.
    sr_instance : str, optional
        SOP Instance UID of the dose report that was used; one of this module's own when not given.
    """
    name = "patient dose report"
    used = sr_instance or object_uid("enhanced x-ray report", "instance")
    model = sr.container(
        dcm("Patient Radiation Dose Model"),
        sr.code(dcm("Patient Model Type"), dcm("Patient Segmented Model")),
        sr.code(dcm("Radiation Transport Model Type"), dcm("Voxelized Radiation Transport Model")),
        sr.container(dcm("Patient Model Demographics")),
    )
    method = sr.container(
        dcm("Radiation Dose Estimate Methodology"),
        sr.composite(
            dcm("SR Instance Used"),
            XRAY_RDSR,
            used,
            sr.uidref(dcm("Event UID Used"), object_uid("enhanced x-ray report", "event", 0), sr.PROPERTY),
        ),
        model,
        template="10033",
    )
    skin = snomed("Skin", "SCT")
    estimate = sr.container(
        dcm("Radiation Dose Estimate"),
        sr.text(dcm("Radiation Dose Estimate Name"), "Skin and whole body"),
        sr.num(
            dcm("Maximum Absorbed Radiation Dose"),
            skin_dose_mgy,
            "mGy",
            sr.code(snomed("Finding Site", "SCT"), skin, relationship=sr.MODIFIER),
        ),
        sr.num(dcm("Effective Dose"), effective_dose_msv, "mSv"),
        method,
        template="10031",
    )
    content = sr.document(
        dcm("Patient Radiation Dose Report"),
        sr.code(
            dcm("Language of Content Item and Descendants"),
            ("en", "RFC5646", "English"),
            relationship=sr.MODIFIER,
        ),
        *_observer(name),
        estimate,
        template="10030",
    )
    return report(name, PATIENT_DOSE_SR, content)


def radiopharmaceutical_report(
    *,
    scheme: str = "SCT",
    activity_mbq: str = "283.4",
    pre_activity_mbq: str = "291.0",
    post_activity_mbq: str = "7.6",
    half_life_s: str = "6586.2",
    volume_cm3: str = "4.5",
    organ_dose_mgy: str = "36.8",
) -> Dataset:
    """Return a Radiopharmaceutical Radiation Dose SR (TID 10021) of an F-18 FDG injection.

    Parameters
    ----------
    scheme : str
        SNOMED scheme: ``SRT`` (retired, in most stored reports) or ``SCT``.
    activity_mbq, pre_activity_mbq, post_activity_mbq, half_life_s, volume_cm3, organ_dose_mgy : str
        As written.
    """
    name = f"radiopharmaceutical report {scheme}"
    agent = sr.code(
        snomed("Radiopharmaceutical agent", scheme),
        snomed("Fluorodeoxyglucose F^18^", scheme),
        sr.code(snomed("Radionuclide", scheme), snomed("^18^Fluorine", scheme), relationship=sr.PROPERTY),
        sr.num(snomed("Radionuclide Half Life", scheme), half_life_s, "s", relationship=sr.PROPERTY),
    )
    route = sr.code(
        snomed("Route of administration", scheme),
        snomed("Intravenous route", scheme),
        sr.code(
            snomed("Site of", scheme),
            snomed("Antecubital vein", scheme),
            sr.code(snomed("Laterality", scheme), snomed("Right", scheme), relationship=sr.MODIFIER),
            relationship=sr.PROPERTY,
        ),
    )
    organ = sr.container(
        dcm("Organ Dose Information"),
        sr.code(snomed("Finding Site", scheme), snomed("Urinary bladder", scheme), relationship=sr.MODIFIER),
        sr.num(snomed("Mass", scheme), "45", "g"),
        sr.num(
            dcm("Organ Dose"),
            organ_dose_mgy,
            "mGy",
            sr.code(dcm("Reference Authority"), dcm("ICRP Publication 106"), relationship=sr.PROPERTY),
        ),
        template="10023",
    )
    calibrator = sr.code(dcm("Activity Measurement Device"), dcm("Dose Calibrator"), relationship=sr.OBSERVER)
    administration = sr.container(
        dcm("Radiopharmaceutical Administration"),
        agent,
        sr.uidref(dcm("Radiopharmaceutical Administration Event UID"), object_uid(name, "administration")),
        sr.datetime(dcm("Radiopharmaceutical Start DateTime"), STARTED),
        sr.datetime(dcm("Radiopharmaceutical Stop DateTime"), _ENDED),
        sr.num(dcm("Administered activity"), activity_mbq, "MBq"),
        sr.num(dcm("Radiopharmaceutical Volume"), volume_cm3, "cm3"),
        sr.num(dcm("Pre-Administration Measured Activity"), pre_activity_mbq, "MBq", calibrator),
        sr.num(dcm("Post-Administration Measured Activity"), post_activity_mbq, "MBq", calibrator),
        organ,
        route,
        sr.pname(
            dcm("Person Name"),
            "DEMO^STAFF",
            sr.code(dcm("Person Role in Procedure"), dcm("Irradiation Administering"), relationship=sr.PROPERTY),
            relationship=sr.OBSERVER,
        ),
        sr.text(dcm("Brand Name"), "Demo FDG"),
        sr.text(dcm("Radiopharmaceutical Dispense Unit Identifier"), "UNIT-17"),
        template="10022",
    )
    content = sr.document(
        dcm("Radiopharmaceutical Radiation Dose Report"),
        sr.code(
            snomed("Associated Procedure", scheme),
            snomed("PET study for localization of tumor", scheme),
            sr.code(snomed("Has Intent", scheme), snomed("Diagnostic Intent", scheme), relationship=sr.MODIFIER),
            relationship=sr.MODIFIER,
        ),
        administration,
        template="10021",
    )
    return report(name, RADIOPHARMACEUTICAL_RDSR, content)


def arcadis_summary(*, kap_gy_cm2: str = "0.2359", fluoro_time_s: str = "34.427", frames: str = "2") -> Dataset:
    """Return a Siemens Arcadis Varic summary: a private report in an Enhanced SR without template."""

    def private(value: str, meaning: str) -> tuple[str, str, str]:
        return (value, "99SMS_RADSUM", meaning)

    content = sr.document(
        private("C-10", "Radiation Summary Report"),
        sr.code(
            dcm("Language of Content Item and Descendants"),
            ("eng", "ISO639_2", "English"),
            relationship=sr.MODIFIER,
        ),
        sr.num(private("C-200", "Total number of exposures"), frames, "1"),
        sr.num(private("C-202", "Cumulative fluoro time"), fluoro_time_s, "s"),
        sr.num(private("C-204", "Cumulative dose area product"), kap_gy_cm2, "Gy.cm^2"),
        sr.datetime(private("C-206", "Start of the examination"), STARTED),
        sr.datetime(private("C-208", "End of the examination"), _ENDED),
        template=None,
    )
    return report("arcadis", ENHANCED_SR, content, Manufacturer="SIEMENS", ManufacturerModelName="ARCADIS")


def _add(texts: tuple[str, ...]) -> str:
    return str(sum((Decimal(text) for text in texts), Decimal(0)))
