"""How the patient lies on the table, and what that leaves open about the meaning of the angles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dose_audit.dosimetry.skin.beam import Beam
from dose_audit.extract.codes import Code
from dose_audit.extract.exam import ProjectionEvent

__all__ = ["Orientation", "angles_of_patient", "read_orientation"]

# PS3.16 CID 20 and 21, with the codes of older reports.
_HEAD_FIRST, _FEET_FIRST = {"102540008", "F-10470"}, {"102541007", "F-10480"}
_SUPINE, _PRONE = {"40199007", "F-10340"}, {"1240000", "F-10310"}
# On the back all the same.
_AS_SUPINE = {"34106002", "26527006", "14205002", "34296003", "51845000"}


@dataclass(frozen=True, slots=True)
class Orientation:
    """How the patient lies on the table, as far as the report says.

    Parameters
    ----------
    feet_first, prone : bool
    said : bool
        Whether the report says so; otherwise head first and supine are taken.
    other : str
        The report's words for what is neither: on a side, across the table, sitting. Empty otherwise.
    turned : bool
        Whether events of the exam differ in it; most of them lie as told.
    """

    feet_first: bool = False
    prone: bool = False
    said: bool = True
    other: str = ""
    turned: bool = False

    @property
    def left_is_positive(self) -> bool:
        """Whether the patient's left lies at +x of the table's frame: turning over or around swaps the sides."""
        return self.feet_first == self.prone

    @property
    def words(self) -> str:
        """``head first, supine`` and so on."""
        words = f"{'feet' if self.feet_first else 'head'} first, {'prone' if self.prone else 'supine'}"
        return (self.other or words) if self.said else f"{words} (taken)"


def read_orientation(events: Sequence[ProjectionEvent]) -> Orientation:
    """How the patient lies, by most of the events that say so.

    Parameters
    ----------
    events : sequence of ProjectionEvent

    Returns
    -------
    Orientation

    Examples
    --------
    >>> lying = Code("102536004", "SCT", "left lateral decubitus")
    >>> read_orientation([ProjectionEvent(index=1, patient_orientation_modifier=lying)]).words
    'left lateral decubitus'
    """
    ways = Counter(
        (_along(event.patient_table_relationship), _lying(event.patient_orientation_modifier))
        for event in events
        if event.patient_table_relationship or event.patient_orientation_modifier
    )
    if not ways:
        return Orientation(said=False)
    along, lying = ways.most_common(1)[0][0]
    other = ", ".join(word for word in (along, lying) if word not in ("head", "feet", "supine", "prone"))
    return Orientation(along == "feet", lying == "prone", other=other, turned=len(ways) > 1)


def _along(code: Code | None) -> str:
    """``head``, ``feet``, or the report's words; by the code, else by what it is called."""
    if code is None:
        return "head"
    meaning = (code.meaning or "").casefold()
    if code.value in _FEET_FIRST or "feet" in meaning:
        return "feet"
    return "head" if code.value in _HEAD_FIRST or "head" in meaning else meaning or str(code.value)


def _lying(code: Code | None) -> str:
    """``supine``, ``prone``, or the report's words."""
    if code is None:
        return "supine"
    meaning = (code.meaning or "").casefold()
    if code.value in _PRONE or meaning == "prone":
        return "prone"
    return "supine" if code.value in _SUPINE | _AS_SUPINE or "supine" in meaning else meaning or str(code.value)


def angles_of_patient(beams: Sequence[Beam], orientation: Orientation) -> list[Beam]:
    """The beams if the angles are told as the patient sees them and not as the table does.

    Parameters
    ----------
    beams : sequence of Beam
        As read: of a patient who lies head first and supine.
    orientation : Orientation

    Returns
    -------
    list of Beam

    Notes
    -----
    DICOM defines the angles about the patient (PS3.16, 112011 and 112012: right to left, caudal to cranial). Of one who lies
    feet first or prone, LAO is then the other side of the table, and cranial of one who lies feet first the
    other end. Systems differ in whether they know how the patient lies.
    """
    left = 1.0 if orientation.left_is_positive else -1.0
    head = -1.0 if orientation.feet_first else 1.0
    return [
        replace(
            beam,
            pose=replace(
                beam.pose,
                primary_deg=left * beam.pose.primary_deg,
                primary_end_deg=left * beam.pose.primary_end_deg,
                secondary_deg=head * beam.pose.secondary_deg,
                secondary_end_deg=head * beam.pose.secondary_end_deg,
            ),
        )
        for beam in beams
    ]
