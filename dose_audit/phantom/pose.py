"""Where the phantom lies in the images: a straight axis through the slices, a roll about it, a direction and a scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, isfinite, radians, sin

__all__ = ["OverrideError", "Overrides", "Pose"]

# Of a size chosen by hand and the one that the image shows: beyond what phantoms are recognised with.
_SCALES_APART = 0.08


@dataclass(frozen=True, slots=True)
class Pose:
    """From the phantom's own millimetres to rows and columns of a frame.

    Parameters
    ----------
    origin_z_mm : float
        Position, on the series' own slice axis, of the definition's z = 0.
    centre_px : (float, float)
        Row and column of the phantom's axis at the origin, sub-pixel, pixel centres at integers.
    slope_px_per_mm : (float, float)
        How the axis moves in row and column for each millimetre along the slices (tilt).
    spacing_mm : (float, float)
        Row and column spacing of the frames.
    roll_deg : float
        Rotation of the phantom, positive clockwise on screen.
    direction : {1, -1}
        Whether the definition's z grows with the series' or against it.
    mirrored : bool
        Whether left and right are exchanged against the definition.
    scale : float
        Measured size over nominal size; 1 where the spacing is true.
    quality : float
        0 to 1: agreement of the features by which the pose was found.
    status, reason : str
        ``ok``, ``suspect`` or ``not_measurable`` with the reason in words.
    notes : tuple of str
        How each part was found.
    doubts_values : bool
        Whether what is in doubt about the pose puts the values measured with it in doubt.
    """

    origin_z_mm: float
    centre_px: tuple[float, float]
    spacing_mm: tuple[float, float]
    slope_px_per_mm: tuple[float, float] = (0.0, 0.0)
    roll_deg: float = 0.0
    direction: int = 1
    mirrored: bool = False
    scale: float = 1.0
    quality: float = 1.0
    status: str = "ok"
    reason: str = ""
    notes: tuple[str, ...] = ()
    doubts_values: bool = False

    def z_in_series(self, z_mm: float) -> float:
        """Position on the series' slice axis of a plane of the phantom."""
        return self.origin_z_mm + self.direction * z_mm * self.scale

    def centre_at(self, series_z_mm: float) -> tuple[float, float]:
        """Row and column of the axis where it meets the plane at that position of the series."""
        along = series_z_mm - self.origin_z_mm
        return (
            self.centre_px[0] + self.slope_px_per_mm[0] * along,
            self.centre_px[1] + self.slope_px_per_mm[1] * along,
        )

    def to_pixel(self, x_mm: float, y_mm: float, series_z_mm: float | None = None) -> tuple[float, float]:
        """Row and column of a point of the phantom (x to the right, y down on screen, before roll).

        Examples
        --------
        >>> Pose(0.0, (100.0, 100.0), (0.5, 0.5), roll_deg=90.0).to_pixel(10.0, 0.0)
        (120.0, 100.0)
        """
        x = -x_mm if self.mirrored else x_mm
        turn = radians(self.roll_deg)
        across = self.scale * (x * cos(turn) - y_mm * sin(turn))
        down = self.scale * (x * sin(turn) + y_mm * cos(turn))
        row, column = self.centre_px if series_z_mm is None else self.centre_at(series_z_mm)
        return row + down / self.spacing_mm[0], column + across / self.spacing_mm[1]

    def to_phantom(self, row: float, column: float, series_z_mm: float | None = None) -> tuple[float, float]:
        """The inverse of `to_pixel`: x and y in the phantom's own millimetres."""
        at_row, at_column = self.centre_px if series_z_mm is None else self.centre_at(series_z_mm)
        down, across = (
            (row - at_row) * self.spacing_mm[0] / self.scale,
            (column - at_column) * self.spacing_mm[1] / self.scale,
        )
        turn = radians(self.roll_deg)
        x, y = across * cos(turn) + down * sin(turn), -across * sin(turn) + down * cos(turn)
        return (-x if self.mirrored else x), y

    def angle_on_screen(self, theta_deg: float) -> float:
        """Direction on screen (degrees, clockwise from +x) of a direction in the phantom's frame."""
        own = 180.0 - theta_deg if self.mirrored else theta_deg
        return (own + self.roll_deg + 180.0) % 360.0 - 180.0

    def doubt(self, reason: str, *, of_values: bool = True) -> Pose:
        """The same pose as ``suspect`` for one more reason; `of_values` where values rest on what is in doubt."""
        said = f"{self.reason}; {reason}" if self.reason else reason
        return replace(self, status="suspect", reason=said, doubts_values=self.doubts_values or of_values)

    def as_record(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "origin_z_mm": round(self.origin_z_mm, 3),
            "centre_row_column_px": [round(one, 3) for one in self.centre_px],
            "slope_px_per_mm": [round(one, 6) for one in self.slope_px_per_mm],
            "roll_deg": round(self.roll_deg, 3),
            "direction": self.direction,
            "mirrored": self.mirrored,
            "scale": round(self.scale, 5),
            "spacing_mm": list(self.spacing_mm),
            "quality": round(self.quality, 4),
            "status": self.status,
            "reason": self.reason,
            "notes": list(self.notes),
        }


