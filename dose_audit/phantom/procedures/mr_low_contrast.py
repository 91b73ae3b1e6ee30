"""Low-contrast spokes of an MR phantom: how many are complete, by what their discs do that places without a disc do not."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dose_audit.image_quality import LowContrast, disc_mask, low_contrast_fitted
from dose_audit.image_quality.disc_fit import background_criteria
from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Feature, Measure
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.procedures.common import absent, plane_at, result
from dose_audit.phantom.procedures.mr_ghosting import ghost_share
from dose_audit.phantom.procedures.mr_matrix import acquired_mm
from dose_audit.phantom.procedures.mr_membrane import (
    Laid,
    Membrane,
    Window,
    agreed,
    background,
    laid,
    places,
    ring_centre,
    sizes,
    window,
)
from dose_audit.phantom.procedures.mr_section import outline_of
from dose_audit.phantom.results import PhantomMeasurement, Roi
from dose_audit.phantom.workbench import Workbench

__all__ = ["spokes"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Fewer spokes than in a slice of less contrast, in spokes and in standard deviations, that noise does not explain.
_FEWER, _FEWER_SIGMAS = 2.0, 3.0
# Further from its membrane a slice of 5 mm holds less than half of it.
_OFF_MM = 3.5
# Orders of the smooth background among which the image itself chooses.
_ORDERS = (2, 4, 6, 8)
# Means over so many mm of what is left between the discs, in standard deviations of a pixel's noise. Noise alone leaves a
# fifth, sound membranes up to 0.9 without a loss; from 1.2 on ghosts took spokes away, where more than three lack from 0.6.
_STRUCTURE_MM, _STRUCTURE, _STRUCTURE_OF_FEW, _FEW = 5.0, 1.1, 0.6, 3
# Ghosts in shares of the discs' contrast that take a spoke away, and from which they may be why more than three lack.
_GHOSTS, _GHOSTS_OF_FEW = 1.0, 0.5
# Finer pixels are averaged: they take four times as long, and show more only of the smallest discs in noise.
_COARSE_MM = 1.05


def spokes(bench: Workbench, pose: Pose, definition: Definition, measure: Measure) -> Iterable[PhantomMeasurement]:
    """Complete spokes of each slice, from the largest on, and their total.

    The disc's place is fitted to its ring, and how the discs are turned in it to the larger discs of all slices, so that
    no single disc is looked for where it appears by chance. ``slices`` lists the modules by rising contrast.
    """
    (disc,) = definition.features_of(measure)
    names = [str(one) for one in measure.settings["slices"]]
    turns = [float(one) for one in measure.settings["first_deg"]]
    found: list[Membrane] = []
    lost: dict[str, str] = {}
    for module, first in zip(names, turns, strict=True):
        plane = plane_at(bench, pose, definition.module(module).z_mm)
        ready = plane if isinstance(plane, str) else ring_centre(bench, pose, disc, plane)
        if isinstance(ready, str):
            lost[module] = ready
        else:
            assert not isinstance(plane, str)
            found.append(Membrane(module, plane, ready, first))
    found = agreed(pose, disc, found)
    pixels = max(1, int(_COARSE_MM / max(bench.spacing_mm)))
    lie = laid(pose, disc, measure, found, pixels=pixels) if found else None
    finer = pixels > 1 and acquired_mm(bench) < 0.75 * pixels * max(bench.spacing_mm)
    total, spread, reasons = 0.0, 0.0, []
    best: Measured | None = None
    for module in names:
        name = f"{measure.name}_{module.replace('-', '')}"
        title = f"Spokes seen in {definition.module(module).name.split(':')[0].lower()}"
        index = next((k for k, item in enumerate(found) if item.module == module), None)
        if index is None or lie is None:
            yield PhantomMeasurement(not_measurable(name, "1", lost[module]), title=title, module=module)
            reasons.append(f"{module}: {lost[module]}")
            continue
        counted, rois = _count(pose, disc, measure, found[index], lie, index, name, finer=finer)
        counted = _off_its_membrane(_against_weaker(counted, best), found[index], pose, definition)
        counted = _under_ghosts(counted, bench, pose, definition, measure, found[index])
        if counted.value is not None and (best is None or counted.value > (best.value or 0.0)):
            best = counted
        yield PhantomMeasurement(counted, title=title, module=module, rois=tuple(rois))
        if counted.value is None:
            reasons.append(f"{module}: {counted.reason}")
        else:
            total += counted.value
            spread = math.hypot(spread, counted.uncertainty or 0.0)
            if counted.status != "ok":
                reasons.append(f"{module}: {counted.reason}")
    title = "Spokes seen in all slices"
    if lost or not found:
        yield absent(f"{measure.name}_total", "1", "; ".join(reasons), measure, title=title)
        return
    sum_of = Measured(f"{measure.name}_total", total, "1", spread, method="sum over the slices")
    yield result(sum_of.doubt("; ".join(reasons)) if reasons else sum_of, measure, title=title)


def _against_weaker(counted: Measured, best: Measured | None) -> Measured:
    """The count, doubted where far fewer spokes are seen than in a slice of less contrast: it is not contrast that lacks."""
    if best is None or best.value is None or counted.value is None:
        return counted
    spread = math.hypot(counted.uncertainty or 0.0, best.uncertainty or 0.0)
    if best.value - counted.value <= max(_FEWER, _FEWER_SIGMAS * spread):
        return counted
    slice_ = best.name.rpartition("slice")[-1]
    return counted.doubt(
        f"slice {slice_} with less contrast shows {best.value:.0f} spokes: an artefact, or shading at the ring"
    )


def _under_ghosts(
    counted: Measured, bench: Workbench, pose: Pose, definition: Definition, measure: Measure, one: Membrane
) -> Measured:
    """The count, doubted where spokes lack and ghosts as strong as the membrane's contrast lie beside the phantom."""
    lacking = len(measure.settings["diameters_mm"]) - (counted.value or 0.0)
    contrasts = [float(each) for each in measure.settings.get("contrasts_percent", ())]
    if counted.value is None or lacking <= 0 or not contrasts:
        return counted
    contrast = contrasts[list(measure.settings["slices"]).index(one.module)]
    share = ghost_share(bench, one.plane, outline_of(bench, pose, definition, one.plane))
    if share is None or share <= contrast * (_GHOSTS_OF_FEW if lacking > _FEW else _GHOSTS):
        return counted
    return counted.doubt(f"ghosts of {share:.1f} % of the signal lie over discs of {contrast:.1f} % contrast")


