"""One-call images for geometry metrics, each with its truth: a disc or ellipse with a bubble and a field, a node plate."""

from __future__ import annotations

import math

import numpy as np

from dose_audit.phantom.digital.metric.common import Array, Truth, add_noise, pair
from dose_audit.phantom.digital.objects import Disc, Ellipse
from dose_audit.phantom.digital.pose import Pose, pixel_of, pixel_positions
from dose_audit.phantom.digital.psf import gaussian_integral
from dose_audit.phantom.digital.render import Scene, Spacing, render_image

__all__ = ["node_image", "outline_image"]


def outline_image(
    diameter_mm: float = 190.0,
    *,
    height_mm: float | None = None,
    scale: tuple[float, float] = (1.0, 1.0),
    angle_deg: float = 0.0,
    signal: float = 1000.0,
    background: float = 0.0,
    bubble_mm: float = 0.0,
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0),
    sigma_mm: float = 0.5,
    spacing_mm: Spacing = 1.0,
    shape: tuple[int, int] = (256, 256),
    centre_mm: tuple[float, float] = (0.0, 0.0),
    noise_sd: float = 0.0,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """A uniform disc (or ellipse) whose diameters are to be found.

    Parameters
    ----------
    diameter_mm, height_mm, angle_deg
        Full axes; ``angle_deg`` turns the first from +x towards +y.
    scale : (float, float)
        Distortion along the image's x and y, 0.98 to 1.02.
    bubble_mm : float
        Depth of an air bubble: what lies higher than that below the top is background.
    bias : (float, float, float)
        Signal times ``1 + b0 x/R + b1 y/R + b2 (r/R)²``.

    Returns
    -------
    (ndarray, dict)
        Truth: ``centre_row_column``; full width along x, y and the two diagonals through the centre, without bubble.
    """
    spacing = pair(spacing_mm)
    height = diameter_mm if height_mm is None else height_mm
    scene = Scene(background)
    scene.add(Ellipse(0, 0, diameter_mm, height, angle_deg) if height != diameter_mm else Disc(0, 0, diameter_mm),
              value=signal)  # fmt: skip
    pose = Pose(*centre_mm, scale=scale)
    image = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm, pose=pose)
    x, y = pixel_positions(shape, spacing)
    radius = max(diameter_mm, height) / 2
    fx, fy = (x - centre_mm[0]) / radius, (y - centre_mm[1]) / radius
    field = 1 + bias[0] * fx + bias[1] * fy + bias[2] * (fx * fx + fy * fy)
    image = background + (image - background) * field
    if bubble_mm > 0:
        level = centre_mm[1] - scale[1] * _reach_up(diameter_mm, height, angle_deg) + bubble_mm
        image = background + (image - background) * gaussian_integral(y - level, sigma_mm, 1)
    chords = {f"diameter_{a}_deg_mm": _chord(diameter_mm, height, angle_deg, scale, a) for a in (0, 45, 90, 135)}
    truth: Truth = {
        "kind": "outline",
        "diameter_mm": diameter_mm,
        "height_mm": height,
        "angle_deg": angle_deg,
        "scale": list(scale),
        **chords,
        "bubble_mm": bubble_mm,
        "bias": list(bias),
        "signal": signal,
        "background": background,
        "centre_mm": list(centre_mm),
        "centre_row_column": list(pixel_of(*centre_mm, shape, spacing)),
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "noise_sd": noise_sd,
        "seed": seed,
    }
    return add_noise(image, spacing, noise_sd, None, seed), truth


def _chord(width: float, height: float, angle_deg: float, scale: tuple[float, float], direction_deg: float) -> float:
    """Full length through the centre along a direction of the image."""
    direction, angle = math.radians(direction_deg), math.radians(angle_deg)
    x, y = math.cos(direction) / scale[0], math.sin(direction) / scale[1]
    u, v = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    return 2 / math.hypot(2 * u / width, 2 * v / height)


def _reach_up(width: float, height: float, angle_deg: float) -> float:
    """Distance from the centre to the highest point of the outline, unscaled."""
    angle = math.radians(angle_deg)
    return math.hypot(width / 2 * math.sin(angle), height / 2 * math.cos(angle))


def node_image(
    pitch_mm: float = 50.0,
    *,
    grid: tuple[int, int] = (2, 2),
    node_diameter_mm: float = 3.0,
    contrast: float = -1000.0,
    background: float = 100.0,
    roll_deg: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    centre_mm: tuple[float, float] = (0.0, 0.0),
    barrel_per_mm2: float = 0.0,
    sigma_mm: float = 0.6,
    spacing_mm: Spacing = 0.5,
    shape: tuple[int, int] = (512, 512),
    noise_sd: float = 0.0,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """A grid of small discs with scale, roll and radial distortion of their positions, ``r (1 + barrel r²)``.

    Parameters
    ----------
    pitch_mm, grid, node_diameter_mm, contrast, background
        Distance of neighbours, rows and columns of nodes, their size, value over the background, the background's value.
    roll_deg, scale, centre_mm
        Pose of the plate; ``scale`` along the image's x and y.
    barrel_per_mm2 : float
        Radial distortion, positive outwards.
    sigma_mm, spacing_mm, shape, noise_sd, seed
        Blur, pixel pitch, matrix, white noise.

    Returns
    -------
    (ndarray, dict)
        Truth: ``nodes`` with grid index, ``mm`` from the middle of the image and ``row_column`` of each.
    """
    spacing = pair(spacing_mm)
    scene, pose = Scene(background), Pose(*centre_mm, roll_deg=roll_deg, scale=scale)
    nodes = []
    for i in range(grid[0]):
        for j in range(grid[1]):
            x, y = (j - (grid[1] - 1) / 2) * pitch_mm, (i - (grid[0] - 1) / 2) * pitch_mm
            stretch = 1 + barrel_per_mm2 * (x * x + y * y)
            scene.add(Disc(x * stretch, y * stretch, node_diameter_mm), contrast=contrast)
            at = pose.to_image(np.array([x * stretch, y * stretch, 0.0]))
            nodes.append(
                {
                    "index": [i, j],
                    "mm": [float(at[0]), float(at[1])],
                    "row_column": list(pixel_of(float(at[0]), float(at[1]), shape, spacing)),
                }
            )
    image = render_image(scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm, pose=pose)
    truth: Truth = {
        "kind": "nodes",
        "pitch_mm": pitch_mm,
        "grid": list(grid),
        "nodes": nodes,
        "roll_deg": roll_deg,
        "scale": list(scale),
        "barrel_per_mm2": barrel_per_mm2,
        "node_diameter_mm": node_diameter_mm,
        "contrast": contrast,
        "background": background,
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "noise_sd": noise_sd,
        "seed": seed,
    }
    return add_noise(image, spacing, noise_sd, None, seed), truth
