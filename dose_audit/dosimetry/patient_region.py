"""Where the patient is in an axial CT image: the table goes, the lungs and bowel gas stay in, the arms belong to it.

Everything is decided on shapes, in millimetres, so that it holds for any pixel size, table and position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._morphology import Mask, dilate, erode, fill, open_by
from dose_audit.dosimetry.holders import Parting, part_from_holder
from dose_audit.dosimetry.supports import concave_corners, one_material_beneath, part_by_material, peel_soft

__all__ = ["TABLE_THRESHOLD_HU", "PatientRegion", "find_patient_region"]

TABLE_THRESHOLD_HU = -383.0
"""Threshold between patient and air, the one by which AAPM 220 (fig. 2) parts the table from the patient."""

_SHEET_MM = 3.0  # half of the thickness below which something is a sheet: table shells, blankets, tubes
_PROTRUSION_MM = 80.0  # noses, ears, chins, fingers reach no farther out of the body; a table does
_BROAD_BASE = 0.75  # of its length; a table touches the body in a neck
_SOFT_TISSUE_HU = -200.0
_LEDGE_STEP_MM, _LEDGE_REACH_MM, _THICKEST_PLATE_MM = 3.0, 20.0, 100.0
_PLATE_LIKE_HU = 80.0
_ARM_AREA_MM2 = 500.0  # an infant's forearm has more
_ARM_MEAN_HU = -400.0
_COMPACT = 0.25  # area over squared length: a disc has 0.79, an arm lying flat 0.4, a table top 0.1
_LEAST_HOLE = 16  # pixels
_LEAST_TOUCH = 8  # pixels
_HOMOGENEOUS_HU = 150.0
_HOLDER_PIXELS = 15
_ELLIPSE_ROUNDS = 8
_ELLIPSE_PIXELS = 0.9
_ELLIPSE_SHARE = 0.4
_DOUBTED_SHARE = 0.015
_SMALLEST_BODY_MM2 = 1200.0  # 39 mm across: an extremity of a newborn


@dataclass(frozen=True, slots=True)
class PatientRegion:
    """The patient in one image.

    Attributes
    ----------
    mask : ndarray of bool, shape (H, W)
        Patient, holes filled.
    rim : ndarray of bool, shape (H, W)
        The pixels around it that are partly patient; nothing else that absorbs lies in them.
    truncated_fraction : float
        Part of the contour, 0 to 1, that lies on the edge of the field of view.
    removed_mm2 : float
        Area above the threshold that was judged not to be patient: table, holder, clothes.
    doubt : str
        Why the border to a holder is not certain; empty where it is.
    doubtful_mm2 : float
        Area by which the patient's can be wrong on account of a holder (k = 1).
    """

    mask: Mask
    rim: Mask
    truncated_fraction: float
    removed_mm2: float
    doubt: str = ""
    doubtful_mm2: float = 0.0


def find_patient_region(
    image_hu: NDArray[np.floating],
    pixel_mm: float,
    *,
    threshold_hu: float = TABLE_THRESHOLD_HU,
    inside_fov: Mask | None = None,
) -> PatientRegion | None:
    """Find the patient in an axial CT image.

    Parameters
    ----------
    image_hu : ndarray, shape (H, W)
        CT numbers, what lies outside the field of view as air.
    pixel_mm : float
        Side of a pixel in mm; about 1 to 2 mm serve best.
    threshold_hu : float
        Threshold between patient and air, in HU; sensible from -500 to -200.
    inside_fov : ndarray of bool, shape (H, W), optional
        Where the scanner has reconstructed; by default the circle within the image when nothing lies outside it, else
        the whole image.

    Returns
    -------
    PatientRegion or None
        None when nothing in the image is large and solid enough for a patient.

    Notes
    -----
    1. What exceeds the threshold, without sheets thinner than about 7 mm, is solid; holes in it are filled (AAPM 220: lungs
       and gas belong to the patient), the foam between the shells of a table is not.
    2. A body that rests on something touches it in a neck no wider than about ``2 sqrt(2 R p)`` for a radius of
       curvature R and pixels of p; an erosion by more than half of this parts the two. Grown back, the body has lost
       only what is thinner: noses, ears, fingers. They come back unless they reach farther than 80 mm, as tables do;
       larger ones of soft tissue on a broad base, breasts, come back too. Of a flat back on a flat plate the plate's
       ledges on both sides tell where it begins.
    3. Other solid, compact pieces are arms or legs and stay.
    4. A holder that hugs a part of a head or of a phantom is told by the steps at its two ends (`part_from_holder`).
    5. Of a test phantom, whose free contour is an ellipse to within a pixel, what sticks out of the ellipse towards the
       table goes too.

    References
    ----------
    AAPM Report 220 (2014), section 2; the procedure of parting is this project's own, and tested on analytic phantoms.
    """
    dense = image_hu > threshold_hu
    inside = _field_of_view(image_hu) if inside_fov is None else inside_fov
    dense &= inside
    where = _surroundings(dense)
    if where is None:
        return None
    found = _in_part(image_hu[where], dense[where], inside[where], pixel_mm)
    if found is None:
        return None
    parting, around = found
    mask, rim = np.zeros_like(dense), np.zeros_like(dense)
    mask[where], rim[where] = parting.mask, around
    removed = float((dense & ~mask).sum()) * pixel_mm**2
    truncated = _on_edge(parting.mask, _edge(inside)[where])
    return PatientRegion(mask, rim, truncated, removed, parting.doubt, parting.doubtful_mm2)


def _surroundings(dense: Mask) -> tuple[slice, slice] | None:
    """The part of the image in which there is anything, with a margin."""
    rows, columns = np.nonzero(dense.any(1))[0], np.nonzero(dense.any(0))[0]
    if not len(rows):
        return None
    return slice(max(0, rows[0] - 8), rows[-1] + 9), slice(max(0, columns[0] - 8), columns[-1] + 9)


def _in_part(image_hu: NDArray[np.floating], dense: Mask, inside: Mask, pixel_mm: float) -> tuple[Parting, Mask] | None:
    """The patient, and the rim."""
    firm = dense & ~peel_soft(dense, image_hu)
    solid = _solid(firm, max(1, int(_SHEET_MM / pixel_mm)))
    body = _bodies(solid, image_hu, pixel_mm)
    if body is None:
        return None
    mask = body | _protrusions(firm & ~body, body, image_hu, pixel_mm)
    one_material = _is_homogeneous(mask, image_hu)
    parting = part_from_holder(mask, image_hu, pixel_mm, one_material=one_material)
    doubtful_mm2 = 0.0
    if parting.mask is not mask:
        mask = parting.mask
    elif one_material:
        mask = _within_ellipse(mask, firm & ~mask, inside)
    else:
        mask, doubtful_mm2 = _off_its_support(mask, dense & ~mask, image_hu, pixel_mm)
    for turn in (1, -1):
        above, beside = _above_ledge(mask[::turn], image_hu[::turn], pixel_mm)
        mask = above[::turn]
        if beside > _DOUBTED_SHARE * float(mask.sum()):
            doubtful_mm2 = max(doubtful_mm2, beside * pixel_mm**2)
    if doubtful_mm2 and not parting.doubt:
        parting = Parting(mask, "what lies beneath is of one material and may be a support", doubtful_mm2 / 2)
    rim = dilate(mask, max(1, round(2.0 / pixel_mm))) & ~mask & inside & ~(dense & ~mask)
    return replace(parting, mask=mask), rim


def _off_its_support(mask: Mask, other: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> tuple[Mask, float]:
    """The body without what it rests on, and the area in mm² that can be neither parted nor told to be body."""
    corners = concave_corners(mask, pixel_mm)
    if not corners.any():
        return mask, 0.0
    turn = 1 if _weight_below(other, float(np.nonzero(mask.any(axis=1))[0].mean())) else -1
    turned = mask[::turn], image_hu[::turn], pixel_mm, corners[::turn]
    parted = part_by_material(*turned)
    if parted is None:
        return mask, one_material_beneath(*turned)
    mask, doubtful_mm2 = parted[0][::turn], parted[1]
    # Less than this, taken off or left on, changes Dw by less than 1 %.
    return mask, doubtful_mm2 if doubtful_mm2 > _DOUBTED_SHARE * float(mask.sum()) * pixel_mm**2 else 0.0


def _field_of_view(image_hu: NDArray[np.floating]) -> Mask:
    """The circle in which there is an image, or all of it."""
    circle, corner = _circle(*image_hu.shape)
    corners = image_hu[corner]
    if corners.size and float(np.ptp(corners)) == 0:
        return circle
    return np.ones(image_hu.shape, bool)


@lru_cache(maxsize=8)
def _circle(rows: int, columns: int) -> tuple[Mask, Mask]:
    """The circle that touches the image's edges, and the corners clear of it."""
    y = (np.arange(rows) - (rows - 1) / 2) / (rows / 2)
    x = (np.arange(columns) - (columns - 1) / 2) / (columns / 2)
    squared = y[:, None] ** 2 + x[None, :] ** 2
    return squared <= 1, squared > (1 + 2 / min(rows, columns)) ** 2


