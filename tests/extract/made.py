"""Small DICOM objects made with pydicom, so that what our reader reads was written by somebody else."""

from __future__ import annotations

import io
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

STORAGE = "1.2.840.10008.5.1.4.1.1"
CR, DX, DX_PROCESSING, CT, ENHANCED_CT = "1", "1.1", "1.1.1", "2", "2.1"
MG, MG_PROCESSING, TOMOSYNTHESIS, BREAST_PROJECTION = "1.2", "1.2.1", "13.1.3", "13.1.4"
XA, ENHANCED_XA, XRF, NM, PET, ENHANCED_PET, SC, MR = "12.1", "12.1.1", "12.2", "20", "128", "130", "7", "4"

STUDY = "1.2.826.0.1.3680043.10.1.1"


def uid_of(*entropy: object) -> str:
    """The same UID for the same words."""
    return str(generate_uid(entropy_srcs=[str(part) for part in entropy]))


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def item_of(**elements: Any) -> Dataset:
    """A sequence item, or a whole data set, from keywords; a list of data sets becomes a sequence."""
    dataset = Dataset()
    for keyword, value in elements.items():
        if isinstance(value, list) and value and isinstance(value[0], Dataset):
            value = Sequence(value)
        setattr(dataset, keyword, value)
    return dataset


def written(dataset: Dataset) -> bytes:
    """A data set as a DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def image(
    sop_class: str, *, private: dict[tuple[int, str, int], tuple[str, Any]] | None = None, **elements: Any
) -> bytes:
    """An image object without pixels.

    Parameters
    ----------
    sop_class : str
        What follows the storage root in its SOP Class UID.
    private : dict
        (group, creator, offset) → (VR, value).
    **elements
        DICOM keywords; they replace the defaults.
    """
    defaults: dict[str, Any] = {
        "SOPClassUID": UID(f"{STORAGE}.{sop_class}"),
        "SOPInstanceUID": uid_of(sop_class, elements),
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
        "StudyDate": "20240311",
        "StudyTime": "101500",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Model",
        "StationName": "ROOM1",
        "DeviceSerialNumber": "4711",
        "PatientName": "Doe^Jane",
        "PatientID": "A1234",
        "PatientBirthDate": "19700311",
        "PatientSex": "F",
    }
    dataset = item_of(**{**defaults, **elements})
    for (group, creator, offset), (vr, value) in (private or {}).items():
        dataset.private_block(group, creator, create=True).add_new(offset, vr, value)
    return written(dataset)
