"""Detective quantum efficiency from MTF, NNPS and air kerma (IEC 62220-1)."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from dose_audit.image_quality.mtf_curve import Floats, MtfCurve
from dose_audit.image_quality.nps import AxisSpectrum
from dose_audit.measured import Measured, Status, not_measurable

__all__ = ["Dqe", "Fluence", "dqe", "photon_fluence"]

METHOD = "DQE = MTF² / (NNPS · q · Ka) (IEC 62220-1)"


@dataclass(frozen=True)
class Fluence:
    """Photons that an ideal detector would count per area and air kerma, for one radiation quality.

    Parameters
    ----------
    quality : str
        Name in IEC 61267.
    fluence_per_mm2_ugy : float
        The standard's SNR_in², in 1/(mm² µGy).
    source, confidence : str
        Where the number is from, and whether it was compared with the printed standard.
    """

    quality: str
    fluence_per_mm2_ugy: float
    source: str
    confidence: str


@dataclass(frozen=True)
class Dqe:
    """Detective quantum efficiency along one axis.

    Parameters
    ----------
    frequencies_per_mm, dqe, uncertainty : ndarray, shape (n,)
        At the frequencies of the NNPS; standard uncertainty with the parts of MTF, NNPS and air kerma.
    peak : Measured
        The highest value of the curve smoothed over three points.
    """

    frequencies_per_mm: Floats
    dqe: Floats
    uncertainty: Floats
    peak: Measured
    status: Status = "ok"
    reason: str = ""
    method: str = METHOD

    def at(self, frequency_per_mm: float) -> Measured:
        """The curve at one frequency."""
        name = f"dqe at {frequency_per_mm:g} /mm"
        if not self.frequencies_per_mm.size:
            return not_measurable(name, "1", self.reason, method=METHOD)
        if not self.frequencies_per_mm[0] <= frequency_per_mm <= self.frequencies_per_mm[-1]:
            return not_measurable(name, "1", "the frequency lies outside the measured curve", method=METHOD)
        value, error = (
            float(np.interp(frequency_per_mm, self.frequencies_per_mm, curve)) for curve in (self.dqe, self.uncertainty)
        )
        return Measured(name, value, "1", error, self.status, self.reason, METHOD)


def photon_fluence(quality: str) -> Fluence | None:
    """Photons per mm² and µGy of a standard radiation quality; None for one that the table does not have.

    Parameters
    ----------
    quality : str
        Such as ``RQA5``; ``RQA5-2003`` for the first edition's value.

    Returns
    -------
    Fluence or None

    Notes
    -----
    ``data/photon_fluence.csv`` is the table; a row may be added or corrected there.

    Examples
    --------
    >>> photon_fluence("RQA5").confidence
    'unconfirmed'
    """
    return _table().get(quality)


@cache
def _table() -> dict[str, Fluence]:
    text = files("dose_audit.image_quality").joinpath("data/photon_fluence.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        row["quality"]: Fluence(row["quality"], float(row["fluence_per_mm2_uGy"]), row["source"], row["confidence"])
        for row in rows
    }


def dqe(
    mtf: MtfCurve,
    nnps: AxisSpectrum,
    air_kerma_ugy: float,
    fluence_per_mm2_ugy: float,
    *,
    air_kerma_uncertainty: float = 0.0,
) -> Dqe:
    """Detective quantum efficiency along one axis of a detector.

    Parameters
    ----------
    mtf : MtfCurve
        Presampled MTF along the axis, from `edge_mtf` of linearised data.
    nnps : AxisSpectrum
        Normalised noise power spectrum along the same axis, in mm², from `normalised_nps` of linearised data.
    air_kerma_ugy : float
        Free-in-air at the detector's surface, in µGy, of the exposures behind `nnps`.
    fluence_per_mm2_ugy : float
        Photons per mm² and µGy of the radiation quality, see `photon_fluence`.
    air_kerma_uncertainty : float
        Relative standard uncertainty of the air kerma.

    Returns
    -------
    Dqe
        ``suspect`` where a value is above 1 beyond its uncertainty, which no detector can have.

    Raises
    ------
    ValueError
        If air kerma or fluence is no positive number.

    Notes
    -----
    ``DQE(f) = MTF(f)² / [NNPS(f) · q · Ka]``. Relative variance: ``(2 u_MTF/MTF)² + (u_NNPS/NNPS)² + u_Ka²``.

    References
    ----------
    IEC 62220-1-1:2015, 6.1.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.special import erf
    >>> row, column = np.mgrid[:128, :128]
    >>> edge = 1000.0 * (1.0 + erf((column - 60.0 - 0.05 * row) / 2.0))
    >>> flat = np.random.default_rng(0).normal(1000.0, 20.0, (512, 512))
    >>> from dose_audit.image_quality import edge_mtf, normalised_nps
    >>> result = dqe(edge_mtf(edge, 0.1), normalised_nps(flat, 0.1).along_rows, 2.5, 30_000.0)
    >>> result.at(0.5).status
    'suspect'
    """
    for what, number in (("air kerma", air_kerma_ugy), ("fluence", fluence_per_mm2_ugy)):
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"{what} is a positive number, not {number!r}")
    empty = np.empty(0)
    inside = nnps.frequencies_per_mm <= (mtf.frequencies_per_mm[-1] if mtf.frequencies_per_mm.size else -1.0)
    inside &= nnps.density > 0
    if not inside.any():
        reason = mtf.reason if not mtf.frequencies_per_mm.size else "the noise power spectrum holds no values"
        nothing = not_measurable("dqe_peak", "1", reason, method=METHOD)
        return Dqe(empty, empty, empty, nothing, "not_measurable", reason)
    at, noise, noise_error = (part[inside] for part in (nnps.frequencies_per_mm, nnps.density, nnps.uncertainty))
    sharpness, error = (np.interp(at, mtf.frequencies_per_mm, part) for part in (mtf.mtf, mtf.mtf_uncertainty))
    curve = sharpness**2 / (noise * air_kerma_ugy * fluence_per_mm2_ugy)
    # Written without dividing by the MTF, which may be 0.
    uncertainty = np.sqrt(
        (2 * sharpness * error / (noise * air_kerma_ugy * fluence_per_mm2_ugy)) ** 2
        + (curve * noise_error / noise) ** 2
        + (curve * air_kerma_uncertainty) ** 2
    )
    smooth = np.convolve(np.pad(curve, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    top = int(smooth.argmax())
    doubts = [f"MTF: {mtf.reason}"] if mtf.status == "suspect" else []
    if smooth[top] - 2 * uncertainty[top] > 1.0:
        doubts.append("a DQE above 1: data that are not linear, or a wrong air kerma or radiation quality")
    status: Status = "suspect" if doubts else "ok"
    reason = "; ".join(doubts)
    peak = Measured(
        "dqe_peak", float(smooth[top]), "1", float(uncertainty[top]), status, reason, METHOD,
        details={"frequency_per_mm": float(at[top])},
    )  # fmt: skip
    return Dqe(at, curve, uncertainty, peak, status, reason)
