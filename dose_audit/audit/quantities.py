"""The dose quantities that are audited: which exams give them, on what basis, and what is too absurd to be a
dose.
"""

from __future__ import annotations

from dataclasses import dataclass

from dose_audit.drl import find_quantity

__all__ = ["BY_PROJECTION", "QUANTITIES", "SEQUENCE_TYPES", "SINGLE_SHOT_MODALITIES", "Quantity", "quantity_named"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One DRL quantity.

    Attributes
    ----------
    name, unit : str
        As the DRL tables and the report write them.
    modalities : tuple of str
        Exams that have it.
    basis : str
        What one value stands for: ``exam``, ``sequence``, ``projection`` or ``view``. Where an exam has
        several sequences, or projections or views that are one examination, its value is their median, so that
        each exam counts once.
    drl_name : str
        The name under which the DRL tables look it up.
    size : str
        The size measure that the dose follows: ``weight_kg`` or ``thickness_mm``.
    """

    name: str
    unit: str
    modalities: tuple[str, ...]
    basis: str
    drl_name: str
    size: str = "weight_kg"

    @property
    def largest(self) -> float:
        """Physically absurd above this, in `unit`: a fault and not a dose. Zero and less are too."""
        return find_quantity(self.drl_name).largest


SINGLE_SHOT_MODALITIES = ("DX", "CR", "PX", "IO")
FLUOROSCOPY_MODALITIES = ("RF", "XA")

BY_PROJECTION = (*SINGLE_SHOT_MODALITIES, "MG")
"""Exams whose projections or views may be different examinations."""

SEQUENCE_TYPES = ("spiral", "sequenced", "free", "cone_beam")
"""CT acquisition types that image the patient. A constant angle is a localiser, a stationary one bolus
tracking.
"""

QUANTITIES = (
    Quantity("CTDIvol", "mGy", ("CT",), "sequence", "CTDIvol"),
    Quantity("SSDE", "mGy", ("CT",), "sequence", "SSDE"),
    Quantity("DLP", "mGy.cm", ("CT",), "exam", "DLP"),
    Quantity("KAP", "Gy.cm2", SINGLE_SHOT_MODALITIES, "projection", "KAP"),
    Quantity("KAP", "Gy.cm2", FLUOROSCOPY_MODALITIES, "exam", "KAP"),
    Quantity("dose_rp", "mGy", FLUOROSCOPY_MODALITIES, "exam", "dose_rp_mgy"),
    Quantity("peak_skin_dose", "mGy", FLUOROSCOPY_MODALITIES, "exam", "PSD"),
    Quantity("fluoro_time", "min", FLUOROSCOPY_MODALITIES, "exam", "fluoro_time_s"),
    Quantity("AGD", "mGy", ("MG",), "view", "AGD", size="thickness_mm"),
    Quantity("administered_activity", "MBq", ("NM", "PT"), "exam", "administered_activity_mbq"),
)


def quantity_named(name: str, modality: str) -> Quantity | None:
    """Return the quantity of this name for exams of this modality.

    >>> quantity_named("KAP", "DX").basis, quantity_named("KAP", "RF").basis, quantity_named("AGD", "CT")
    ('projection', 'exam', None)
    """
    for quantity in QUANTITIES:
        if quantity.name == name and modality in quantity.modalities:
            return quantity
    return None
