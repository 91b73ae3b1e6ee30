"""What in an image is thick enough for a body, and which of its pieces are the patient's."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._connected import Pieces, fill
from dose_audit.dosimetry._morphology import Mask, dilate, erode, open_by

__all__ = ["find_bodies", "is_block", "solid_parts"]

_ARM_AREA_MM2 = 500.0  # an infant's forearm has more
_LIMB_HU = -150.0  # median of its inside: fat
_COMPACT = 0.25  # area over squared length: a disc has 0.79, an arm lying flat 0.4, a table top 0.1
_LEAST_BLOCK_MM = 15.0
_LEVEL = 0.6  # of its columns: as many end at one height, above and below
_LEAST_HOLE = 16  # pixels
_LEAST_PARTING = 4  # pixels
_HOMOGENEOUS_HU = 150.0
_SMALLEST_BODY_MM2 = 1200.0  # 39 mm across: an extremity of a newborn


def solid_parts(dense: Mask, sheet: int) -> Mask:
    """What is thick, with its holes; the hollow of a table is left open although sheets enclose it."""
    thick = open_by(dense, sheet)
    filled = fill(thick)
    air = Pieces(~(dense | filled))  # a hole is filled whole or not at all
    holes = ~air.touch_edge() & (air.sizes >= _LEAST_HOLE)
    if not holes.any():
        return filled
    # A thin chest wall is lost to the opening, and the lung behind it is then open: it is still the body's when most of
    # what surrounds it is thick tissue. A table's hollow touches the body on one side only.
    shell, added = dilate(filled, sheet + 2), False
    for index in np.flatnonzero(holes):
        grown = air.box(index, margin=1)
        hole = air.only(index, grown)
        border = hole & ~erode(hole, 1)
        if np.count_nonzero(border & shell[grown]) > 0.5 * np.count_nonzero(border):
            filled[grown] |= dilate(hole, sheet) & (dense[grown] | hole)
            added = True
    return fill(filled) if added else filled


def find_bodies(solid: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> Mask | None:
    """The body and other patient-like pieces, cut from what they rest on."""
    area = np.count_nonzero(solid)
    if area * pixel_mm**2 < _SMALLEST_BODY_MM2:
        return None
    radius = math.sqrt(area / math.pi)
    parting = round(min(2.0 * math.sqrt(2 * radius) + 2, 0.45 * radius))
    cores = erode(solid, parting)
    small = not cores.any()
    while not cores.any() and parting > _LEAST_PARTING:  # two legs and a plate weigh more than what either can lose
        parting = round(0.7 * parting)
        cores = erode(solid, parting)
    parts = Pieces(cores)
    pieces = [dilate(parts.plane(np.arange(parts.count) == index), parting) & solid for index in range(parts.count)]
    if not pieces:
        return None
    main = _main(pieces, image_hu) if len(pieces) > 1 else 0
    body = pieces[main]
    if np.count_nonzero(body) * pixel_mm**2 < _SMALLEST_BODY_MM2 or (small and _compactness(body) < _COMPACT):
        return None
    left_over = solid.copy()
    for piece in pieces:
        left_over &= ~piece
    if np.count_nonzero(left_over) * pixel_mm**2 >= _ARM_AREA_MM2:
        left_over &= ~dilate(cores, parting + 1)
        others = Pieces(left_over)
        large = np.flatnonzero(others.sizes * pixel_mm**2 >= _ARM_AREA_MM2)
        pieces += [others.plane(np.arange(others.count) == index) for index in large]
    limbs = [piece for index, piece in enumerate(pieces) if index != main and _is_limb(piece, image_hu, pixel_mm)]
    # Of a slab with an end on either side its ledges tell more, later on.
    blocks = [index for index, piece in enumerate(limbs) if is_block(piece, image_hu, pixel_mm)]
    for index, piece in enumerate(limbs):
        if [index] != blocks:
            body = body | piece
    return body


def _main(pieces: list[Mask], image_hu: NDArray[np.floating]) -> int:
    """Index of the body: the heaviest piece, but before a plate that outweighs an infant the heaviest compact one."""
    weights = [float((image_hu[piece] + 1000).sum()) / 1000 for piece in pieces]
    heaviest = weights.index(max(weights))
    if _compactness(pieces[heaviest]) >= _COMPACT:
        return heaviest
    numbers = image_hu[erode(pieces[heaviest], 2)]
    if len(numbers) < 20 or float(np.ptp(np.percentile(numbers, [10, 90]))) > _HOMOGENEOUS_HU:
        return heaviest  # a flat patient, of bone, fat and gas
    compact = [index for index, piece in enumerate(pieces) if _compactness(piece) >= _COMPACT]
    return max(compact, key=weights.__getitem__) if compact else heaviest


def _compactness(piece: Mask) -> float:
    """Area over squared length."""
    rows, columns = np.nonzero(piece.any(1))[0], np.nonzero(piece.any(0))[0]
    return np.count_nonzero(piece) / float(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1) ** 2


def _is_limb(piece: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> bool:
    """Whether a piece beside the body is an arm or a leg: large, compact and of soft tissue."""
    if np.count_nonzero(piece) * pixel_mm**2 < _ARM_AREA_MM2 or _compactness(piece) < _COMPACT:
        return False
    numbers = image_hu[erode(piece, 1)]
    return len(numbers) > 0 and float(np.median(numbers)) > _LIMB_HU


def is_block(piece: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> bool:
    """Whether a piece beside or beneath the body is the end of a slab: level above and below, and of one number."""
    if np.count_nonzero(piece.any(axis=1)) * pixel_mm < _LEAST_BLOCK_MM:  # a thin layer of fat at the edge is as level
        return False
    columns = piece[:, piece.any(axis=0)]
    edges = columns.argmax(axis=0), columns[::-1].argmax(axis=0)
    if any(np.count_nonzero(np.abs(edge - np.median(edge)) <= 1) < _LEVEL * len(edge) for edge in edges):
        return False
    numbers = image_hu[erode(piece, 1)]
    return len(numbers) > 0 and float(np.ptp(np.percentile(numbers, [5, 95]))) < _HOMOGENEOUS_HU
