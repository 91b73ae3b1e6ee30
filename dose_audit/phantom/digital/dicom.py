"""The DICOM around digital phantom images: identity, device, geometry and dose attributes by modality."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from dose_audit.phantom.digital.acquisition import Acquisition
from dose_audit.phantom.digital.dicom_tables import DEFAULTS, SOP_CLASSES, STORED

__all__ = ["base_dataset", "decimal", "largest_stored", "set_attribute", "set_pixels", "set_plane", "uid_of"]


def uid_of(*parts: object) -> str:
    """A UID under 2.25 that follows from its parts: the same phantom made again has the same UIDs."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big') >> 6}"


def base_dataset(
    acquisition: Acquisition, *, kind: str, seed: int, repeat: int, acquired: datetime, station: str
) -> Dataset:
    """Everything that all images of one series share, with file meta information."""
    modality = acquisition.modality
    if modality not in SOP_CLASSES:
        raise ValueError(f"no digital phantom of modality {modality!r}; one of {', '.join(sorted(SOP_CLASSES))}")
    started = acquired + timedelta(minutes=2 * repeat)
    identity = (kind, modality, seed, station, acquired.isoformat())
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = SOP_CLASSES["Enhanced MR" if acquisition.enhanced else modality]
    ds.ImageType = ["ORIGINAL", "PRIMARY", *{"CT": ["AXIAL"], "MR": ["M", "ND"], "MG": ["", "LEFT"]}.get(modality, [])]
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = started.strftime("%Y%m%d")
    ds.StudyTime = acquired.strftime("%H%M%S")
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = started.strftime("%H%M%S")
    ds.AccessionNumber = ""
    ds.Modality = modality
    ds.Manufacturer = "dose-audit"
    ds.ManufacturerModelName = f"Digital phantom {modality}"
    ds.InstitutionName = "Digital phantoms"
    ds.StationName = station
    ds.DeviceSerialNumber = uid_of(station)[-8:]
    ds.SoftwareVersions = "1"
    ds.StudyDescription = f"QA {kind}"
    ds.SeriesDescription = f"{kind} {repeat + 1}" if repeat else kind
    ds.ProtocolName = f"QA {kind}"
    ds.PatientName, ds.PatientID = "Phantom^Digital", f"DIGITAL-{kind}".upper()[:64]
    ds.PatientBirthDate = ds.PatientSex = ""
    ds.StudyInstanceUID = uid_of("study", *identity)
    ds.SeriesInstanceUID = uid_of("series", *identity, repeat)
    ds.FrameOfReferenceUID = uid_of("frame of reference", *identity)
    ds.IrradiationEventUID = uid_of("event", *identity, repeat)
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber = "1", repeat + 1, repeat + 1
    ds.ReferringPhysicianName = ""
    for keyword, value in {**DEFAULTS[modality], **acquisition.header}.items():
        set_attribute(ds, keyword, value)
    if modality in ("MR", "NM", "PT"):
        del ds.IrradiationEventUID
    if acquisition.effects.inverted:
        ds.PhotometricInterpretation = "MONOCHROME1"
        if "PixelIntensityRelationshipSign" in ds:
            ds.PixelIntensityRelationshipSign = -1
    if modality == "MR" and acquisition.enhanced:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    return ds


def set_attribute(ds: Dataset, keyword: str, value: Any) -> None:
    """Set one attribute; a mapping or a list of mappings becomes a sequence, None takes the attribute away."""
    if value is None:
        if keyword in ds:
            delattr(ds, keyword)
        return
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        items = []
        for entry in value:
            item = Dataset()
            for name, inner in entry.items():
                set_attribute(item, name, inner)
            items.append(item)
        value = Sequence(items)
    setattr(ds, keyword, value)


def decimal(value: float) -> str:
    """A decimal string of at most 16 characters that gives the number back as well as that allows."""
    text = repr(float(value))
    if len(text) <= 16:
        return text
    return next(t for digits in range(15, 0, -1) if len(t := f"{value:.{digits}g}") <= 16)


def set_plane(ds: Dataset, acquisition: Acquisition, z_mm: float | None) -> None:
    """Spacing, position and orientation with the attributes of the modality."""
    rows, columns = acquisition.shape
    spacing = [decimal(value) for value in acquisition.spacing_mm]
    if acquisition.modality in ("DX", "CR", "MG", "XA"):
        ds.ImagerPixelSpacing = spacing
        if acquisition.modality == "CR":
            ds.PixelSpacing = spacing
        if acquisition.magnification != 1.0 or acquisition.modality in ("MG", "XA"):
            ds.EstimatedRadiographicMagnificationFactor = decimal(acquisition.magnification)
            distance = float(ds.get("DistanceSourceToDetector") or 0)
            if distance > 0:
                ds.DistanceSourceToPatient = decimal(round(distance / acquisition.magnification, 3))
        return
    ds.PixelSpacing = spacing
    if z_mm is None:
        return
    position = (-(columns - 1) / 2 * acquisition.spacing_mm[1], -(rows - 1) / 2 * acquisition.spacing_mm[0], z_mm)
    ds.ImagePositionPatient = [decimal(value) for value in position]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.SliceLocation = decimal(z_mm)
    ds.SliceThickness = decimal(acquisition.thickness_mm)
    ds.PatientPosition = "HFS"
    ds.PositionReferenceIndicator = ""


def largest_stored(modality: str) -> int:
    """The largest value that the modality's pixels hold."""
    bits, signed, _, _ = STORED[modality]
    return (1 << (bits - signed)) - 1


def set_pixels(ds: Dataset, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantise, store, and give back the values that a reader will find (after rescale)."""
    bits, signed, slope, intercept = STORED[ds.Modality]
    if ds.Modality == "PT":  # each slice fills its 15 bits
        slope = max(float(values.max()) / 32000, 1e-9)
        slope = float(decimal(slope))
    low, high = -(1 << (bits - 1)) if signed else 0, largest_stored(ds.Modality)
    stored = np.clip(np.rint((values - intercept) / slope), low, high).astype("<i2" if signed else "<u2")
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = ds.get("PhotometricInterpretation", "MONOCHROME2")
    ds.Rows, ds.Columns = values.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, int(signed)
    if slope != 1 or intercept != 0 or ds.Modality in ("CT", "PT"):
        ds.RescaleSlope, ds.RescaleIntercept = decimal(slope), decimal(intercept)
        if ds.Modality == "CT":
            ds.RescaleType = "HU"
    ds.PixelData = stored.tobytes()
    read: NDArray[np.float64] = stored * slope + intercept
    return read
