"""Which reference levels can answer an audit at all: a table may hold quantities, and distinctions, that no exam tells."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dose_audit.audit.quantities import QUANTITIES
from dose_audit.drl.units import find_quantity

if TYPE_CHECKING:
    from dose_audit.drl import DrlRow, DrlSet

__all__ = ["unanswerable"]

_UNKNOWN_BANDS = {"field_of_view": "the field of view is not known of an exam"}


def unanswerable(drl_set: DrlSet) -> dict[str, str]:
    """Reference levels of a set that no exam is ever compared with, and why.

    Parameters
    ----------
    drl_set : DrlSet

    Returns
    -------
    dict
        Row id → reason, in the order of the rows.

    Examples
    --------
    >>> from dose_audit.drl import load_sets
    >>> (irish,) = load_sets(include=["ie-ct"], allow_unverified=True).sets
    >>> set(unanswerable(irish).values())
    {'2 rows differ in scan part or technique alone, which no exam tells'}
    """
    levels = [row for row in drl_set.rows if row.role == "drl"]
    alike = Counter(map(_told_apart_by_exams, levels))
    found = {row.row_id: _why_not(drl_set, row, alike[_told_apart_by_exams(row)]) for row in levels}
    return {row_id: why for row_id, why in found.items() if why}


def _told_apart_by_exams(row: DrlRow) -> tuple[object, ...]:
    return (row.examination, row.quantity, row.patient_group, row.basis, row.band, row.phantom)


def _why_not(drl_set: DrlSet, row: DrlRow, alike: int) -> str:
    audited = [
        quantity
        for quantity in QUANTITIES
        if row.modality in quantity.modalities and find_quantity(quantity.drl_name).symbol == row.quantity
    ]
    if not audited:
        return f"{row.quantity} is not audited"
    bases = {f"per_{quantity.basis}" for quantity in audited}
    if row.basis not in bases and drl_set.status != "local":
        return f"it is {row.basis}, the audit has it {' or '.join(sorted(bases))}".replace("per_", "per ")
    if row.band.type in _UNKNOWN_BANDS:
        return _UNKNOWN_BANDS[row.band.type]
    if alike > 1:
        return f"{alike} rows differ in scan part or technique alone, which no exam tells"
    return ""