@lru_cache(maxsize=8)
def _circle_edge(rows: int, columns: int) -> Mask:
    return ~_within(_circle(rows, columns)[0])


def _within(inside: Mask) -> Mask:
    """The field of view without its outermost two pixels."""
    return erode(np.pad(inside, 2), 2)[2:-2, 2:-2]


def _solid(dense: Mask, sheet: int) -> Mask:
    """What is thick, with its holes; the hollow of a table is left open although sheets enclose it."""
    thick = open_by(dense, sheet)
    filled = fill(thick)
    enclosed = fill(dense) & ~dense & ~filled
    if enclosed.sum() < _LEAST_HOLE:
        return filled
    # A thin chest wall is lost to the opening, and the lung behind it is then open: it is still the body's when most of
    # what surrounds it is thick tissue. A table's hollow touches the body on one side only.
    labels = ndimage.label(enclosed)[0]
    shell, added = dilate(filled, sheet + 2), False
    for index, where in enumerate(ndimage.find_objects(labels), start=1):
        grown = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in where)
        hole = labels[grown] == index
        if hole.sum() < _LEAST_HOLE:
            continue
        border = hole & ~erode(hole, 1)
        if (border & shell[grown]).sum() > 0.5 * border.sum():
            filled[grown] |= dilate(hole, sheet) & (dense[grown] | hole)
            added = True
    return fill(filled) if added else filled


