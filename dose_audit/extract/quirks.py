"""Vendor exceptions as data: who, what is wrong, what is done about it, and where it was seen.

Each row of `QUIRKS` is one exception. Rows with `concepts`, `values`, `meanings` or `repairs` act by
themselves: the extraction asks the table and nothing else. The other rows record a defect that a general rule
already covers, or one that is refused, with the reason. Image headers have their own table, `image_quirks`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from dose_audit.extract.quirk import NO_QUIRKS, ActiveQuirks, Quirk

__all__ = ["NO_QUIRKS", "QUIRKS", "ActiveQuirks", "Quirk", "quirks_for"]

PHILIPS_XRAY = "99PHI-IXR-XPER"
DICOM_UNDER_SRT = (
    *("111640", "111641", "111642", "111643", "111644", "111645", "111646"),  # grids
    *("111609", "113650", "113651", "113652", "113653"),  # filter types
    *("121006", "121007"),  # observer types
)

QUIRKS: tuple[Quirk, ...] = (
    # ---- structured reports: the wrong code
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
        id="equivalent-meaning-under-sct",
        manufacturer="siemens",
        defect="sends DCM 121050 (Equivalent meaning of concept name) under the scheme SCT",
        handling="none needed",
        evidence="Siemens Biograph Vision radiopharmaceutical RDSR",
        rule="an item that no table names is kept under its own meaning",
    ),
    Quirk(
        id="siemens-intevo-tube-current",
        manufacturer="siemens",
        model="intevo",
        defect="sends another meaning with code 113734",
        handling="none needed",
        evidence="OpenREM issue 380",
        rule="concepts are found by code; a meaning is never compared",
    ),
    Quirk(
        id="ge-surgery-meanings",
        manufacturer=r"\bge\b|general electric",
        model="fpd|oec",
        defect=(
            "other meanings under standard codes: Date Time Started, Fluoro Dose(RP) Total, mA, Scope Of Accumulation"
        ),
        handling="none needed",
        evidence="GE ESP FPD Super-C RDSR; OpenREM issue 739",
        rule="concepts are found by code; a meaning is never compared",
    ),
    # ---- structured reports: private items whose meaning is standard
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
    # ---- structured reports: whole layouts
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
        id="siemens-effective-dose-container",
        manufacturer="siemens",
        defect="the effective dose of an administration is inside a private container (99SHS 220001)",
        handling="the container is read as part of the administration",
        evidence="Siemens Biograph Vision radiopharmaceutical RDSR",
        rule="the container's code is a row of the administration table",
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
    Quirk(
        id="oec-miniview-no-template",
        manufacturer=r"\bge\b|general electric",
        model="miniview",
        defect="no Content Template Sequence",
        handling="none needed",
        evidence="GE OEC Elite MiniView RDSR; OpenREM issues 746 and 499",
        rule="an object is chosen by its containers, never by its template or SOP class",
    ),
    Quirk(
        id="device-observer-uid-as-text",
        manufacturer=r"\bge\b|general electric",
        defect="Device Observer UID is TEXT instead of UIDREF",
        handling="none needed",
        evidence="GE ESP FPD Super-C RDSR; OpenREM issue 739",
        rule="the text of an item is its value, whatever the value type is called",
    ),
    Quirk(
        id="reference-point-as-text",
        manufacturer="philips|canon",
        defect="Reference Point Definition is TEXT instead of CODE",
        handling="none needed",
        evidence="Philips FD20 and Canon CXDI RDSR; OpenREM issue 364",
        rule="the field holds the wording; a code is kept beside it",
    ),
    Quirk(
        id="philips-zero-field",
        manufacturer="philips",
        defect="collimated field height, width and area are sent as 0",
        handling="null with a warning, then filled from the shutters",
        evidence="Philips Azurion RDSR",
        rule="quantities that cannot be 0 treat it as unknown",
    ),
    Quirk(
        id="empty-target-region",
        manufacturer="philips|ge|toshiba",
        defect="Target Region is present and has no code",
        handling="null with a warning",
        evidence="Toshiba Aquilion ONE RDSR; OpenREM issues 518 and 765",
        rule="a CODE item without a code is null and a warning",
    ),
    Quirk(
        id="number-without-value",
        manufacturer="canon|ge|philips|ziehm",
        defect=("NUM items without Measured Value Sequence (angles, dose at the reference point, summary data)"),
        handling="null",
        evidence="Canon CXDI and GE FPD RDSR; OpenREM issues 955, 739 and 769",
        rule="a NUM without a measured value is unknown, never 0",
    ),
    Quirk(
        id="philips-ct-device-location",
        manufacturer="philips|siemens|ge",
        defect="121017 is sent with other spellings of its meaning",
        handling="none needed",
        evidence="Siemens SOMATOM and GE RDSR",
        rule="concepts are found by code; a meaning is never compared",
    ),
    Quirk(
        id="calibration-date-missing",
        manufacturer="philips",
        defect="Calibration DateTime is missing or empty",
        handling="null",
        evidence="Philips Azurion and Opera Swing RDSR; OpenREM issue 770",
        rule="an absent value is null",
    ),
    Quirk(
        id="eleva-no-device-type",
        manufacturer="philips",
        model="eleva",
        defect="Acquisition Device Type is missing",
        handling="fluoroscopy time or fluoroscopy KAP above zero makes it RF, otherwise DX",
        evidence="Philips MultiDiagnost Eleva; OpenREM issue 464",
        rule="the modality rule of every projection report",
    ),
    Quirk(
        id="fluorospot-two-modalities",
        manufacturer="siemens",
        model="fluorospot",
        defect="one unit makes radiography and fluoroscopy reports",
        handling="decided per report",
        evidence="Siemens Fluorospot Compact FD RDSR; OpenREM issues 580 and 613",
        rule="the modality rule of every projection report; the device register can override it",
    ),
    Quirk(
        id="orientation-modifier-level",
        manufacturer="toshiba|canon",
        defect="Patient Orientation Modifier stands beside Patient Orientation instead of below it",
        handling="read at either level",
        evidence="Canon Alphenix RDSR; OpenREM issues 227 and 561",
        rule="the modifier is a row of the event table and of Patient Orientation's own",
    ),
    Quirk(
        id="misspelt-ucum",
        manufacturer=r"\bge\b|general electric",
        defect="units under the coding scheme UCM; Timezone Offset From UTC as 'UTC-04:00'",
        handling="the unit counts by its value; the offset is read with the letters in front",
        evidence="GE ESP FPD Super-C RDSR",
        rule="units are a table of values, whatever their scheme is called",
    ),
    Quirk(
        id="unit-spellings",
        manufacturer="siemens|ge|canon|toshiba|hologic",
        defect=("Gym2, mGycm, uAs, Gy.cm^2, pulse/s instead of UCUM; dGy.cm2 and mGy instead of the template's units"),
        handling="converted by the unit that was sent",
        evidence="Siemens, GE, Spectrum Dynamics, Canon Ultimax RDSR; OpenREM issues 704 and 808",
        rule="the unit table; an unknown unit is null and a warning",
    ),
    Quirk(
        id="toshiba-slash-values",
        manufacturer="toshiba|canon",
        model="aquilion",
        defect="variable helical pitch writes two numbers with a slash into one Numeric Value",
        handling="kept as text; a named field stays null with a warning",
        evidence="Toshiba Aquilion ONE RDSR (10.50/ 15.00); OpenREM issue 670",
        rule="a Numeric Value that is no number is never guessed",
    ),
    Quirk(
        id="per-pulse-lists",
        manufacturer="eurocolumbus|ge|canon|philips",
        defect="one item per pulse for kV, current, width and exposure",
        handling="all kept; the mean is the value",
        evidence="Eurocolumbus Fly4 and GE Pristina RDSR; OpenREM issue 584",
        rule="the rule `pulses`",
    ),
    Quirk(
        id="filter-thickness-swapped",
        manufacturer="carestream|ge|",
        defect="the minimum filter thickness is larger than the maximum",
        handling="swapped, with a warning",
        evidence="OpenREM issue 453",
        rule="every filter's two thicknesses are put in order",
    ),
    Quirk(
        id="aluminium-spelling",
        manufacturer="philips",
        model="didi|digitaldiagnost",
        defect="writes aluminium and aluminum",
        handling="none needed",
        evidence="OpenREM issue 593",
        rule="materials are found by code; header terms list both spellings",
    ),
    Quirk(
        id="invalid-person-participant",
        manufacturer="spectrum",
        defect="Person Participant without a valid name (value type PERSON NAME)",
        handling="kept only with identifiers, otherwise left out",
        evidence="Spectrum Dynamics Veriton CT RDSR; OpenREM issue 865",
        rule="an item that names a person is left out whatever its value type is called",
    ),
    Quirk(
        id="spectrum-configured-flags",
        manufacturer="spectrum",
        defect="CTDIVol Alert Value Configured and its twin with another spelling",
        handling="none needed",
        evidence="Spectrum Dynamics Veriton CT RDSR",
        rule="concepts are found by code; a meaning is never compared",
    ),
    Quirk(
        id="old-glandular-dose-unit",
        defect="before CP-1194 average glandular dose was in dGy",
        handling="converted by the unit that was sent",
        evidence="PS3.16 CP-1194",
        rule="the unit table",
    ),
    Quirk(
        id="varian-no-study-time",
        manufacturer="varian",
        defect="no Study Time",
        handling="the date stands alone; no midnight is made up",
        evidence="OpenREM issue 681",
        rule="a time that is absent is not in the record",
    ),
    Quirk(
        id="cumulative-reports",
        manufacturer="siemens",
        defect="a report after every exposure (cumulative), or a new report of the same study (continued)",
        handling="events are a set keyed by Irradiation Event UID",
        evidence="Siemens SOMATOM RDSR series; OpenREM issues 114 and 625",
        rule="merging",
    ),
    Quirk(
        id="empty-request-attributes",
        manufacturer=r"\bge\b|general electric",
        defect="Request Attributes Sequence of length zero",
        handling="none needed",
        evidence="GE LightSpeed RT16 report made by PixelMed",
        rule="an empty sequence has no items",
    ),
    Quirk(
        id="shared-device-observer-uid",
        defect="Device Observer UID is the same on every unit of a model",
        handling="kept; devices are told apart by manufacturer, model, station and serial number as well",
        evidence="OpenREM issue 908",
        rule="the device register keys on more than the UID",
    ),
    Quirk(
        id="mammomat-accumulated-agd",
        manufacturer="siemens",
        model="mammomat",
        defect="the accumulated average glandular dose is that of one projection only",
        handling="the reported total stays beside the events' own sum; their disagreement is a warning",
        evidence="OpenREM pull request 329 and issue 780",
        rule="totals as reported and as summed stand side by side",
    ),
    Quirk(
        id="impax-modalities-in-study",
        manufacturer="agfa",
        defect="Modalities in Study of IMPAX 6.6 is wrong",
        handling="none here",
        evidence="OpenREM issue 627",
        refused="no attribute of a dose object; a matter of asking the archive",
    ),
    Quirk(
        id="pacs-station-names",
        defect="station names longer than 16 characters, or at another level than asked",
        handling="text is kept as sent",
        evidence="OpenREM issue 799",
        refused="the query option is a matter of asking the archive",
    ),
    Quirk(
        id="unreadable-element",
        defect="an element's length is no multiple of its numbers', or text stands in Patient's Size",
        handling="null with a warning; the rest of the object is read",
        evidence="OpenREM issues 1006 and 896",
        rule="a value that cannot be decoded counts as absent",
    ),
    Quirk(
        id="no-acquisition-time",
        defect="an image without Acquisition Date and Time",
        handling="Content Date and Time, else none",
        evidence="OpenREM issue 271",
        rule="the start of every image's exposure",
    ),
    Quirk(
        id="twin-images",
        manufacturer="hologic|ge",
        defect="one exposure is sent for processing and for presentation",
        handling="one event: the same moment of the same device, and nothing that differs",
        evidence="GE Senographe images; OpenREM's check for duplicates",
        rule="merging",
    ),
    Quirk(
        id="philips-ingenuity-localizers",
        manufacturer="philips",
        model="ingenuity",
        defect="scan projection radiographs stand among the acquisitions",
        handling="the acquisition type tells them apart",
        evidence="OpenREM's acquisition type filter",
        rule="ct_acquisition_type constant_angle",
    ),
)


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
    for quirk in QUIRKS:
        if quirk.acts and quirk.applies_to(manufacturer, model):
            for name, found in gathered.items():
                found.update(getattr(quirk, name))
    return ActiveQuirks(**gathered)
