"""The estimate for exams whose geometry is not known: as if every event of a plane had hit the same skin.

It is an upper estimate at the reference point, never a map; its result is always ``suspect`` and says what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dose_audit.dosimetry.backscatter import backscatter_factor
from dose_audit.dosimetry.skin.beam import field_at_reference, kerma_at_reference, read_quality, reference_mm
from dose_audit.extract.exam import ProjectionEvent

__all__ = ["SCREENING_UNCERTAINTY", "Screened", "screen"]

SCREENING_UNCERTAINTY = 0.4
"""Relative, k = 1: 17.5 % air kerma, 25 % source-to-skin distance (± 8 cm at 62 cm), 15 % table, 20 % overlap."""

_ASSUMED_SIDE_CM = 10.0


@dataclass(frozen=True, slots=True)
class Screened:
    """One event's share in the screening estimate.

    Parameters
    ----------
    index : int
    plane : str
    dose_mgy : float or None
        Skin dose at the reference point; ``None`` where the event brings none.
    note : str
        How, or why not.
    """

    index: int
    plane: str
    dose_mgy: float | None
    note: str


def screen(events: Sequence[ProjectionEvent]) -> list[Screened]:
    """Skin dose of each event with the skin at the reference point and nothing in the way.

    Parameters
    ----------
    events : sequence of ProjectionEvent

    Returns
    -------
    list of Screened

    Notes
    -----
    ``K_ref · B · (µen/ρ)_water/air``. The inverse square is 1 and so is the table: the first because the distance to
    the skin is unknown, the second because it is unknown on which side the tube is. Without a field size a square of
    10 cm is taken for the backscatter.
    """
    shares = []
    for event in events:
        plane = event.plane or "single"
        reference, _, _ = reference_mm(event)
        field = field_at_reference(event, reference if reference is not None else 600.0)
        side_cm, how = _ASSUMED_SIDE_CM, "field not known: 10 cm taken"
        if not isinstance(field, str):
            side_cm, how = (field[0] * field[1]) ** 0.5 / 10.0, field[2]
        if isinstance(field, str) and event.dose_rp_mgy is None:
            shares.append(Screened(event.index, plane, None, "neither air kerma at the reference point nor a field"))
            continue
        kerma = kerma_at_reference(event, side_cm**2)
        if isinstance(kerma, str):
            shares.append(Screened(event.index, plane, None, kerma))
            continue
        quality = read_quality(event)
        scatter = float(backscatter_factor(quality.kvp_kv, quality.hvl_mm_al, side_cm))
        dose = kerma[0] * scatter * quality.water_to_air
        shares.append(Screened(event.index, plane, dose, "; ".join(part for part in (how, *quality.doubts) if part)))
    return shares
