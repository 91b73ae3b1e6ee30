"""Vendor exceptions as data: who, what is wrong, what is done about it, and where it was seen.

Each row of `QUIRKS` is one exception. Those here act by themselves, with `concepts`, `values`, `meanings` or
`repairs`: the extraction asks the table and nothing else. Those of `quirks_covered` record a defect that a
general rule already covers, or one that is refused, with the reason. Image headers have their own table,
`image_quirks`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from dose_audit.extract.quirk import NO_QUIRKS, ActiveQuirks, Quirk
from dose_audit.extract.quirks_covered import COVERED

__all__ = ["NO_QUIRKS", "QUIRKS", "ActiveQuirks", "Quirk", "quirks_for"]

PHILIPS_XRAY = "99PHI-IXR-XPER"
DICOM_UNDER_SRT = (
    *("111640", "111641", "111642", "111643", "111644", "111645", "111646"),  # grids
    *("111609", "113650", "113651", "113652", "113653"),  # filter types
    *("121006", "121007"),  # observer types
)

ACTING: tuple[Quirk, ...] = (
    Quirk(
        id="hologic-detector-data-code",
        manufacturer="hologic",
        defect="sends 113745 (Patient Table Relationship) as the code of X-Ray Detector Data Available",
        handling="at the root of the report 113745 is read as 113945",
        evidence="Hologic Selenia Dimensions RDSR",
        concepts={("DCM", "113745"): ("DCM", "113945")},
    ),
    Quirk(
        id="hologic-filter-type-code",
        manufacturer="hologic",
        defect="sends 111650 as the code of a strip filter, which is 113650",
        handling="111650 is read as 113650",
        evidence="Hologic Selenia Dimensions RDSR",
        values={("DCM", "111650"): ("DCM", "113650")},
    ),
    Quirk(
        id="hologic-private-grid",
        manufacturer="hologic",
        defect="sends a private code (99HOLX gridin) for the grid in the beam",
        handling="read as a reciprocating grid, the only kind that Selenia Dimensions has",
        evidence="Hologic Selenia Dimensions RDSR",
        values={("99HOLX", "gridin"): ("DCM", "111643")},
    ),
    Quirk(
        id="giotto-anode-code",
        manufacturer="giotto",
        defect="sends 113632 as the concept Anode Target Material, which is 111632",
        handling="113632 is read as 111632",
        evidence="IMS Giotto Class tomosynthesis RDSR",
        concepts={("DCM", "113632"): ("DCM", "111632")},
    ),
    Quirk(
        id="snomed-material-under-dcm",
        defect="a SNOMED-RT filter material is sent under the scheme DCM",
        handling="the code is read under SRT",
        evidence="IMS Giotto Class RDSR (DCM C-120F9)",
        values={
            ("DCM", "C-120F9"): ("SRT", "C-120F9"),
            ("DCM", "C-127F9"): ("SRT", "C-127F9"),
            ("DCM", "C-137F9"): ("SRT", "C-137F9"),
            ("DCM", "C-150F9"): ("SRT", "C-150F9"),
            ("DCM", "C-164F9"): ("SRT", "C-164F9"),
            ("DCM", "C-167F9"): ("SRT", "C-167F9"),
        },
    ),
    Quirk(
        id="philips-abdomen-code",
        manufacturer="philips",
        defect="sends T-D400 for the abdomen, which is T-D4000",
        handling="T-D400 is read as T-D4000",
        evidence="Philips Allura Xper RDSR",
        values={("SRT", "T-D400"): ("SRT", "T-D4000")},
    ),
    Quirk(
        id="dicom-code-under-srt",
        defect="a code that DICOM defines is sent under the scheme SRT",
        handling="read under DCM; no SNOMED-RT code is made of digits alone",
        evidence="public sample RDSR with grid 111642 and observer type 121006 under SRT",
        values={("SRT", value): ("DCM", value) for value in DICOM_UNDER_SRT},
    ),
    Quirk(
        id="ge-unknown-region",
        manufacturer=r"\bge\b|general electric",
        defect="sends a private code (99GEMS 00001) for an unknown target region",
        handling="read as SRT T-D0001, topography unknown",
        evidence="GE LightSpeed VCT enhanced SR",
        values={("99GEMS", "00001"): ("SRT", "T-D0001")},
    ),
    Quirk(
        id="umls-spiral",
        defect="older CT reports send the UMLS code C0860888 for a spiral acquisition",
        handling="read as SNOMED CT 116152004",
        evidence="OpenREM counts this code among its spiral acquisitions",
        values={
            ("UMLS", "C0860888"): ("SCT", "116152004"),
            ("SRT", "C0860888"): ("SCT", "116152004"),
        },
    ),
    Quirk(
        id="philips-private-items",
        defect="table height and number of frames are sent as private items",
        handling=(
            "they fill the standard fields, whoever the (often emptied) equipment module names; the rest is kept"
        ),
        evidence="Philips Allura Xper, Allura Clarity and Azurion RDSR",
        concepts={
            (PHILIPS_XRAY, "003"): ("DCM", "113731"),
            (PHILIPS_XRAY, "021"): ("DCM", "113753"),
            (PHILIPS_XRAY, "020"): ("DCM", "113761"),
        },
        # The private numbers are one software line's; the peer finds the item by its words.
        meanings={
            (PHILIPS_XRAY, "number of frames"): ("DCM", "113731"),
            (PHILIPS_XRAY, "table height position"): ("DCM", "113753"),
        },
    ),
    Quirk(
        id="philips-shutters",
        defect="no collimated field; four shutter positions at 1 m from the source instead",
        handling=("field height is top + bottom, width left + right, both scaled from 1 m to the detector distance"),
        evidence="Philips Allura Xper RDSR; OpenREM issue 446",
        repairs={
            "shutters": {
                "container": (PHILIPS_XRAY, "005"),
                "height": ((PHILIPS_XRAY, "009"), (PHILIPS_XRAY, "006")),
                "width": ((PHILIPS_XRAY, "007"), (PHILIPS_XRAY, "008")),
                "at_mm": 1000.0,
            }
        },
    ),
    Quirk(
        id="siemens-arcadis-summary",
        manufacturer="siemens",
        defect="Arcadis Varic sends a private enhanced SR (99SMS_RADSUM C-10) instead of an RDSR",
        handling=(
            "its totals are read: C-200 exposures, C-202 fluoroscopy time, C-204 dose area product, C-210 air kerma"
        ),
        evidence="Siemens Arcadis Varic enhanced SR; OpenREM issue 433",
        repairs={"varic_summary": {"root": ("99SMS_RADSUM", "C-10")}},
    ),
    Quirk(
        id="azurion-device-type",
        manufacturer="philips",
        model="azurion",
        defect=("sends Acquisition Device Type Integrated Projection Radiography System for an angiography unit"),
        handling="the modality is RF whatever the device type says",
        evidence="Philips Azurion RDSR; OpenREM issue 673",
        repairs={"modality": {"modality": "RF"}},
    ),
    Quirk(
        id="siemens-artis-comment",
        manufacturer="siemens",
        defect="patient position and image-intensifier diameter are only in XML inside the event's comment",
        handling=("Position fills table relationship, orientation and modifier; iiDiameter is kept beside the event"),
        evidence="Siemens Artis Zee RDSR; OpenREM issue 432",
        repairs={
            "comment_position": {
                "hfs": (("F-10470", "headfirst"), ("F-10450", "recumbent"), ("F-10340", "supine")),
                "hfp": (("F-10470", "headfirst"), ("F-10450", "recumbent"), ("F-10310", "prone")),
                "ffs": (("F-10480", "feet-first"), ("F-10450", "recumbent"), ("F-10340", "supine")),
                "ffp": (("F-10480", "feet-first"), ("F-10450", "recumbent"), ("F-10310", "prone")),
                "hfdl": (
                    ("F-10470", "headfirst"),
                    ("F-10450", "recumbent"),
                    ("F-10319", "left lateral decubitus"),
                ),
                "hfdr": (
                    ("F-10470", "headfirst"),
                    ("F-10450", "recumbent"),
                    ("F-10317", "right lateral decubitus"),
                ),
                "ffdl": (
                    ("F-10480", "feet-first"),
                    ("F-10450", "recumbent"),
                    ("F-10319", "left lateral decubitus"),
                ),
                "ffdr": (
                    ("F-10480", "feet-first"),
                    ("F-10450", "recumbent"),
                    ("F-10317", "right lateral decubitus"),
                ),
            }
        },
    ),
    Quirk(
        id="siemens-ct-modulation-comment",
        manufacturer="siemens",
        defect="older CT reports have the modulation type only in the event's comment",
        handling="the text after 'X-ray Modulation Type =' fills the empty field",
        evidence="Siemens SOMATOM Definition Flash RDSR",
        repairs={"comment_modulation": {"pattern": r"X-ray Modulation Type\s*=\s*([^,]+)"}},
    ),
)

QUIRKS: tuple[Quirk, ...] = (*ACTING, *COVERED)
"""Every exception that has been met."""


@lru_cache(maxsize=256)
def quirks_for(manufacturer: str, model: str) -> ActiveQuirks:
    """Collect the acting rows of the table that are about a device.

    Parameters
    ----------
    manufacturer, model : str
        As the object names them; empty when it does not.

    Examples
    --------
    >>> quirks_for("HOLOGIC, Inc.", "Selenia Dimensions").concepts[("DCM", "113745")]
    ('DCM', '113945')
    >>> "modality" in quirks_for("Philips", "Azurion").repairs
    True
    """
    gathered: dict[str, dict[Any, Any]] = {"concepts": {}, "values": {}, "meanings": {}, "repairs": {}}
    for quirk in ACTING:
        if quirk.applies_to(manufacturer, model):
            for name, found in gathered.items():
                found.update(getattr(quirk, name))
    return ActiveQuirks(**gathered)
