"""Administered activity: corrected for decay and residual, per kilogram, and what the EANM dosage card asks for."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np

from dose_audit.dosimetry.tables import UNVERIFIED, is_verified, load_table
from dose_audit.measured import Measured, not_measurable

__all__ = ["activity_per_kg", "administered_activity", "decay_factor", "eanm_activity", "extravasation", "half_life"]

_MOST_MBQ = 1e5
_WEIGHT_KG = (0.4, 350.0)
_LONGEST_S = 7 * 86400.0
_CALIBRATOR = 0.05  # activity meters are kept within 5 %


def half_life(nuclide: str, *, allow_unverified: bool = False) -> Measured:
    """Physical half-life of a nuclide, for objects that do not carry it.

    Parameters
    ----------
    nuclide : str
        ``F-18``, ``Tc-99m``, ``Ga-68``, ``I-123``; case, hyphens and ``^`` do not matter, nor which part comes first.
    allow_unverified : bool
        Use values that were not yet checked against the evaluated ones.

    Returns
    -------
    Measured
        ``half_life`` in s.

    Examples
    --------
    >>> half_life("18F", allow_unverified=True).value
    6586.2
    """
    wanted = sorted(_parts(nuclide))
    for row in load_table("half_lives"):
        if sorted(_parts(row["nuclide"])) == wanted:
            method = f"{row['source']}" + ("" if is_verified(row) else f"; {UNVERIFIED}")
            if not is_verified(row) and not allow_unverified:
                return not_measurable("half_life", "s", f"{UNVERIFIED}, not used unless allowed", method=method)
            return Measured("half_life", float(row["half_life_s"]), "s", method=method)
    return not_measurable("half_life", "s", f"no half-life of {nuclide!r} in the table")


def _parts(nuclide: str) -> list[str]:
    """``Tc-99m``, ``99mTc`` and ``^99m^Technetium`` as element and mass."""
    text = "".join(sign for sign in nuclide.lower() if sign.isalnum())
    for name, symbol in (("fluorine", "f"), ("technetium", "tc"), ("gallium", "ga"), ("iodine", "i")):
        text = text.replace(name, symbol)
    digits = "".join(sign for sign in text if sign.isdigit())
    rest = "".join(sign for sign in text if not sign.isdigit())
    meta = rest != "m" and (text.startswith(f"{digits}m") or text.endswith(f"{digits}m"))
    element = rest.replace("m", "", 1) if meta and digits else rest
    return [element, digits + ("m" if meta else "")]


def decay_factor(elapsed_s: float, half_life_s: float) -> float:
    """What is left of an activity after a time: ``2 ** (-t / T½)``; above 1 for a time before.

    Raises
    ------
    ValueError
        The half-life is not above zero, or a number is not finite.

    Examples
    --------
    >>> decay_factor(3600.0, 3600.0)
    0.5
    """
    if not (math.isfinite(elapsed_s) and math.isfinite(half_life_s) and half_life_s > 0):
        raise ValueError(f"no decay over {elapsed_s} s with a half-life of {half_life_s} s")
    return 2.0 ** (-elapsed_s / half_life_s)


def administered_activity(
    measured_mbq: float | None,
    half_life_s: float | None,
    *,
    measured_at: datetime | None = None,
    administered_at: datetime | None = None,
    residual_mbq: float | None = None,
    residual_at: datetime | None = None,
) -> Measured:
    """Activity that the patient received, at the time of administration.

    Parameters
    ----------
    measured_mbq : float
        Activity of the syringe before administration in MBq, 0 to 100 000.
    half_life_s : float
        Physical half-life in s, above 0.
    measured_at, administered_at, residual_at : datetime, optional
        When the syringe was measured, given, and measured again; all with a time zone or all without. A syringe or
        residual without its time is taken as measured at the administration, and the result is then *suspect*.
    residual_mbq : float, optional
        Activity that stayed in the syringe and lines; 0 is a measurement, ``None`` is none.

    Returns
    -------
    Measured
        ``administered_activity`` in MBq; `details` with the raw values and factors. *Suspect* without a residual.

    Notes
    -----
    ``A = A0 2^(-(ta - t0)/T½) - R 2^((tr - ta)/T½)``. Times more than a week apart, a residual above the activity and
    an administration before the measurement by more than a quarter of an hour are refused.

    Examples
    --------
    >>> noon, later = datetime(2026, 1, 1, 12), datetime(2026, 1, 1, 12, 30)
    >>> a = administered_activity(200.0, 1800.0, measured_at=noon, administered_at=later, residual_mbq=10.0,
    ...                           residual_at=later)
    >>> a.value
    90.0
    """
    name, method = "administered_activity", "decay- and residual-corrected to the administration"
    for value, low, high, what in (
        (measured_mbq, 0.0, _MOST_MBQ, "activity in MBq"),
        (half_life_s, 1.0, 1e12, "half-life in s"),
    ):
        if value is None or not (math.isfinite(value) and low <= value <= high):
            return not_measurable(name, "MBq", f"{what}: {value}", method=method)
    if residual_mbq is not None and not (math.isfinite(residual_mbq) and 0 <= residual_mbq <= _MOST_MBQ):
        return not_measurable(name, "MBq", f"residual of {residual_mbq} MBq", method=method)
    assert measured_mbq is not None and half_life_s is not None
    doubts = []
    waited_s = _between(measured_at, administered_at)
    if waited_s is None:
        doubts.append("no time of measurement or administration: not corrected for decay")
    elif not -900 <= waited_s <= _LONGEST_S:
        return not_measurable(name, "MBq", f"administered {waited_s / 60:.0f} min after the measurement", method=method)
    given = measured_mbq * decay_factor(waited_s or 0.0, half_life_s)
    stayed = 0.0
    if residual_mbq is None:
        doubts.append("no residual: not corrected for it")
    else:
        after_s = _between(administered_at, residual_at)
        if after_s is None and residual_mbq > 0:
            doubts.append("no time of the residual: taken as that of the administration")
        elif after_s is not None and not -900 <= after_s <= _LONGEST_S:
            return not_measurable(
                name, "MBq", f"residual {after_s / 60:.0f} min after the administration", method=method
            )
        stayed = residual_mbq / decay_factor(after_s or 0.0, half_life_s)
    if stayed > given:
        return not_measurable(name, "MBq", f"residual of {stayed:.3g} MBq exceeds the activity", method=method)
    uncertainty = math.hypot(_CALIBRATOR * given, _CALIBRATOR * stayed)
    details = {"measured_mbq": measured_mbq, "residual_mbq": residual_mbq, "given_mbq": given, "stayed_mbq": stayed}
    result = Measured(name, given - stayed, "MBq", uncertainty, method=method, details=details)
    return result.doubt("; ".join(doubts)) if doubts else result


def _between(first: datetime | None, second: datetime | None) -> float | None:
    if first is None or second is None or (first.tzinfo is None) != (second.tzinfo is None):
        return None
    return (second - first).total_seconds()


def activity_per_kg(activity_mbq: float | None, weight_kg: float | None) -> Measured:
    """Activity per body mass.

    Parameters
    ----------
    activity_mbq : float
        0 to 100 000 MBq.
    weight_kg : float
        0.4 to 350 kg.

    Returns
    -------
    Measured
        ``activity_per_kg`` in MBq/kg.

    Examples
    --------
    >>> activity_per_kg(210.0, 70.0).value
    3.0
    """
    name, method = "activity_per_kg", "administered activity over body mass"
    for value, (low, high), what in (
        (activity_mbq, (0.0, _MOST_MBQ), "activity in MBq"),
        (weight_kg, _WEIGHT_KG, "weight in kg"),
    ):
        if value is None or not (math.isfinite(value) and low <= value <= high):
            return not_measurable(name, "MBq/kg", f"{what}: {value}", method=method)
    assert activity_mbq is not None and weight_kg is not None
    value = activity_mbq / weight_kg
    return Measured(name, value, "MBq/kg", _CALIBRATOR * value, method=method)


def eanm_activity(radiopharmaceutical: str, weight_kg: float | None, *, version: str = "2016") -> Measured:
    """Activity that the EANM dosage card recommends for a child.

    Parameters
    ----------
    radiopharmaceutical : str
        As in ``eanm_baselines.csv``: ``F18_FDG_torso``, ``Tc99m_MDP``, …
    weight_kg : float
        3 to 68 kg, interpolated linearly between the card's masses.
    version : str
        Edition of the card.

    Returns
    -------
    Measured
        ``eanm_activity`` in MBq. *Suspect* between 50 and 56 kg, where transcriptions of the card disagree.

    Notes
    -----
    ``A = max(baseline × multiple(class, mass), minimum)``.

    References
    ----------
    EANM Dosage Card, version 5.7.2016.

    Examples
    --------
    >>> eanm_activity("Tc99m_DMSA", 4.0).value
    18.5
    >>> round(eanm_activity("F18_FDG_torso", 20.0).value, 3)
    125.874
    """
    name, method = "eanm_activity", f"EANM dosage card {version}"
    tracers = [row for row in load_table("eanm_baselines") if row["version"] == version]
    tracer = next((row for row in tracers if row["radiopharmaceutical"].lower() == radiopharmaceutical.lower()), None)
    if tracer is None:
        return not_measurable(name, "MBq", f"no {radiopharmaceutical!r} in the card {version}", method=method)
    rows = [row for row in load_table("eanm_multiples") if row["version"] == version]
    masses = [float(row["weight_kg"]) for row in rows]
    if weight_kg is None or not (math.isfinite(weight_kg) and masses[0] <= weight_kg <= masses[-1]):
        reason = f"weight of {weight_kg} kg; the card is for {masses[0]:g} to {masses[-1]:g} kg"
        return not_measurable(name, "MBq", reason, method=method)
    multiple = float(np.interp(weight_kg, masses, [float(row[tracer["class"]]) for row in rows]))
    value = max(float(tracer["baseline_mbq"]) * multiple, float(tracer["minimum_mbq"]))
    details = {"multiple": multiple, "class": tracer["class"].upper(), "minimum_mbq": float(tracer["minimum_mbq"])}
    result = Measured(name, value, "MBq", method=method, details=details)
    if 50 < weight_kg < 56:
        return result.doubt("the card's row for 52 to 54 kg is not certain; interpolated between 50 and 56 kg")
    return result


def extravasation(reported: str | None) -> bool | None:
    """Whether an administration went beside the vein, as the report's words say; ``None`` when it says nothing.

    Examples
    --------
    >>> extravasation("Estimated extravasation: yes"), extravasation("No extravasation"), extravasation(None)
    (True, False, None)
    """
    words = (reported or "").strip().lower()
    if not words:
        return None
    return not (words.startswith(("no", "none", "absent", "0")) or words.endswith((": no", "=no", "=0")))
