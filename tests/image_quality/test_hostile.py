"""Every public metric against images that no phantom gives: a number or a reason in words, never an exception or a NaN."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from dose_audit import image_quality as iq
from dose_audit.image_quality.disc_fit import fit_discs, plane_shapes
from dose_audit.image_quality.radial_edges import radial_edges
from dose_audit.image_quality.rician import dark_ground
from dose_audit.image_quality.slice_response import fit_edge_response
from dose_audit.measured import Measured

from .accuracy import SEEDS

SIDE = 40


def images() -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    row, column = np.mgrid[:SIDE, :SIDE].astype(float)
    noise = random.normal(100.0, 10.0, (SIDE, SIDE))
    disc = noise + 300.0 * (np.hypot(row - 23.4, column - 24.1) < 12.0)
    edge = noise + 800.0 * (column > 23.0 + 0.05 * row)
    spot = noise + 900.0 * np.exp(-0.5 * ((row - 23.4) ** 2 + (column - 24.1) ** 2) / 4.0)
    found = {
        "empty": np.empty((0, 0)),
        "no rows": np.empty((0, 5)),
        "one pixel": np.ones((1, 1)),
        "one row": random.normal(100.0, 10.0, (1, 60)),
        "one column": random.normal(100.0, 10.0, (60, 1)),
        "narrow": random.normal(100.0, 10.0, (40, 2)),
        "zero": np.zeros((SIDE, SIDE)),
        "constant": np.full((SIDE, SIDE), -7.5),
        "saturated": np.full((SIDE, SIDE), 65535, dtype=np.uint16),
        "nan": np.full((SIDE, SIDE), np.nan),
        "infinite": np.full((SIDE, SIDE), np.inf),
        "half infinite": np.where(row < SIDE / 2, noise, -np.inf),
        "a nan": np.where((row == 20) & (column == 23), np.nan, disc),
        "two values": np.where(column < SIDE / 2, 0.0, 1.0),
        "one bright pixel": np.where((row == 23) & (column == 23), 1e6, 0.0),
        "checkerboard": (row + column) % 2,
        "ramp": row + 3.0 * column,
        "whole numbers": disc.astype(np.int16),
        "big-endian": disc.astype(">u2"),
        "bytes": disc.clip(0, 255).astype(np.uint8),
        "true and false": disc > 250.0,
        "single precision": edge.astype(np.float32) * np.float32(1e35),
        "every other pixel": np.repeat(np.repeat(disc, 2, axis=0), 2, axis=1)[::2, ::2],
        "upside down": disc[::-1, ::-1].T,
        "read-only": disc.copy(),
        "negative": -disc,
    }
    found["read-only"].setflags(write=False)
    for name, sound, powers in (
        ("disc", disc, (-320, -160, 25, 50, 304)),
        ("edge", edge, (50,)),
        ("spot", spot, (160,)),
    ):
        for power in powers:
            found[f"{name} times 1e{power}"] = sound * 10.0**power
    return found


IMAGES = images()


def middle(image: np.ndarray) -> tuple[float, float]:
    return (image.shape[0] - 1) / 2, (image.shape[1] - 1) / 2


def profile(image: np.ndarray) -> np.ndarray:
    return image[image.shape[0] // 2] if image.shape[0] else image.ravel()


def along(image: np.ndarray) -> np.ndarray:
    return np.arange(profile(image).size, dtype=float)


def everything(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, dtype=bool)


def spaced(image: np.ndarray, s: Any) -> list[tuple[float, float]]:
    row, column = middle(image)
    return [(row - 10.0, column - 10.0), (row + 10.0, column + 10.0), (row, column)]


Metric = Callable[[np.ndarray, Any], object]
# Those that take a pixel spacing, and those that take pixels alone.
SPACED: dict[str, Metric] = {
    "affine_distortion": lambda i, s: iq.affine_distortion(spaced(i, s), [(-10, -10), (10, 10), (0, 0)], s),
    "annulus_statistics": lambda i, s: iq.annulus_statistics(i, middle(i), 4.0, 9.0, s),
    "artefact_map": lambda i, s: iq.artefact_map(i, s),
    "bar_mtf": lambda i, s: iq.bar_mtf(i, i[: i.shape[0] // 2], i[i.shape[0] // 2 :], s, 0.2),
    "bar_mtf without bar": lambda i, s: iq.bar_mtf(i, None, i[i.shape[0] // 2 :], s, 0.2),
    "bar_mtf_curve": lambda i, s: iq.bar_mtf_curve([iq.BarGroup(0.2, i), iq.BarGroup(0.3, i)], i, i.T, s),
    "bead_mtf": lambda i, s: iq.bead_mtf(i, s, bead_diameter_mm=0.2, replicates=20),
    "body_outline": lambda i, s: iq.body_outline(i, s),
    "circle_diameter": lambda i, s: iq.circle_diameter(i, s),
    "circle_diameter about": lambda i, s: iq.circle_diameter(i, s, middle(i), 12.0),
    "disc_statistics": lambda i, s: iq.disc_statistics(i, middle(i), 9.0, s),
    "disc_ttf": lambda i, s: iq.disc_ttf(i, s, replicates=20),
    "disc_ttf about": lambda i, s: iq.disc_ttf(i, s, centre_px=middle(i), radius_mm=12.0, replicates=20),
    "edge_mtf": lambda i, s: iq.edge_mtf(i, s, replicates=20),
    "fit_discs": lambda i, s: fit_discs(
        i, s, [middle(i)], [8.0], region=everything(i), shapes=plane_shapes(i.shape, 2)
    ),
    "fit_insert": lambda i, s: iq.fit_insert(i, s, middle(i), 12.0),
    "fractional_uniformity": lambda i, s: iq.fractional_uniformity(i, s, middle(i), length_mm=30.0),
    "hu_uniformity": lambda i, s: iq.hu_uniformity(i, s, middle(i)),
    "low_contrast_fitted": lambda i, s: iq.low_contrast_fitted(
        i, s, spaced(i, s), [8.0] * 3, region=everything(i), shapes=plane_shapes(i.shape, 2)
    ),
    "low_contrast_visible": lambda i, s: iq.low_contrast_visible(i, s, spaced(i, s), [8.0] * 3, region=everything(i)),
    "low_contrast_visible, searching": lambda i, s: iq.low_contrast_visible(i, s, [middle(i)], [3.0], search_mm=2.0),
    "low_contrast_visible beside": lambda i, s: iq.low_contrast_visible(i, s, spaced(i, s), [8.0] * 3, background=i),
    "nema_uniformity": lambda i, s: iq.nema_uniformity(i, s),
    "node_distances": lambda i, s: iq.node_distances(i, s, spaced(i, s), 3.0),
    "noise_power_spectrum": lambda i, s: iq.noise_power_spectrum(i, s, roi_size=24),
    "normalised_nps": lambda i, s: iq.normalised_nps(i, s, roi_size=24),
    "percent_integral_uniformity": lambda i, s: iq.percent_integral_uniformity(
        i, s, middle(i), area_cm2=12.0, kernel_cm2=0.5
    ),
    "percent_signal_ghosting": lambda i, s: iq.percent_signal_ghosting(i, s, area_cm2=1.0),
    "radial_edges": lambda i, s: radial_edges(i, s, middle(i), 12.0),
    "rectangle_statistics": lambda i, s: iq.rectangle_statistics(i, middle(i), (20.0, 10.0), s, angle_deg=20.0),
    "slice_position_bars": lambda i, s: iq.slice_position_bars(i, s, middle(i), (middle(i)[0], middle(i)[1] + 5.0)),
    "slice_thickness_ramps": lambda i, s: iq.slice_thickness_ramps(i, s, middle(i), length_mm=40.0),
    "slice_thickness_wire": lambda i, s: iq.slice_thickness_wire(i, s, middle(i), 0.0, length_mm=24.0),
    "slice_thickness_wire, stack": lambda i, s: iq.slice_thickness_wire(
        np.stack([i, i]), s, middle(i), 0.0, z_mm=[0.0, 1.0], length_mm=16.0, width_mm=6.0
    ),
    "statistical_lcd": lambda i, s: iq.statistical_lcd(i, s, [2.0, 5.0]),
    "strip_profile": lambda i, s: iq.strip_profile(i, middle(i), 20.0, 3.0, s, angle_deg=5.0),
    "tile_uniformity": lambda i, s: iq.tile_uniformity(i, s, tile_mm=5.0, border_mm=4.0),
    "wire_mtf": lambda i, s: iq.wire_mtf(i, s, wire_diameter_mm=0.1, replicates=20),
}
PLAIN: dict[str, Metric] = {
    "dark_ground": lambda i, _: dark_ground(i, 3.0, 50),
    "defective_pixels": lambda i, _: iq.defective_pixels(i),
    "fit_circle": lambda i, _: iq.fit_circle(profile(i), along(i)),
    "fit_ellipse": lambda i, _: iq.fit_ellipse(profile(i), along(i)),
    "fit_edge_response": lambda i, _: fit_edge_response(along(i), profile(i)),
    "fit_slice_profile": lambda i, _: iq.fit_slice_profile(along(i), profile(i), tilted_top=True),
    "hu_linearity": lambda i, _: iq.hu_linearity([float(v) for v in profile(i)[:5]], list(along(i)[:5])),
    "lag": lambda i, _: iq.lag(i[::-1], i, [i, i[:, ::-1]]),
    "mask_statistics": lambda i, _: iq.mask_statistics(i, everything(i)),
    "noise_sd": lambda i, _: iq.noise_sd(i),
    "profile_shift": lambda i, _: iq.profile_shift(along(i), profile(i), profile(i)[::-1]),
    "roi_mean": lambda i, _: iq.roi_mean(i),
    "signal_transfer": lambda i, _: iq.signal_transfer(list(along(i)[1:6]), [float(v) for v in profile(i)[1:6]]),
    "slice_thickness_wedge": lambda i, _: iq.slice_thickness_wedge(along(i), profile(i), tangent=0.2),
    "snr_single_image": lambda i, _: iq.snr_single_image(i, i[:, : i.shape[1] // 2]),
    "snr_smoothed": lambda i, _: iq.snr_smoothed(i),
    "snr_two_images": lambda i, _: iq.snr_two_images(i, i[::-1]),
    "structured_noise": lambda i, _: iq.structured_noise(np.stack([i, i[::-1], i[:, ::-1]])),
}
CONTRASTS: dict[str, Metric] = {
    name: lambda i, s, contrast=contrast: contrast(
        iq.disc_statistics(i, middle(i), 9.0, s), iq.annulus_statistics(i, middle(i), 14.0, 19.0, s)
    )
    for name, contrast in {
        "contrast_difference": iq.contrast_difference,
        "contrast_to_noise": iq.contrast_to_noise,
        "contrast_to_noise, pooled": lambda one, other: iq.contrast_to_noise(one, other, noise="pooled"),
        "mammographic_cnr": iq.mammographic_cnr,
        "relative_contrast": iq.relative_contrast,
    }.items()
}
METRICS = {**SPACED, **PLAIN, **CONTRASTS}
# Of these the suite takes a part of the images; with ``IMAGE_QUALITY_GRID=1`` it takes all.
SLOW = {"slice_thickness_ramps", "slice_thickness_wire", "slice_thickness_wire, stack", "fit_insert"}
# Values that are not there, where a NaN says so: single directions of an edge, single tiles, pixels beyond the image.
MAPS = {"RadialEdges", "TileUniformity", "ArtefactMap"}


def numbers(value: object, at: str = "result") -> Iterator[tuple[str, float]]:
    """Every number that a result holds, and where."""
    if isinstance(value, bool | str | bytes) or value is None:
        return
    if isinstance(value, int | float | np.number):
        yield at, float(value)
    elif isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            yield at, math.nan
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from numbers(one, f"{at}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from numbers(one, f"{at}[{index}]")
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            inner = getattr(value, one.name)
            if type(value).__name__ in MAPS and isinstance(inner, np.ndarray):
                continue
            yield from numbers(inner, f"{at}.{one.name}")


def complaints(metric: Metric, image: np.ndarray, spacing: Any) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            result = metric(image, spacing)
        except (ValueError, TypeError) as error:
            # An image without pixels is the caller's error where the docstring says so, and is called that.
            if image.size or "image" not in str(error):
                yield f"raised {type(error).__name__}: {error}"
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a complaint
            yield f"raised {type(error).__name__}: {error}"
            return
    for at, number in numbers(result):
        if not math.isfinite(number):
            yield f"{at} is {number}"
    if isinstance(result, Measured) and result.value is None and not result.reason:
        yield "gives no reason"


@pytest.mark.parametrize("name", METRICS)
def test_hostile_images_give_a_number_or_a_reason(name: str) -> None:
    kinds = list(IMAGES)[:: 4 if name in SLOW and SEEDS < 30 else 1]
    said = [f"{kind}: {complaint}" for kind in kinds for complaint in complaints(METRICS[name], IMAGES[kind], 1.0)]
    assert not said, "\n".join(said)


@pytest.mark.parametrize("name", {**SPACED, **CONTRASTS})
def test_odd_pixels_give_a_number_or_a_reason(name: str) -> None:
    odd = [("whole numbers", spacing) for spacing in ((0.05, 3.0), 1e5, 1e-3, np.float32(0.3))]
    said = [
        f"{kind} at {spacing}: {complaint}"
        for kind, spacing in [*odd, ("one row", (0.05, 3.0)), ("disc times 1e25", 0.3)]
        for complaint in complaints(METRICS[name], IMAGES[kind], spacing)
    ]
    assert not said, "\n".join(said)


@pytest.mark.parametrize("spacing", [0.0, -1.0, np.nan, np.inf, (1.0, 0.0), (1.0, 1.0, 1.0), [], "1.0 mm"])
def test_a_spacing_that_is_none_is_the_callers_error(spacing: Any) -> None:
    for metric in {**SPACED, **CONTRASTS}.values():
        with pytest.raises((ValueError, TypeError)):
            metric(IMAGES["whole numbers"], spacing)


@pytest.mark.parametrize(
    "image",
    [np.zeros(30), np.zeros((2, 2, 2, 2)), np.full((30, 30), "a"), np.zeros((30, 30), complex)],
    ids=["a line", "four dimensions", "letters", "complex"],
)
def test_what_is_no_image_is_the_callers_error(image: np.ndarray) -> None:
    alone = ("noise_sd", "roi_mean", "defective_pixels", "snr_smoothed")
    for name in [*SPACED, *CONTRASTS, *alone]:
        if name != "affine_distortion":  # it takes places, not pixels
            with pytest.raises((ValueError, TypeError, IndexError)):
                METRICS[name](image, 1.0)
