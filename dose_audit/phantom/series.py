"""Images as an analysis needs them: frames in order along the slice axis, in true units, with millimetres from the right tags.

Whatever is sent (shuffled, reversed, gapped, overlapping, several studies mixed, enhanced multi-frame, other objects
between the images) becomes a list of `ImageSeries`; what cannot be used is named in the notes.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dose_audit.phantom.frames import Frame
from dose_audit.phantom.headers import numbers
from dose_audit.phantom.stored import Changed

__all__ = ["ImageSeries", "group_series"]

# Frames whose planes differ by less than this belong to one stack; a localiser's do not.
_ORIENTATION_DECIMALS = 2
# What decoders raise for pixels that they cannot decode.
_UNDECODABLE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    OSError,
    EOFError,
    AssertionError,
    struct.error,
    zlib.error,
)
# Of all frames together, 1.8 GB as float32; and of a run of radiographs, of which phantoms are measured in the first.
_MOST_PIXELS, _MOST_PIXELS_OF_A_RUN = 450_000_000, 100_000_000
_LONG_RUN = 64
_RADIOGRAPHS = frozenset(("CR", "DX", "MG", "RF", "XA", "IO", "PX", "RTIMAGE"))
# Beyond any grey value, in whatever unit.
_MOST_VALUE = 1e12
# From how many images of one position on they are looked at, and by how much blocks of two planes differ on average.
_LEAST_OF_ONE_POSITION, _OTHER_PLANE_HU = 3, 10.0
# Positions nearer than this are the same plane scanned again.
_SAME_POSITION_MM = 0.01


@dataclass
class ImageSeries:
    """Frames of one acquisition, ordered along the normal of their planes.

    Parameters
    ----------
    frames : sequence of Frame
        In order of position; of equal rows, columns, spacing and orientation.
    notes : list of str
        What was repaired or is doubtful: order taken from the instance number, positions that come twice, gaps.
    """

    frames: Sequence[Frame]
    notes: list[str] = field(default_factory=list)
    _read_before: bool = field(default=False, init=False, repr=False)

    @property
    def first(self) -> Frame:
        return self.frames[0]

    @property
    def header(self) -> Mapping[str, Any]:
        """Attributes of the first frame by DICOM keyword."""
        return self.first.header

    @property
    def modality(self) -> str:
        return str(self.header.get("Modality") or "")

    @property
    def uid(self) -> str:
        return str(self.header.get("SeriesInstanceUID") or "")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.first.shape

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Row and column spacing in the plane of the object (row spacing first, as Pixel Spacing has it)."""
        return self.first.spacing_mm

    @property
    def thickness_mm(self) -> float | None:
        """Nominal Slice Thickness."""
        return self.first.thickness_mm

    @cached_property
    def z_mm(self) -> np.ndarray:
        """Position of each frame along the slice normal, mm, ascending; counted in steps where no position is sent."""
        found = [frame.z_mm for frame in self.frames]
        if any(z is None for z in found):
            step = self.first.spacing_between_mm or self.thickness_mm or 1.0
            return np.arange(len(self.frames)) * float(step)
        return np.asarray(found, dtype=float)

    @property
    def step_is_told(self) -> bool:
        """Whether the header tells how far apart the frames lie, by positions or by Spacing Between Slices."""
        return self.first.z_mm is not None or self.first.spacing_between_mm is not None

    def take_step(self, step_mm: float) -> None:
        """Count positions in steps of this size, where the header tells none and the images do."""
        self.__dict__["z_mm"] = np.arange(len(self.frames)) * float(step_mm)
        self.notes.append(f"no distance of the slices is sent: {step_mm:g} mm, as the images show them")

    @property
    def step_mm(self) -> float | None:
        """Median distance of neighbouring frames, mm; never taken for the thickness."""
        return float(np.median(np.diff(self.z_mm))) if len(self.frames) > 1 else None

    @property
    def too_much(self) -> str:
        """Why the pixels must not be read at all, in words; empty where they can be."""
        rows, columns = self.shape
        pixels, count = rows * columns * len(self.frames), len(self.frames)
        if self.modality in _RADIOGRAPHS and count > _LONG_RUN and pixels > _MOST_PIXELS_OF_A_RUN:
            return (
                f"a run of {count} images of {rows} × {columns}: phantoms in radiographs are measured in single images and "
                f"short runs; send up to {_LONG_RUN} of them"
            )
        if pixels > _MOST_PIXELS:
            return f"too large: {count} images of {rows} × {columns}; send the part that shows the phantom, or fewer slices"
        return ""

    @cached_property
    def volume(self) -> np.ndarray:
        """All frames, (n, rows, columns) float32, in output units (HU for CT).

        A frame whose pixels cannot be decoded is taken out of the series and named in the notes.

        Raises
        ------
        dose_audit.phantom.stored.Changed
            If pixels that were let go of cannot be read again.
        """
        stack = np.empty((len(self.frames), *self.shape), dtype=np.float32)
        kept: list[Frame] = []
        for frame in self.frames:
            try:
                stack[len(kept)] = frame.pixels()
                fault = _no_numbers(stack[len(kept)])
            except _UNDECODABLE as error:
                fault = f"its pixels cannot be decoded: {' '.join(str(error).split())[:300]}"
            if fault:
                if self._read_before:
                    raise Changed
                self.notes.append(f"image {frame.instance_number} left out, {fault}")
                continue
            kept.append(frame)
        for frame in self.frames:
            frame.let_go()
        if len(kept) < len(self.frames):
            self.frames = kept
            self.__dict__.pop("z_mm", None)
        self._read_before = True
        return stack[: len(kept)]

    @property
    def held_bytes(self) -> int:
        """What the pixels take in memory at present."""
        return self.__dict__["volume"].nbytes if "volume" in self.__dict__ else 0

    def let_go(self) -> None:
        """Free the pixels; they are read again when they are asked for."""
        self.__dict__.pop("volume", None)

    def image(self, index: int) -> np.ndarray:
        """One frame as (rows, columns) float32."""
        return np.asarray(self.volume[index])

    def nearest(self, z_mm: float) -> int:
        """Index of the frame nearest to that position."""
        return int(np.argmin(np.abs(self.z_mm - z_mm)))

    @property
    def inputs_sha256(self) -> str:
        """One hash over the SOP Instance UIDs and the files' own hashes, in order: what exactly was measured."""
        total = hashlib.sha256()
        for frame in self.frames:
            total.update(f"{frame.sop_instance_uid}:{frame.frame_number}:{frame.sha256}\n".encode())
        return total.hexdigest()

    def describe(self) -> str:
        """A line for people: modality, number of frames, size, description; nothing that identifies a patient."""
        rows, columns = self.shape
        label = str(self.header.get("SeriesDescription") or self.header.get("ProtocolName") or "no description")
        return f"{self.modality} {len(self.frames)} × {rows}×{columns}, {label}"


