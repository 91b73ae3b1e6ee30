"""Effective dose from DLP: for comparing procedures over populations, never for one patient's risk."""

from __future__ import annotations

import math

from dose_audit.dosimetry.tables import UNVERIFIED, is_verified, load_table
from dose_audit.measured import Measured, not_measurable

__all__ = ["FACTOR_SETS", "effective_dose"]

FACTOR_SETS = ("AAPM 96", "ICRP 103", "NCI ICRP 103")

_NAME, _UNIT = "effective_dose", "mSv"
_MOST_DLP = 100_000.0
_DLP_UNCERTAINTY = 0.10  # displayed value, ±20 % rectangular
_FACTOR_UNCERTAINTY = 0.20  # how far published sets lie apart for one region and age
_REGIONS = {"thorax": "chest", "head and neck": "head_neck", "abdomen and pelvis": "abdomen_pelvis"}


def effective_dose(
    dlp_mgy_cm: float | None,
    region: str,
    age: float | str | None,
    phantom_cm: int | None,
    *,
    factors: str = "AAPM 96",
    allow_unverified: bool = False,
) -> Measured:
    """Effective dose of a reference patient for one CT exposure.

    Parameters
    ----------
    dlp_mgy_cm : float
        Dose-length product, 0 to 100 000 mGy·cm, of one region and one CTDI phantom.
    region : str
        ``head``, ``neck``, ``head_neck``, ``chest``, ``abdomen_pelvis``, ``abdomen``, ``pelvis`` or ``trunk``, as far
        as the set has it; for ``abdomen`` or ``pelvis`` alone that of both may stand in, which makes it *suspect*.
    age : float or str
        Years, 0 to 120, or a row of the set: ``0y``, ``1y``, ``5y``, ``10y``, ``15y``, ``adult``. Never assumed.
    phantom_cm : {16, 32}
        CTDI phantom of `dlp_mgy_cm`; it must be the one for which the factor was made.
    factors : {'AAPM 96', 'ICRP 103', 'NCI ICRP 103'}
        Set of conversion factors: ICRP 60 weights (AAPM 96), ICRP 103 weights for adults, and for all ages.
    allow_unverified : bool
        Use factors that were recalled and not seen in their source; `method` then says so.

    Returns
    -------
    Measured
        ``effective_dose`` in mSv; `details` with the factor ``k`` and the row's age.

    Raises
    ------
    ValueError
        There is no such set, or the phantom is neither 16 nor 32 cm.

    Notes
    -----
    ``E = k · DLP``, k in mSv/(mGy·cm) for a reference patient of one age. The relative standard uncertainty, 22 %, is
    that of the displayed DLP and of the spread between published factors. ICRP 103 and 147: such values are for
    comparison over populations and procedures and not for the risk of an individual. A factor for the 16 cm phantom,
    used with a DLP on the 32 cm one, halves the dose; hence no mixing.

    References
    ----------
    AAPM Report 96 (2008), table 3; ICRP Publication 103 factors as Deak et al, Radiology 257 (2010) 158; Lee et al, Med
    Phys 39 (2012) 2129, table XII.

    Examples
    --------
    >>> effective_dose(500.0, "chest", "adult", 32).value
    7.0
    >>> effective_dose(500.0, "chest", None, 32).reason
    'the age is not known, and none is assumed'
    """
    if factors not in FACTOR_SETS:
        raise ValueError(f"factors are one of {', '.join(FACTOR_SETS)}, not {factors!r}")
    if phantom_cm not in (16, 32, None):
        raise ValueError(f"a CTDI phantom is 16 or 32 cm across, not {phantom_cm}")
    method = f"k · DLP, {factors}; for populations"
    if dlp_mgy_cm is None or not (math.isfinite(dlp_mgy_cm) and 0 <= dlp_mgy_cm <= _MOST_DLP):
        return not_measurable(_NAME, _UNIT, f"DLP of {dlp_mgy_cm} mGy·cm", method=method)
    region = _REGIONS.get(region.lower(), region.lower())
    rows = [row for row in load_table("effective_dose_k") if row["set"] == factors and row["region"] == region]
    wider = ""
    if not rows and region in ("abdomen", "pelvis"):
        wider = f"{factors} has no factor for the {region} alone: that of abdomen and pelvis is used"
        region = "abdomen_pelvis"
        rows = [row for row in load_table("effective_dose_k") if row["set"] == factors and row["region"] == region]
    if not rows:
        return not_measurable(_NAME, _UNIT, f"{factors} has no factor for {region!r}", method=method)
    row = _row(rows, age)
    if isinstance(row, str):
        return not_measurable(_NAME, _UNIT, row, method=method)
    method = f"k · DLP, {factors}, {region}, {row['age']}, {row['phantom_cm']} cm phantom; for populations"
    if phantom_cm is None:
        return not_measurable(_NAME, _UNIT, "the CTDI phantom is not known", method=method)
    if not is_verified(row):
        method = f"{method}; {UNVERIFIED}"
        if not allow_unverified:
            return not_measurable(_NAME, _UNIT, f"{UNVERIFIED}, not used unless allowed", method=method)
    if int(row["phantom_cm"]) != phantom_cm:
        reason = f"DLP refers to the {phantom_cm} cm phantom, the factor to that of {row['phantom_cm']} cm"
        return not_measurable(_NAME, _UNIT, reason, method=method)
    k = float(row["k_msv_per_mgy_cm"])
    value = k * dlp_mgy_cm
    uncertainty = math.hypot(_DLP_UNCERTAINTY, _FACTOR_UNCERTAINTY) * value
    details = {"k_msv_per_mgy_cm": k, "age_row": row["age"], "dlp_mgy_cm": dlp_mgy_cm, "phantom_cm": phantom_cm}
    result = Measured(_NAME, value, _UNIT, uncertainty, method=method, details=details)
    return result.doubt(wider) if wider else result


def _row(rows: list[dict[str, str]], age: float | str | None) -> dict[str, str] | str:
    """The row of an age, or why there is none."""
    if age is None or age == "":
        return "the age is not known, and none is assumed"
    if isinstance(age, str):
        found = [row for row in rows if row["age"] == age.lower()]
        return found[0] if found else f"no row for the age {age!r}; there are {', '.join(row['age'] for row in rows)}"
    if not (math.isfinite(age) and 0 <= age <= 120):
        return f"an age of {age} years"
    found = [row for row in rows if float(row["from_year"]) <= age < float(row["to_year"]) or age == 120]
    return found[-1] if found else f"no factor for {age:g} years"
