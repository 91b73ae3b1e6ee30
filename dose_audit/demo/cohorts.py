"""What each device does in six months: one row per device and examination, with its median dose and its
spread.

The leading quantity is CTDIvol (mGy) for CT, KAP (Gy.cm2) for projection, AGD per view (mGy) for mammography.
Medians stand at 60-82 % of the DRL wherever one is shipped, except where :mod:`dose_audit.demo.planted` says
otherwise.
"""

# ruff: noqa: E501 (a table reads better with one row on one line)
from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COHORTS", "Cohort"]

ADULT = (216, 1080)
"""Months of age: 18 to 90 years."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Exams of one examination on one device.

    Attributes
    ----------
    device : str
        Device key.
    examination : str
        Slug of ``drl_tables/examinations.csv``.
    code : str
        Local procedure code.
    study_description, acquisition_protocol, region : str
        Header text; acquisition protocol of the main exposure; target region (a meaning of
        :mod:`dose_audit.demo.codes`).
    count : int
        Exams in six months at scale 1.
    median : float
        Median of the leading quantity.
    spread : float
        Standard deviation of its natural logarithm.
    length_mm : float
        Scanning length (CT).
    dose_rp_mgy : float
        Median dose at the reference point (fluoroscopy).
    age_months : tuple of int
        Lowest and highest age.
    weight_kg : tuple of float or None
        Lowest and highest weight where a band asks for it; otherwise weight follows from age.
    band : str
        Band of the DRL row, as text, for the truth.
    """

    device: str
    examination: str
    code: str
    study_description: str
    acquisition_protocol: str
    region: str
    count: int
    median: float
    spread: float
    length_mm: float = 0.0
    dose_rp_mgy: float = 0.0
    age_months: tuple[int, int] = ADULT
    weight_kg: tuple[float, float] | None = None
    band: str = ""


# Adult CT on every scanner: examination, code, study description, acquisition protocol, region, CTDIvol,
# spread, length.
_ADULT_CT = (
    ("ct-head-acute-stroke", "CHEAD", "CT Head", "Head Stroke", "Head", 34.0, 0.12, 165.0),
    ("ct-chest-lung-cancer", "CCHES", "CT Chest", "Chest Staging", "Chest", 5.5, 0.28, 345.0),
    ("ct-chest-abdomen-pelvis-cancer", "CCAPP", "CT Chest Abdomen Pelvis", "CAP Portal", "Chest, Abdomen and Pelvis", 7.0, 0.28, 660.0),
    ("ct-abdomen-pelvis-abscess", "CABPE", "CT Abdomen Pelvis", "AbdoPelvis Portal", "Abdomen and Pelvis", 7.0, 0.28, 450.0),
    ("ct-pulmonary-angiography", "CPANG", "CT Pulmonary Angiogram", "CTPA", "Chest", 6.2, 0.28, 320.0),
    ("ct-kidneys-ureters-bladder", "CKUB", "CT KUB", "KUB Low Dose", "Abdomen and Pelvis", 4.2, 0.30, 430.0),
)  # fmt: skip

# Each scanner's protocol names carry its own prefix; the factor keeps medians apart, all below the DRL.
_SCANNERS = (
    ("north-ct-1", "01_", (100, 80, 100, 80, 60, 60), 1.00),
    ("north-ct-2", "", (70, 60, 80, 60, 50, 50), 0.80),
    ("south-ct-1", "S ", (70, 60, 80, 60, 50, 50), 0.97),
    ("west-ct-1", "W-", (80, 60, 80, 60, 50, 50), 1.05),
)

# Children's CT (RP 185): head by age in months, body by weight in kg.
_CHILD_HEAD = (
    ("0-<3 month", (0, 2), 17.0, 125.0),
    ("3-<12 month", (4, 11), 20.0, 135.0),
    ("12-<72 month", (13, 70), 28.0, 145.0),
    ("72-<216 month", (73, 185), 34.0, 148.0),
)
_CHILD_BODY = (
    ("ct-chest", "CTHOC", "CT Thorax Child", "Thorax Child", "Chest", "15-<30 kg", (50, 117), (15.5, 29.4), 1.8, 240.0),
    ("ct-chest", "CTHOC", "CT Thorax Child", "Thorax Child", "Chest", "30-<50 kg", (121, 166), (30.5, 49.4), 2.5, 285.0),
    ("ct-abdomen", "CABDC", "CT Abdomen Child", "Abdomen Child", "Abdomen", "15-<30 kg", (50, 117), (15.5, 29.4), 3.4, 290.0),
    ("ct-abdomen", "CABDC", "CT Abdomen Child", "Abdomen Child", "Abdomen", "30-<50 kg", (121, 166), (30.5, 49.4), 4.6, 320.0),
)  # fmt: skip

