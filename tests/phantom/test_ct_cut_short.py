"""CT images that show a part of the phantom alone: a field of view within the body, slices that are missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from dose_audit.phantom.definition import Definition, definitions
from dose_audit.phantom.locate.ct_cylinder import _Ring, _slab_centre
from dose_audit.phantom.locate.ct_position import ring_features
from dose_audit.phantom.locate.inserts import ring_centre
from dose_audit.phantom.locate.outline import outlines
from dose_audit.phantom.series import ImageSeries
from dose_audit.phantom.workbench import Workbench

_SIDE, _PIXEL_MM = 256, 180.0 / 256


def definition(id: str) -> Definition:
    return next(one for one in definitions() if one.id == id)


def bench(volume: np.ndarray, z_mm: np.ndarray, pixel_mm: float = _PIXEL_MM) -> Workbench:
    """Images without the objects they came in."""
    series = SimpleNamespace(
        frames=range(len(volume)),
        image=lambda index: volume[index],
        volume=volume,
        z_mm=z_mm,
        step_mm=float(np.median(np.diff(z_mm))) if z_mm.size > 1 else None,
        thickness_mm=2.5,
        spacing_mm=(pixel_mm, pixel_mm),
    )
    return Workbench(cast(ImageSeries, series))


def test_a_ring_of_bars_does_not_hide_the_ring_of_inserts() -> None:
    """Gammex 464 in a field of 180 mm: four inserts in some slices, two of them faint, and eight squares in twice as many."""
    acr = definition("acr464")
    centre = (121.0, 133.5)
    down, right = np.mgrid[:_SIDE, :_SIDE].astype(float)
    y, x = (down - centre[0]) * _PIXEL_MM, (right - centre[1]) * _PIXEL_MM
    inserts = np.zeros((_SIDE, _SIDE))
    for one in ring_features(acr):
        inserts[np.hypot(x - one.x_mm, y - one.y_mm) <= one.size_mm[0] / 2] = one.nominal or 0.0
    bars = np.zeros((_SIDE, _SIDE))
    for theta in np.radians(np.arange(0.0, 360.0, 45.0)):
        across, along = x * np.cos(theta) + y * np.sin(theta) - 70.0, y * np.cos(theta) - x * np.sin(theta)
        bars[(np.abs(across) < 11.0) & (np.abs(along) < 11.0)] = 900.0
    volume = np.stack([inserts] * 8 + [np.zeros_like(inserts)] * 8 + [bars] * 16)
    volume += np.random.default_rng(4).normal(0.0, 20.0, volume.shape)
    found = ring_centre(bench(volume.astype(np.float32), np.arange(32) * 5.0), ring_features(acr), 0.0)
    # A first centre: what follows looks for each insert within 3 mm.
    assert found == pytest.approx(centre, abs=1.5 / _PIXEL_MM)


@pytest.mark.parametrize(("first_mm", "last_mm", "middle_mm"), [(-40.0, 20.0, 0.0), (-20.0, 40.0, 0.0)])
def test_a_module_that_ends_in_a_gap_is_placed_by_its_other_end(
    first_mm: float, last_mm: float, middle_mm: float
) -> None:
    """Inserts from -20 to +20 mm; the slices beyond one of their ends are missing for 40 mm."""
    acr = definition("acr464")
    z = np.arange(first_mm, last_mm + 1e-9, 2.5)
    beyond = 20.0 if last_mm == 20.0 else -20.0
    z = np.sort(np.append(z, beyond + np.sign(beyond) * np.arange(40.0, 60.0, 2.5)))
    agreement = (np.abs(z) <= 20.0).astype(float)
    agreement[np.abs(z) == 20.0] = 0.5
    shown = np.flatnonzero(agreement)
    ring = _Ring(agreement, 0.0, False, (int(shown[0]), int(shown[-1])), 1.0)
    series = bench(np.zeros((z.size, 8, 8), dtype=np.float32), z)
    assert _slab_centre(series, acr, ring) == pytest.approx(middle_mm, abs=1.3)


@pytest.mark.parametrize(("air", "body"), [(-1000.0, 50.0), (-690.0, -100.0), (-1000.0, -300.0)])
def test_a_body_is_as_wide_on_any_scale_of_grey(air: float, body: float) -> None:
    """A disc of 200 mm blurred over a pixel or two: its edge lies half way between air and body, wherever these are."""
    down, right = np.mgrid[:_SIDE, :_SIDE].astype(float)
    away = np.hypot(down - 127.3, right - 128.1) * 0.98 - 100.0
    share = 1.0 / (1.0 + np.exp(away / 0.6))
    image = (air + share * (body - air)).astype(np.float32)
    (outline,) = outlines(bench(image[None], np.zeros(1), 0.98))
    assert outline.radius_mm == pytest.approx(100.0, abs=0.1)
