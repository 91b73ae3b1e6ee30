"""A digital phantom on disk: render, disturb, add noise, quantise, write DICOM, and the truth beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dose_audit.phantom.digital import effects
from dose_audit.phantom.digital.acquisition import Acquisition
from dose_audit.phantom.digital.dicom import base_dataset, decimal, largest_stored, set_pixels, set_plane, uid_of
from dose_audit.phantom.digital.multiframe import enhanced_mr, nm_frames
from dose_audit.phantom.digital.objects import Rectangle
from dose_audit.phantom.digital.phantom import DigitalPhantom, Feature
from dose_audit.phantom.digital.pose import Pose, pixel_of
from dose_audit.phantom.digital.render import Scene, iter_volume, render_image
from dose_audit.phantom.digital.truth import Truth, describe, feature_truth, mean_in_disc, radius_in_image

__all__ = ["clean_images", "write_series"]

Array = NDArray[np.float64]

ACQUIRED = datetime(2026, 1, 15, 10, 0, 0)
ROI_SHARE = 0.6
"""The rendered value of a feature is the mean over this share of its diameter."""


def write_series(
    folder: Path,
    phantom: DigitalPhantom,
    *,
    acquisition: Acquisition | None = None,
    pose: Pose | None = None,
    seed: int = 0,
    repeats: int = 1,
    acquired: datetime = ACQUIRED,
    station: str = "DIGITAL",
    shuffle: bool = False,
) -> Truth:
    """Write a digital phantom as DICOM files with ``truth.json`` beside them.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files of the same names in it are replaced.
    phantom : DigitalPhantom
        From a recipe, or one's own.
    acquisition : Acquisition, optional
        Instead of the phantom's usual one.
    pose : Pose, optional
        Where the phantom lies.
    seed : int
        Of the noise; the same seed gives the same bytes.
    repeats : int
        Series of the same scene with fresh noise, for two-image SNR and repeatability.
    acquired : datetime
        Study date and time; a repeat is two minutes later.
    station : str
        Station Name, and through it the device serial number.
    shuffle : bool
        File names in an order that has nothing to do with position.

    Returns
    -------
    Truth

    Raises
    ------
    ValueError
        For a modality that is not known, or fewer than one repeat.
    """
    if repeats < 1:
        raise ValueError("at least one acquisition")
    acquisition, pose = acquisition or phantom.acquisition, pose or Pose()
    folder.mkdir(parents=True, exist_ok=True)
    record = describe(phantom, acquisition, pose, seed)
    placed = magnified(pose, acquisition)
    images: list[Array] = []
    record["features"], record["slices"] = [], []
    wanted = _features_by_slice(phantom, acquisition, placed)
    for index, clean in enumerate(clean_images(phantom, acquisition, pose)):
        z = acquisition.z_mm[index] if acquisition.z_mm else None
        for feature in wanted.get(index, ()):
            entry, at = feature_truth(feature, placed, acquisition, z)
            share = ROI_SHARE * min(feature.size_mm or (0.0,)) * min(placed.scales)
            entry["rendered"] = mean_in_disc(clean, at, share, acquisition.spacing_mm)
            entry["slice"] = index if acquisition.z_mm else None
            record["features"].append(entry)
        images.append(clean.astype(np.float32))
    if acquisition.z_mm:
        record["modules"] = _modules(phantom, acquisition, placed)
    truth = Truth(folder, record=record)
    record["series"] = []
    for repeat in range(repeats):
        base = base_dataset(
            acquisition, kind=phantom.kind, seed=seed, repeat=repeat, acquired=acquired, station=station
        )
        rng = np.random.default_rng((seed, repeat))
        noisy = (_finished(image.astype(np.float64), acquisition, rng) for image in images)
        names = [f"{repeat + 1:02d}_{k + 1:04d}.dcm" for k in range(len(images))]
        if shuffle:
            names = [names[k] for k in rng.permutation(len(names))]
        written = _write(folder, base, acquisition, noisy, names)
        truth.files += [folder / name for name in written]
        record["series"].append(
            {
                "study_instance_uid": str(base.StudyInstanceUID),
                "series_instance_uid": str(base.SeriesInstanceUID),
                "irradiation_event_uid": str(base.get("IrradiationEventUID", "")) or None,
                "files": written,
            }
        )
        if repeat == 0:
            record["slices"] = _slices(acquisition, placed, written)
    truth.record = json.loads(json.dumps(record, allow_nan=False))  # plain lists, as a reader of the file has them
    truth.save()
    return truth


def magnified(pose: Pose, acquisition: Acquisition) -> Pose:
    """The pose at the detector: object mm grow by the magnification, and so does the shift."""
    m = acquisition.magnification
    sx, sy = pose.scales
    return replace(pose, scale=(sx * m, sy * m), x_mm=pose.x_mm * m, y_mm=pose.y_mm * m) if m != 1 else pose


def clean_images(phantom: DigitalPhantom, acquisition: Acquisition, pose: Pose) -> Iterator[Array]:
    """The images without noise, with all effects but padding: one a slice, or one projection."""
    placed = magnified(pose, acquisition)
    profile = acquisition.slice_profile
    shape, spacing, sigma = acquisition.shape, acquisition.spacing_mm, acquisition.psf_sigma_mm
    if profile is None:
        image = render_image(
            phantom.scene,
            shape=shape,
            spacing_mm=spacing,
            psf_sigma_mm=sigma,
            pose=placed,
            aperture=acquisition.aperture,
        )
        yield _disturbed(image, phantom, acquisition, placed, 0.0, None)
        return
    table = _table(phantom, acquisition, placed) if acquisition.effects.table else None
    slices = iter_volume(
        phantom.scene,
        shape=shape,
        spacing_mm=spacing,
        z_mm=acquisition.z_mm,
        profile=profile,
        psf_sigma_mm=sigma,
        pose=placed,
        aperture=acquisition.aperture,
    )
    for z, image in zip(acquisition.z_mm, slices, strict=True):
        yield _disturbed(image, phantom, acquisition, placed, z, table)


def _disturbed(
    image: Array, phantom: DigitalPhantom, acquisition: Acquisition, pose: Pose, z: float, table: Array | None
) -> Array:
    """Bubble, cupping, receive field, table, scale of CT numbers, rings and ghost."""
    what, spacing = acquisition.effects, acquisition.spacing_mm
    shape = (image.shape[0], image.shape[1])
    cx, cy = pose.in_slice(0.0, 0.0, z) if acquisition.z_mm else (pose.x_mm, pose.y_mm)
    radius = radius_in_image(pose, phantom.body_diameter_mm)
    background = phantom.scene.background
    if what.cupping_hu:
        inside = image > background + 0.05 * abs(background)
        image = image + inside * effects.cupping(shape, spacing, (cx, cy), what.cupping_hu, radius)
    if any(what.bias):
        image = image * effects.bias_field(shape, spacing, what.bias, radius, (cx, cy))
    if what.bubble_mm > 0:
        vessel = phantom.vessel_diameter_mm or phantom.body_diameter_mm
        image = effects.air_bubble(
            image,
            spacing,
            background,
            centre_mm=(cx, cy),
            diameter_mm=2 * radius_in_image(pose, vessel),
            depth_mm=what.bubble_mm,
            sigma_mm=acquisition.psf_sigma_mm,
        )
    if table is not None:
        image = image + table
    if what.hu_gain != 1.0 or what.hu_offset:
        image = what.hu_gain * (image + 1000.0) - 1000.0 + what.hu_offset
    if what.rings_hu > 0:
        image = image + effects.rings(shape, spacing, what.rings_hu)
    if what.ghost_fraction > 0:
        image = effects.ghost(image, what.ghost_fraction)
    return image


def _table(phantom: DigitalPhantom, acquisition: Acquisition, pose: Pose) -> Array:
    """A carbon-fibre table top, two skins 25 mm apart, close under the lowest place of the phantom."""
    bottom = max(pose.in_slice(0.0, 0.0, z)[1] for z in acquisition.z_mm)
    bottom += radius_in_image(pose, phantom.body_diameter_mm) * 1.01 + 4.0
    scene = Scene(0.0)
    for y, thickness, hu in ((bottom, 2.0, 600.0), (bottom + 25.0, 2.0, 600.0), (bottom + 12.5, 23.0, 60.0)):
        scene.add(Rectangle(0.0, y, 420.0, thickness), contrast=hu)
    return render_image(
        scene, shape=acquisition.shape, spacing_mm=acquisition.spacing_mm, psf_sigma_mm=acquisition.psf_sigma_mm
    )


def _finished(image: Array, acquisition: Acquisition, rng: np.random.Generator) -> Array:
    """Noise, then the padding, which has none, then the polarity."""
    image = acquisition.noise.add(image, acquisition.spacing_mm, rng)
    if acquisition.effects.padding is not None:
        image = effects.circular_padding(image, acquisition.effects.padding)
    return largest_stored(acquisition.modality) - image if acquisition.effects.inverted else image


def _write(
    folder: Path, base: Dataset, acquisition: Acquisition, images: Iterator[Array], names: list[str]
) -> list[str]:
    if acquisition.enhanced or acquisition.modality == "NM":
        make = enhanced_mr if acquisition.enhanced else nm_frames
        _save(make(base, acquisition, np.stack(list(images))), folder / names[0], 1)
        return names[:1]
    for k, (image, name) in enumerate(zip(images, names, strict=True)):
        z = acquisition.z_mm[k] if acquisition.z_mm else None
        set_plane(base, acquisition, z)
        set_pixels(base, image)
        if acquisition.modality == "PT":
            base.ImageIndex = k + 1
            base.NumberOfSlices = len(names)
        _save(base, folder / name, k + 1)
    return names


def _save(ds: Dataset, path: Path, number: int) -> None:
    ds.InstanceNumber = number
    ds.SOPInstanceUID = uid_of("instance", ds.SeriesInstanceUID, number)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(path, enforce_file_format=True)


def _features_by_slice(phantom: DigitalPhantom, acquisition: Acquisition, pose: Pose) -> dict[int, list[Feature]]:
    """Each feature with the slice nearest to its middle, where it is within reach of one."""
    found: dict[int, list[Feature]] = {}
    z = np.array(acquisition.z_mm)
    for feature in phantom.features:
        index = 0
        if z.size:
            at = float(pose.to_image(np.array([feature.x_mm, feature.y_mm, feature.z_mm]))[2])
            index = int(np.abs(z - at).argmin())
            if abs(z[index] - at) > max(acquisition.thickness_mm, 2.0):
                continue
        found.setdefault(index, []).append(feature)
    return found


def _modules(phantom: DigitalPhantom, acquisition: Acquisition, pose: Pose) -> list[dict[str, Any]]:
    entries = []
    z = np.array(acquisition.z_mm)
    for name, along in phantom.modules.items():
        at = float(pose.to_image(np.array([0.0, 0.0, along]))[2])
        nearest = int(np.abs(z - at).argmin())
        covered = abs(float(z[nearest]) - at) <= max(acquisition.thickness_mm, 2.0)
        entries.append(
            {
                "name": name,
                "phantom_z_mm": along,
                "image_z_mm": at,
                "slice": nearest if covered else None,
                "slice_z_mm": float(z[nearest]) if covered else None,
            }
        )
    return entries


def _slices(acquisition: Acquisition, pose: Pose, names: list[str]) -> list[dict[str, Any]]:
    """Per image: file, position, and where the phantom's axis crosses it."""
    entries: list[dict[str, Any]] = []
    for k, z in enumerate(acquisition.z_mm or (None,)):
        x, y = (pose.x_mm, pose.y_mm) if z is None else pose.in_slice(0.0, 0.0, z)
        at = pixel_of(x, y, acquisition.shape, acquisition.spacing_mm)
        entries.append(
            {
                "file": names[k] if len(names) > 1 else names[0],
                "instance_number": k + 1,
                "z_mm": None if z is None else float(decimal(z)),
                "axis_mm": [x, y],
                "axis_row_column": list(at),
                "roll_deg": pose.roll_deg,
            }
        )
    return entries