def _off_its_membrane(counted: Measured, one: Membrane, pose: Pose, definition: Definition) -> Measured:
    """The count, doubted where the slice shows little of the membrane and much of what is beside it."""
    away = abs(one.plane.z_mm - pose.z_in_series(definition.module(one.module).z_mm))
    if counted.value is None or away <= _OFF_MM:
        return counted
    return counted.doubt(f"the slice lies {away:.1f} mm off its membrane, which fills only a part of it")


def _count(
    pose: Pose, disc: Feature, measure: Measure, one: Membrane, lie: Laid, index: int, name: str, *, finer: bool
) -> tuple[Measured, list[Roi]]:
    """Complete spokes of one slice; where some lack, once more with `finer` pixels, in which small discs stand out more."""
    spacing, turned = pose.spacing_mm, lie.turn
    rings, diameters = len(measure.settings["radii_mm"]), [float(d) for d in measure.settings["diameters_mm"]]
    whole = places(pose, measure, one, turned)
    view = lie.windows[index]
    clear = _between(view, whole, measure, pose)
    region, order, odd = _chosen(view, lie.backgrounds[index], clear, whole, measure, pose, one)
    seen = _seen(pose, measure, one, whole, view, region, order)
    if finer and (seen.count.value or 0.0) < len(diameters):
        fine = window(one, disc, pose)
        odd = np.kron(odd, np.ones((view.pixels, view.pixels), dtype=bool))
        region = fine.inside.copy()
        region[: odd.shape[0], : odd.shape[1]] &= ~odd
        seen = _seen(pose, measure, one, whole, fine, region, order)
    rois = []
    for disc_number, (place, detection) in enumerate(zip(whole, seen.detections, strict=True)):
        spoke, ring = divmod(disc_number, rings)
        half = 0.5 * diameters[spoke] * pose.scale
        label = str(spoke + 1) if ring == rings - 1 else ""
        kind = "circle" if detection.visible else "point"
        at = (float(place[0]), float(place[1]))
        rois.append(Roi(kind, (at,), (half / spacing[0], half / spacing[1]), one.plane.frame, label))
    count = seen.count
    if count.value is not None and seen.groups:
        missed = int(count.value)
        if sum(seen.groups[missed:]) >= 3:
            count = count.doubt(
                f"spoke {missed + 1} is incomplete though {sum(seen.groups[missed:])} smaller ones are complete: "
                "an artefact, or shading at the ring"
            )
        strange = _structure(view, lie.backgrounds[index], clear)
        lacking = len(diameters) - missed
        if lacking and strange > (_STRUCTURE_OF_FEW if lacking > _FEW else _STRUCTURE):
            count = count.doubt(
                f"between the discs lies structure of {strange:.1f} times the noise: ghosts, or a fault of the membrane"
            )
    return Measured(
        name, count.value, "1", count.uncertainty, count.status, count.reason, count.method, count.quality,
        {**count.details, "turn_deg": turned.turn_deg, "shift_mm": list(turned.shift_mm),
         "size": turned.size, "d_prime": [d.d_prime for d in seen.detections]},
    ), rois  # fmt: skip