def _no_numbers(image: np.ndarray) -> str:
    """What is wrong with the values of an image; empty for numbers that can be grey values."""
    low, high = float(image.min()), float(image.max())
    if -_MOST_VALUE <= low <= high <= _MOST_VALUE:
        return ""
    bad = ~(np.abs(image) <= _MOST_VALUE)
    return f"{bad.mean():.0%} of its pixels are no numbers or beyond any grey value"


def _key(frame: Frame) -> tuple[Any, ...]:
    """What makes two frames members of one stack."""
    header = frame.header
    orientation = None if frame.normal is None else tuple(np.round(frame.orientation, _ORIENTATION_DECIMALS))  # type: ignore[arg-type]
    spacing = None if frame.spacing_mm is None else tuple(round(one, 4) for one in frame.spacing_mm)
    return (
        # As text: a value that came as several is a list, which nothing can be grouped by.
        str(header.get("StudyInstanceUID")),
        str(header.get("SeriesInstanceUID")),
        str(header.get("Modality")),
        frame.shape,
        orientation,
        spacing,
        numbers(header.get("EchoTime"), 1) if header.get("Modality") == "MR" else None,
        # One CT series may hold two reconstructions.
        (str(header.get("ConvolutionKernel")), frame.thickness_mm) if header.get("Modality") == "CT" else None,
        frame.kind,
    )


def _taken(frame: Frame) -> tuple[Any, ...] | None:
    """What a CT image shares with its copy under another UID; `None` where it cannot be told."""
    header = frame.header
    if header.get("Modality") != "CT" or not frame.instance_number or frame.z_mm is None:
        return None
    taken = (frame.acquisition_number, frame.instance_number, frame.frame_number)
    return (*_key(frame), round(frame.z_mm, 2), *taken, frame.acquired)


def _same_pixels(one: Frame, other: Frame) -> bool:
    try:
        return bool(np.array_equal(one.pixels(), other.pixels()))
    except _UNDECODABLE:
        return False


