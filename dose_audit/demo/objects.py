"""What the single objects of the ``objects_`` modules share: one fictional study's header around any content.

Those modules build every other kind of dose object that the reader knows, small but valid, each by a plain
function that returns a pydicom data set. Dose values are keyword arguments: decimal strings as written,
floats where the value representation is binary. A test that passes a value knows the truth to the last digit.
"""

from __future__ import annotations

import io
from typing import Any

from pydicom import Dataset, dcmread

from dose_audit.demo.encode import attributes, part10
from dose_audit.demo.images import pixel_module
from dose_audit.demo.plan import uid

__all__ = ["STARTED", "code_item", "image", "object_uid", "report"]

STARTED = "20260304101500"
"""Date and time of every single object."""


def object_uid(*parts: object) -> str:
    """Return the UID of a part of the single objects, the same in every process."""
    return uid("single object", *parts)


def code_item(code: tuple[str, str, str]) -> dict[str, str]:
    """Return a code as the attributes of a code sequence item."""
    return {"CodeValue": code[0], "CodingSchemeDesignator": code[1], "CodeMeaning": code[2]}


def _header(name: str, sop_class_uid: str, modality: str) -> dict[str | int, Any]:
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": sop_class_uid,
        "SOPInstanceUID": object_uid(name, "instance"),
        "StudyDate": STARTED[:8],
        "SeriesDate": STARTED[:8],
        "ContentDate": STARTED[:8],
        "StudyTime": STARTED[8:],
        "SeriesTime": STARTED[8:],
        "ContentTime": STARTED[8:],
        "AccessionNumber": "ACC9000001",
        "Modality": modality,
        "Manufacturer": "Demonstration",
        "InstitutionName": "North Site",
        "ReferringPhysicianName": "",
        "StationName": "SINGLE1",
        "StudyDescription": "Single object",
        "ManufacturerModelName": "Generator",
        "PatientName": "DEMO^9001",
        "PatientID": "DEMO009001",
        "PatientBirthDate": "19660304",
        "PatientSex": "F",
        "PatientAge": "060Y",
        "PatientSize": "1.66",
        "PatientWeight": "71.5",
        "DeviceSerialNumber": "90001",
        "SoftwareVersions": "1.0",
        "StudyInstanceUID": object_uid(name, "study"),
        "SeriesInstanceUID": object_uid(name, "series"),
        "StudyID": "9001",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
    }


def report(name: str, sop_class_uid: str, content: bytes, **changes: Any) -> Dataset:
    """Return a structured report.

    Parameters
    ----------
    name : str
        What its UIDs are derived from.
    sop_class_uid : str
        SOP class.
    content : bytes
        Content tree, from :func:`dose_audit.demo.sr.document`.
    **changes
        Header attributes to add or to replace, by keyword.

    Returns
    -------
    Dataset
        With file meta information, ready for ``save_as``.
    """
    header = _header(name, sop_class_uid, "SR")
    header["ReferencedPerformedProcedureStepSequence"] = []
    header.update(changes)
    return dcmread(io.BytesIO(part10(sop_class_uid, header["SOPInstanceUID"], attributes(header) + content)))


def image(name: str, sop_class_uid: str, modality: str, special: dict[str | int, Any], bits: int = 12) -> Dataset:
    """Return an image of eight by eight pixels.

    Parameters
    ----------
    name, sop_class_uid
        As for :func:`report`.
    modality : str
        Modality.
    special : dict
        Attributes of its kind, by keyword (or tag, for private ones); they replace those of the header.
    bits : int
        Bits Stored.

    Returns
    -------
    Dataset
    """
    header = _header(name, sop_class_uid, modality)
    header.update(AcquisitionDate=STARTED[:8], AcquisitionTime=STARTED[8:], ImageType=["ORIGINAL", "PRIMARY"])
    header.update(pixel_module(bits))
    header.update(special)
    return dcmread(io.BytesIO(part10(sop_class_uid, header["SOPInstanceUID"], attributes(header))))
