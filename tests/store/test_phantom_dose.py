"""The dose of phantom images from headers as scanners write them: units by PS3.6, CTDIvol by its phantom (PS3.16 CID 4052)."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dose_audit.phantom.frames import frames_of
from dose_audit.phantom.series import ImageSeries
from dose_audit.store.phantom_dose import dose_of

HEAD, BODY = "113690", "113691"


def ct_slice(phantom: str | None, ctdi_vol_mgy: float = 12.0) -> Dataset:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID, image.Modality = CTImageStorage, "1.2.3", "CT"
    image.Rows = image.Columns = 8
    image.BitsAllocated = image.BitsStored = 16
    image.SamplesPerPixel, image.PixelRepresentation, image.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    image.PixelData = np.zeros((8, 8), "<u2").tobytes()
    image.CTDIvol = ctdi_vol_mgy
    if phantom is not None:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = phantom, "DCM", "IEC dosimetry phantom"
        image.CTDIPhantomTypeCodeSequence = [code] if phantom else []
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


@pytest.mark.parametrize(
    ("phantoms", "name"),
    [
        ((BODY, BODY), "ctdi_vol_32_mgy"),
        ((HEAD, HEAD), "ctdi_vol_16_mgy"),
        ((None, None), "ctdi_vol_mgy"),
        (("", ""), "ctdi_vol_mgy"),
        ((HEAD, BODY), "ctdi_vol_mgy"),
        ((HEAD, None), "ctdi_vol_mgy"),
    ],
)
def test_ctdi_goes_by_its_phantom(phantoms: tuple[str | None, ...], name: str) -> None:
    frames = [frame for phantom in phantoms for frame in frames_of(ct_slice(phantom))]
    assert dose_of(ImageSeries(frames)) == {name: 12.0}
