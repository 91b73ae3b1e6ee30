"""CT images with a known answer: shapes in mm, sampled finely, so that their areas are exact to a tenth of a per cent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

Shape = tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], float]
_FINER = 4


def paint(size: int, fov_mm: float, shapes: Sequence[Shape], *, noise_hu: float = 0.0, seed: int = 0) -> np.ndarray:
    """Paint shapes, the later over the earlier, on air."""
    fine = size * _FINER
    axis = (np.arange(fine) - (fine - 1) / 2) * fov_mm / fine
    x, y = axis[None, :], axis[:, None]
    image = np.full((fine, fine), -1000, np.float32)
    for inside, hu in shapes:
        image[np.broadcast_to(inside(x, y), image.shape)] = hu
    image = image.reshape(size, _FINER, size, _FINER).mean((1, 3))
    return image + np.random.default_rng(seed).normal(0, noise_hu, image.shape) if noise_hu else image


def disc(diameter_mm: float, hu: float = 0.0, at: tuple[float, float] = (0.0, 0.0)) -> Shape:
    """A round thing."""
    return lambda x, y: (x - at[0]) ** 2 + (y - at[1]) ** 2 < (diameter_mm / 2) ** 2, hu


def ellipse(a_mm: float, b_mm: float, hu: float, at: tuple[float, float] = (0.0, 0.0)) -> Shape:
    """An ellipse by its semi-axes."""
    return lambda x, y: ((x - at[0]) / a_mm) ** 2 + ((y - at[1]) / b_mm) ** 2 < 1, hu


def slab(top_mm: float, thickness_mm: float, hu: float = 50.0, half_width_mm: float = 200.0) -> Shape:
    """A plate across the image."""
    return lambda x, y: (abs(x) < half_width_mm) & (y >= top_mm) & (y < top_mm + thickness_mm), hu


def tables(bottom_mm: float) -> dict[str, list[Shape]]:
    """Tables whose top touches a body that ends at `bottom_mm`."""
    centre = bottom_mm - 350

    def tray(depth: float, wall: float) -> Shape:
        def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return (
                (x**2 + (y - centre) ** 2 > (350 + wall) ** 2) & (y < bottom_mm + depth - wall) & (abs(x) < 200 - wall)
            )

        return inside, 0.0 if wall == 0 else -930.0

    return {
        "none": [],
        "plate": [slab(bottom_mm, 3)],
        "slab": [slab(bottom_mm, 40)],
        "shells": [slab(bottom_mm, 50, 0, 210), slab(bottom_mm + 3, 44, -930, 207)],
        "tray": [tray(45, 0), tray(45, 2)],
        "clear of it": [slab(bottom_mm + 15, 20)],
        "sunk in": [slab(bottom_mm - 8, 28, -50)],
    }


THORAX: list[Shape] = [
    ellipse(170, 120, 40),
    ellipse(50, 70, -800, (-80, 0)),
    ellipse(50, 70, -800, (80, 0)),
]
THORAX_AW_MM2 = 1.04 * math.pi * 170 * 120 - 2 * 0.84 * math.pi * 50 * 70
THORAX_DW_MM = 2 * math.sqrt(THORAX_AW_MM2 / math.pi)


def write_slice(path: Path, image_hu: np.ndarray, pixel_mm: float, **attributes: object) -> Path:
    """Write an image as a CT object; keyword arguments set or, with None, delete attributes."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = attributes.pop("syntax", ExplicitVRLittleEndian)
    compress = attributes.pop("compress", None)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    ds.Modality, ds.ImageType, ds.StudyInstanceUID = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "1.2.3"
    ds.SeriesInstanceUID, ds.IrradiationEventUID, ds.FrameOfReferenceUID = "1.2.3.1", "1.2.3.9", "1.2.3.8"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.RescaleSlope, ds.RescaleIntercept = [pixel_mm, pixel_mm], 1, -1024
    ds.Rows, ds.Columns = image_hu.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.KVP = 1, "MONOCHROME2", 120
    ds.PixelData = (np.round(image_hu) + 1024).astype("<i2").tobytes()
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    if compress is not None:
        ds.compress(compress)
    ds.save_as(path, enforce_file_format=True)
    return path


def phantom_code(code: str) -> list[object]:
    """CTDI phantom sequence: 113690 head 16 cm, 113691 body 32 cm."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", "IEC Dosimetry Phantom"
    return [item]