_PROJECTION = (
    Cohort("south-xa-1", "xa-coronary-angiography", "XCORA", "Coronary Angiogram", "Coro", "Heart", 190, 20.0, 0.34, dose_rp_mgy=310.0),
    Cohort("west-xa-1", "xa-coronary-angiography", "XCORA", "Coronary Angiogram", "Coronary 15fps", "Heart", 120, 21.0, 0.34, dose_rp_mgy=330.0),
    Cohort("west-xa-1", "xa-percutaneous-coronary-intervention", "XPCI", "PCI", "PCI 15fps", "Heart", 80, 32.0, 0.34, dose_rp_mgy=560.0),
    Cohort("west-rf-1", "rf-barium-swallow", "FBASW", "Barium Swallow", "Ba Swallow", "Entire body", 140, 4.0, 0.34, dose_rp_mgy=18.0),
    Cohort("north-dx-1", "dx-chest-pa", "XCHES", "XR Chest", "CHEST PA", "Chest", 210, 0.080, 0.30),
    Cohort("north-dx-1", "dx-abdomen-ap", "XABDO", "XR Abdomen", "ABDOMEN AP", "Abdomen", 80, 1.60, 0.34),
    Cohort("north-dx-1", "dx-pelvis-ap", "XPELV", "XR Pelvis", "PELVIS AP", "Pelvis", 90, 1.40, 0.34),
    Cohort("south-dx-1", "dx-chest-pa", "XCHES", "XR Chest", "CHEST_PA", "Chest", 200, 0.075, 0.30),
    Cohort("south-dx-1", "dx-pelvis-ap", "XPELV", "XR Pelvis", "PELVIS_AP", "Pelvis", 100, 1.50, 0.34),
    Cohort("west-cr-1", "dx-chest-pa", "XCHES", "XR Chest", "CHEST PA CR", "Chest", 150, 0.082, 0.30),
    Cohort("west-cr-1", "dx-pelvis-ap", "XPELV", "XR Pelvis", "PELVIS AP CR", "Pelvis", 80, 1.70, 0.34),
    Cohort("north-mg-1", "mg-four-view", "MMAMB", "MG Both Breasts", "Conventional", "Breast", 180, 1.35, 0.24, age_months=(564, 850)),
    Cohort("south-mg-1", "mg-four-view", "MMAMB", "MG Both Breasts", "Routine 2D", "Breast", 50, 1.45, 0.24, age_months=(564, 850)),
)  # fmt: skip


def _ct_cohorts() -> list[Cohort]:
    rows = []
    for key, prefix, counts, factor in _SCANNERS:
        for (slug, code, description, name, region, median, spread, length), count in zip(
            _ADULT_CT, counts, strict=True
        ):
            rows.append(
                Cohort(
                    key,
                    slug,
                    code,
                    description,
                    prefix + name,
                    region,
                    count,
                    median * factor,
                    spread,
                    length,
                )
            )
    for band, ages, median, length in _CHILD_HEAD:
        rows.append(
            Cohort(
                "north-ct-1", "ct-head", "CHEDC", "CT Head Child", "11_Head Child", "Head",
                26, median, 0.14, length, age_months=ages, band=band,
            )
        )  # fmt: skip
    for slug, code, description, name, region, band, ages, weights, median, length in _CHILD_BODY:
        rows.append(
            Cohort(
                "north-ct-1", slug, code, description, "12_" + name, region,
                24, median, 0.18, length, age_months=ages, weight_kg=weights, band=band,
            )
        )  # fmt: skip
    return rows


COHORTS: tuple[Cohort, ...] = (*_ct_cohorts(), *_PROJECTION)
