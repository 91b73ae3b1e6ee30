"""From what machines report to what physicists compare: patient size, SSDE, effective dose, breast dose, activity.

Pure functions on numbers, arrays and exams; every result is a `Measured` with unit, uncertainty, status and reason.

>>> from dose_audit.dosimetry import ssde
>>> round(ssde(ctdi_vol_mgy=10.0, size_mm=300.0, phantom_cm=32).value, 2)
12.31
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dose_audit.dosimetry.budget import Quantity, monte_carlo, propagate, water_equivalent_budget
    from dose_audit.dosimetry.calibration import CalibrationFactor, calibrated, factor_on, load_calibrations
    from dose_audit.dosimetry.ct_effective_dose import FACTOR_SETS, effective_dose
    from dose_audit.dosimetry.ct_series import SeriesSize, measure_series, series_ssde, series_water_equivalent_diameter
    from dose_audit.dosimetry.exams import ct_region, exam_dosimetry
    from dose_audit.dosimetry.localiser import (
        LocaliserCalibration,
        fit_localiser_calibration,
        localiser_water_equivalent_diameter,
        localiser_width,
        magnification_factor,
        read_localiser,
    )
    from dose_audit.dosimetry.mammography import (
        agd_agreement,
        distinct_exposures,
        exposure_kind,
        mean_glandular_dose,
        thickness_band,
    )
    from dose_audit.dosimetry.nuclear_medicine import (
        activity_per_kg,
        administered_activity,
        decay_factor,
        eanm_activity,
        extravasation,
        half_life,
    )
    from dose_audit.dosimetry.projection import (
        backscatter_factor,
        deviation_index,
        entrance_surface_air_kerma,
        exposure_index,
        incident_air_kerma_from_kap,
        incident_air_kerma_from_output,
        tube_output,
    )
    from dose_audit.dosimetry.size_specific import effective_diameter, size_factor, ssde, ssde_along
    from dose_audit.dosimetry.water_equivalent import truncation_factor, water_equivalent_diameter

__all__ = [
    "FACTOR_SETS",
    "CalibrationFactor",
    "LocaliserCalibration",
    "Quantity",
    "SeriesSize",
    "activity_per_kg",
    "administered_activity",
    "agd_agreement",
    "backscatter_factor",
    "calibrated",
    "ct_region",
    "decay_factor",
    "deviation_index",
    "distinct_exposures",
    "eanm_activity",
    "effective_diameter",
    "effective_dose",
    "entrance_surface_air_kerma",
    "exam_dosimetry",
    "exposure_index",
    "exposure_kind",
    "extravasation",
    "factor_on",
    "fit_localiser_calibration",
    "half_life",
    "incident_air_kerma_from_kap",
    "incident_air_kerma_from_output",
    "load_calibrations",
    "localiser_water_equivalent_diameter",
    "localiser_width",
    "magnification_factor",
    "mean_glandular_dose",
    "measure_series",
    "monte_carlo",
    "propagate",
    "read_localiser",
    "series_ssde",
    "series_water_equivalent_diameter",
    "size_factor",
    "ssde",
    "ssde_along",
    "thickness_band",
    "truncation_factor",
    "tube_output",
    "water_equivalent_budget",
    "water_equivalent_diameter",
]

# Each name is looked up in its module at first use, so that importing this package costs nothing.
_HOMES = {
    "CalibrationFactor": "calibration",
    "FACTOR_SETS": "ct_effective_dose",
    "LocaliserCalibration": "localiser",
    "Quantity": "budget",
    "SeriesSize": "ct_series",
    "activity_per_kg": "nuclear_medicine",
    "administered_activity": "nuclear_medicine",
    "agd_agreement": "mammography",
    "backscatter_factor": "projection",
    "calibrated": "calibration",
    "ct_region": "exams",
    "decay_factor": "nuclear_medicine",
    "deviation_index": "projection",
    "distinct_exposures": "mammography",
    "eanm_activity": "nuclear_medicine",
    "effective_diameter": "size_specific",
    "effective_dose": "ct_effective_dose",
    "entrance_surface_air_kerma": "projection",
    "exam_dosimetry": "exams",
    "exposure_index": "projection",
    "exposure_kind": "mammography",
    "extravasation": "nuclear_medicine",
    "factor_on": "calibration",
    "fit_localiser_calibration": "localiser",
    "half_life": "nuclear_medicine",
    "incident_air_kerma_from_kap": "projection",
    "incident_air_kerma_from_output": "projection",
    "load_calibrations": "calibration",
    "localiser_water_equivalent_diameter": "localiser",
    "localiser_width": "localiser",
    "magnification_factor": "localiser",
    "mean_glandular_dose": "mammography",
    "measure_series": "ct_series",
    "monte_carlo": "budget",
    "propagate": "budget",
    "read_localiser": "localiser",
    "series_ssde": "ct_series",
    "series_water_equivalent_diameter": "ct_series",
    "size_factor": "size_specific",
    "ssde": "size_specific",
    "ssde_along": "size_specific",
    "thickness_band": "mammography",
    "truncation_factor": "water_equivalent",
    "tube_output": "projection",
    "water_equivalent_budget": "budget",
    "water_equivalent_diameter": "water_equivalent",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
