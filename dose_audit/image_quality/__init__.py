"""Image-quality metrics with known truth: array and spacing in, value, uncertainty, status and reason out. Pure.

Nothing here raises or returns NaN for what an image holds: a region without an edge is ``not_measurable``, one whose
edge is curved is ``suspect``, and both say so in words. Every metric is checked against objects whose truth is computed.

>>> import numpy as np
>>> from dose_audit.image_quality import noise_sd
>>> noise_sd(np.random.default_rng(1).normal(0.0, 10.0, (100, 100)), unit="HU").status
'ok'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Each name is looked up in its module at first use, so that importing this package costs nothing.
_HOMES = {
    "AffineDistortion": "distances",
    "ArtefactMap": "structure",
    "BarGroup": "bars",
    "BodyOutline": "geometry",
    "CircleFit": "circles",
    "Defects": "detector",
    "Detection": "detections",
    "AxisSpectrum": "nps",
    "Dqe": "quantum_efficiency",
    "EllipseFit": "circles",
    "Ghosting": "ghosting",
    "Fluence": "quantum_efficiency",
    "HuLinearity": "linearity",
    "HuUniformity": "uniformity_ct",
    "Image": "reading",
    "InsertFit": "inserts",
    "Lag": "detector",
    "LowContrast": "detections",
    "MtfCurve": "mtf_curve",
    "NemaUniformity": "nema",
    "NodeDistances": "distances",
    "NoisePowerSpectrum": "nps",
    "ProfileFit": "slice_profile",
    "RadialEdges": "radial_edges",
    "RampThickness": "slice_thickness",
    "RoiStatistics": "rois",
    "RoundObject": "geometry",
    "SignalTransfer": "linearity",
    "SlicePosition": "slice_position",
    "Stack": "reading",
    "StatisticalLcd": "statistical_lcd",
    "StructuredNoise": "structure",
    "TileUniformity": "tiles",
    "affine_distortion": "distances",
    "annulus_mask": "rois",
    "annulus_statistics": "rois",
    "artefact_map": "structure",
    "bar_mtf": "bars",
    "bar_mtf_curve": "bars",
    "bead_mtf": "spot_mtf",
    "body_outline": "geometry",
    "circle_diameter": "geometry",
    "contrast_difference": "contrast",
    "contrast_to_noise": "contrast",
    "dark_ground": "rician",
    "defective_pixels": "detector",
    "detectability_ideal": "detectability",
    "detectability_npw": "detectability",
    "disc_mask": "rois",
    "disc_statistics": "rois",
    "disc_task": "detectability",
    "disc_ttf": "ttf",
    "dqe": "quantum_efficiency",
    "edge_mtf": "mtf",
    "fit_circle": "circles",
    "fit_edge_response": "slice_response",
    "fit_ellipse": "circles",
    "fit_insert": "inserts",
    "fit_slice_profile": "slice_profile",
    "fractional_uniformity": "uniformity_mr",
    "hu_linearity": "linearity",
    "hu_uniformity": "uniformity_ct",
    "lag": "detector",
    "limiting_cnr": "contrast",
    "low_contrast_fitted": "disc_fit",
    "low_contrast_visible": "low_contrast",
    "mammographic_cnr": "contrast",
    "mask_statistics": "rois",
    "mean_thickness": "wire_ramp",
    "nema_uniformity": "nema",
    "node_distances": "distances",
    "noise_power_spectrum": "nps",
    "noise_sd": "noise",
    "normalised_nps": "nps",
    "offset_position": "rois",
    "percent_integral_uniformity": "uniformity_mr",
    "percent_signal_ghosting": "ghosting",
    "photon_fluence": "quantum_efficiency",
    "polar_position": "rois",
    "profile_shift": "slice_position",
    "proportion_correct": "forced_choice",
    "radial_edges": "radial_edges",
    "read_image": "reading",
    "read_stack": "reading",
    "rectangle_mask": "rois",
    "rectangle_statistics": "rois",
    "relative_cnr": "contrast",
    "relative_contrast": "contrast",
    "rician_mean": "rician",
    "roi_mean": "noise",
    "sample_points": "sampling",
    "sample_rectangle": "sampling",
    "signal_transfer": "linearity",
    "slice_position_bars": "slice_position",
    "slice_thickness_crossed": "slice_thickness",
    "slice_thickness_ramps": "slice_thickness",
    "slice_thickness_wedge": "slice_thickness",
    "slice_thickness_wire": "wire_ramp",
    "snr_single_image": "noise",
    "snr_smoothed": "noise",
    "snr_two_images": "noise",
    "statistical_lcd": "statistical_lcd",
    "strip_profile": "sampling",
    "structured_noise": "structure",
    "threshold_thickness": "forced_choice",
    "tile_uniformity": "tiles",
    "wire_mtf": "spot_mtf",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
