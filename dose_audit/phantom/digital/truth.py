"""The truth beside the images: what was rendered, where it lies in pixels, and with which blur, slices and noise."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.acquisition import Acquisition
from dose_audit.phantom.digital.phantom import DigitalPhantom, Feature
from dose_audit.phantom.digital.pose import Pose, pixel_of
from dose_audit.phantom.digital.psf import frequency_at, system_mtf

__all__ = ["TRUTH_FILE", "Truth", "describe", "feature_truth", "mean_in_disc"]

Array = NDArray[np.float64]

TRUTH_FILE = "truth.json"
_SCHEMA = 1


@dataclass
class Truth:
    """What `write_series` wrote.

    Parameters
    ----------
    folder : Path
        Where the files are; ``truth.json`` lies there too.
    files : list of Path
        The DICOM files, in order of series and instance number.
    record : dict
        The truth as plain data, as in ``truth.json``.
    """

    folder: Path
    files: list[Path] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)

    def save(self) -> Path:
        """Write ``truth.json``."""
        path = self.folder / TRUTH_FILE
        path.write_text(json.dumps(self.record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return path

    def feature(self, name: str) -> dict[str, Any]:
        """The entry of one feature."""
        return next(entry for entry in self.record["features"] if entry["name"] == name)


def describe(phantom: DigitalPhantom, acquisition: Acquisition, pose: Pose, seed: int) -> dict[str, Any]:
    """All of the truth that does not need the pixels."""
    spacing, noise, profile = acquisition.spacing_mm, acquisition.noise, acquisition.slice_profile
    x, y = spacing[1], spacing[0]
    aperture = spacing if acquisition.aperture else None
    nyquist = 0.5 / max(spacing)

    def mtf(f: float) -> float:
        return float(system_mtf(f, acquisition.psf_sigma_mm, aperture))

    steps = sorted({round(abs(b - a), 6) for a, b in zip(acquisition.z_mm, acquisition.z_mm[1:], strict=False)})
    return {
        "schema": _SCHEMA,
        "kind": phantom.kind,
        "seed": seed,
        "modality": acquisition.modality,
        "shape": list(acquisition.shape),
        "spacing_mm": [y, x],
        "field_mm": [acquisition.shape[0] * y, acquisition.shape[1] * x],
        "magnification": acquisition.magnification,
        "pose": pose.as_record(),
        "body_diameter_mm": phantom.body_diameter_mm,
        "background": phantom.scene.background,
        "slice": None
        if profile is None
        else {
            "thickness_mm": profile.fwhm_mm,
            "profile": profile.shape,
            "steps_mm": steps,
            "z_mm": list(acquisition.z_mm),
        },
        "psf": {
            "sigma_mm": acquisition.psf_sigma_mm,
            "aperture": acquisition.aperture,
            "mtf50_per_mm": frequency_at(0.5, mtf, 8 * nyquist),
            "mtf10_per_mm": frequency_at(0.1, mtf, 8 * nyquist),
            "frequency_per_mm": (f := [k * nyquist / 64 for k in range(65)]),
            "mtf": [mtf(v) for v in f],
        },
        "noise": {
            **asdict(noise),
            "nps": noise.spectrum.as_record(spacing) if noise.kind in ("white", "coloured") and noise.sd > 0 else None,
        },
        "effects": asdict(acquisition.effects),
        "header": {key: value for key, value in acquisition.header.items() if isinstance(value, str | int | float)},
        "expected": phantom.expected,
    }


def feature_truth(
    feature: Feature, pose: Pose, acquisition: Acquisition, z_image_mm: float | None
) -> tuple[dict[str, Any], tuple[float, float]]:
    """Where one feature lies: in phantom mm, in image mm and in pixels of the slice at ``z_image_mm``.

    ``slice_offset_mm`` is how far along the phantom's axis the slice lies from the feature's middle; the bars of a wedge
    pair, for one, differ by twice that.
    """
    middle = pose.to_image(np.array([feature.x_mm, feature.y_mm, feature.z_mm]))
    if z_image_mm is None:
        x, y = float(middle[0]), float(middle[1])
    else:
        x, y = pose.in_slice(feature.x_mm, feature.y_mm, z_image_mm)
    at = pixel_of(x, y, acquisition.shape, acquisition.spacing_mm)
    return {
        "name": feature.name,
        "module": feature.module,
        "material": feature.material,
        "value": feature.value,
        "size_mm": list(feature.size_mm),
        "phantom_mm": [feature.x_mm, feature.y_mm, feature.z_mm],
        "image_mm": [x, y, float(middle[2])],
        "row_column": list(at),
        "slice_offset_mm": None if z_image_mm is None else float(pose.to_phantom([x, y, z_image_mm])[2]) - feature.z_mm,
        **feature.more,
    }, at


def mean_in_disc(
    image: Array, at: tuple[float, float], diameter_mm: float, spacing_mm: tuple[float, float]
) -> float | None:
    """Mean of the pixels whose centres lie in a disc; the nearest pixel if none does; None outside the image."""
    row, column = at
    if not (0 <= row <= image.shape[0] - 1 and 0 <= column <= image.shape[1] - 1):
        return None
    reach_r, reach_c = int(diameter_mm / 2 / spacing_mm[0]) + 2, int(diameter_mm / 2 / spacing_mm[1]) + 2
    r0, c0 = max(0, round(row) - reach_r), max(0, round(column) - reach_c)
    part = image[r0 : round(row) + reach_r + 1, c0 : round(column) + reach_c + 1]
    rows, columns = np.indices(part.shape)
    dy, dx = (rows + r0 - row) * spacing_mm[0], (columns + c0 - column) * spacing_mm[1]
    inside = dx * dx + dy * dy <= (diameter_mm / 2) ** 2
    if not inside.any():
        return float(image[round(row), round(column)])
    return float(part[inside].mean())


def radius_in_image(pose: Pose, diameter_mm: float) -> float:
    """Mean radius of the body in the image."""
    return diameter_mm / 2 * hypot(*pose.scales) / 2**0.5