def _one_position(frames: list[Frame]) -> bool:
    """Whether CT images of different planes all carry one Image Position, as broken exports have it.

    A plane that was scanned again and again shows the same each time; images of different planes do not.
    """
    if len(frames) < _LEAST_OF_ONE_POSITION or frames[0].header.get("Modality") != "CT":
        return False
    places = [frame.z_mm for frame in frames if frame.position_mm is not None]
    numbers_sent = {frame.instance_number for frame in frames}
    if len(places) < len(frames) or len(numbers_sent) < len(frames):
        return False
    if max(places) - min(places) > _SAME_POSITION_MM:  # type: ignore[operator, type-var]
        return False
    try:
        coarse = [_blocks(frame.pixels()) for frame in (frames[0], frames[len(frames) // 2], frames[-1])]
    except _UNDECODABLE:
        return False
    return any(float(np.abs(one - coarse[0]).mean()) > _OTHER_PLANE_HU for one in coarse[1:])


def _blocks(image: np.ndarray) -> np.ndarray:
    """Means of 16 × 16 pixels: what a plane shows, without its noise."""
    rows, columns = (size // 16 * 16 for size in image.shape)
    return image[:rows, :columns].reshape(rows // 16, 16, columns // 16, 16).mean(axis=(1, 3))


def _ordered(frames: list[Frame], notes: list[str]) -> list[Frame]:
    if _one_position(frames):
        for frame in frames:
            frame.position_mm = None
        places = {round(frame.z_mm, 2) for frame in frames if frame.z_mm is not None}
        if len(places) == len(frames):
            notes.append("all images carry one Image Position (Patient): order and distances taken from Slice Location")
        else:
            notes.append("all images carry one Image Position (Patient), which cannot be")
            for frame in frames:
                frame.forget_position()
    if all(frame.z_mm is not None for frame in frames):
        return sorted(
            frames, key=lambda frame: (frame.z_mm, frame.acquisition_number, frame.instance_number, frame.frame_number)
        )
    if len(frames) > 1:
        notes.append("no Image Position (Patient): order taken from Instance Number, distances from the nominal step")
    # A part of the positions would mix two orders.
    for frame in frames:
        frame.forget_position()
    return sorted(frames, key=lambda frame: (frame.acquisition_number, frame.instance_number, frame.frame_number))


def _repeats(frames: list[Frame]) -> list[list[Frame]]:
    """Stacks without a position twice: the k-th frame at each position goes to the k-th stack."""
    if any(frame.z_mm is None for frame in frames):
        return [frames]
    one_object = len({frame.sop_instance_uid for frame in frames}) == 1
    if one_object and frames[0].header.get("Modality") in _RADIOGRAPHS:
        # A run: its frames are of one place, and no repeats of a stack.
        return [frames]
    stacks: list[list[Frame]] = []
    last: float | None = None
    nth = 0
    for frame in frames:
        assert frame.z_mm is not None
        nth = nth + 1 if last is not None and abs(frame.z_mm - last) < _SAME_POSITION_MM else 0
        last = frame.z_mm
        if nth == len(stacks):
            stacks.append([])
        stacks[nth].append(frame)
    return stacks


def _gap_notes(series: ImageSeries) -> None:
    if len(series.frames) < 3 or series.first.z_mm is None:
        return
    steps = np.diff(series.z_mm)
    usual = float(np.median(steps))
    wide = np.flatnonzero(steps > 1.5 * usual)
    if wide.size:
        where = ", ".join(f"{series.z_mm[index]:.1f} mm" for index in wide[:5])
        series.notes.append(f"{wide.size} gap(s) in the stack, after {where}; the usual step is {usual:.2f} mm")


def group_series(frames: Sequence[Frame]) -> list[ImageSeries]:
    """Group frames into stacks and order each along its slice normal.

    Parameters
    ----------
    frames : sequence of Frame
        In any order, of any number of studies.

    Returns
    -------
    list of ImageSeries
        By study, series and acquisition time; a position that was scanned again makes a second series, so that
        repeats can be paired.
    """
    groups: dict[tuple[Any, ...], list[Frame]] = {}
    seen: set[tuple[str, int]] = set()
    first_of: dict[tuple[Any, ...], Frame] = {}
    twice = 0
    for frame in frames:
        identity = (frame.sop_instance_uid, frame.frame_number)
        if frame.sop_instance_uid and identity in seen:
            twice += 1
            continue
        seen.add(identity)
        taken = _taken(frame)
        first = frame if taken is None else first_of.setdefault(taken, frame)
        if first is not frame and _same_pixels(frame, first):
            twice += 1
            continue
        groups.setdefault(_key(frame), []).append(frame)
    found: list[ImageSeries] = []
    for members in groups.values():
        notes: list[str] = [f"{twice} image(s) came twice and were used once"] if twice else []
        ordered = _ordered(members, notes)
        stacks = _repeats(ordered)
        for number, stack in enumerate(stacks, 1):
            own = list(notes)
            if len(stacks) > 1:
                own.append(f"positions were scanned {len(stacks)} times; this is scan {number}")
            series = ImageSeries(stack, own)
            _gap_notes(series)
            found.append(series)
    return sorted(found, key=lambda one: (one.first.acquired, one.uid, one.first.instance_number))
