"""Calibration certificates in the store: dated factors of devices, entered by a role, never edited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from django.db import transaction
from django.utils import timezone

from dose_audit.dosimetry.calibration import CalibrationFactor
from dose_audit.store.estimates import ask_again
from dose_audit.store.models import Calibration, Equipment
from dose_audit.texts import named_role

__all__ = ["CALIBRATED", "CalibrationError", "add_calibration", "calibrations_of"]

CALIBRATED = ("ctdi_vol", "kap", "dose_rp", "entrance_exposure", "agd", "exposure_index", "administered_activity")
"""Displayed quantities that a certificate may correct."""


class CalibrationError(ValueError):
    """A factor that cannot be used as given; the message says why."""


def add_calibration(equipment: Equipment, factor: CalibrationFactor, *, entered_by: str) -> Calibration:
    """Enter a certificate's factor; exams that it concerns are estimated again.

    Parameters
    ----------
    equipment : Equipment
    factor : CalibrationFactor
        Its numbers were checked when it was made; its `device` is not looked at.
    entered_by : str
        A role.

    Raises
    ------
    CalibrationError
        A quantity that no certificate corrects; no certificate given.
    RoleError
        No role given.
    """
    if factor.quantity not in CALIBRATED:
        raise CalibrationError(f"{factor.quantity!r} is none of {', '.join(CALIBRATED)}")
    if not factor.certificate.strip():
        raise CalibrationError("a factor needs the number of its certificate")
    role = named_role(entered_by)
    with transaction.atomic():
        row = Calibration.objects.create(
            equipment=equipment,
            quantity=factor.quantity,
            factor=factor.factor,
            relative_uncertainty=factor.relative_uncertainty,
            valid_from=factor.valid_from,
            valid_to=factor.valid_to,
            kv_from=factor.kv_from,
            kv_to=factor.kv_to,
            certificate=factor.certificate.strip(),
            entered_by=role,
            entered_at=timezone.now(),
        )
        ask_again(every=True, equipment=equipment.pk, since=factor.valid_from, until=factor.valid_to)
    return row


def calibrations_of(equipment: Iterable[int]) -> dict[int, list[tuple[CalibrationFactor, int]]]:
    """The factors of some devices, each with the number of its row.

    Returns
    -------
    dict
        Device → factors; of two for the same day the later entered one alone.
    """
    found: dict[int, dict[CalibrationFactor, tuple[CalibrationFactor, int]]] = {}
    for row in Calibration.objects.filter(equipment_id__in=sorted(set(equipment))).order_by("id"):
        factor = CalibrationFactor(
            str(row.equipment_id),
            row.quantity,
            row.factor,
            row.relative_uncertainty,
            row.valid_from,
            row.valid_to,
            row.certificate,
            row.kv_from,
            row.kv_to,
        )
        same = replace(factor, factor=1.0, relative_uncertainty=0.0, certificate="", valid_to=None)
        found.setdefault(row.equipment_id, {})[same] = (factor, row.pk)
    return {device: list(factors.values()) for device, factors in found.items()}
