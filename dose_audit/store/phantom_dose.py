"""The dose that phantom images were made with, as their own headers tell it."""

from __future__ import annotations

import math

from dose_audit.phantom.series import ImageSeries

__all__ = ["dose_of"]

# Name here, DICOM keyword, factor from the attribute's unit (PS3.6; Organ Dose in dGy, area dose product in dGy·cm²).
_INDICATORS = (
    ("ctdi_vol_mgy", "CTDIvol", 1.0),
    ("agd_mgy", "OrganDose", 100.0),
    ("entrance_dose_mgy", "EntranceDoseInmGy", 1.0),
    ("kap_gy_cm2", "ImageAndFluoroscopyAreaDoseProduct", 0.1),
    ("exposure_index", "ExposureIndex", 1.0),
    ("exposure_mas", "Exposure", 1.0),
)
# CTDIvol in the head phantom is about twice that in the body phantom of the same scan: they are two quantities.
_CTDI_PHANTOMS = {"113690": "ctdi_vol_16_mgy", "113691": "ctdi_vol_32_mgy"}


def dose_of(series: ImageSeries) -> dict[str, float]:
    """Dose indicators of a series by name with unit; what no header tells, or tells as zero, is absent.

    Notes
    -----
    With tube current modulation each slice states its own value: the mean over the images that state one. CTDIvol goes
    by the diameter of the phantom that it is stated for, ``ctdi_vol_16_mgy`` or ``ctdi_vol_32_mgy``, and is
    ``ctdi_vol_mgy`` where the images do not tell, or do not agree.

    Examples
    --------
    >>> import numpy as np
    >>> from dose_audit.phantom.frames import Frame
    >>> slices = [Frame({"Rows": 8, "Columns": 8, "CTDIvol": dose}, lambda: np.zeros((8, 8))) for dose in (9.0, "11")]
    >>> dose_of(ImageSeries(slices))
    {'ctdi_vol_mgy': 10.0}
    """
    found: dict[str, float] = {}
    for name, keyword, factor in _INDICATORS:
        values = [value for frame in series.frames if (value := _positive(frame.header.get(keyword))) is not None]
        if name == "ctdi_vol_mgy":
            stated = {str(frame.header.get("CTDIPhantomTypeCodeSequence")) for frame in series.frames}
            name = _CTDI_PHANTOMS.get(stated.pop(), name) if len(stated) == 1 else name
        if values:
            found[name] = round(factor * math.fsum(values) / len(values), 6)
    return found


def _positive(value: object) -> float | None:
    """A finite number above zero; scanners write zero where they do not know."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
