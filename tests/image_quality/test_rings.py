"""Rings against rings of known height in noise of several colours, and against noise without any."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dose_audit.image_quality.rings import ring_share

_ROW, _COLUMN = np.mgrid[:240, :240] - 119.5
_AWAY = np.hypot(_ROW, _COLUMN)
_INSIDE = _AWAY < 100
_CENTRE = (119.5, 119.5)


def _noise(seed: int, blur: float, sd: float = 10.0) -> np.ndarray:
    field = np.random.default_rng(seed).normal(0.0, 1.0, _AWAY.shape)
    field = ndimage.gaussian_filter(field, blur) if blur else field
    return field * (sd / field.std())


@pytest.mark.parametrize("blur", [0.0, 1.0, 2.0])
def test_noise_and_cupping_are_no_rings(blur: float) -> None:
    for seed in range(5):
        image = _noise(seed, blur) + 20.0 * (_AWAY / 100.0) ** 2
        assert ring_share(image, 0.7, _CENTRE, _INSIDE).sd == 0.0


@pytest.mark.parametrize("blur", [0.0, 1.0])
@pytest.mark.parametrize("height", [5.0, 15.0])
def test_rings_of_known_height(blur: float, height: float) -> None:
    # A sine over the radius has the standard deviation of its height over the root of two.
    found = ring_share(_noise(7, blur) + height * np.sin(_AWAY), 0.7, _CENTRE, _INSIDE)
    assert found.sigmas > 3.0
    # Means over rings of one pixel take off a little of it.
    assert found.sd == pytest.approx(height / np.sqrt(2.0), rel=0.12)


def test_a_region_of_a_few_pixels_says_nothing() -> None:
    nothing = ring_share(_noise(3, 0.0), 0.7, _CENTRE, _AWAY < 6)
    assert (nothing.sd, nothing.sigmas) == (0.0, 0.0)
    with pytest.raises(ValueError, match="differ in shape"):
        ring_share(_noise(3, 0.0), 0.7, _CENTRE, _INSIDE[:10])
