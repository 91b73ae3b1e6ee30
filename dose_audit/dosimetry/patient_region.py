"""Where the patient is in an axial CT image: the table goes, the lungs and bowel gas stay in, the arms belong to it.

Everything is decided on shapes, in millimetres, so that it holds for any pixel size, table and position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.dosimetry._morphology import Mask, dilate
from dose_audit.dosimetry.field_of_view import edge_of_view, field_of_view, lungs_on_edge, share_on_edge
from dose_audit.dosimetry.holders import Parting, part_from_holder
from dose_audit.dosimetry.ledges import above_ledge, half_ledge, within_plate
from dose_audit.dosimetry.pieces import find_bodies, solid_parts
from dose_audit.dosimetry.protrusions import find_protrusions
from dose_audit.dosimetry.round_phantoms import is_homogeneous, within_ellipse
from dose_audit.dosimetry.soft_layers import peel_soft
from dose_audit.dosimetry.square_ends import layer_between_ends

__all__ = ["TABLE_THRESHOLD_HU", "PatientRegion", "find_patient_region"]

TABLE_THRESHOLD_HU = -383.0
"""Threshold between patient and air, the one by which AAPM 220 (fig. 2) parts the table from the patient."""

_SHEET_MM = 3.0  # half of the thickness below which something is a sheet: table shells, blankets, tubes
_BEYOND, _LEAST_CLOTH = 2, 0.03  # pixels; of water
_DOUBTED_SHARE = 0.011  # of the area, as far as it is seen: less changes Dw by less than 1 %
_WIDE = 0.4  # of the body's width: tables are, cables not


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
    cloth_mm2 : float
        Water-equivalent area in the rim that is not the patient's but of soft things next to the skin.
    doubt : str
        Why the border to a holder is not certain; empty where it is.
    doubtful_mm2 : float
        Area by which the patient's can be wrong on account of a holder (k = 1).
    """

    mask: Mask
    rim: Mask
    truncated_fraction: float
    removed_mm2: float
    cloth_mm2: float = 0.0
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
    4. A shell that hugs a part of a head or of a phantom is told by the steps at its two ends (`part_from_holder`).
       Cushions of tissue's CT number that follow a trunk are not parted from it: in one slice they look as the fat and the
       muscles of a back do, and rules that part them take a back for a cushion. Where they end squarely on both sides at
       one height they make the size doubtful (`layer_between_ends`); in a series they are told (`measure_slices`).
    5. Of a test phantom, whose free contour is an ellipse to within a pixel, what sticks out of the ellipse towards the
       table goes too.
    6. Lungs that the field of view cuts, which look like air around the body, are told by their CT number and added.
    7. Of the rim's water, what clothes or foam just beyond it put there is not the patient's (`cloth_mm2`).

    References
    ----------
    AAPM Report 220 (2014), section 2; the procedure of parting is this project's own, and tested on analytic phantoms.
    """
    dense = image_hu > threshold_hu
    inside = field_of_view(image_hu) if inside_fov is None else inside_fov
    dense &= inside
    region = _region(image_hu, dense, inside, pixel_mm)
    lungs = None if region is None else lungs_on_edge(image_hu, dense, region.mask, inside, pixel_mm)
    if lungs is None:
        return region
    return _region(np.where(lungs, np.float32(0), image_hu), dense | lungs, inside, pixel_mm) or region


def _region(image_hu: NDArray[np.floating], dense: Mask, inside: Mask, pixel_mm: float) -> PatientRegion | None:
    where = _surroundings(dense)
    if where is None:
        return None
    # Copies of one piece: what follows runs through them many times.
    part, above, view = (np.ascontiguousarray(array[where]) for array in (image_hu, dense, inside))
    found = _in_part(part, above, view, pixel_mm)
    if found is None:
        return None
    parting, around, cloth_mm2 = found
    mask, rim = np.zeros_like(dense), np.zeros_like(dense)
    mask[where], rim[where] = parting.mask, around
    removed = np.count_nonzero(dense & ~mask) * pixel_mm**2
    truncated = share_on_edge(parting.mask, edge_of_view(inside)[where])
    return PatientRegion(mask, rim, truncated, removed, cloth_mm2, parting.doubt, parting.doubtful_mm2)


def _surroundings(dense: Mask) -> tuple[slice, slice] | None:
    """The part of the image in which there is anything, with a margin."""
    rows, columns = np.nonzero(dense.any(1))[0], np.nonzero(dense.any(0))[0]
    if not len(rows):
        return None
    return slice(max(0, rows[0] - 8), rows[-1] + 9), slice(max(0, columns[0] - 8), columns[-1] + 9)


def _in_part(
    image_hu: NDArray[np.floating], dense: Mask, inside: Mask, pixel_mm: float
) -> tuple[Parting, Mask, float] | None:
    """The patient, the rim, and the water-equivalent area in mm² of what is not patient in it."""
    firm = dense & ~peel_soft(dense, image_hu)
    body = find_bodies(solid_parts(firm, max(1, int(_SHEET_MM / pixel_mm))), image_hu, pixel_mm)
    if body is None:
        return None
    mask = body | find_protrusions(firm & ~body, body, image_hu, inside, pixel_mm)
    turn = -1 if _is_upside_down(mask, dense & ~mask) else 1
    parting = _parted(mask[::turn], image_hu[::turn], dense[::turn], firm[::turn], inside[::turn], pixel_mm)
    parting = Parting(parting.mask[::turn], parting.doubt, parting.doubtful_mm2)
    mask = parting.mask
    other = dense & ~mask
    rim = dilate(mask, max(1, round(2.0 / pixel_mm))) & ~mask & inside & ~other
    return parting, rim, _cloth(mask, rim, other, inside, image_hu) * pixel_mm**2


def _parted(
    mask: Mask, image_hu: NDArray[np.floating], dense: Mask, firm: Mask, inside: Mask, pixel_mm: float
) -> Parting:
    """The body without what it rests on, table downwards."""
    one_material = is_homogeneous(mask, image_hu)
    parting = part_from_holder(mask, image_hu, pixel_mm, one_material=one_material)
    if parting.mask is not mask:
        mask = parting.mask
    elif one_material:
        mask = within_ellipse(mask, firm & ~mask, inside)
    doubtful_mm2 = 0.0
    for turn in (1, -1):
        above, beside = above_ledge(mask[::turn], image_hu[::turn], pixel_mm)
        mask = above[::turn]
        if beside > _DOUBTED_SHARE * np.count_nonzero(mask):
            doubtful_mm2 = max(doubtful_mm2, beside * pixel_mm**2)
    between = 0.0 if one_material else within_plate(mask, dense & ~mask, image_hu, pixel_mm)
    if between > _DOUBTED_SHARE * np.count_nonzero(mask):
        doubtful_mm2 = max(doubtful_mm2, between * pixel_mm**2)
    one_sided = half_ledge(mask, dense & ~mask, pixel_mm)
    if one_sided > _DOUBTED_SHARE * np.count_nonzero(mask):
        doubtful_mm2 = max(doubtful_mm2, one_sided * pixel_mm**2)
    if doubtful_mm2 and not parting.doubt:
        # More lies beneath the body's curve: of random scenes the body came out up to one and a half times this too large.
        return Parting(mask, "a plate beneath cannot be told from the body", 2 * doubtful_mm2)
    if not parting.doubt:
        layer = layer_between_ends(mask, image_hu, pixel_mm)
        if layer > _DOUBTED_SHARE * np.count_nonzero(mask):
            # Likely all of it: this is k = 1.
            return Parting(mask, "a layer beneath ends squarely on both sides, as no skin does", layer * pixel_mm**2)
    return Parting(mask, parting.doubt, parting.doubtful_mm2)


def _is_upside_down(mask: Mask, other: Mask) -> bool:
    """Whether the table lies at the top of the image: something wide does, and nothing wider at the bottom."""
    middle = int(np.nonzero(mask.any(axis=1))[0].mean())
    above, below = (np.count_nonzero(part.any(axis=0)) for part in (other[:middle], other[middle:]))
    return bool(above > max(below, _WIDE * np.count_nonzero(mask.any(axis=0))))


def _cloth(mask: Mask, rim: Mask, other: Mask, inside: Mask, image_hu: NDArray[np.floating]) -> float:
    """Water-equivalent pixels in the rim that belong to clothes or foam: what its pixels show of what lies beyond."""
    body = mask | rim
    beyond = dilate(body, _BEYOND) & ~body & inside & ~dilate(other, 1)
    numbers = image_hu[beyond]
    if not len(numbers) or float(numbers.mean()) < 1000 * (_LEAST_CLOTH - 1):
        return 0.0
    water = image_hu / np.float32(1000) + np.float32(1)
    there = beyond.astype(np.float32)
    cloth = ndimage.uniform_filter(there * water, 7) / np.maximum(ndimage.uniform_filter(there, 7), 1e-3)
    level, own = np.clip(cloth[rim], 0.0, 0.6), water[rim]
    # A pixel of the rim that is body by a share f shows f + (1 - f) * level.
    return float((own - np.clip((own - level) / (1 - level), 0.0, None))[level > _LEAST_CLOTH].sum())
