"""Whether the doses of one exposure can belong together: a value under the wrong one of two known units shows only so."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

from dose_audit.extract.exam import CtEvent, Exam, ProjectionEvent

if TYPE_CHECKING:
    from dose_audit.extract.context import Context

__all__ = ["warn_of_doses_apart"]

FIELD_CM2 = (1.0, 10_000.0)
"""Fields at the reference point that there are, with room: a dentist's beam has some 10 cm², a film of a whole leg 2,000.

KAP over dose (RP) is the field's area, so that a milligray sent as gray, or a KAP in Gy.cm2 sent as Gy.m2, makes it
impossible. Reports of eleven angiography, fluoroscopy and radiography units have 45 to 683 cm².
"""

TIMES_THE_LENGTH = 10.0
"""DLP over CTDIvol is the exposed length; beyond so many times the scanning length, or below that part, one is wrong.

Reports of six scanners have 0.93 to 1.27 times the length, whatever the kind of acquisition.
"""

SHORTEST_MM = 10.0
"""A scanning length below this is no length of travel."""

_TRAVELLING = frozenset({"spiral", "sequenced", "constant_angle"})
"""Where the table stands still the two doses may count rotations differently."""


def warn_of_doses_apart(exam: Exam, ctx: Context) -> None:
    """Warn where KAP and dose (RP), or DLP and CTDIvol, of a report cannot both be right.

    Nobody can tell which of the two is wrong, so both stay as sent.

    Parameters
    ----------
    exam : Exam
        Its warnings grow.
    ctx : Context
    """
    totals = exam.totals
    both = [
        (event.kap_gy_cm2, event.dose_rp_mgy)
        for event in exam.events
        if isinstance(event, ProjectionEvent) and event.kap_gy_cm2 and event.dose_rp_mgy
    ]
    kap, dose = fsum(pair[0] for pair in both), fsum(pair[1] for pair in both)
    for where, area in (
        ("events", _field_cm2(kap, dose)),
        ("totals", _field_cm2(totals.kap_gy_cm2, totals.dose_rp_mgy)),
    ):
        if area is not None and not FIELD_CM2[0] <= area <= FIELD_CM2[1]:
            ctx.warn(
                "doses_disagree",
                f"KAP and dose (RP) of the {where} would be of an impossible field: one has the wrong unit",
                raw=f"{area:.3g} cm2",
            )
    for event in exam.events:
        if not isinstance(event, CtEvent) or event.ct_acquisition_type not in _TRAVELLING:
            continue
        if not event.ctdi_vol_mgy or not event.dlp_mgy_cm:
            continue
        length_mm, told_mm = 10 * event.dlp_mgy_cm / event.ctdi_vol_mgy, event.scanning_length_mm
        if told_mm and told_mm >= SHORTEST_MM and not 1 / TIMES_THE_LENGTH <= length_mm / told_mm <= TIMES_THE_LENGTH:
            ctx.warn(
                "doses_disagree",
                "DLP and CTDIvol are of a length far from the scanning length: one of the three has the wrong unit",
                raw=f"{length_mm:.4g} mm of {told_mm:.4g} mm",
            )


def _field_cm2(kap_gy_cm2: float | None, dose_mgy: float | None) -> float | None:
    return 1000 * kap_gy_cm2 / dose_mgy if kap_gy_cm2 and dose_mgy else None
