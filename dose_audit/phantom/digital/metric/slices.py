"""One-call images for slice thickness and position, each with its truth: crossed ramps, CT wires, stacks, wedge pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dose_audit.phantom.digital.metric.common import Array, Truth, pair
from dose_audit.phantom.digital.noise import rician, white_noise
from dose_audit.phantom.digital.objects import Rectangle
from dose_audit.phantom.digital.pose import Pose, pixel_of
from dose_audit.phantom.digital.render import Scene, Spacing, render_image, render_volume
from dose_audit.phantom.digital.slices import SliceProfile
from dose_audit.phantom.digital.solids import Ramp, Wedge

__all__ = ["ramp_image", "ramp_volume", "wedge_image"]

CATPHAN_SLOPE = math.tan(math.radians(23.0))


def _scene(kind: str, slope: float, background: float, contrast: float) -> tuple[Scene, list[Ramp]]:
    """Two opposed strips across the image: MR slots side by side in the middle, CT wires 38 mm above and below."""
    scene, ramps = Scene(background), []
    for k, sign in enumerate((1.0, -1.0)):
        if kind == "mr":
            ramp = Ramp(0.0, (-2.5, 2.5)[k], 0.0, 0.0, sign * slope, 100.0, 3.0, 1.0)
        else:
            ramp = Ramp(0.0, (-38.0, 38.0)[k], 0.0, 0.0, sign * slope, 48.0, 0.4, 0.4)
        scene.add(ramp, contrast=contrast, name=("upper", "lower")[k])
        ramps.append(ramp)
    return scene, ramps


def _truth(kind: str, ramps: list[Ramp], profile: SliceProfile, z: float, pose: Pose, more: Truth) -> Truth:
    """Length of each strip at half maximum along its run, and where its middle lies, from geometry alone."""
    strips = []
    inverse = np.linalg.inv(pose.matrix)
    for ramp, name in zip(ramps, ("upper", "lower"), strict=True):
        # Along the strip u phantom mm, the height over the slice changes by slope - tilt; the slice is 1/axis_z long.
        course = pose.matrix @ np.array([1.0, 0.0, ramp.slope])  # per mm of run, in image mm
        middle = pose.to_image(np.array([ramp.x, ramp.y, ramp.z]))
        run = (z - middle[2]) / course[2]
        at = middle + run * course
        strips.append(
            {
                "name": name,
                "slope": ramp.slope,
                "fwhm_mm": float(abs(profile.fwhm_mm / course[2]) * math.hypot(course[0], course[1])),
                "centre_mm": [float(at[0]), float(at[1])],
                "centre_row_column": list(
                    pixel_of(float(at[0]), float(at[1]), more["shape"], tuple(more["spacing_mm"]))
                ),
                "run_deg": math.degrees(math.atan2(course[1], course[0])),
            }
        )
    return {
        "kind": f"{kind} ramps",
        "thickness_mm": profile.fwhm_mm,
        "profile": profile.shape,
        "slope": abs(ramps[0].slope),
        "z_mm": z,
        "axis": [float(v) for v in inverse[:, 2]],
        "pose": pose.as_record(),
        "strips": strips,
        **{key: (list(value) if isinstance(value, tuple) else value) for key, value in more.items()},
    }


def ramp_image(
    thickness_mm: float = 5.0,
    *,
    kind: str = "mr",
    profile: str = "rect",
    z_mm: float = 0.0,
    slope: float | None = None,
    sigma_mm: float = 0.5,
    spacing_mm: Spacing = 1.0,
    shape: tuple[int, int] = (256, 256),
    background: float = 0.0,
    contrast: float = 1000.0,
    pose: Pose | None = None,
    noise_sd: float = 0.0,
    rician_noise: bool = False,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Two opposed ramps in one slice.

    Parameters
    ----------
    thickness_mm, profile
        Slice sensitivity profile: full width at half maximum and ``rect``, ``gauss`` or ``triangular``.
    kind : {'mr', 'ct'}
        Bright slots 100 x 3 x 1 mm at y = -2.5 and 2.5 with slope 0.1; wires 48 x 0.4 x 0.4 mm at y = -38 and 38 with
        slope tan 23 deg. The upper one rises to the right, the lower one to the left.
    z_mm : float
        Position of the slice.
    contrast : float
        Value of the strip's material over the background; a slice of thickness T shows about height/T of it.

    Returns
    -------
    (ndarray, dict)
        Truth: ``thickness_mm``; per strip in the image ``fwhm_mm``, ``centre_row_column``, ``run_deg``.

    Notes
    -----
    Height over the slice changes by ``m`` per mm of run in the image, so a strip is thickness/m long at half maximum.

    Examples
    --------
    >>> _, truth = ramp_image(5.0)
    >>> round(truth["strips"][0]["fwhm_mm"], 6)
    50.0
    """
    pose = pose or Pose()
    images, truth = _ramps(
        thickness_mm, kind, profile, [z_mm], slope, sigma_mm, spacing_mm, shape, background, contrast, pose, noise_sd,
        rician_noise, seed,
    )  # fmt: skip
    return images[0].astype(np.float64), {**truth[0]}