def _seen(
    pose: Pose, measure: Measure, one: Membrane, whole: Floats, view: Window, region: Mask, order: int
) -> LowContrast:
    """Which discs stand out in one window."""
    rings, spokes_ = len(measure.settings["radii_mm"]), len(measure.settings["diameters_mm"])
    return low_contrast_fitted(
        view.flat,
        view.spacing_mm,
        [(float(row), float(column)) for row, column in view.at(whole)],
        sizes(pose, measure),
        region=region,
        shapes=background(view, one, order),
        groups=[range(rings * spoke, rings * spoke + rings) for spoke in range(spokes_)],
        consecutive=True,
        blur_mm=0.4 * max(view.spacing_mm),
        unit="1",
    )


def _between(coarse: Window, whole: Floats, measure: Measure, pose: Pose) -> Mask:
    """Where the membrane is free of discs."""
    clear = coarse.inside.copy()
    step = max(coarse.spacing_mm)
    for (row, column), size in zip(coarse.at(whole), sizes(pose, measure), strict=True):
        place = (float(row), float(column))
        clear &= ~disc_mask((clear.shape[0], clear.shape[1]), place, 0.5 * size + 2.0 * step, coarse.spacing_mm)
    return clear


def _structure(coarse: Window, under: Floats | None, clear: Mask) -> float:
    """Standard deviation of local means between the discs over that of a pixel's noise; 0 where there is no telling."""
    if under is None or clear.sum() < 100:
        return 0.0
    rest = np.where(clear, coarse.flat - under, 0.0)
    noises = []
    for image, mask in ((rest, clear), (rest.T, clear.T)):
        # Neighbours share noise in an interpolated image; pixels further apart do not.
        for apart in (2, 3):
            both = mask[apart:] & mask[:-apart]
            if both.any():
                noises.append(
                    1.4826 * float(np.median(np.abs((image[apart:] - image[:-apart])[both]))) / math.sqrt(2.0)
                )
    noise = float(np.median(noises)) if noises else 0.0
    if noise <= 0:
        return 0.0
    box = [max(3, round(_STRUCTURE_MM / step) | 1) for step in coarse.spacing_mm]
    share = ndimage.uniform_filter(clear.astype(float), box)
    local = ndimage.uniform_filter(rest, box) / np.maximum(share, 1e-9)
    return float(local[clear & (share > 0.5)].std()) / noise if (clear & (share > 0.5)).sum() > 10 else 0.0


def _chosen(
    coarse: Window,
    under: Floats | None,
    clear: Mask,
    whole: Floats,
    measure: Measure,
    pose: Pose,
    one: Membrane,
) -> tuple[Mask, int, Mask]:
    """Pixels for the discs, the background's order, and the pixels that belong neither to it nor to the discs.

    A rim of the wall that the mask let in stands out of the fit far from any disc; it would bend all of the background.
    """
    if under is None:
        return coarse.inside, _ORDERS[1], np.zeros_like(coarse.inside)
    extents, spacing = sizes(pose, measure), coarse.spacing_mm
    at = [(float(row), float(column)) for row, column in coarse.at(whole)]
    rest = np.where(clear, coarse.flat - under, 0.0)
    usual = 1.4826 * float(np.median(np.abs(rest[clear]))) if clear.any() else 0.0
    odd = np.abs(rest) > 5.0 * usual
    shapes = background(coarse, one, _ORDERS[-1])
    planes = [(order + 1) * (order + 2) // 2 for order in _ORDERS]
    tried = background_criteria(
        coarse.flat,
        spacing,
        at,
        extents,
        region=coarse.inside & ~odd,
        shapes=shapes,
        choices=[[*range(count), *range(planes[-1], len(shapes))] for count in planes],
        blur_mm=0.4 * max(spacing),
    )
    sound = {order: value for order, value in zip(_ORDERS, tried, strict=True) if value is not None}
    return coarse.inside & ~odd, min(sound, key=lambda order: sound[order], default=_ORDERS[1]), odd
