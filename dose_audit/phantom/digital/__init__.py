"""Digital phantoms: analytic objects, blurred in closed form, with noise last and the truth beside them."""

from dose_audit.phantom.digital.acquisition import Acquisition, Effects, NoiseModel, slice_positions
from dose_audit.phantom.digital.grid import Placement, placements
from dose_audit.phantom.digital.metric import (
    bar_image,
    bead_image,
    ct_water_image,
    disc_image,
    edge_image,
    flat_field,
    low_contrast_image,
    mr_repeat_pair,
    mr_uniform_image,
    nm_flood,
    node_image,
    noise_image,
    outline_image,
    ramp_image,
    ramp_volume,
    wedge_image,
    wire_image,
)
from dose_audit.phantom.digital.noise import NoisePowerSpectrum
from dose_audit.phantom.digital.phantom import DigitalPhantom
from dose_audit.phantom.digital.pose import Pose
from dose_audit.phantom.digital.recipes import recipe
from dose_audit.phantom.digital.render import Scene, iter_volume, render_image, render_volume
from dose_audit.phantom.digital.slices import SliceProfile
from dose_audit.phantom.digital.truth import Truth
from dose_audit.phantom.digital.writing import write_series

__all__ = [
    "Acquisition",
    "DigitalPhantom",
    "Effects",
    "NoiseModel",
    "NoisePowerSpectrum",
    "Placement",
    "Pose",
    "Scene",
    "SliceProfile",
    "Truth",
    "bar_image",
    "bead_image",
    "ct_water_image",
    "disc_image",
    "edge_image",
    "flat_field",
    "iter_volume",
    "low_contrast_image",
    "mr_repeat_pair",
    "mr_uniform_image",
    "nm_flood",
    "node_image",
    "noise_image",
    "outline_image",
    "placements",
    "ramp_image",
    "ramp_volume",
    "recipe",
    "render_image",
    "render_volume",
    "slice_positions",
    "wedge_image",
    "wire_image",
    "write_series",
]