def ramp_volume(
    thickness_mm: float = 2.0,
    z_spacing_mm: float = 1.0,
    *,
    kind: str = "ct",
    profile: str = "rect",
    z_mm: Sequence[float] | None = None,
    slope: float | None = None,
    sigma_mm: float = 0.5,
    spacing_mm: Spacing = 0.5,
    shape: tuple[int, int] = (256, 256),
    background: float = 50.0,
    contrast: float = 2000.0,
    pose: Pose | None = None,
    noise_sd: float = 0.0,
    rician_noise: bool = False,
    seed: int = 0,
) -> tuple[NDArray[np.float32], Truth]:
    """The ramps of `ramp_image` as a stack of slices; spacing and thickness are independent.

    Without ``z_mm`` the slices cover 12 mm either side of the middle. Truth: ``z_mm`` of every slice and ``slices``.
    """
    pose = pose or Pose()
    half = math.floor(12.0 / z_spacing_mm)
    positions = [k * z_spacing_mm for k in range(-half, half + 1)] if z_mm is None else [float(z) for z in z_mm]
    images, truth = _ramps(
        thickness_mm, kind, profile, positions, slope, sigma_mm, spacing_mm, shape, background, contrast, pose, noise_sd,
        rician_noise, seed,
    )  # fmt: skip
    return images, {**truth[0], "z_mm": positions, "z_spacing_mm": z_spacing_mm, "slices": truth}


def _ramps(
    thickness_mm: float,
    kind: str,
    profile: str,
    positions: list[float],
    slope: float | None,
    sigma_mm: float,
    spacing_mm: Spacing,
    shape: tuple[int, int],
    background: float,
    contrast: float,
    pose: Pose,
    noise_sd: float,
    rician_noise: bool,
    seed: int,
) -> tuple[NDArray[np.float32], list[Truth]]:
    if kind not in ("mr", "ct"):
        raise ValueError(f"ramps are 'mr' or 'ct', not {kind!r}")
    slice_profile = SliceProfile(thickness_mm, profile)  # type: ignore[arg-type]  # it refuses an unknown word
    spacing = pair(spacing_mm)
    scene, ramps = _scene(kind, slope or (0.1 if kind == "mr" else CATPHAN_SLOPE), background, contrast)
    volume = render_volume(
        scene, shape=shape, spacing_mm=spacing, z_mm=positions, profile=slice_profile, psf_sigma_mm=sigma_mm, pose=pose
    )
    rng = np.random.default_rng(seed)
    for k in range(len(positions)):
        if rician_noise and noise_sd > 0:
            volume[k] = rician(volume[k], noise_sd, rng)
        elif noise_sd > 0:
            volume[k] += white_noise(shape, noise_sd, rng)
    more = {
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "shape": shape,
        "background": background,
        "contrast": contrast,
        "noise_sd": noise_sd,
        "seed": seed,
    }
    return volume, [_truth(kind, ramps, slice_profile, z, pose, more) for z in positions]


def wedge_image(
    displacement_mm: float = 0.0,
    *,
    thickness_mm: float = 5.0,
    profile: str = "rect",
    sigma_mm: float = 0.5,
    spacing_mm: Spacing = 1.0,
    shape: tuple[int, int] = (256, 256),
    signal: float = 1000.0,
    roll_deg: float = 0.0,
    noise_sd: float = 0.0,
    seed: int = 0,
) -> tuple[Array, Truth]:
    """Crossed 45 deg wedges under 12 o'clock of the ACR MRI phantom: two dark bars that differ by twice the displacement.

    Parameters
    ----------
    displacement_mm : float
        Slice towards the far end by so much: the right bar grows longer, the left shorter by the same.

    Returns
    -------
    (ndarray, dict)
        Truth: ``bar_difference_mm`` = right minus left = 2 x displacement; the end of either bar in pixels, its length.
    """
    spacing = pair(spacing_mm)
    scene = Scene(signal)
    left, right = (Rectangle(x, -55.0, 40.0, 5.6, 90.0) for x in (-2.8, 2.8))  # the run points down the image
    scene.add(Wedge(left, 0.0, -1.0), contrast=-signal, name="left bar")  # dark where z < -u: down to u = -z
    scene.add(right, contrast=-signal, name="right bar")  # dark where z > u: down to u = z
    scene.add(Wedge(right, 0.0, 1.0), contrast=signal)
    slices = SliceProfile(thickness_mm, profile)  # type: ignore[arg-type]  # it refuses an unknown word
    pose = Pose(roll_deg=roll_deg)
    image = render_image(
        scene, shape=shape, spacing_mm=spacing, psf_sigma_mm=sigma_mm, pose=pose, profile=slices, z_mm=displacement_mm
    )
    if noise_sd > 0:
        image = image + white_noise(shape, noise_sd, np.random.default_rng(seed))

    def pixel(x: float, y: float) -> list[float]:
        at = pose.to_image(np.array([x, y, 0.0]))
        return list(pixel_of(float(at[0]), float(at[1]), shape, spacing))

    truth: Truth = {
        "kind": "wedges",
        "displacement_mm": displacement_mm,
        "bar_difference_mm": 2 * displacement_mm,
        "thickness_mm": thickness_mm,
        "profile": profile,
        "sigma_mm": sigma_mm,
        "spacing_mm": list(spacing),
        "signal": signal,
        "roll_deg": roll_deg,
        "left_bar": {"end_row_column": pixel(-2.8, -55.0 - displacement_mm), "length_mm": 20.0 - displacement_mm},
        "right_bar": {"end_row_column": pixel(2.8, -55.0 + displacement_mm), "length_mm": 20.0 + displacement_mm},
        "bar_width_mm": 5.6,
        "top_row_column": pixel(0.0, -75.0),
        "noise_sd": noise_sd,
        "seed": seed,
    }
    return image, truth