def _bodies(solid: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> Mask | None:
    """The body and other patient-like pieces, cut from what they rest on."""
    area = float(solid.sum())
    if area * pixel_mm**2 < _SMALLEST_BODY_MM2:
        return None
    radius = math.sqrt(area / math.pi)
    parting = round(min(2.0 * math.sqrt(2 * radius) + 2, 0.45 * radius))
    cores, count = ndimage.label(erode(solid, parting))
    pieces = [dilate(cores == index, parting) & solid for index in range(1, count + 1)]
    if not pieces:
        return None
    weights = [float((image_hu[piece] + 1000).sum()) / 1000 for piece in pieces]
    main = _main(pieces, weights, image_hu)
    body = pieces[main]
    if body.sum() * pixel_mm**2 < _SMALLEST_BODY_MM2:
        return None
    left_over = solid.copy()
    for piece in pieces:
        left_over &= ~piece
    if left_over.sum() * pixel_mm**2 >= _ARM_AREA_MM2:
        left_over &= ~dilate(cores > 0, parting + 1)
        labels = ndimage.label(left_over)[0]
        sizes = np.bincount(labels.ravel())[1:]
        pieces += [labels == index + 1 for index in np.nonzero(sizes * pixel_mm**2 >= _ARM_AREA_MM2)[0]]
    for index, piece in enumerate(pieces):
        if index != main and _is_limb(piece, image_hu, pixel_mm):
            body = body | piece
    return body


def _main(pieces: list[Mask], weights: list[float], image_hu: NDArray[np.floating]) -> int:
    """Index of the body: the heaviest piece, but before a plate that outweighs an infant the heaviest compact one."""
    heaviest = weights.index(max(weights))
    if len(pieces) == 1 or _compactness(pieces[heaviest]) >= _COMPACT:
        return heaviest
    numbers = image_hu[erode(pieces[heaviest], 2)]
    if len(numbers) < 20 or float(np.ptp(np.percentile(numbers, [10, 90]))) > _HOMOGENEOUS_HU:
        return heaviest  # a flat patient, of bone, fat and gas
    compact = [index for index, piece in enumerate(pieces) if _compactness(piece) >= _COMPACT]
    return max(compact, key=weights.__getitem__) if compact else heaviest


def _compactness(piece: Mask) -> float:
    """Area over squared length."""
    rows, columns = np.nonzero(piece.any(1))[0], np.nonzero(piece.any(0))[0]
    return float(piece.sum()) / float(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1) ** 2


def _is_limb(piece: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> bool:
    """Whether a piece beside the body is an arm or a leg: large, compact and of soft tissue."""
    area = float(piece.sum())
    if area * pixel_mm**2 < _ARM_AREA_MM2 or float(image_hu[piece].mean()) < _ARM_MEAN_HU:
        return False
    return _compactness(piece) >= _COMPACT


def _protrusions(rest: Mask, body: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> Mask:
    """What grows out of the body: small things, and larger ones of soft tissue on a broad base, as breasts are."""
    at_body = rest & dilate(body, 1)
    if at_body.sum() < _LEAST_TOUCH:
        return at_body
    labels, count = ndimage.label(rest)
    keep = np.zeros(count + 1, bool)
    base = np.bincount(labels[at_body], minlength=count + 1)
    boxes = ndimage.find_objects(labels)
    for index in np.nonzero(base[1:])[0] + 1:
        where = boxes[index - 1]
        length = max(part.stop - part.start for part in where)
        keep[index] = length * pixel_mm <= _PROTRUSION_MM or (
            base[index] >= _BROAD_BASE * length
            and float(image_hu[where][labels[where] == index].mean()) > _SOFT_TISSUE_HU
        )
    return keep[labels]


def _above_ledge(mask: Mask, image_hu: NDArray[np.floating], pixel_mm: float) -> tuple[Mask, float]:
    """Without a plate at the bottom that juts out on both sides at once and is as wide from there on down.

    Beside it the pixels that jut out where the body goes on between them, so that nothing is taken off.
    """
    rows = np.nonzero(mask.any(axis=1))[0]
    step = max(1, round(_LEDGE_STEP_MM / pixel_mm))
    last = rows[-1]
    if len(rows) < 4 * step:
        return mask, 0.0
    block = mask[rows[0] : last + 1]
    left = block.argmax(axis=1)
    right = block.shape[1] - block[:, ::-1].argmax(axis=1)
    reach = round(_LEDGE_REACH_MM / pixel_mm)
    juts = (left[:-step] - left[step:] >= reach) & (right[step:] - right[:-step] >= reach)
    deepest = round(_THICKEST_PLATE_MM / pixel_mm)
    juts[: max(0, len(juts) - deepest)] = False
    where = np.nonzero(juts)[0]
    if not len(where):
        return mask, 0.0
    below = slice(int(where[0]) + 2 * step, len(left) - 1)
    if below.stop - below.start < 1 or max(np.ptp(left[below]), np.ptp(right[below])) > 2 * step:
        return mask, 0.0
    edge = int(where[-1])
    plate = slice(rows[0] + edge + 1, last + 1)
    middle, sides = slice(left[edge], right[edge]), mask[plate].copy()
    sides[:, middle] = False
    if abs(_median(image_hu[plate][sides]) - _median(image_hu[plate, middle][mask[plate, middle]])) > _PLATE_LIKE_HU:
        return mask, 0.0  # the body goes on between the ledges
    between = image_hu[plate, middle][erode(mask[plate, middle], 1)]
    if between.size and float(np.ptp(np.percentile(between, [5, 95]))) > _HOMOGENEOUS_HU:
        return mask, float(sides.sum())  # bone between them: what lies beside it has the body's number
    cut = mask.copy()
    cut[plate] = False
    return cut, 0.0


def _median(values: NDArray[np.floating]) -> float:
    return float(np.median(values)) if values.size else 0.0


def _is_homogeneous(mask: Mask, image_hu: NDArray[np.floating]) -> bool:
    """Whether it holds one material, as a water phantom does and no patient's cross-section, which has bone or gas."""
    numbers = image_hu[::2, ::2][erode(mask[::2, ::2], 2)]  # a quarter of the pixels tells as much
    if len(numbers) < 100:
        return False
    middle = np.median(numbers[:: len(numbers) // 100])
    return float((np.abs(numbers - middle) > _HOMOGENEOUS_HU).mean()) < 0.005


def _within_ellipse(mask: Mask, other: Mask, inside: Mask) -> Mask:
    """Without the holder that hugs a round phantom; the mask itself for all that is no ellipse, as patients are not."""
    contour = mask & ~erode(np.pad(mask, 1), 1)[1:-1, 1:-1] & erode(np.pad(inside, 1), 2)[1:-1, 1:-1]
    y, x = (axis.astype(float) for axis in np.nonzero(contour & ~dilate(other, 3)))
    if len(x) < 40:
        return mask
    middle_y, middle_x, scale = y.mean(), x.mean(), max(float(np.ptp(y)), float(np.ptp(x)), 1.0) / 2
    every = _conic_terms((x - middle_x) / scale, (y - middle_y) / scale)
    free = y < middle_y if _weight_below(other, middle_y) else y > middle_y
    for _ in range(_ELLIPSE_ROUNDS):
        conic = np.linalg.lstsq(every[0][free], every[1][free], rcond=None)[0]
        distance = _distance(conic, every, (x - middle_x) / scale, (y - middle_y) / scale) * scale
        before, free = free, np.abs(distance) < _ELLIPSE_PIXELS
        if free.sum() < 40:
            return mask
        if (free == before).all():
            break
    if free.sum() < _ELLIPSE_SHARE * len(x) or float(np.std(distance[free])) > 0.5:
        return mask
    if free.all() and not (dilate(mask, 1) & other).any():
        return mask
    rows, columns = np.nonzero(mask & ~erode(mask, _HOLDER_PIXELS))
    u, v = (columns - middle_x) / scale, (rows - middle_y) / scale
    trimmed = mask.copy()
    trimmed[rows, columns] = _distance(conic, _conic_terms(u, v), u, v) * scale <= 0.5
    return trimmed


def _weight_below(other: Mask, middle_y: float) -> bool:
    """Whether the table lies at the bottom of the image, as it does unless the image is turned."""
    rows = np.nonzero(other)[0]
    return not len(rows) or float(rows.mean()) > middle_y


def _conic_terms(x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Terms of ``a (x² - y²) + b x y + c x + d y + e = x² + y²``, an ellipse that is not far from round."""
    return np.stack([x**2 - y**2, x * y, x, y, np.ones_like(x)], axis=-1), x**2 + y**2


def _distance(
    conic: NDArray[np.floating],
    terms: tuple[NDArray[np.floating], NDArray[np.floating]],
    x: NDArray[np.floating],
    y: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Distance from the ellipse, positive outside, to first order."""
    a, b, c, d, _ = conic
    value = terms[1] - terms[0] @ conic
    slope_x, slope_y = 2 * x - 2 * a * x - b * y - c, 2 * y + 2 * a * y - b * x - d
    return value / np.maximum(np.hypot(slope_x, slope_y), 1e-6)


def _edge(inside: Mask) -> Mask:
    """The outermost two pixels of the field of view and what lies beyond."""
    circle, _ = _circle(*inside.shape)
    return _circle_edge(*inside.shape) if inside is circle else ~_within(inside)


def _on_edge(mask: Mask, edge: Mask) -> float:
    """Share of the contour's pixels that lie on the edge of the field of view."""
    framed = np.pad(mask, 1)
    contour = mask & ~(framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:])
    total = int(contour.sum())
    return float((contour & edge).sum()) / total if total else 0.0
