"""The planted truths: what is wrong in the demonstration network, and nothing else is.

This is the table to read beside a report of the demonstration. :mod:`dose_audit.demo.plan` carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from dose_audit.demo.cohorts import Cohort

__all__ = [
    "ABOVE_DRL",
    "CONTINUED",
    "CUMULATIVE",
    "EXTRAS",
    "NO_WEIGHT",
    "PERIOD",
    "RESENT",
    "SILENT",
    "STEP",
    "UNIT_SLIP",
    "Extra",
]

PERIOD = (date(2026, 1, 1), date(2026, 6, 30))
"""First and last day of the demonstration."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A factor on the leading dose of one device, from a day on; ``examination`` limits it to one."""

    device: str
    factor: float
    since: date = PERIOD[0]
    examination: str | None = None
    software_versions: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Days (first and last) on which a device is silent, or does not say something."""

    device: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Every:
    """Every ``step``-th exam of one device and examination, at most ``limit`` of them."""

    device: str
    examination: str
    step: int
    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class Extra:
    """Exams beside the cohorts: ``count`` of them spread from ``first`` on, every ``days`` days."""

    kind: str
    cohort: Cohort
    first: datetime
    days: int = 0
    patient_name: str | None = None
    patient_id: str | None = None


# One CT examination above its DRL at one site: 1.85 x 470 mGy.cm beside a DRL of 660 mGy.cm.
ABOVE_DRL = Shift("south-ct-1", 1.85, examination="ct-chest-abdomen-pelvis-cancer")

# A step of +30 % on the day of a software upgrade.
STEP = Shift("north-ct-2", 1.30, since=date(2026, 4, 13), software_versions="revo_ct_23mw.12")

# From this day the detector writes Gy.cm2 where dGy.cm2 belongs: a tenth of the number.
UNIT_SLIP = Shift("south-dx-1", 0.1, since=date(2026, 5, 18))

# A fortnight without an object from a device that otherwise sends every working day.
SILENT = Gap("north-dx-1", date(2026, 4, 6), date(2026, 4, 19))

# Patient weight is missing from here on.
NO_WEIGHT = Gap("west-ct-1", date(2026, 5, 4), PERIOD[1])

# A report after each irradiation: every report holds the earlier ones' events (cumulative), or only its own
# (continued).
CUMULATIVE = Every("north-ct-1", "ct-chest-abdomen-pelvis-cancer", step=9, offset=2, limit=10)
CONTINUED = Every("north-ct-1", "ct-chest-abdomen-pelvis-cancer", step=11, offset=5, limit=8)

# The same report sent twice: as the same bytes, and under the same SOP Instance UID with other bytes.
RESENT = (
    ("same bytes", Every("north-dx-1", "dx-chest-pa", step=60, offset=3, limit=1)),
    ("other bytes", Every("south-ct-1", "ct-head-acute-stroke", step=60, offset=3, limit=1)),
)

EXTRAS = (
    # The mapping knows neither this description nor this acquisition protocol.
    Extra(
        "unmapped_acquisition_protocol",
        Cohort(
            "south-ct-1", "", "CRSCH", "CT Research Protocol", "TRIAL Low kV", "Chest",
            12, 4.4, 0.2, 340.0,
        ),
        datetime(2026, 6, 2, 11, 20),
        days=2,
    ),
    # Only its name and ID say that this is not a patient; its dose would be an outlier.
    Extra(
        "quality_assurance_exposure",
        Cohort(
            "north-ct-1", "ct-abdomen-pelvis-abscess", "CABPE", "CT Abdomen Pelvis", "01_AbdoPelvis Portal",
            "Abdomen and Pelvis", 1, 48.0, 0.0, 300.0,
        ),
        datetime(2026, 3, 11, 7, 41),
        patient_name="PHANTOM^QA",
        patient_id="QA-PHANTOM-01",
    ),
    # A head on the 16 cm phantom and a body scan on the 32 cm phantom in one report.
    Extra(
        "mixed_ctdi_phantoms",
        Cohort(
            "west-ct-1", "ct-head-and-body-trauma", "CTRAU", "CT Head and Body Trauma", "W-CAP Portal",
            "Chest, Abdomen and Pelvis", 1, 8.2, 0.0, 660.0,
        ),
        datetime(2026, 2, 24, 2, 13),
    ),
    # One angiography exam above 5 Gy at the reference point.
    Extra(
        "dose_rp_above_5_gy",
        Cohort(
            "west-xa-1", "xa-percutaneous-coronary-intervention", "XPCI", "PCI", "PCI 15fps", "Heart",
            1, 312.0, 0.0, dose_rp_mgy=5640.0,
        ),
        datetime(2026, 5, 27, 14, 5),
    ),
    # A report cut off in the middle, the only object of its study.
    Extra(
        "corrupt_object",
        Cohort(
            "south-ct-1", "ct-chest-lung-cancer", "CCHES", "CT Chest", "S Chest Staging", "Chest",
            1, 5.3, 0.0, 345.0,
        ),
        datetime(2026, 4, 22, 16, 30),
    ),
)  # fmt: skip
