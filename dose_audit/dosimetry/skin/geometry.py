"""Where the X-ray source stands as the patient on the table sees it, from each maker's angles and table positions.

The table's frame: x to the left of a patient lying supine and head first, y down, z to the head; its origin is the
middle of the table's top at the maker's zero along the table. Machine and table axes agree when no table angle is set.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry.skin._tables import read_rows
from dose_audit.extract.exam import ProjectionEvent

__all__ = ["Convention", "Pose", "beam_axes", "conventions", "find_convention", "read_pose", "table_position"]

_TABLE_ANGLE_THAT_MATTERS_DEG = 5.0
_FURTHEST_TABLE_MM = 3000.0
_TABLE_HEIGHT_MM = (-150.0, 600.0)


@dataclass(frozen=True, slots=True)
class Convention:
    """How one maker reports table and beam: a row of ``data/geometry.csv``.

    Parameters
    ----------
    manufacturer, model : str
        Regular expressions, any case, looked for in the equipment's names.
    x_from, z_from : {'longitudinal', 'lateral'}
        Which reported position moves the table to the patient's left, and which to the head. DICOM calls the first
        longitudinal and the second lateral (PS3.16, 113751 and 113752); not all makers do.
    x_sign, x_offset_mm, y_sign, y_offset_mm, z_sign, z_offset_mm : float
        Position from the isocentre = offset + sign · reported; y is down and comes from the table height.
    primary_sign, secondary_sign : float
        +1 where LAO and cranial angles are positive, as DICOM has it.
    confidence : {'peer', 'inferred', 'standard', 'site'}
        Where it stands on; ``site`` for one that a physicist measured and gives.
    doubt : str
        Why a result must be looked at; empty when nothing is known against it.
    source : str
        Who says so.
    """

    manufacturer: str
    model: str
    x_from: str = "longitudinal"
    x_sign: float = 1.0
    x_offset_mm: float = 0.0
    y_sign: float = 1.0
    y_offset_mm: float = 0.0
    z_from: str = "lateral"
    z_sign: float = 1.0
    z_offset_mm: float = 0.0
    primary_sign: float = 1.0
    secondary_sign: float = 1.0
    confidence: str = "site"
    doubt: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if {self.x_from, self.z_from} != {"longitudinal", "lateral"}:
            raise ValueError("x_from and z_from must be 'longitudinal' and 'lateral', one each")


@dataclass(frozen=True, slots=True)
class Pose:
    """Table and angles of one event, checked: what is needed to place its beam.

    Parameters
    ----------
    table_mm : tuple of float
        Table from the isocentre: left, down, headwards.
    turn : tuple of float
        Table's horizontal rotation, head tilt and cradle angle, degrees.
    primary_deg, secondary_deg : float
        LAO and cranial positive.
    primary_end_deg, secondary_end_deg : float
        Where a rotation ends; equal to the start otherwise.
    doubts : tuple of str
    """

    table_mm: tuple[float, float, float]
    turn: tuple[float, float, float]
    primary_deg: float
    secondary_deg: float
    primary_end_deg: float
    secondary_end_deg: float
    doubts: tuple[str, ...] = ()


@cache
def conventions() -> tuple[Convention, ...]:
    """The makers' conventions that ship with the program, in order of precedence.

    Examples
    --------
    >>> [row.model for row in conventions()][:3]
    ['artis', 'azurion', 'allura']
    """
    numbers = {name for name in Convention.__annotations__ if name.endswith(("_sign", "_mm"))}
    rows = []
    for row in read_rows("geometry.csv"):
        rows.append(Convention(**{name: float(text) if name in numbers else text for name, text in row.items()}))  # type: ignore[arg-type]
    return tuple(rows)


def find_convention(manufacturer: str | None, model: str | None) -> Convention | None:
    """The convention of a device, or ``None`` where no one has declared it.

    Examples
    --------
    >>> find_convention("Siemens", "AXIOM-Artis").y_sign
    1.0
    >>> find_convention("Siemens", "Fluorospot Compact FD") is None
    True
    """
    for row in conventions():
        if re.search(row.manufacturer, manufacturer or "", re.IGNORECASE) and re.search(
            row.model, model or "", re.IGNORECASE
        ):
            return row
    return None


def read_pose(event: ProjectionEvent, convention: Convention) -> Pose | str:
    """Check an event's angles and table position.

    Parameters
    ----------
    event : ProjectionEvent
    convention : Convention

    Returns
    -------
    Pose or str
        The pose, or in words why there is none.
    """
    primary, secondary = _finite(event.primary_angle_deg), _finite(event.secondary_angle_deg)
    if primary is None or secondary is None:
        return "no positioner angles"
    primary_end = _finite(event.primary_end_angle_deg)
    secondary_end = _finite(event.secondary_end_angle_deg)
    for name, angle, limit in (
        ("primary", primary, 180.0),
        ("secondary", secondary, 90.0),
        ("primary end", primary_end, 180.0),
        ("secondary end", secondary_end, 90.0),
    ):
        if angle is not None and abs(angle) > limit:
            return f"{name} angle of {angle:g}° cannot be"
    place = table_position(event, convention)
    if isinstance(place, str):
        return place
    turn = tuple(
        _finite(angle) or 0.0 for angle in (event.table_rotation_deg, event.table_tilt_deg, event.table_cradle_deg)
    )
    for name, angle, limit in zip(("rotation", "tilt", "cradle angle"), turn, (180.0, 90.0, 90.0), strict=True):
        if abs(angle) > limit:
            return f"table {name} of {angle:g}° cannot be"
    doubts: tuple[str, ...] = ()
    if max(abs(angle) for angle in turn) > _TABLE_ANGLE_THAT_MATTERS_DEG:
        doubts = ("the table was turned or tilted; its pivot is taken to be the isocentre",)
    return Pose(
        table_mm=place,
        turn=(turn[0], turn[1], turn[2]),
        primary_deg=convention.primary_sign * primary,
        secondary_deg=convention.secondary_sign * secondary,
        primary_end_deg=convention.primary_sign * (primary if primary_end is None else primary_end),
        secondary_end_deg=convention.secondary_sign * (secondary if secondary_end is None else secondary_end),
        doubts=doubts,
    )


def table_position(event: ProjectionEvent, convention: Convention) -> tuple[float, float, float] | str:
    """Table from the isocentre (left, down, headwards; mm), or why it is not known."""
    reported = {
        "longitudinal": _finite(event.table_longitudinal_mm),
        "lateral": _finite(event.table_lateral_mm),
        "height": _finite(event.table_height_mm),
    }
    missing = [name for name, value in reported.items() if value is None]
    if missing:
        return f"no table position ({', '.join(missing)})"
    place = tuple(
        offset + sign * (reported[name] or 0.0)
        for name, sign, offset in (
            (convention.x_from, convention.x_sign, convention.x_offset_mm),
            ("height", convention.y_sign, convention.y_offset_mm),
            (convention.z_from, convention.z_sign, convention.z_offset_mm),
        )
    )
    if max(abs(place[0]), abs(place[2])) > _FURTHEST_TABLE_MM:
        return f"a table {place[0]:.0f} mm across and {place[2]:.0f} mm along from the isocentre cannot be"
    if not _TABLE_HEIGHT_MM[0] <= place[1] <= _TABLE_HEIGHT_MM[1]:
        return f"a table top {place[1]:.0f} mm below the isocentre cannot be"
    return place[0], place[1], place[2]


def beam_axes(
    pose: Pose, primary_deg: float, secondary_deg: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Isocentre and the beam's axes in the table's frame.

    Parameters
    ----------
    pose : Pose
        Of the table.
    primary_deg, secondary_deg : float
        Angles of the beam: towards LAO, towards cranial.

    Returns
    -------
    isocentre_mm : ndarray, shape (3,)
    towards_source : ndarray, shape (3,)
        Unit vector from the isocentre to the focal spot.
    across : ndarray, shape (2, 3)
        Unit vectors of the field's width and height.

    Notes
    -----
    The detector is tilted to the head by the secondary angle and then turned to the left by the primary; the source is
    opposite: ``(−sin α cos β, cos α cos β, −sin β)``. The table turns about the isocentre: rotation clockwise seen from
    above, head up and left side up are positive (PS3.16: 113755, 113754, 113756).

    Examples
    --------
    >>> pose = Pose((0, 150, 0), (0, 0, 0), 0, 0, 0, 0)
    >>> beam_axes(pose, 90, 0)[1].round(6).tolist()
    [-1.0, 0.0, 0.0]
    """
    alpha, beta = math.radians(primary_deg), math.radians(secondary_deg)
    turn_left = _about_z(alpha)
    tilt_head = _about_x(-beta)
    beam = turn_left @ tilt_head
    rotation, tilt, cradle = (math.radians(angle) for angle in pose.turn)
    # What the table turns one way, the machine turns the other as seen from the table.
    seen = (_about_y(rotation) @ _about_x(tilt) @ _about_z(-cradle)).T
    isocentre = -np.array(pose.table_mm)
    return isocentre, seen @ beam[:, 1], np.stack([seen @ beam[:, 0], seen @ beam[:, 2]])


def _about_x(angle: float) -> NDArray[np.float64]:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(angle: float) -> NDArray[np.float64]:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _about_z(angle: float) -> NDArray[np.float64]:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
