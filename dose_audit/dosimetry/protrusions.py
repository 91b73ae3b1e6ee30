"""What grows out of a body and was lost with the sheets: noses, ears, fingers, the edges of breasts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry._connected import Box, Pieces
from dose_audit.dosimetry._morphology import Mask, dilate
from dose_audit.dosimetry.pieces import is_block

__all__ = ["find_protrusions"]

_PROTRUSION_MM = 80.0  # noses, ears, chins, fingers reach no farther out of the body; a table does
_BROAD_BASE, _NARROW_BASE = 0.75, 0.5  # of its length; a table touches the body in a neck
_THICK_MM = 4.0  # on average; a plate, as far as it is left, is thinner
_SOFT_TISSUE_HU = -200.0
_LARGEST_HEAD_MM2 = 45_000.0
_EAR_GAP_MM, _EAR_MM, _EAR_MM2, _EAR_HU = 10.0, 75.0, (60.0, 1000.0), (-150.0, 150.0)
_EAR_AT = (0.2, 0.8)  # of a head's height in the image
_SHEET_MM, _CRUMB_MM = 8.0, 12.0
_LEAST_TOUCH = 8  # pixels
_BENEATH = 0.8  # of the body's height
_FAINT_HU, _LEAST_FAINT = -800.0, 2  # foam has less; pixels


def find_protrusions(rest: Mask, body: Mask, image_hu: NDArray[np.floating], inside: Mask, pixel_mm: float) -> Mask:
    """What grows out of the body: small things, and larger ones of soft tissue on a broad base, as breasts are."""
    at_body = rest & dilate(body, 1)
    head = np.count_nonzero(body) * pixel_mm**2 < _LARGEST_HEAD_MM2
    if np.count_nonzero(at_body) < _LEAST_TOUCH and not head:
        return at_body
    pieces = Pieces(rest)
    base, lengths = pieces.hits(at_body), pieces.lengths
    large = lengths * pixel_mm > _CRUMB_MM
    keep, blocks = ~large & (base > 0), []
    for index in np.flatnonzero(large & ((base > 0) | head)):
        where = pieces.box(index)
        piece, length = pieces.only(index, where), lengths[index]
        if not base[index]:
            keep[index] = _is_ear(piece, where, body, image_hu, pixel_mm)
            continue
        thickness_mm = np.count_nonzero(piece) * pixel_mm / length  # on average
        if length * pixel_mm <= _PROTRUSION_MM:
            sticks_out = thickness_mm < _SHEET_MM and base[index] < _NARROW_BASE * length
            keep[index] = not (
                sticks_out and (_leaves_view(piece, where, inside) or _goes_on(piece, where, body, image_hu))
            )
        else:
            broad = base[index] >= _BROAD_BASE * length and thickness_mm > _THICK_MM
            keep[index] = broad and float(image_hu[where][piece].mean()) > _SOFT_TISSUE_HU
        if keep[index] and is_block(piece, image_hu[where], pixel_mm) and _leaves_view(piece, where, inside):
            blocks.append(index)
    if len(blocks) == 1:  # of a slab with an end on either side its ledges tell more, later on
        keep[blocks] = False
    return pieces.plane(keep)


def _is_ear(piece: Mask, where: Box, body: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> bool:
    """Whether a piece beside a head is an ear, that this slice shows without its root."""
    rows = np.nonzero(body.any(axis=1))[0]
    middle = (where[0].start + where[0].stop) / 2
    if not rows[0] + _EAR_AT[0] * len(rows) < middle < rows[0] + _EAR_AT[1] * len(rows):
        return False
    if max(part.stop - part.start for part in where) * pixel_mm > _EAR_MM:
        return False
    if not _EAR_MM2[0] <= np.count_nonzero(piece) * pixel_mm**2 <= _EAR_MM2[1]:
        return False
    if not _EAR_HU[0] < float(np.percentile(image_hu[where][piece], 75)) < _EAR_HU[1]:
        return False
    reach = round(_EAR_GAP_MM / pixel_mm)
    grown, around = _grown(piece, where, reach, body.shape)
    return bool((dilate(around, reach) & body[grown]).any())


def _leaves_view(piece: Mask, where: Box, inside: Mask) -> bool:
    """Whether a piece reaches the edge of the field of view, as what is left of a plate does."""
    at_border = any(part.start <= 1 or part.stop >= size - 1 for part, size in zip(where, inside.shape, strict=True))
    if at_border:
        return True
    grown, around = _grown(piece, where, 2, inside.shape)
    return bool((dilate(around, 2) & ~inside[grown]).any())


def _goes_on(piece: Mask, where: Box, body: Mask, image_hu: NDArray[np.floating]) -> bool:
    """Whether a thin piece beneath the body goes on more faintly, as a wall does whose number is about the threshold's."""
    rows = np.nonzero(body.any(axis=1))[0]
    if where[0].start < rows[0] + _BENEATH * len(rows):
        return False
    grown, around = _grown(piece, where, 3, body.shape)
    beyond = dilate(around, 3) & ~dilate(around, 1) & ~dilate(body[grown], 3)
    return bool(np.count_nonzero(image_hu[grown][beyond] > _FAINT_HU) >= _LEAST_FAINT)


def _grown(piece: Mask, where: Box, reach: int, shape: tuple[int, ...]) -> tuple[Box, Mask]:
    """A piece's box with a margin as far as the image goes, and the piece in it."""
    rows, columns = (
        slice(max(0, part.start - reach), min(size, part.stop + reach)) for part, size in zip(where, shape, strict=True)
    )
    around = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    top, left = where[0].start - rows.start, where[1].start - columns.start
    around[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
    return (rows, columns), around
