"""Small DICOM objects, written by pydicom in any encoding, for tests of the reader."""

from __future__ import annotations

from io import BytesIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    XRayRadiationDoseSRStorage,
)

SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


def code(value: str, scheme: str, meaning: str) -> Sequence:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def content_item(value_type: str, name: tuple[str, str, str], relationship: str = "CONTAINS") -> Dataset:
    """A content item without its value."""
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = code(*name)
    return item


def number_item(name: tuple[str, str, str], value: object, unit: str) -> Dataset:
    """A NUM content item."""
    item = content_item("NUM", name)
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = code(unit, "UCUM", unit)
    item.MeasuredValueSequence = [measured]
    return item


def report() -> Dataset:
    """A dose report of one irradiation event."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = XRayRadiationDoseSRStorage, "1.2.826.0.1.3680043.8.498.1"
    ds.Modality, ds.StudyDate, ds.StudyTime = "SR", "20240131", "101112.5"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.4"
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = code("113701", "DCM", "X-Ray Radiation Dose Report")
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "10011"
    ds.ContentTemplateSequence = [template]
    event = content_item("CONTAINER", ("113819", "DCM", "CT Acquisition"))
    region = content_item("CODE", ("123014", "DCM", "Target Region"))
    region.ConceptCodeSequence = code("T-D4000", "SRT", "Abdomen")
    uid = content_item("UIDREF", ("113769", "DCM", "Irradiation Event UID"))
    uid.UID = "1.2.5"
    comment = content_item("TEXT", ("121106", "DCM", "Comment"))
    comment.TextValue = "Bauch größer"
    missing = content_item("NUM", ("113838", "DCM", "DLP"))
    missing.MeasuredValueSequence = []
    missing.NumericValueQualifierCodeSequence = code("114007", "DCM", "Measurement not attempted")
    dose = number_item(("113830", "DCM", "Mean CTDIvol"), "12.345", "mGy")
    reference = content_item("COMPOSITE", ("113824", "DCM", "Source"), "HAS PROPERTIES")
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, "1.2.6"
    reference.ReferencedSOPSequence = [item]
    dose.ContentSequence = [reference]
    pulses = number_item(("113734", "DCM", "X-Ray Tube Current"), ["100", "110.5"], "mA")
    event.ContentSequence = [region, uid, comment, missing, dose, pulses]
    started = content_item("DATETIME", ("113809", "DCM", "Start of X-Ray Irradiation"))
    started.DateTime = "20240131101112+0100"
    ds.ContentSequence = [started, event]
    return ds


def image() -> Dataset:
    """A CT image with private elements and pixel data."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.826.0.1.3680043.8.498.2"
    ds.Modality, ds.Manufacturer = "CT", "Müller Röntgen"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.4"
    ds.KVP, ds.CTDIvol, ds.XRayTubeCurrent = "120", 12.25, 321
    ds.CTDIPhantomTypeCodeSequence = code("113691", "DCM", "IEC Body Dosimetry Phantom")
    ds.Rows = ds.Columns = 64
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    block = ds.private_block(0x0099, "MAKER 1.0", create=True)
    block.add_new(0x01, "FD", 0.125)
    block.add_new(0x02, "SH", "ruhig ü")
    block.add_new(0x03, "SQ", [code("1", "99X", "eins")[0]])
    block.add_new(0x04, "DS", "7.5")
    ds.PixelData = bytes(64 * 64 * 2)
    return ds


def encode(ds: Dataset, syntax: str = "explicit", *, undefined: bool = False, meta: bool = True) -> bytes:
    """The object's bytes; with `undefined`, every sequence and item has undefined length."""
    _set_lengths(ds, undefined)
    uid = SYNTAXES[syntax]
    out = BytesIO()
    if meta:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = uid
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        if "PixelData" in ds:
            ds["PixelData"].VR = "OW"
        dcmwrite(out, ds, enforce_file_format=True)
    else:
        dcmwrite(out, ds, implicit_vr=uid.is_implicit_VR, little_endian=uid.is_little_endian)
    return out.getvalue()


def _set_lengths(ds: Dataset, undefined: bool) -> None:
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
                _set_lengths(item, undefined)