class OverrideError(ValueError):
    """A person's choice that cannot be; the text says what was chosen and what is possible."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a person knows better than the localisation: each given choice replaces the found one.

    Parameters
    ----------
    slice : int, optional
        Frame (counted from 1, in order of position) that holds the definition's z = 0.
    angle_deg : float, optional
        Roll, positive clockwise on screen.
    centre_px : (float, float), optional
        Row and column of the phantom's axis.
    scale : float, optional
        Measured size over nominal size, 0.1 to 10.

    Raises
    ------
    OverrideError
        A choice that no image can fit.
    """

    slice: int | None = None
    angle_deg: float | None = None
    centre_px: tuple[float, float] | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        if self.slice is not None and self.slice < 1:
            raise OverrideError(f"slice {self.slice} is not there; slices are counted from 1")
        if self.angle_deg is not None and not -360.0 <= self.angle_deg <= 360.0:
            raise OverrideError(f"angle {self.angle_deg:g} is not within -360 to 360 degrees")
        if self.centre_px is not None and not all(isfinite(one) and one >= 0.0 for one in self.centre_px):
            raise OverrideError("centre {:g},{:g} lies outside every image".format(*self.centre_px))
        if self.scale is not None and not 0.1 <= self.scale <= 10.0:
            raise OverrideError(f"scale {self.scale:g} is not within 0.1 to 10 (measured over nominal size)")

    def __bool__(self) -> bool:
        return any(one is not None for one in (self.slice, self.angle_deg, self.centre_px, self.scale))

    def apply(
        self, pose: Pose, z_mm: list[float], shape: tuple[int, int] | None = None, *, sized: bool = False
    ) -> Pose:
        """The pose with a person's choices laid over it; a doubt of the finder stays only where it found something itself.

        `z_mm` are the positions of the slices and `shape` the rows and columns of an image, where the centre has to lie; `sized`
        says that the phantom was recognised by its size.
        """
        notes = list(pose.notes)
        changed: dict[str, object] = {}
        if self.slice is not None:
            if not 1 <= self.slice <= len(z_mm):
                raise OverrideError(f"slice {self.slice} is not there; the series has {len(z_mm)}")
            new = z_mm[self.slice - 1]
            changed["centre_px"] = pose.centre_at(new)
            changed["origin_z_mm"] = new
            notes.append(f"slice {self.slice} chosen by hand")
        if self.angle_deg is not None:
            changed["roll_deg"] = self.angle_deg
            notes.append(f"angle {self.angle_deg} degrees chosen by hand")
        if self.centre_px is not None:
            if shape is not None and not all(one < size for one, size in zip(self.centre_px, shape, strict=True)):
                where = "{:g},{:g}".format(*self.centre_px)
                raise OverrideError(f"centre {where} lies outside the image of {shape[0]} rows and {shape[1]} columns")
            changed["centre_px"] = self.centre_px
            notes.append(f"centre {self.centre_px} chosen by hand")
        if self.scale is not None:
            changed["scale"] = self.scale
            notes.append(f"scale {self.scale} chosen by hand")
        chosen: Pose = replace(pose, notes=tuple(notes), **changed)  # type: ignore[arg-type]
        # A finder that neither measures the size nor asks for it leaves it at 1; elsewhere the image has a say too.
        seen = pose.scale != 1.0 or (sized and pose.status == "ok")
        if self.scale is not None and seen and abs(self.scale / pose.scale - 1.0) > _SCALES_APART:
            return chosen.doubt(f"scale {self.scale:g} was chosen by hand where the image shows {pose.scale:.3g}")
        return chosen
